import { readdir, readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { isSystemError } from '../../base/coded-error.ts';

/** What a Node object says about the machine. */
export interface MachineFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  /** Bytes of huge pages by size as in resource names: `2Mi` → 0. */
  readonly hugePages: ReadonlyMap<string, number>;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelVersion: string;
  readonly osImage: string;
}

/** Reads them; what the machine does not tell is empty. */
export async function readMachineFacts(root: string): Promise<MachineFacts> {
  const storage = await statfs(root);
  const machineId = (await firstLine('/etc/machine-id')) || derivedId();
  const release_ = await text('/etc/os-release');
  return {
    cpus: cpus().length || availableParallelism(),
    memoryBytes: totalmem(),
    storageBytes: storage.blocks * storage.bsize,
    hugePages: await hugePages(),
    machineId,
    systemUuid: (await firstLine('/sys/class/dmi/id/product_uuid')) || machineId,
    bootId: await firstLine('/proc/sys/kernel/random/boot_id'),
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release_)?.[1] ?? 'Linux',
  };
}

/** A machine without an ID (a container, say) gets one that stays the same while its name does. */
function derivedId(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 32);
}

async function hugePages(): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  let names: string[];
  try {
    names = await readdir('/sys/kernel/mm/hugepages');
  } catch (error) {
    if (isSystemError(error)) return sizes;
    throw error;
  }
  for (const name of names.sort()) {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? NaN);
    if (!Number.isFinite(kilobytes)) continue;
    const count = Number(await firstLine(`/sys/kernel/mm/hugepages/${name}/nr_hugepages`));
    const size = kilobytes >= 1024 * 1024 ? `${kilobytes / 1024 / 1024}Gi` : `${kilobytes / 1024}Mi`;
    sizes.set(size, (Number.isFinite(count) ? count : 0) * kilobytes * 1024);
  }
  return sizes;
}

async function firstLine(path: string): Promise<string> {
  return (await text(path)).split('\n')[0]?.trim() ?? '';
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error)) return '';
    throw error;
  }
}
