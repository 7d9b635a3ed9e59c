import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayerXattr, UnpackedLayer } from '../archive/apply-options.ts';
import type { UnpackResult } from '../archive/unpack-job.ts';
import { isSystemError } from '../base/coded-error.ts';
import type { Digest } from '../oci/digest.ts';
import { ImageError } from './image-error.ts';
import type { LayerInfo } from './layer-sink.ts';

/** Directory of a layer that holds its files. */
export const LAYER_FILES = 'fs';
/** File whose presence says that the layer is whole. */
const LAYER_RECORD = 'layer.json';
/** Version of the record's form. */
const VERSION = 1;

/** What is kept beside the files of a layer. Paths are byte paths (`latin1`), relative to the layer. */
export interface LayerRecord {
  readonly version: typeof VERSION;
  readonly diffId: Digest;
  /** Bytes of the uncompressed archive. */
  readonly diffSize: number;
  readonly entries: number;
  /** Bytes of file content. */
  readonly bytes: number;
  readonly rootDeclared: boolean;
  readonly impliedDirectories: readonly string[];
  readonly pendingLinks: readonly { readonly path: string; readonly target: string }[];
  readonly whiteouts: readonly string[];
  readonly opaque: readonly string[];
  readonly xattrs: readonly LayerXattr[];
  readonly skipped: Readonly<Record<string, number>>;
  readonly overlayReady: boolean;
  /**
   * The boot in which the files were written, until they are known to be on disk: after a power cut nobody can say how many of
   * them are whole, after a crash of the process alone all of them are.
   */
  readonly unsyncedBoot?: string;
}

export function recordOf(result: UnpackResult, boot: string): LayerRecord {
  const {
    entries,
    bytes,
    rootDeclared,
    impliedDirectories,
    pendingLinks,
    whiteouts,
    opaque,
    xattrs,
    skipped,
  } = result.report;
  return {
    version: VERSION,
    diffId: result.diffId,
    diffSize: result.diffSize,
    entries,
    bytes,
    rootDeclared,
    impliedDirectories,
    pendingLinks,
    whiteouts,
    opaque,
    xattrs,
    skipped,
    overlayReady: result.report.overlayReady,
    unsyncedBoot: boot,
  };
}

export function recordPath(directory: string): string {
  return join(directory, LAYER_RECORD);
}

/** Reads the record in a layer's directory; undefined when there is none. @throws ImageError `DAMAGED` */
export async function readRecord(directory: string): Promise<LayerRecord | undefined> {
  const path = recordPath(directory);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  try {
    const record = JSON.parse(text) as LayerRecord;
    // Another version is no damage: the layer is unpacked anew from its content.
    return record.version === VERSION ? record : undefined;
  } catch (cause) {
    throw new ImageError('DAMAGED', `Cannot read layer record "${path}": it is not JSON`, { cause });
  }
}

/** Returns the layer as the workers take it. */
export function unpackedLayer(directory: string, record: LayerRecord): UnpackedLayer {
  return {
    directory: join(directory, LAYER_FILES),
    whiteouts: record.whiteouts,
    opaque: record.opaque,
    xattrs: record.xattrs,
    rootDeclared: record.rootDeclared,
  };
}

export function infoOf({ diffId, entries, bytes }: LayerRecord): LayerInfo {
  return { diffId, entries, bytes };
}
