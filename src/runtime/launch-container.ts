import { makeInput } from './container-input.ts';
import type { ContainerProcess } from './container-process.ts';
import type { Command, Launcher } from './launcher.ts';
import { processSpec } from './process-spec.ts';
import { RuntimeError } from './runtime-error.ts';
import { startErrorMessage } from './start-messages.ts';
import { consoleFile, inTerminal } from './terminal.ts';

/**
 * Starts a container that was created, with its input and terminal, and returns once it runs.
 *
 * @throws RuntimeError `START_FAILED`; the container has then ended
 */
export async function launchContainer(
  container: ContainerProcess,
  launcher: Launcher,
  shimScript: string,
  signal: AbortSignal,
): Promise<void> {
  const { record, directory } = container;
  let command: Command;
  try {
    command = await launcher.prepare({
      id: record.id,
      directory,
      rootfs: record.rootfs,
      process: processSpec(record.config, record.image, record.user, record.hostname),
      hostname: record.hostname,
      mounts: record.mounts,
      config: record.config,
      cgroup: record.cgroup,
    });
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'START_FAILED') throw error;
    const message = startErrorMessage(error.message);
    await container.failStart(message);
    throw new RuntimeError('START_FAILED', message, { cause: error });
  }
  const { stdin, tty } = record.config;
  if (stdin || tty) await makeInput(directory);
  await container.start(
    tty ? await inTerminal(command, consoleFile(directory)) : command,
    shimScript,
    signal,
  );
}
