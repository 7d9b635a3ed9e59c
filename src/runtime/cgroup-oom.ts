import { readFile } from 'node:fs/promises';
import { isSystemError } from '../base/coded-error.ts';

/** Where memory controllers are: version 2 alone, version 1, and version 1 beside an empty version 2. */
const COUNTERS: readonly { file: (cgroup: string) => string; field: string }[] = [
  { file: (cgroup) => `/sys/fs/cgroup${cgroup}/memory.events`, field: 'oom_kill' },
  { file: (cgroup) => `/sys/fs/cgroup/memory${cgroup}/memory.oom_control`, field: 'oom_kill' },
];

/** Returns how many processes of a control group the kernel killed for want of memory; 0 when it cannot be seen. */
export async function oomKills(cgroup: string): Promise<number> {
  for (const counter of COUNTERS) {
    try {
      const text = await readFile(counter.file(cgroup), 'utf8');
      const value = new RegExp(`^${counter.field} (\\d+)$`, 'm').exec(text)?.[1];
      if (value !== undefined) return Number(value);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
  return 0;
}
