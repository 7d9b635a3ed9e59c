import { readVerified } from '../content/verified-reader.ts';
import { ContentError } from '../content/content-error.ts';
import type { ContentStore } from '../content/store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/media-type.ts';
import type { LayerStore } from './layer-store.ts';
import type { LocalRootfsProvider } from './rootfs-provider.ts';
import type { Collection } from './collections.ts';
import type { SqliteImageStore } from './sqlite-image-store.ts';
import {
  verifyContent,
  verifyLayers,
  verifyRecords,
  type Damage,
  type Verification,
} from './verify-store.ts';

/** How long an interrupted download is kept for a resume after its last byte: a working day and the night after it. */
const INGEST_KEPT_MS = 24 * 60 * 60 * 1000;

export interface CollectStores {
  readonly images: SqliteImageStore;
  readonly content: ContentStore;
  readonly layers?: LayerStore;
  readonly rootfs?: LocalRootfsProvider;
}

export interface CollectOptions {
  /** Says what would be removed and removes nothing. */
  readonly dryRun?: boolean;
  /** Checks content, layers and records first; what is damaged is removed, so that the next pull brings it again. */
  readonly verify?: boolean;
  /** Age from which unfinished ingests are removed; a day by default. */
  readonly ingestKeptMs?: number;
  readonly now?: () => number;
}

export type CollectStepName =
  | 'verify'
  | 'verify-layers'
  | 'verify-records'
  | 'mark'
  | 'ingests'
  | 'content'
  | 'layers';

export interface CollectStep {
  readonly name: CollectStepName;
  /** What was removed, or would be: digests, or refs of ingests. For `mark`: nothing. */
  readonly removed: readonly string[];
  /** What was kept. */
  readonly kept: number;
  /** Bytes that became free, or would. */
  readonly freedBytes: number;
  /** What a check found wrong; absent for steps that are no checks. */
  readonly damaged?: readonly { readonly what: string; readonly problem: string }[];
}

/**
 * Removes what no image, name, lease or root file system needs, by mark and sweep, in named steps. Work that goes on at the same
 * time is safe as long as it leases what it relies on before it looks whether that is there.
 */
export async function collect(
  stores: CollectStores,
  options: CollectOptions,
  signal: AbortSignal,
): Promise<CollectStep[]> {
  const collection = stores.images.startCollection();
  try {
    const context: Context = { ...stores, options, signal, collection };
    const steps: CollectStep[] = [];
    if (options.verify === true) steps.push(...(await verifySteps(context)));
    const needed = await mark(context);
    steps.push({ name: 'mark', removed: [], kept: needed.size, freedBytes: 0 });
    steps.push(await ingestsStep(context));
    steps.push(await contentStep(context, needed));
    if (stores.layers !== undefined) steps.push(await layersStep(context, stores.layers, needed));
    return steps;
  } finally {
    collection.end();
  }
}

interface Context extends CollectStores {
  readonly options: CollectOptions;
  readonly signal: AbortSignal;
  readonly collection: Collection;
}

/** Follows names through indexes and manifests, so that an image that was loaded but never unpacked stays whole. */
async function mark({ images, content, signal }: Context): Promise<ReadonlySet<Digest>> {
  const needed = new Set(await images.roots());
  const queue: Descriptor[] = (await images.names()).map(({ target }) => target);
  const seen = new Set<Digest>();
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    signal.throwIfAborted();
    needed.add(next.digest);
    if (seen.has(next.digest) || !(isIndexType(next.mediaType) || isManifestType(next.mediaType))) continue;
    seen.add(next.digest);
    let bytes: Buffer;
    try {
      bytes = await readVerified(content, next, signal, MAX_MANIFEST_BYTES);
    } catch (error) {
      // Other platforms of an index are hardly ever there; a damaged manifest leads nowhere.
      if (error instanceof ContentError) continue;
      throw error;
    }
    const manifest = parseManifest(bytes, next.mediaType);
    if (manifest.kind === 'index') queue.push(...manifest.manifests);
    else queue.push(manifest.config, ...manifest.layers);
  }
  return needed;
}

/** Checks all that is kept. What is damaged and can be brought again goes; what a root file system stands on is only told. */
async function verifySteps(context: Context): Promise<CollectStep[]> {
  const { images, content, layers, rootfs, options, signal } = context;
  const mends = options.dryRun !== true;
  const ofContent = await verifyContent(content, signal, async (digest) => {
    if (mends) await content.remove(digest);
  });
  const steps = [stepOf('verify', ofContent, ofContent.damaged)];
  if (layers !== undefined) {
    const used = (await rootfs?.layersInUse()) ?? new Set<Digest>();
    const ofLayers = await verifyLayers(layers, await images.list(), signal, async (diffId) => {
      if (mends && !used.has(diffId)) await layers.remove(diffId);
    });
    const removed = ofLayers.damaged.filter(({ what }) => !used.has(what as Digest));
    steps.push(stepOf('verify-layers', ofLayers, removed));
  }
  return [...steps, stepOf('verify-records', await verifyRecords(images, content, signal), [])];
}

function stepOf(
  name: CollectStepName,
  { sound, damaged }: Verification,
  removed: readonly Damage[],
): CollectStep {
  return {
    name,
    removed: removed.map(({ what }) => what),
    kept: sound,
    freedBytes: removed.reduce((sum, { bytes }) => sum + bytes, 0),
    damaged: damaged.map(({ what, problem }) => ({ what, problem })),
  };
}

async function ingestsStep({ content, options }: Context): Promise<CollectStep> {
  const now = (options.now ?? Date.now)();
  const removed: string[] = [];
  let kept = 0;
  let freedBytes = 0;
  for (const { ref, offset, updatedAt } of await content.ingests()) {
    if (now - updatedAt < (options.ingestKeptMs ?? INGEST_KEPT_MS)) {
      kept++;
      continue;
    }
    try {
      if (options.dryRun !== true) await content.abortIngest(ref);
      removed.push(ref);
      freedBytes += offset;
    } catch (error) {
      if (!(error instanceof ContentError && error.code === 'LOCKED')) throw error;
      kept++;
    }
  }
  return { name: 'ingests', removed, kept, freedBytes };
}

async function contentStep(
  { collection, content, options, signal }: Context,
  needed: ReadonlySet<Digest>,
): Promise<CollectStep> {
  const removed: string[] = [];
  let kept = 0;
  let freedBytes = 0;
  for await (const { digest, size } of content.walk()) {
    signal.throwIfAborted();
    const goes =
      options.dryRun === true
        ? !needed.has(digest)
        : await collection.remove(digest, needed, () => content.remove(digest));
    if (goes) {
      removed.push(digest);
      freedBytes += size;
    } else kept++;
  }
  return { name: 'content', removed, kept, freedBytes };
}

async function layersStep(
  { collection, rootfs, options, signal }: Context,
  layers: LayerStore,
  roots: ReadonlySet<Digest>,
): Promise<CollectStep> {
  const needed = new Set([...roots, ...((await rootfs?.layersInUse()) ?? [])]);
  const removed: string[] = [];
  let kept = 0;
  let freedBytes = 0;
  for await (const { diffId, bytes } of layers.walk()) {
    signal.throwIfAborted();
    const goes =
      options.dryRun === true
        ? !needed.has(diffId)
        : await collection.remove(diffId, needed, () => layers.remove(diffId));
    if (goes) {
      removed.push(diffId);
      freedBytes += bytes;
    } else kept++;
  }
  return { name: 'layers', removed, kept, freedBytes };
}
