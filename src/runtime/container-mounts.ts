import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import type { RootfsProvider } from '../images/rootfs.ts';
import type { ImageLookup } from './container-image.ts';
import type { ResolvedMount } from './launcher.ts';
import { RootedTree } from './rooted-path.ts';
import { RuntimeError } from './runtime-error.ts';
import type { Mount } from './runtime-service.ts';

/** Where mounts of images come from, and where the keys of the views made for them are noted. */
export interface MountSources {
  readonly rootfs: RootfsProvider;
  readonly images: ImageLookup;
  readonly views: string[];
}

/**
 * Finds out what each mount of a container is on this machine, and makes views of images.
 *
 * @throws RuntimeError `INVALID`, `NOT_FOUND`; views noted by then are for the caller to remove
 */
export async function resolveMounts(
  sources: MountSources,
  id: string,
  mounts: readonly Mount[],
  signal: AbortSignal,
): Promise<ResolvedMount[]> {
  const resolved: ResolvedMount[] = [];
  for (const mount of mounts) {
    if (!isAbsolute(mount.containerPath)) {
      throw new RuntimeError('INVALID', `Cannot mount at "${mount.containerPath}": path is not absolute`);
    }
    if (mount.image !== undefined) {
      resolved.push(await imageMount(sources, `${id}-v${sources.views.length}`, mount, mount.image, signal));
      continue;
    }
    const directory = await isDirectory(mount.hostPath);
    resolved.push({
      source: mount.hostPath,
      destination: mount.containerPath,
      readonly: mount.readonly,
      directory,
    });
  }
  return resolved;
}

async function imageMount(
  sources: MountSources,
  key: string,
  mount: Mount,
  reference: string,
  signal: AbortSignal,
): Promise<ResolvedMount> {
  const image = await sources.images(reference, signal);
  if (image === undefined) {
    throw new RuntimeError('NOT_FOUND', `Cannot mount image "${reference}": not on this node`);
  }
  sources.views.push(key);
  const view = await sources.rootfs.view(key, image.diffIds, signal);
  const destination = mount.containerPath;
  if (mount.imageSubPath === undefined && view.overlay !== undefined) {
    const overlayLower = view.overlay.lower;
    return { source: view.path, destination, readonly: true, directory: true, overlayLower };
  }
  const tree = new RootedTree(view.overlay?.lower ?? [view.path]);
  const entry = await tree.resolve(mount.imageSubPath ?? '/');
  if (entry.kind === undefined) {
    throw new RuntimeError('INVALID', `Cannot mount "${mount.imageSubPath ?? ''}" of image: no such path`);
  }
  return {
    source: entry.hostPath,
    destination,
    readonly: true,
    directory: entry.kind === 'directory',
  };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    throw new RuntimeError('INVALID', `failed to mount "${path}": no such file or directory`, {
      cause: error,
    });
  }
}
