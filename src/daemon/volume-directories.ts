import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { VolumeDirectories } from '../controllers/volume-directories.ts';

/** Directories for claims below `path`. */
export function volumeDirectories(path: string): VolumeDirectories {
  // A name in the API is one part of a path: it has no slash and is not `..`.
  return { path, remove: (name) => rm(join(path, name), { recursive: true, force: true }) };
}
