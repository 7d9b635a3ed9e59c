import { readFileSync } from 'node:fs';

/** Names this process so that a later one can tell whether it still runs: `PID:START`, as a PID alone is used again. */
export function ownIdentity(): string {
  return `${process.pid}:${startOf(process.pid) ?? ''}`;
}

/** Tells whether the process of an identity is still running. */
export function isRunning(identity: string): boolean {
  const [pid, start] = identity.split(':');
  const number = Number(pid);
  if (!Number.isSafeInteger(number) || number <= 0) return false;
  const current = startOf(number);
  if (current !== undefined) return current === start;
  if (start !== '') return false;
  try {
    process.kill(number, 0);
    return true;
  } catch {
    return false;
  }
}

/** Returns the start time in clock ticks since boot, where /proc has it. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name, in parentheses, may itself hold spaces and parentheses. Start time is field 22.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
