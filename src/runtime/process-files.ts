import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { parseProcessStat, type ProcessIdentity } from './process-identity.ts';

/* What a container's processes leave in its directory for whoever follows them. */

/** A number and when it was written. */
export interface NumberFile {
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly writtenAt: number;
}

/** Reads a file that holds one number; undefined when it is not there or not whole yet. */
export async function readNumber(path: string): Promise<NumberFile | undefined> {
  const file = await readStamped(path);
  if (file === undefined || !/^\d+$/.test(file.text)) return undefined;
  return { value: Number(file.text), writtenAt: file.writtenAt };
}

/** Reads a process number as OCI runtimes write it, or the process's own line of `/proc/PID/stat`, which says more. */
export async function readPid(
  path: string,
): Promise<(NumberFile & { identity?: ProcessIdentity }) | undefined> {
  const file = await readStamped(path);
  if (file === undefined) return undefined;
  const identity = parseProcessStat(file.text);
  const { writtenAt } = file;
  if (identity !== undefined) return { value: identity.pid, writtenAt, identity };
  return /^\d+$/.test(file.text) ? { value: Number(file.text), writtenAt } : undefined;
}

async function readStamped(path: string): Promise<{ text: string; writtenAt: number } | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return { text, writtenAt: Math.round((await stat(path)).mtimeMs) };
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Reads which process waits for the container; undefined when none has been started. */
export async function readShim(directory: string): Promise<ProcessIdentity | undefined> {
  const file = await readStamped(join(directory, 'shim.stat'));
  const stat = file === undefined ? undefined : parseProcessStat(file.text);
  return stat === undefined ? undefined : { pid: stat.pid, startTime: stat.startTime };
}
