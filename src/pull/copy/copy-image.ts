import { Limiter } from '../../base/limiter.ts';
import { chooseManifest, MAX_INDEX_DEPTH } from '../../oci/choose-manifest.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { MAX_CONFIG_BYTES, parseImageConfig } from '../../oci/image-config.ts';
import { parseManifest, type Manifest } from '../../oci/manifest.ts';
import { isIndexType, isManifestType } from '../../oci/media-type.ts';
import type { Platform } from '../../oci/platform.ts';
import { fallbackMatcher } from '../../oci/platform-matcher.ts';
import type { PushOutcome } from '../../remote/push-blob.ts';
import { MAX_RESOLVED_MANIFEST_BYTES } from '../../remote/resolve.ts';
import { PullError } from '../pull-error.ts';
import type { CopySource, CopyTarget } from './endpoint.ts';

/** Blobs on their way at a time: as many as skopeo has. */
const PARALLEL_BLOBS = 6;

/** Referrers of one manifest, and how far referrers of referrers are followed: a signature of an SBOM of an image. */
const MAX_REFERRERS = 1_000;
const MAX_REFERRER_DEPTH = 3;

export interface CopyProgress {
  readonly digest: string;
  readonly phase: 'copying' | PushOutcome;
  readonly bytes: number;
  readonly total: number;
}

export interface CopyImageRequest {
  readonly source: CopySource;
  readonly target: CopyTarget;
  /** Copies only the manifest for this platform; everything when absent. */
  readonly platform?: Platform | undefined;
  /** Copies signatures, attestations and SBOMs of what is copied along, from registry to registry. */
  readonly referrers?: boolean | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  readonly signal: AbortSignal;
}

/** A manifest or index with its bytes. */
export interface CopiedDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly manifest: Manifest;
}

/**
 * Copies an image from anywhere to anywhere: its blobs side by side, the largest first, then its manifests from the leaves up, and
 * its name last. Returns what the target's name now stands for.
 */
export async function copyImage(request: CopyImageRequest): Promise<Descriptor> {
  const { source, target, signal } = request;
  try {
    const named = await source.resolve(signal);
    const root =
      request.platform === undefined ? named : await choose(source, named, request.platform, signal);
    const documents = await collectDocuments(source, root, signal);
    await copyBlobs(request, blobsBelow(documents));
    const last = documents.at(-1);
    if (last === undefined) throw new PullError('BAD_IMAGE', `nothing is named by ${root.digest}`);
    for (const { descriptor, bytes } of documents.slice(0, -1))
      await target.putManifest(descriptor, bytes, signal);
    await target.publish(last.descriptor, last.bytes, signal);
    if (request.referrers === true && target.takesReferrers) await copyReferrers(request, documents, 0);
    return root;
  } finally {
    await target.close();
  }
}

/** Copies what refers to the given manifests, and what refers to that. */
async function copyReferrers(
  request: CopyImageRequest,
  subjects: readonly CopiedDocument[],
  depth: number,
): Promise<void> {
  const { source, target, signal } = request;
  if (source.referrers === undefined || depth >= MAX_REFERRER_DEPTH) return;
  for (const subject of subjects) {
    const found = await source.referrers(subject.descriptor.digest, signal);
    if (found.length > MAX_REFERRERS) {
      throw new PullError(
        'TOO_LARGE',
        `${subject.descriptor.digest} has more than ${MAX_REFERRERS} referrers`,
      );
    }
    for (const referrer of found) {
      const documents = await collectDocuments(source, referrer, signal);
      await copyBlobs(request, blobsBelow(documents));
      for (const { descriptor, bytes } of documents) await target.putManifest(descriptor, bytes, signal);
      await copyReferrers(request, documents, depth + 1);
    }
  }
}

/** Lists the manifests of an image from the leaves to the root, each once. */
export async function collectDocuments(
  source: Pick<CopySource, 'document'>,
  root: Descriptor,
  signal: AbortSignal,
): Promise<CopiedDocument[]> {
  const found = new Map<string, CopiedDocument>();
  const visit = async (descriptor: Descriptor, depth: number): Promise<void> => {
    if (depth > MAX_INDEX_DEPTH) throw new PullError('BAD_IMAGE', `indexes stand in indexes ${depth} deep`);
    if (found.has(descriptor.digest)) return;
    const bytes = await source.document(descriptor, MAX_RESOLVED_MANIFEST_BYTES, signal);
    const manifest = parseManifest(bytes, descriptor.mediaType);
    if (manifest.kind === 'index') {
      for (const child of manifest.manifests.filter(isDocument)) await visit(child, depth + 1);
    }
    found.set(descriptor.digest, { descriptor, bytes, manifest });
  };
  await visit(root, 0);
  return [...found.values()];
}

/** Lists the blobs that manifests need, each once. Foreign layers stay where their URLs say. */
export function blobsBelow(documents: readonly CopiedDocument[]): Descriptor[] {
  const blobs = documents.flatMap(({ manifest }) =>
    manifest.kind === 'index'
      ? manifest.manifests.filter((child) => !isDocument(child))
      : [
          manifest.config,
          ...manifest.layers.filter(({ mediaType }) => !/foreign|nondistributable/.test(mediaType)),
        ],
  );
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

async function choose(
  source: CopySource,
  root: Descriptor,
  platform: Platform,
  signal: AbortSignal,
): Promise<Descriptor> {
  const { descriptor } = await chooseManifest(root, fallbackMatcher(platform), {
    manifest: async (each) =>
      parseManifest(await source.document(each, MAX_RESOLVED_MANIFEST_BYTES, signal), each.mediaType),
    config: async (each) => parseImageConfig(await source.document(each, MAX_CONFIG_BYTES, signal)),
  });
  return descriptor;
}

async function copyBlobs(request: CopyImageRequest, blobs: readonly Descriptor[]): Promise<void> {
  const { source, target, onProgress } = request;
  const limiter = new Limiter(PARALLEL_BLOBS);
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  await Promise.all(
    blobs
      .toSorted((a, b) => b.size - a.size)
      .map(async (blob) => {
        const report = (phase: CopyProgress['phase'], bytes: number): void =>
          onProgress?.({ digest: blob.digest, phase, bytes, total: blob.size });
        try {
          const outcome = await limiter.run(
            () => target.putBlob(blob, source, (held) => report('copying', held), signal),
            signal,
          );
          report(outcome, blob.size);
        } catch (error) {
          // All the others end before anybody is told: nothing runs on behind a failure.
          failure ??= { error };
          stop.abort();
        }
      }),
  );
  request.signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}
