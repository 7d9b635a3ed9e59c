import { linkSync } from 'node:fs';
import { isSystemError } from '../base/coded-error.ts';
import { bytePath, fsPath } from './_byte-path.ts';
import { makeNodes, setXattrs } from './_special-files.ts';

/** How overlayfs is told what a layer hides. @see Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories" */
export interface OverlayMarks {
  /** A character device 0:0 on the same file system: whiteouts become hard links to it, as the kernel makes them too. */
  readonly whiteoutNode?: string;
  /** `trusted.overlay.opaque` as root, `user.overlay.opaque` for mounts with `userxattr`; absent when none can be set. */
  readonly opaqueXattr?: string;
}

/** Puts whiteouts and opaque marks on disk. Returns whether all of them are there. */
export function markOverlay(
  root: string,
  layer: { readonly whiteouts: readonly string[]; readonly opaque: readonly string[] },
  marks: OverlayMarks,
): boolean {
  return makeWhiteouts(root, layer.whiteouts, marks) && makeOpaque(root, layer.opaque, marks);
}

function makeWhiteouts(root: string, whiteouts: readonly string[], marks: OverlayMarks): boolean {
  if (whiteouts.length === 0) return true;
  if (marks.whiteoutNode === undefined) return false;
  const node = fsPath(bytePath(marks.whiteoutNode));
  const alone: string[] = [];
  for (const path of whiteouts) {
    const absolute = `${root}/${path}`;
    try {
      linkSync(node, fsPath(absolute));
    } catch (error) {
      // The shared node has all the links that the file system allows.
      if (!isSystemError(error, 'EMLINK')) throw error;
      alone.push(absolute);
    }
  }
  const requests = alone.map((path) => ({ path, type: 'character', major: 0, minor: 0 }) as const);
  return makeNodes(requests) === undefined;
}

function makeOpaque(root: string, opaque: readonly string[], marks: OverlayMarks): boolean {
  if (opaque.length === 0) return true;
  const name = marks.opaqueXattr;
  if (name === undefined) return false;
  const value = Buffer.from('y');
  const requests = opaque.map((path) => ({ path: path === '' ? root : `${root}/${path}`, name, value }));
  return setXattrs(requests) === undefined;
}
