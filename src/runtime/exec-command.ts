import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { isSystemError } from '../base/coded-error.ts';
import type { Command } from './launcher.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ExecResult } from './runtime-service.ts';

/** Output kept of each stream of one command, as CRI runtimes do. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/**
 * Runs a command to its end and returns its output.
 *
 * @throws RuntimeError `TIMEOUT` after `timeoutMs` (0 means no limit); the command is killed then
 */
export async function execCommand(
  command: Command,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ExecResult> {
  signal.throwIfAborted();
  const child = spawn(command.file, [...command.args], {
    env: { ...command.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: the program that enters the container forks, and both must go on a timeout.
    detached: true,
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let timedOut = false;
  const kill = (): void => {
    // First what runs inside: it leads a session of its own, and nothing reaches it once its number cannot be learnt any more.
    killGroup(pidIn(command.pidFile));
    killGroup(child.pid);
    // What runs inside may have left the group and still hold the pipes.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const timer =
    timeoutMs > 0
      ? setTimeout(() => {
          timedOut = true;
          kill();
        }, timeoutMs)
      : undefined;
  signal.addEventListener('abort', kill, { once: true });
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killedBy) => resolve(code ?? (killedBy === null ? 255 : 137)));
    });
    signal.throwIfAborted();
    if (timedOut) {
      throw new RuntimeError('TIMEOUT', `command timed out: timeout ${timeoutMs / 1000}s exceeded`);
    }
    return { stdout: stdout(), stderr: stderr(), exitCode };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
    if (command.pidFile !== undefined) await rm(command.pidFile, { force: true });
  }
}

function pidIn(file: string | undefined): number | undefined {
  if (file === undefined) return undefined;
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) throw error;
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
