import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { RuntimeError } from './runtime-error.ts';
import { openInput } from './container-input.ts';
import type { ContainerProcess } from './container-process.ts';
import type { ContainerSession } from './container-session.ts';
import { execId } from './exec-process.ts';
import { findExecutable } from './executable.ts';
import { followOutput } from './follow-output.ts';
import type { Command, Launcher } from './launcher.ts';
import { isRunning } from './process-identity.ts';
import { processSpec } from './process-spec.ts';
import { RootedTree } from './rooted-path.ts';
import type { ContainerState } from './runtime-service.ts';
import { execErrorMessage } from './start-messages.ts';
import { consoleFile, resizeTerminal } from './terminal.ts';
import { rootLayers } from './unshare-script.ts';

/** Programs that are in no image: only the container itself can find them. */
const KERNEL_FILES = /^\/(?:proc|dev|sys)\//;

/** How often a container is asked whether it has ended, beside its own word. */
const ENDED_MS = 60_000;

/**
 * Returns the command that runs one more process in a running container.
 *
 * @throws RuntimeError `NOT_RUNNING`; `EXEC_FAILED` when it is clear already that the process cannot be started
 */
export async function commandInside(
  container: ContainerProcess,
  launcher: Launcher,
  command: readonly string[],
  terminal: boolean,
): Promise<Command> {
  const { record, directory, init } = container;
  if (container.state !== 'running' || init === undefined) throw notRunning(container.state);
  const process = processSpec(record.config, record.image, record.user, record.hostname);
  try {
    const spec = { ...process, args: command };
    // Launchers say it too, but in words of their own and on the command's error output.
    if (!KERNEL_FILES.test(command[0] ?? '')) {
      await findExecutable(new RootedTree(rootLayers(record)), record.mounts, spec);
    }
    return await launcher.exec({ ...record, directory, init }, spec, terminal);
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== 'START_FAILED') throw error;
    throw new RuntimeError('EXEC_FAILED', execErrorMessage(execId(), error.message), { cause: error });
  }
}

/**
 * Connects to a running container's first process.
 *
 * @throws RuntimeError `NOT_RUNNING`
 */
export async function attachTo(
  container: ContainerProcess,
  options: { readonly stdin: boolean },
  signal: AbortSignal,
): Promise<ContainerSession> {
  await mustLive(container);
  const { directory, record } = container;
  const { tty, stdin, stdinOnce = false } = record.config;
  const closing = new AbortController();
  const alive = AbortSignal.any([signal, closing.signal]);
  const ended = (): boolean => container.state === 'exited';
  const output = (name: string): ReturnType<typeof followOutput> =>
    followOutput(join(directory, name), ended, alive);
  let stdout: Readable;
  let stderr: Readable | undefined;
  try {
    stdout = await output('stdout');
    stderr = tty ? undefined : await output('stderr');
  } catch (error) {
    // The container may be removed in between: one output is open then, and nobody has it.
    closing.abort(error);
    throw error;
  }
  const input = options.stdin && stdin ? openInput(directory, stdinOnce) : undefined;
  const exit = untilEnded(container, alive);
  // Whoever never asks how it ended is not to bring the program down.
  exit.catch(() => undefined);
  return {
    stdin: input?.stream,
    stdout,
    stderr,
    resize: (columns, rows) => resizeTerminal(consoleFile(directory), columns, rows),
    exit,
    close: () => {
      input?.stream.end();
      closing.abort(new Error('the session was closed'));
    },
  };
}

async function untilEnded(container: ContainerProcess, signal: AbortSignal): Promise<number> {
  for (;;) if (await container.exited(ENDED_MS, signal)) return 0;
}

/**
 * Refuses a container whose process is gone, although that may not have been noticed yet. What a short command said is in the log
 * by then, and there a client looks that is refused; who attaches to nobody would see nothing.
 */
async function mustLive(container: ContainerProcess): Promise<void> {
  await container.check();
  if (container.state !== 'running') throw notRunning(container.state);
  if (container.init !== undefined && !(await isRunning(container.init))) throw notRunning('exited');
}

function notRunning(state: ContainerState): RuntimeError {
  return new RuntimeError('NOT_RUNNING', `container is in CONTAINER_${state.toUpperCase()} state`);
}
