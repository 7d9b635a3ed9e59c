import { execFile, spawn } from 'node:child_process';
import { readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { isSystemError } from '../base/coded-error.ts';

const run = promisify(execFile);

/** A named pipe in the container's directory; the shim gives it to the process. */
const PIPE = 'stdin';

/** Number and start time of the program that holds the pipe open. */
const KEEPER = 'stdin.keeper';

/** Makes the pipe through which a container takes input. */
export async function makeInput(directory: string): Promise<void> {
  await run('mkfifo', ['-m', '600', join(directory, PIPE)]);
}

/**
 * Opens a pipe for writing without waiting for a reader, who may be gone with the container: opened for both, it opens at once,
 * and so does its writing end then. What is left is the writing end alone, so that whoever writes learns that nobody reads.
 */
const COPY = `exec 3<>${PIPE} && exec cat >>${PIPE} 3<&-`;

/** A way into a container's input. */
export interface ContainerInput {
  readonly stream: Writable;
  /** Resolves once everything is handed over, or nobody is there to take it. */
  readonly ended: Promise<void>;
}

/**
 * Opens a container's input for writing. It goes through a program of its own, because a full pipe would hold up a thread of this one.
 *
 * @param once ending the stream ends the container's input for good (`stdinOnce`)
 */
export function openInput(directory: string, once: boolean): ContainerInput {
  const cat = spawn('/bin/sh', ['-c', COPY], { cwd: directory, stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = Promise.withResolvers<void>();
  cat.once('close', () => ended.resolve());
  // Whether anybody still reads shows in the container, not here.
  cat.on('error', () => undefined);
  cat.stdin.on('error', () => undefined);
  if (once) {
    cat.once('exit', () => {
      endInput(directory).catch(() => undefined);
    });
  }
  return { stream: cat.stdin, ended: ended.promise };
}

/** Ends the input of a container, and whatever keeps it open. Harmless when there is none. */
export async function endInput(directory: string): Promise<void> {
  let text: string;
  try {
    text = await readFile(join(directory, KEEPER), 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    throw error;
  }
  const pid = Number(text.trim());
  if (!Number.isInteger(pid) || pid <= 1) return;
  try {
    // Another program may have the number by now.
    if ((await readlink(`/proc/${pid}/cwd`)) !== (await realpath(directory))) return;
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}
