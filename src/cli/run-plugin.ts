import type { CloudPlugin } from '../credentials/cloud/plugin-names.ts';
import { runCloudPlugin } from '../credentials/cloud/run-cloud-plugin.ts';
import { interruptible } from './_interruptible.ts';

/**
 * Runs a cloud plug-in in this process and returns its exit code. The launcher loads this file alone when the kubelet calls:
 * a Pod waits for the answer, so nothing of the command line may be loaded first.
 */
export async function runPlugin(plugin: CloudPlugin, args: readonly string[]): Promise<number> {
  return runCloudPlugin(plugin, {
    arguments: args,
    environment: process.env,
    stdin: process.stdin,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    signal: interruptible(),
  });
}
