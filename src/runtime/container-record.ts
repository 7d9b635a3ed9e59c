import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import type { ImageRunConfig } from './container-image.ts';
import type { Rootfs } from '../images/rootfs.ts';
import type { LauncherName } from './choose-launcher.ts';
import type { ResolvedMount } from './launcher.ts';
import type { ContainerConfig, PodSandboxConfig } from './runtime-service.ts';
import type { ResolvedUser } from './user.ts';

/*
 * What is kept of sandboxes and containers, one directory each:
 *
 *     sandboxes/ID/   sandbox.json  hostname  hosts  resolv.conf
 *     containers/ID/  record.json   written once, at creation
 *                     shim.stat     written by the shim as its first act: its own line of /proc/PID/stat
 *                     pid           written once the container's process runs
 *                     exit          exit code, written by the shim
 *                     end.json      how it ended, written by the agent once all output is in the log
 *                     stdout stderr position   raw output and how much of it is in the log
 */

export interface SandboxRecord {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly createdAt: number;
  readonly stopped: boolean;
}

export interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  readonly createdAt: number;
  readonly imageId: string;
  readonly image: ImageRunConfig;
  readonly launcher: LauncherName;
  readonly rootfs: Rootfs;
  /** Keys of read-only views made for image volumes. */
  readonly views: readonly string[];
  readonly mounts: readonly ResolvedMount[];
  readonly cgroup: string;
  readonly logPath: string;
  readonly hostname: string;
  readonly user: ResolvedUser;
}

/** How a container ended. */
export interface ContainerEnd {
  readonly exitCode: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly reason: string;
  readonly message: string;
}

/** Writes a record so that it is there whole or not at all. */
export async function writeRecord(directory: string, name: string, record: object): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(directory, name), JSON.stringify(record), { mode: 0o600 });
}

/** Reads a record; undefined when there is none. */
export async function readRecord<T>(directory: string, name: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, name), 'utf8')) as T;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Lists the names in a directory; none when it does not exist. */
export async function listNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}
