import { parentOf } from './_byte-path.ts';
import type { Directories } from './_directories.ts';
import { removeTree } from './_tree.ts';
import type { TarEntry } from './tar-entry.ts';

/** Where AUFS kept files with several names: layers that Docker made on it have the files here and link to them. */
const DIRECTORY = '.wh..wh.plnk';

/**
 * Tells whether an entry is a file that AUFS kept for hard links. It is nobody's file, but what links to it later in its layer
 * is.
 */
export function isAufsLinkSource(path: string, entry: TarEntry): boolean {
  return entry.type === 'file' && parentOf(path) === DIRECTORY;
}

/** Removes what was only there to be linked to. */
export function removeAufsLinkSources(directories: Directories): void {
  if (!directories.implied.delete(DIRECTORY)) return;
  removeTree(directories.absolute(DIRECTORY));
  directories.forget();
}
