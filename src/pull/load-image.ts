import { writeContent } from '../content/write-content.ts';
import { readVerified } from '../content/verified-reader.ts';
import type { ContentStore } from '../content/store.ts';
import { chooseManifest, type ChosenManifest, type ManifestReader } from '../oci/choose-manifest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES, parseImageConfig } from '../oci/image-config.ts';
import { parseManifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/media-type.ts';
import type { PlatformMatcher } from '../oci/platform-matcher.ts';
import { fetchDocument } from '../remote/fetch-content.ts';
import { MAX_RESOLVED_MANIFEST_BYTES } from '../remote/resolve.ts';
import type { RepositorySession } from '../remote/repository-session.ts';
import type { Lease } from '../images/image-store.ts';
import { isHeld } from './fetch-layer.ts';
import type { ProgressWatch } from './progress-watch.ts';
import { asPullError, PullError } from './pull-error.ts';
import type { PullCount } from './pull-metrics.ts';

export interface DocumentContext {
  readonly session: RepositorySession;
  readonly content: ContentStore;
  readonly lease: Pick<Lease, 'add'>;
  readonly watch: ProgressWatch;
  readonly count: Pick<PullCount, 'needs' | 'fetched' | 'spared'>;
}

/**
 * Returns a manifest, index or config: from the store when it is held, otherwise fetched, checked and kept.
 *
 * @throws PullError worded as containerd's fetch and commit
 */
export async function loadDocument(
  context: DocumentContext,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<Buffer> {
  const { content, session, lease, watch, count } = context;
  const limit = isManifestKind(descriptor) ? MAX_RESOLVED_MANIFEST_BYTES : MAX_CONFIG_BYTES;
  await lease.add(descriptor.digest);
  const first = count.needs(descriptor.digest);
  if (await isHeld(content, descriptor)) {
    if (first) count.spared('held', descriptor.size);
    return readVerified(content, descriptor, signal, limit);
  }
  let bytes: Buffer;
  try {
    bytes = await watch.during(() => fetchDocument(session, descriptor, limit, signal));
  } catch (error) {
    signal.throwIfAborted();
    throw fetchError(error, descriptor);
  }
  count.fetched(isManifestKind(descriptor) ? 'manifest' : 'blob', bytes.length);
  await writeContent(content, descriptor, [bytes], signal);
  return bytes;
}

/** Puts containerd's words around a failed transfer: the opening of a stream, or the commit of what came. */
export function fetchError(error: unknown, descriptor: Descriptor): PullError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'DIGEST_MISMATCH' || code === 'SIZE_MISMATCH'
    ? asPullError(error, `failed commit on ref "${refPrefix(descriptor)}-${descriptor.digest}"`)
    : asPullError(error, 'failed to copy: httpReadSeeker: failed open');
}

function refPrefix({ mediaType }: Descriptor): string {
  if (isIndexType(mediaType)) return 'index';
  if (isManifestType(mediaType)) return 'manifest';
  if (mediaType.includes('.layer.') || mediaType.includes('.rootfs.')) return 'layer';
  return mediaType.includes('config') || mediaType.includes('container.image') ? 'config' : 'unknown';
}

/** Finds the manifest for a platform below what was resolved (rules 15.12 to 15.16). */
export async function chooseImage(
  context: DocumentContext,
  root: Descriptor,
  matcher: PlatformMatcher,
  signal: AbortSignal,
): Promise<ChosenManifest> {
  if (!isManifestKind(root)) {
    throw new PullError('BAD_IMAGE', `unexpected media type ${root.mediaType} for ${root.digest}: not found`);
  }
  const reader: ManifestReader = {
    manifest: async (descriptor) =>
      parseManifest(await loadDocument(context, descriptor, signal), descriptor.mediaType),
    config: async (descriptor) => parseImageConfig(await loadDocument(context, descriptor, signal)),
  };
  return chooseManifest(root, matcher, reader);
}

function isManifestKind({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}
