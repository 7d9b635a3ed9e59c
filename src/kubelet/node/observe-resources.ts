import { readFile, stat } from 'node:fs/promises';
import type { ImageService } from '../../pull/image-service.ts';
import type { FilesystemLayout, Observation, Observations } from '../images/eviction-state.ts';
import type { EvictionSignal } from '../images/eviction-thresholds.ts';
import { imageFilesystemStats, measureFilesystem } from '../images/image-filesystem.ts';

/** What was measured, and how the file systems are laid out. */
export interface ResourceReport {
  readonly observations: Observations;
  readonly layout: FilesystemLayout;
}

/** Measures everything that eviction judges by: the node's memory and processes, its own file system and that of the images (11.19). */
export async function observeResources(
  root: string,
  images: ImageService,
  signal: AbortSignal,
): Promise<ResourceReport> {
  const observations = new Map<EvictionSignal, Observation>();
  const memory = parseMeminfo(await readFile('/proc/meminfo', 'utf8'));
  if (memory !== undefined) observations.set('memory.available', memory);
  const pids = parsePids(
    await readFile('/proc/loadavg', 'utf8'),
    await readFile('/proc/sys/kernel/pid_max', 'utf8'),
  );
  if (pids !== undefined) observations.set('pid.available', pids);

  const node = await measureFilesystem(root);
  observations.set('nodefs.available', node);
  observations.set('nodefs.inodesFree', { available: node.inodesFree, capacity: node.inodes });
  let layout: FilesystemLayout = 'single';
  const { imageFilesystems, containerFilesystems } = await images.imageFsInfo(signal);
  const mountpoint = imageFilesystems[0]?.mountpoint;
  // A runtime that does not tell where its images are leaves the node's own file system to judge by.
  if (mountpoint !== undefined) {
    const image = await imageFilesystemStats(images, signal);
    const own = (await stat(root)).dev;
    const ofImages = (await stat(mountpoint)).dev;
    const containers = containerFilesystems[0]?.mountpoint;
    const ofContainers = containers === undefined ? ofImages : (await stat(containers)).dev;
    if (ofImages !== own) layout = ofContainers === own ? 'split' : 'dedicated';
    const held = layout === 'split' ? node : image;
    for (const [name, stats] of [
      ['imagefs', image],
      ['containerfs', held],
    ] as const) {
      observations.set(`${name}.available`, stats);
      observations.set(`${name}.inodesFree`, { available: stats.inodesFree, capacity: stats.inodes });
    }
  }
  return { observations, layout };
}

/** Reads what `/proc/meminfo` says of available and total memory. */
export function parseMeminfo(text: string): Observation | undefined {
  const field = (name: string): number | undefined => {
    const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return value === undefined ? undefined : Number(value) * 1024;
  };
  const available = field('MemAvailable');
  const capacity = field('MemTotal');
  return available === undefined || capacity === undefined ? undefined : { available, capacity };
}

/** Works out how many processes may still be made from `/proc/loadavg` and the kernel's limit. */
export function parsePids(loadavg: string, limit: string): Observation | undefined {
  const running = /^\S+ \S+ \S+ \d+\/(\d+) /.exec(loadavg)?.[1];
  const capacity = Number(limit.trim());
  if (running === undefined || !Number.isFinite(capacity)) return undefined;
  return { available: capacity - Number(running), capacity };
}
