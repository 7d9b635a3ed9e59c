import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { readRecord, type ContainerRecord } from './container-record.ts';

/** What a container takes of its node at one moment. */
export interface ContainerUsage {
  /** Memory that cannot be given back without hurting it, in bytes; absent when nothing of it runs. */
  readonly memoryBytes?: number;
  /** What it has written into its own root file system, in bytes on disk. */
  readonly writableBytes: number;
  readonly processes: number;
}

/** Bytes of one page of memory, as Linux counts resident sets on all platforms that we know. */
const PAGE_BYTES = 4096;
const BLOCK_BYTES = 512;
/** Entries looked at in one tree: more would take longer than what is found out is worth. */
const MAX_ENTRIES = 1_000_000;

/**
 * Measures a container of the runtime whose state lies in `directory`; undefined when there is none of that ID. Memory is that
 * of its processes, less what several share.
 */
export async function measureContainer(directory: string, id: string): Promise<ContainerUsage | undefined> {
  const own = join(directory, 'containers', id);
  const record = await readRecord<ContainerRecord>(own, 'record.json');
  if (record === undefined) return undefined;
  const processes = await processesBelow(Number((await text(join(own, 'pid'))).trim()));
  const memory = (await cgroupMemory(record.cgroup)) ?? (await residentMemory(processes));
  // An overlay's own part lies beside the place where it is mounted; a copy is the container's altogether.
  const written =
    record.rootfs.kind === 'copy'
      ? record.rootfs.path
      : (record.rootfs.overlay?.upper ?? join(record.rootfs.path, '..', 'upper'));
  return {
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    writableBytes: await diskUsage(written),
    processes: processes.length,
  };
}

/** Adds up what a tree takes on disk; what vanishes meanwhile counts nothing. */
export async function diskUsage(root: string): Promise<number> {
  let bytes = 0;
  let left = MAX_ENTRIES;
  const walk = async (path: string): Promise<void> => {
    const facts = await lstat(path).catch(ignoreMissing);
    if (facts === undefined || --left < 0) return;
    // A file of several names is found several times; how often does not matter to what it is compared with.
    bytes += (facts.blocks * BLOCK_BYTES) / (facts.isFile() ? Math.max(1, facts.nlink) : 1);
    if (!facts.isDirectory()) return;
    for (const name of (await readdir(path).catch(ignoreMissing)) ?? []) await walk(join(path, name));
  };
  await walk(root);
  return Math.round(bytes);
}

/** Reads the working set of a control group: what is used, less files that nobody has touched for a while. */
async function cgroupMemory(cgroup: string): Promise<number | undefined> {
  for (const [base, usage, inactive] of [
    [`/sys/fs/cgroup${cgroup}`, 'memory.current', 'inactive_file'],
    [`/sys/fs/cgroup/memory${cgroup}`, 'memory.usage_in_bytes', 'total_inactive_file'],
  ] as const) {
    const used = Number((await text(join(base, usage))).trim() || NaN);
    if (!Number.isFinite(used)) continue;
    const idle = new RegExp(`^${inactive} (\\d+)$`, 'm').exec(await text(join(base, 'memory.stat')))?.[1];
    return Math.max(0, used - Number(idle ?? 0));
  }
  return undefined;
}

async function residentMemory(processes: readonly number[]): Promise<number | undefined> {
  if (processes.length === 0) return undefined;
  let pages = 0;
  for (const pid of processes) {
    const [, resident, shared] = (await text(`/proc/${pid}/statm`)).split(' ').map(Number);
    pages += (resident ?? 0) - (shared ?? 0);
  }
  return pages * PAGE_BYTES;
}

/** Lists a process and everything below it. */
async function processesBelow(pid: number): Promise<number[]> {
  if (!Number.isInteger(pid) || pid <= 0) return [];
  const found: number[] = [];
  const waiting = [pid];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const tasks = await readdir(`/proc/${next}/task`).catch(ignoreMissing);
    if (tasks === undefined) continue;
    found.push(next);
    for (const task of tasks) {
      const children = await text(`/proc/${next}/task/${task}/children`);
      for (const child of children.split(' ')) if (child.trim() !== '') waiting.push(Number(child));
    }
  }
  return found;
}

async function text(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(ignoreMissing)) ?? '';
}

function ignoreMissing(error: unknown): undefined {
  if (isSystemError(error)) return undefined;
  throw error;
}
