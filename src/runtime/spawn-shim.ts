import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from './launcher.ts';

/** Starts the few lines of shell that wait for a container's process. They outlive the agent; output goes to files of `directory`. */
export async function spawnShim(
  directory: string,
  command: Command,
  script: string,
  ended: () => void,
): Promise<void> {
  const stdout = await open(join(directory, 'stdout'), 'a', 0o600);
  const stderr = await open(join(directory, 'stderr'), 'a', 0o600);
  try {
    const shim = spawn('/bin/sh', [script, directory, command.file, ...command.args], {
      cwd: directory,
      env: { ...command.env },
      detached: true,
      stdio: ['ignore', stdout.fd, stderr.fd],
    });
    await new Promise<void>((resolve, reject) => {
      shim.once('spawn', resolve);
      shim.once('error', reject);
    });
    shim.once('exit', ended);
    shim.unref();
  } finally {
    await stdout.close();
    await stderr.close();
  }
}
