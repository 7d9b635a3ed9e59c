import type { ContainerProcess } from './container-process.ts';
import { RuntimeError } from './runtime-error.ts';
import { parseSignal } from './stop-signal.ts';

/** Longest wait for a process to be gone after SIGKILL. */
const KILL_WAIT_MS = 30_000;

const SIGKILL = 9;

/** Sends the stop signal, waits up to `timeoutMs`, then kills. Harmless when it does not run. */
export async function stopContainer(
  container: ContainerProcess,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  await container.settled(KILL_WAIT_MS, signal);
  if (container.state !== 'running') return;
  if (timeoutMs > 0) {
    const { config, image } = container.record;
    await container.signal(parseSignal(config.stopSignal ?? image.StopSignal ?? 'SIGTERM'));
    if (await container.exited(timeoutMs, signal)) return;
  }
  await killContainer(container, signal);
}

/**
 * Kills a container. Harmless when it does not run.
 *
 * @throws RuntimeError `TIMEOUT` when it goes on all the same
 */
export async function killContainer(container: ContainerProcess, signal: AbortSignal): Promise<void> {
  await container.settled(KILL_WAIT_MS, signal);
  if (container.state !== 'running') return;
  await container.signal(SIGKILL);
  if (await container.exited(KILL_WAIT_MS, signal)) return;
  throw new RuntimeError(
    'TIMEOUT',
    `Cannot stop container "${container.record.id}": still running ${KILL_WAIT_MS / 1000} s after SIGKILL`,
  );
}
