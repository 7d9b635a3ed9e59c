import { chmod, lstat, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import type { Pod, Volume } from '../../kube/pod.ts';
import { ownClaimName } from '../../kube/pod-claims.ts';
import type { PodPaths } from '../pod-paths.ts';
import { podNamespace, podUid } from '../pod-reference.ts';
import type { FindClaimed } from './claimed-directory.ts';
import { makeEmptyDir, unmountEmptyDir } from './empty-dir.ts';
import { writePayload } from './payload-writer.ts';
import { VolumeError } from './volume-error.ts';
import { volumePayload, type PayloadSources } from './volume-payload.ts';

/** Where a volume of a Pod is on the node. An image volume has no path: the runtime mounts it. */
export type MountedVolume =
  | { readonly path: string; readonly readonly: boolean }
  | { readonly image: string };

/** Kinds whose files are made here, with the plug-in name that is part of their directory. */
const PAYLOAD_PLUGINS = [
  ['secret', 'secret'],
  ['configMap', 'configmap'],
  ['downwardAPI', 'downward-api'],
  ['projected', 'projected'],
] as const;

/** Prepares the volumes of Pods and removes them again. */
export class VolumeManager {
  readonly #paths: PodPaths;
  readonly #sources: PayloadSources;
  readonly #claims: string;
  readonly #claimed: FindClaimed;

  /**
   * @param options.claimed finds what claims are bound to
   * @param options.claims directory in which each claim that is bound to nothing is a directory `NAMESPACE/NAME`
   */
  constructor(options: { paths: PodPaths; sources: PayloadSources; claimed: FindClaimed; claims: string }) {
    this.#paths = options.paths;
    this.#sources = options.sources;
    this.#claims = options.claims;
    this.#claimed = options.claimed;
  }

  /**
   * Makes every volume of a Pod ready, or brings it up to date, and returns where each is.
   *
   * @throws VolumeError worded for a `FailedMount` event
   */
  async prepare(pod: Pod, signal: AbortSignal): Promise<Map<string, MountedVolume>> {
    const mounted = new Map<string, MountedVolume>();
    for (const volume of pod.spec.volumes ?? []) {
      try {
        mounted.set(volume.name, await this.#prepareOne(pod, volume, signal));
      } catch (error) {
        signal.throwIfAborted();
        throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
    return mounted;
  }

  /** Removes everything that was made for a Pod; claims and host paths stay. */
  async remove(uid: string): Promise<void> {
    await removePodDirectory(this.#paths, uid);
  }

  async #prepareOne(pod: Pod, volume: Volume, signal: AbortSignal): Promise<MountedVolume> {
    const uid = podUid(pod);
    for (const [kind, plugin] of PAYLOAD_PLUGINS) {
      if (volume[kind] === undefined) continue;
      const path = this.#paths.volume(uid, plugin, volume.name);
      const files = await volumePayload(pod, volume, this.#sources, signal);
      await writePayload(path, files ?? []);
      return { path, readonly: true };
    }
    if (volume.emptyDir !== undefined) {
      const path = this.#paths.volume(uid, 'empty-dir', volume.name);
      await makeEmptyDir(path, volume.emptyDir, pod);
      return { path, readonly: false };
    }
    if (volume.hostPath !== undefined) {
      await checkHostPath(volume.hostPath.path, volume.hostPath.type ?? '');
      return { path: volume.hostPath.path, readonly: false };
    }
    if (volume.persistentVolumeClaim !== undefined) {
      const { claimName, readOnly } = volume.persistentVolumeClaim;
      const path = await this.#prepareClaim(podNamespace(pod), claimName, signal);
      return { path, readonly: readOnly ?? false };
    }
    if (volume.ephemeral !== undefined) {
      const path = await this.#prepareClaim(podNamespace(pod), ownClaimName(pod, volume.name), signal);
      return { path, readonly: false };
    }
    if (volume.image !== undefined) return { image: volume.image.reference ?? '' };
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
    throw new VolumeError(`no volume plugin matched: ${kind}`);
  }

  /** A directory that was made for the claim is for whatever user the containers have; another is as its owner made it. */
  async #prepareClaim(namespace: string, name: string, signal: AbortSignal): Promise<string> {
    const bound = await this.#claimed(namespace, name, signal);
    const { path, type, isOwn } = bound ?? {
      path: join(this.#claims, namespace, name),
      type: 'DirectoryOrCreate',
      isOwn: true,
    };
    await checkHostPath(path, type);
    if (isOwn) await chmod(path, 0o777);
    return path;
  }
}

/** Removes a Pod's directory with all volumes, those in memory too. */
export async function removePodDirectory(paths: PodPaths, uid: string): Promise<void> {
  const emptyDirs = dirname(paths.volume(uid, 'empty-dir', 'any'));
  for (const name of await readdirOrNone(emptyDirs)) await unmountEmptyDir(join(emptyDirs, name));
  await rm(paths.pod(uid), { recursive: true, force: true });
}

async function readdirOrNone(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Holds a host path to its type, making it where the type says so. */
async function checkHostPath(path: string, type: string): Promise<void> {
  switch (type) {
    case '':
      return await ensureExists(path);
    case 'DirectoryOrCreate':
      await mkdir(path, { recursive: true, mode: 0o755 });
      return;
    case 'FileOrCreate':
      await (await open(path, 'a', 0o644)).close();
      return;
    case 'Directory':
    case 'File':
    case 'Socket':
    case 'CharDevice':
    case 'BlockDevice':
      return await checkType(path, type);
    default:
      throw new VolumeError(`unknown hostPath type "${type}"`);
  }
}

/** A path without type that is not there becomes a directory, as container runtimes make it. */
async function ensureExists(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    await mkdir(path, { recursive: true, mode: 0o755 });
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  Directory: 'directory',
  File: 'file',
  Socket: 'socket',
  CharDevice: 'character device',
  BlockDevice: 'block device',
};

async function checkType(path: string, type: string): Promise<void> {
  let matches = false;
  try {
    const info = await stat(path);
    matches =
      (type === 'Directory' && info.isDirectory()) ||
      (type === 'File' && info.isFile()) ||
      (type === 'Socket' && info.isSocket()) ||
      (type === 'CharDevice' && info.isCharacterDevice()) ||
      (type === 'BlockDevice' && info.isBlockDevice());
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  if (!matches)
    throw new VolumeError(`hostPath type check failed: ${path} is not a ${TYPE_WORDS[type] ?? type}`);
}
