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
 * Opens a container's input for writing. It goes through a program of its own, because a full pipe would hold up a thread of this one.
 *
 * @param once ending what is returned ends the container's input for good (`stdinOnce`)
 */
export function openInput(directory: string, once: boolean): Writable {
  const cat = spawn('/bin/sh', ['-c', `exec cat >>${PIPE}`], {
    cwd: directory,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Whether anybody still reads shows in the container, not here.
  cat.on('error', () => undefined);
  cat.stdin.on('error', () => undefined);
  if (once) {
    cat.once('exit', () => {
      endInput(directory).catch(() => undefined);
    });
  }
  return cat.stdin;
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
