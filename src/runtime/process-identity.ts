import { readFile } from 'node:fs/promises';
import { isSystemError } from '../base/coded-error.ts';

/** Names one process for good: a number alone may belong to another process later. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot at which it started: field 22 of `/proc/PID/stat`. */
  readonly startTime: string;
}

/** Reads a line of `/proc/PID/stat`; undefined when it is not one. @see proc_pid_stat(5) */
export function parseProcessStat(line: string): (ProcessIdentity & { readonly state: string }) | undefined {
  const pid = /^(\d+) \(/.exec(line)?.[1];
  const afterName = line.lastIndexOf(') ');
  if (pid === undefined || afterName < 0) return undefined;
  const fields = line
    .slice(afterName + 2)
    .trim()
    .split(' ');
  const state = fields[0];
  const startTime = fields[19];
  if (state === undefined || startTime === undefined) return undefined;
  return { pid: Number(pid), startTime, state };
}

/** Returns the identity of a running process, or undefined when there is none (a zombie counts as none). */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  let line: string;
  try {
    line = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ESRCH')) return undefined;
    throw error;
  }
  const stat = parseProcessStat(line);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  return { pid: stat.pid, startTime: stat.startTime };
}

/** Tells whether exactly this process still runs. */
export async function isRunning(process: ProcessIdentity): Promise<boolean> {
  const found = await identifyProcess(process.pid);
  return found !== undefined && found.startTime === process.startTime;
}

/** Sends a signal to exactly this process; returns false when it is gone. */
export async function signalProcess(
  target: ProcessIdentity,
  signal: NodeJS.Signals | number,
): Promise<boolean> {
  if (!(await isRunning(target))) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false;
    throw error;
  }
}
