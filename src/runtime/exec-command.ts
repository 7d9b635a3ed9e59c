import { startExec } from './exec-process.ts';
import type { Command } from './launcher.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ExecResult } from './runtime-service.ts';

/** Output kept of each stream of one command, as CRI runtimes do. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/**
 * Runs a command to its end and returns its output.
 *
 * @throws RuntimeError `TIMEOUT` after `timeoutMs` (0 means no limit), when the command is killed; `EXEC_FAILED` when it cannot be started
 */
export async function execCommand(
  command: Command,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ExecResult> {
  const running = startExec(command, 'ignore', signal);
  const stdout = collect(running.child.stdout);
  const stderr = collect(running.child.stderr);
  let timedOut = false;
  const timer =
    timeoutMs > 0
      ? setTimeout(() => {
          timedOut = true;
          running.kill();
        }, timeoutMs)
      : undefined;
  const tooLate = (): RuntimeError =>
    new RuntimeError('TIMEOUT', `command timed out: timeout ${timeoutMs / 1000}s exceeded`);
  try {
    const exitCode = await running.exit;
    if (timedOut) throw tooLate();
    return { stdout: stdout(), stderr: stderr(), exitCode };
  } catch (error) {
    if (timedOut && !signal.aborted) throw tooLate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function collect(stream: NodeJS.ReadableStream): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size >= MAX_OUTPUT_BYTES) return;
    chunks.push(chunk.subarray(0, MAX_OUTPUT_BYTES - size));
    size += chunk.length;
  });
  return () => Buffer.concat(chunks);
}
