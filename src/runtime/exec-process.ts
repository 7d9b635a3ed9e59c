import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { isSystemError } from '../base/coded-error.ts';
import type { Command } from './launcher.ts';
import { RuntimeError } from './runtime-error.ts';
import { lastMessage } from './runtime-log.ts';
import { execErrorMessage } from './start-messages.ts';

/** A command that runs inside a container. */
export interface ExecProcess {
  readonly child: ChildProcessByStdio<Writable | null, Readable, Readable>;
  /**
   * Resolves once it has ended and its output is read (128 + signal when it was killed); rejects with RuntimeError `EXEC_FAILED`
   * when it never ran.
   */
  readonly exit: Promise<number>;
  /** Ends it and everything that it started. */
  kill(): void;
}

/** Starts a command inside a container. It is killed when the signal aborts, and `exit` then rejects with its reason. */
export function startExec(command: Command, stdin: 'pipe' | 'ignore', signal: AbortSignal): ExecProcess {
  signal.throwIfAborted();
  const options = {
    env: { ...command.env },
    // A group of its own: the program that enters the container forks, and both must go together.
    detached: true,
  } as const;
  const child: ExecProcess['child'] =
    stdin === 'pipe'
      ? spawn(command.file, [...command.args], { ...options, stdio: ['pipe', 'pipe', 'pipe'] })
      : spawn(command.file, [...command.args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => {
    // First what runs inside: it leads a session of its own, and nothing reaches it once its number cannot be learnt any more.
    killGroup(pidIn(command.pidFile));
    killGroup(child.pid);
    // What runs inside may have left the group and still hold the pipes.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  signal.addEventListener('abort', kill, { once: true });
  // Who went away while we still wrote to it says so by its exit code.
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => resolve(code ?? (killedBy === null ? 255 : 137)));
  });
  const exit = (async () => {
    try {
      const code = await ended;
      signal.throwIfAborted();
      const failure = code === 0 ? '' : await failureOf(command);
      if (failure !== '') throw new RuntimeError('EXEC_FAILED', execErrorMessage(execId(), failure));
      return code;
    } finally {
      signal.removeEventListener('abort', kill);
      for (const file of [command.pidFile, command.failureLog]) {
        if (file !== undefined) await rm(file, { force: true });
      }
    }
  })();
  // Whoever never asks how it ended is not to bring the program down.
  exit.catch(() => undefined);
  return { child, exit, kill };
}

/** Names one attempt, as CRI runtimes do in their messages. */
export function execId(): string {
  return randomBytes(32).toString('hex');
}

async function failureOf(command: Command): Promise<string> {
  if (command.failureLog === undefined) return '';
  try {
    return lastMessage(await readFile(command.failureLog, 'utf8'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
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
