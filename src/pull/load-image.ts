import { messageOf } from '../base/coded-error.ts';
import { writeContent } from '../content/write-content.ts';
import { readVerified } from '../content/verified-reader.ts';
import type { ContentStore } from '../content/store.ts';
import { parseGoJson } from '../credentials/go-json.ts';
import { chooseManifest, type ChosenManifest, type ManifestReader } from '../oci/choose-manifest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES, parseImageConfig, type ImageConfig } from '../oci/image-config.ts';
import { parseManifest, type ImageManifest } from '../oci/manifest.ts';
import { ManifestError } from '../oci/manifest-error.ts';
import { isIndexType, isLayerType, isManifestType, MEDIA_TYPE } from '../oci/media-type.ts';
import type { PlatformMatcher } from '../oci/platform-matcher.ts';
import { fetchDocument } from '../remote/fetch-content.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { MAX_RESOLVED_MANIFEST_BYTES } from '../remote/resolve.ts';
import type { RepositorySession } from '../remote/repository-session.ts';
import type { Lease } from '../images/image-store.ts';
import { isHeld } from './fetch-layer.ts';
import type { ProgressWatch } from './progress-watch.ts';
import { asPullError, PullError } from './pull-error.ts';
import type { PullCount } from './pull-metrics.ts';

/** What containerd says of an image that came whole and is none; its default snapshotter's name stands for our own layers. */
const NOT_UNPACKED = 'failed to unpack image on snapshotter overlayfs';

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
  refuseEmpty(descriptor);
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
  if (error instanceof RemoteError && error.code === 'SHORT_BODY')
    return new PullError('SIZE_MISMATCH', error.message, { cause: error });
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
    // Whatever it is, it is fetched as content of its repository before anybody asks what is in it.
    await loadDocument(context, root, signal);
    throw new PullError(
      'BAD_IMAGE',
      `${NOT_UNPACKED}: unexpected media type ${root.mediaType} for ${root.digest}: not found`,
    );
  }
  const reader: ManifestReader = {
    manifest: async (descriptor) => {
      const bytes = await loadDocument(context, descriptor, signal);
      return read(bytes, `children: invalid desc ${descriptor.digest}`, 'images.unknownDocument', () =>
        parseManifest(bytes, descriptor.mediaType),
      );
    },
    config: async (descriptor) => readConfig(await loadDocument(context, descriptor, signal)),
  };
  return chooseManifest(root, matcher, reader);
}

/** @throws PullError worded as containerd's unpacker */
export function readConfig(bytes: Buffer): ImageConfig {
  return read(bytes, 'unmarshal image config', 'unpack.unpackConfig', () => parseImageConfig(bytes));
}

/** Reads a document; of one that is no JSON object the error is Go's. */
function read<T>(bytes: Buffer, prefix: string, goType: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const why =
      error instanceof ManifestError && error.code === 'BAD_JSON' ? goJsonError(bytes, goType) : undefined;
    throw why === undefined
      ? asPullError(error, prefix)
      : new PullError('BAD_IMAGE', `${prefix}: ${why}`, { cause: error });
  }
}

/** Says what Go's decoder finds wrong with a document that should be an object; undefined when that is nothing. */
function goJsonError(bytes: Buffer, goType: string): string | undefined {
  try {
    const { kind } = parseGoJson(bytes);
    return kind === 'object' || kind === 'null'
      ? undefined
      : `json: cannot unmarshal ${kind} into Go value of type ${goType}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** A layer or document of no bytes is nobody's: its size was not known to whoever described it. */
export function refuseEmpty({ digest, size }: Descriptor): void {
  if (size === 0)
    throw new PullError(
      'BAD_IMAGE',
      `unable to fetch descriptor (${digest}) which reports content size of zero: invalid argument`,
    );
}

/** Checks that each layer has its diff ID and can be unpacked, in the words that containerd's unpacker has for what it finds. */
export function checkLayers(image: ImageManifest, { diffIds }: ImageConfig): void {
  const { layers, config } = image;
  if (layers.length !== diffIds.length) {
    const known = config.mediaType === MEDIA_TYPE.ociConfig || config.mediaType === MEDIA_TYPE.dockerConfig;
    throw new PullError(
      'BAD_IMAGE',
      known
        ? `number of layers and diffIDs don't match: ${layers.length} != ${diffIds.length}`
        : `${NOT_UNPACKED}: mismatched image rootfs and manifest layers`,
    );
  }
  for (const [index, { mediaType }] of layers.entries()) {
    if (isLayerType(mediaType)) continue;
    throw new PullError(
      'UNPACK',
      `${NOT_UNPACKED}: failed to extract layer ${diffIds[index]}: failed to get stream processor for ${mediaType}: no processor for media-type`,
    );
  }
}

/** Tells whether a descriptor is of a manifest or an index. */
export function isManifestKind({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}
