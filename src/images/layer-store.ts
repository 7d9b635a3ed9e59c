import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { UnpackedLayer } from '../archive/apply-options.ts';
import { ArchiveError } from '../archive/archive-error.ts';
import type { UnpackJob, UnpackResult } from '../archive/unpack-job.ts';
import type { UnpackPool } from '../archive/unpack-pool.ts';
import type { UnpackSink } from '../archive/unpack-sink.ts';
import { isSystemError } from '../base/coded-error.ts';
import { LruMap } from '../base/lru-map.ts';
import { SingleFlight } from '../base/single-flight.ts';
import { ContentError } from '../content/content-error.ts';
import type { FileStore } from '../content/file-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf, type Digest } from '../oci/digest.ts';
import { firstDifference } from './_compare-trees.ts';
import { LayerDirectories } from './_layer-directories.ts';
import {
  infoOf,
  LAYER_FILES,
  readRecord,
  recordOf,
  unpackedLayer,
  type LayerRecord,
} from './_layer-record.ts';
import { ImageError } from './image-error.ts';
import { layerSink, type LayerInfo, type LayerSink } from './layer-sink.ts';
import { probeOverlay, type OverlaySupport } from './overlay-support.ts';

/** Names of 100 bytes that are remembered: the layers of hundreds of images. */
const MAX_FITTING = 10_000;

/** A layer of a stack, ready to be mounted or copied. */
export interface StackedLayer {
  readonly diffId: Digest;
  /** The layer as it lies, or the variant of it that this stack needs. */
  readonly layer: UnpackedLayer;
  /** Whether its whiteouts are on disk as overlayfs reads them. */
  readonly overlayReady: boolean;
  /** Name in `linksDirectory`, short so that many layers fit the options of one mount. */
  readonly link: string;
}

/** Layers unpacked once for each diff ID. */
export interface LayerStore {
  readonly linksDirectory: string;
  readonly overlay: OverlaySupport;
  isUnpacked(diffId: Digest): Promise<boolean>;
  /**
   * Unpacks a layer whose content is held, once however often it is asked for at the same time, and checks its diff ID.
   *
   * @throws ArchiveError, ContentError
   */
  unpack(layer: Descriptor, diffId: Digest, signal: AbortSignal): Promise<LayerInfo>;
  /**
   * Opens a sink for a layer that is on its way. The ref of the ingest is the layer's digest.
   *
   * @param wait waits for somebody else who takes the same blob in, until this aborts
   * @throws ContentError `LOCKED` without `wait`
   */
  openSink(layer: Descriptor, diffId: Digest, wait?: AbortSignal): Promise<LayerSink>;
  /**
   * Returns the layers of an image, base first, as they have to be stacked.
   *
   * @throws ImageError `NOT_FOUND` when a layer is not unpacked; ArchiveError `BAD_ARCHIVE` when a layer needs a file below it
   *   that is not there
   */
  stack(diffIds: readonly Digest[], signal: AbortSignal): Promise<StackedLayer[]>;
  walk(): AsyncIterable<LayerInfo>;
  /**
   * Unpacks a layer once more and compares.
   *
   * @returns undefined when its content is not held, or the layer has gone meanwhile
   */
  verify(
    layer: Descriptor,
    diffId: Digest,
    signal: AbortSignal,
  ): Promise<'sound' | { readonly difference: string } | undefined>;
  /** Removes a layer and its variants. */
  remove(diffId: Digest): Promise<void>;
  /** Waits until everything unpacked is on disk. */
  synced(): Promise<void>;
}

export interface LayerStoreOptions {
  /** Threads that unpack; closed by whoever made it. */
  readonly pool: UnpackPool;
  readonly content: FileStore;
  /** What the machine allows; found out by trying when absent. */
  readonly overlay?: OverlaySupport;
}

/** Opens the layers in `directory`, making it when it is not there and clearing what a crashed process left. */
export async function openLayerStore(directory: string, options: LayerStoreOptions): Promise<LayerStore> {
  const directories = await LayerDirectories.open(directory, options.pool);
  const overlay = options.overlay ?? (await probeOverlay(directories.root, directories.staging));
  await directories.dropUnsynced();
  return new DirectoryLayerStore(directories, options, overlay);
}

class DirectoryLayerStore implements LayerStore {
  readonly linksDirectory: string;
  readonly overlay: OverlaySupport;
  readonly #directories: LayerDirectories;
  readonly #pool: UnpackPool;
  readonly #content: FileStore;
  readonly #unpacking = new SingleFlight<Digest, LayerInfo>();
  /** Stacks into which a layer is known to fit as it is, by the name that its variant would have. */
  readonly #fitting = new LruMap<string, true>(MAX_FITTING);
  readonly #settling = new SingleFlight<string, StackedLayer>();

  constructor(directories: LayerDirectories, options: LayerStoreOptions, overlay: OverlaySupport) {
    this.#directories = directories;
    this.#pool = options.pool;
    this.#content = options.content;
    this.overlay = overlay;
    this.linksDirectory = directories.links;
  }

  async isUnpacked(diffId: Digest): Promise<boolean> {
    return (await readRecord(this.#directories.of(diffId))) !== undefined;
  }

  unpack(layer: Descriptor, diffId: Digest, signal: AbortSignal): Promise<LayerInfo> {
    return this.#unpacking.do(diffId, async () => {
      const existing = await readRecord(this.#directories.of(diffId));
      if (existing !== undefined) return infoOf(existing);
      const staging = await this.#directories.stage();
      try {
        // A missing blob is the store's error, not one of a file that somebody's worker did not find.
        await this.#content.stat(layer.digest);
        const job = this.#job(staging, layer, diffId, {
          kind: 'file',
          path: this.#content.pathOf(layer.digest),
        });
        return await this.#publish(staging, await this.#pool.unpack(job, signal));
      } finally {
        await this.#directories.discard(staging);
      }
    });
  }

  async openSink(layer: Descriptor, diffId: Digest, wait?: AbortSignal): Promise<LayerSink> {
    const ingest = await this.#content.openExternalIngest(layer.digest, wait === undefined ? {} : { wait });
    let staging: string;
    let sink: UnpackSink;
    try {
      staging = await this.#directories.stage();
      const keep = { path: ingest.path, offset: ingest.offset };
      sink = this.#pool.open(this.#job(staging, layer, diffId, { kind: 'stream', keep }));
    } catch (error) {
      await ingest.close();
      throw error;
    }
    return layerSink({
      offset: ingest.offset,
      unpacking: sink,
      ingest,
      publish: (result) => this.#publish(staging, result),
      discard: () => this.#directories.discard(staging),
    });
  }

  async stack(diffIds: readonly Digest[], signal: AbortSignal): Promise<StackedLayer[]> {
    const stacked: StackedLayer[] = [];
    for (const diffId of diffIds) {
      const directory = this.#directories.of(diffId);
      const record = await readRecord(directory);
      if (record === undefined)
        throw new ImageError('NOT_FOUND', `Cannot stack layer "${diffId}": it is not unpacked`);
      const { pendingLinks, impliedDirectories, whiteouts } = record;
      const settles =
        pendingLinks.length > 0 ||
        whiteouts.length > 0 ||
        (impliedDirectories.length > 0 && stacked.length > 0);
      stacked.push(
        settles
          ? await this.#settle(diffId, record, [...stacked], signal)
          : await this.#stackedLayer(diffId, directory, record),
      );
    }
    return stacked;
  }

  async *walk(): AsyncIterable<LayerInfo> {
    for (const directory of await this.#directories.layers()) {
      const record = await readRecord(directory);
      if (record !== undefined) yield infoOf(record);
    }
  }

  async verify(layer: Descriptor, diffId: Digest, signal: AbortSignal): ReturnType<LayerStore['verify']> {
    const directory = this.#directories.of(diffId);
    const record = await readRecord(directory);
    if (record === undefined || !(await isHeld(this.#content, layer))) return undefined;
    const staging = await this.#directories.stage();
    try {
      const path = this.#content.pathOf(layer.digest);
      const { report } = await this.#pool.unpack(
        this.#job(staging, layer, diffId, { kind: 'file', path }),
        signal,
      );
      const anyTime = new Set(report.impliedDirectories);
      if (!report.rootDeclared) anyTime.add('');
      const trees = [join(directory, LAYER_FILES), join(staging, LAYER_FILES)] as const;
      const difference = await firstDifference(...trees, anyTime, signal);
      return difference === undefined ? 'sound' : { difference };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ArchiveError) return { difference: error.message };
      // Collected while it was looked at.
      if (isSystemError(error, 'ENOENT') && (await readRecord(directory)) === undefined) return undefined;
      throw error;
    } finally {
      await this.#directories.discard(staging);
    }
  }

  async remove(diffId: Digest): Promise<void> {
    for (const name of await this.#directories.variants(diffId))
      await this.#directories.remove(this.#directories.variant(name));
    await this.#directories.remove(this.#directories.of(diffId));
  }

  synced(): Promise<void> {
    return this.#directories.flushed();
  }

  #job(staging: string, layer: Descriptor, diffId: Digest, source: UnpackJob['source']): UnpackJob {
    return {
      target: join(staging, LAYER_FILES),
      apply: {
        whiteouts: 'overlay',
        recordPath: join(staging, 'skipped.jsonl'),
        overlay: this.overlay.marks,
      },
      source,
      digest: layer.digest,
      size: layer.size,
      diffId,
    };
  }

  async #publish(staging: string, result: UnpackResult): Promise<LayerInfo> {
    const record = recordOf(result, this.#directories.boot);
    const directory = this.#directories.of(result.diffId);
    if ((await readRecord(directory)) === undefined)
      await this.#directories.moveIn(staging, directory, record);
    return infoOf(record);
  }

  async #settle(
    diffId: Digest,
    record: LayerRecord,
    lower: readonly StackedLayer[],
    signal: AbortSignal,
  ): Promise<StackedLayer> {
    const chain = createHash('sha256');
    for (const { diffId: below } of lower) chain.update(`${below}\n`);
    const name = `${hexOf(diffId)}.${chain.digest('hex').slice(0, 32)}`;
    const directory = this.#directories.variant(name);
    if (this.#fitting.has(name)) return this.#stackedLayer(diffId, this.#directories.of(diffId), record);
    return this.#settling.do(name, async () => {
      const existing = await readRecord(directory);
      if (existing !== undefined) return this.#stackedLayer(diffId, directory, existing);
      const staging = await this.#directories.stage('nothing');
      try {
        const own = this.#directories.of(diffId);
        const { opaqueXattr } = this.overlay.marks;
        const variant = await this.#pool.settle(
          {
            layer: unpackedLayer(own, record),
            impliedDirectories: record.impliedDirectories,
            pendingLinks: record.pendingLinks,
            lower: lower.map(({ layer }) => layer).toReversed(),
            target: join(staging, LAYER_FILES),
            ...(opaqueXattr === undefined || !record.overlayReady ? {} : { opaqueXattr }),
          },
          signal,
        );
        if (variant === undefined) {
          this.#fitting.set(name, true);
          return await this.#stackedLayer(diffId, own, record);
        }
        const { whiteouts, opaque, xattrs } = variant;
        const settled: LayerRecord = {
          ...record,
          whiteouts,
          opaque,
          xattrs,
          impliedDirectories: [],
          pendingLinks: [],
          unsyncedBoot: this.#directories.boot,
        };
        await this.#directories.moveIn(staging, directory, settled);
        return await this.#stackedLayer(diffId, directory, settled);
      } finally {
        await this.#directories.discard(staging);
      }
    });
  }

  async #stackedLayer(diffId: Digest, directory: string, record: LayerRecord): Promise<StackedLayer> {
    const link = await this.#directories.link(directory);
    return { diffId, layer: unpackedLayer(directory, record), overlayReady: record.overlayReady, link };
  }
}

async function isHeld(content: FileStore, { digest, size }: Descriptor): Promise<boolean> {
  try {
    return (await content.stat(digest)).size === size;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
