import type { OverlayMarks } from './overlay-marks.ts';

/** Most entries of one layer: ten times what the largest images in use have, small enough to be counted in memory. */
export const MAX_ENTRIES = 2_000_000;
/** Longest path of an entry in bytes: what Linux takes (PATH_MAX). */
export const MAX_PATH_BYTES = 4096;

export interface ApplyOptions {
  /**
   * What happens to whiteouts. `remove`: the target already holds the lower layers, and what is whited out goes.
   * `overlay`: the target holds this layer alone, and whiteouts are kept in the form overlayfs reads.
   */
  readonly whiteouts: 'remove' | 'overlay';
  /** Whether owners are set (needs root) or only recorded. By default they are set when the process is root. */
  readonly owners?: 'apply' | 'record';
  /** File that gets a JSON line for each thing that could not be applied. */
  readonly recordPath?: string;
  readonly maxEntries?: number;
  /** How whiteouts are put on disk for overlayfs; absent keeps them in the report only. */
  readonly overlay?: OverlayMarks;
}

/** What became of a layer. Paths are byte paths (`latin1`), relative to the target. */
export interface ApplyReport {
  readonly entries: number;
  /** Bytes of file content. */
  readonly bytes: number;
  /** Whether the layer says what the root directory is like. */
  readonly rootDeclared: boolean;
  /** Directories made because an entry lay in them, without an entry of their own. */
  readonly impliedDirectories: readonly string[];
  /** Hard links whose target is not in this layer: made once the lower layers are known. `overlay` only. */
  readonly pendingLinks: readonly { readonly path: string; readonly target: string }[];
  /** Whiteouts that the layer holds. `overlay` only. */
  readonly whiteouts: readonly string[];
  /** Directories that hide everything below them in lower layers. `overlay` only. */
  readonly opaque: readonly string[];
  /** Whether every whiteout and opaque directory is on disk as overlayfs reads it. */
  readonly overlayReady: boolean;
  /** Extended attributes that were set, for whoever copies the tree. */
  readonly xattrs: readonly LayerXattr[];
  /** How many things were not applied, by what they are: `owner`, `device`, `xattr`. */
  readonly skipped: Readonly<Record<string, number>>;
}

/** An extended attribute of a path of a layer. */
export interface LayerXattr {
  /** Byte path relative to the layer. */
  readonly path: string;
  readonly name: string;
  readonly valueBase64: string;
}

/** An unpacked layer as it lies, with what its files alone do not say. A plain value: it crosses to worker threads. */
export interface UnpackedLayer {
  /** Directory that holds the files. */
  readonly directory: string;
  readonly whiteouts: readonly string[];
  readonly opaque: readonly string[];
  readonly xattrs: readonly LayerXattr[];
  /** Whether the layer says what the root directory is like. */
  readonly rootDeclared: boolean;
}
