import type { Ingester, Provider } from '../../content/store.ts';
import { readVerified } from '../../content/verified-reader.ts';
import type { ImageStore, NameRecord } from '../../images/image-store.ts';
import { chooseManifest, MAX_INDEX_DEPTH, type ManifestReader } from '../../oci/choose-manifest.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { hostPlatform } from '../../oci/host-platform.ts';
import { parseImageConfig } from '../../oci/image-config.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { ManifestError } from '../../oci/manifest-error.ts';
import { isIndexType } from '../../oci/media-type.ts';
import type { Platform } from '../../oci/platform.ts';
import { fallbackMatcher } from '../../oci/platform-matcher.ts';
import { formatReference, parseDockerReference, repositoryOf } from '../../oci/reference.ts';
import { isHeld } from '../fetch-layer.ts';
import { PullError } from '../pull-error.ts';
import { contentSource, contentTarget } from './content-endpoint.ts';
import type { CopySource, CopyTarget } from './endpoint.ts';

/** Records of images as far as copies go to them. */
export type NamedImages = Pick<ImageStore, 'find' | 'put' | 'lease'> & {
  names?(): Promise<readonly NameRecord[]>;
};

export interface StoreEndpoint {
  readonly content: Provider & Ingester;
  readonly images: NamedImages;
  /** As people write it. */
  readonly name: string;
  /** Whose image of an index is the node's; the machine's own when absent. */
  readonly platform?: Platform | undefined;
}

/** Reads an image from this node by name or ID. @throws PullError `NOT_FOUND` */
export async function storeSource(endpoint: StoreEndpoint): Promise<CopySource> {
  const { content, images, name } = endpoint;
  const normal = formatReference(parseDockerReference(name));
  const found = (await images.find(normal)) ?? (await images.find(name));
  if (found === undefined)
    throw new PullError('NOT_FOUND', `image "${normal}" is not on this machine: not found`);
  return contentSource(content, await namedTarget(endpoint, normal, found.manifest));
}

/**
 * Takes an image onto this node. Of an index, the image of the node's platform is the one that is recorded; the others are held
 * for pushing on as long as the name points at the index.
 */
export async function storeTarget(endpoint: StoreEndpoint): Promise<CopyTarget> {
  const { content, images, name } = endpoint;
  const reference = parseDockerReference(name);
  const normal = formatReference(reference);
  const lease = await images.lease(`copy ${normal}`);
  return contentTarget(content, lease, async (root, signal) => {
    const image = await describeImage(content, root, endpoint.platform ?? hostPlatform(), signal);
    const byDigest = { name: `${repositoryOf(reference)}@${root.digest}`, target: root };
    const names = reference.digest === undefined ? [{ name: normal, target: root }, byDigest] : [byDigest];
    await images.put(image, names);
  });
}

/** Describes the image that a node of `platform` would use of what is held below `root`; the first there is, if none fits. */
export async function describeImage(
  content: Provider,
  root: Descriptor,
  platform: Platform,
  signal: AbortSignal,
): Promise<Parameters<ImageStore['put']>[0]> {
  const reader = readerOf(content, signal);
  const chosen = await chooseManifest(root, fallbackMatcher(platform), reader).catch(
    async (error: unknown) => {
      if (!(error instanceof ManifestError) || error.code !== 'NO_PLATFORM') throw error;
      // A name for another platform is still an image to be inspected and pushed.
      const index = await reader.manifest(root);
      const first =
        index.kind === 'index' ? index.manifests.find((each) => each.platform !== undefined) : undefined;
      if (first?.platform === undefined) throw error;
      return chooseManifest(root, fallbackMatcher(first.platform), reader);
    },
  );
  const config = await reader.config(chosen.manifest.config);
  if (config.diffIds.length !== chosen.manifest.layers.length)
    throw new PullError('BAD_IMAGE', 'mismatched image rootfs and manifest layers');
  return {
    id: chosen.manifest.config.digest,
    manifest: chosen.descriptor,
    config: chosen.manifest.config,
    layers: chosen.manifest.layers,
    diffIds: config.diffIds,
    platform: [config.platform.os, config.platform.architecture, config.platform.variant]
      .filter((part) => part !== undefined && part !== '')
      .join('/'),
    user: config.config.user,
  };
}

/**
 * Returns the manifest below `root` that is for a platform: whoever names one wants that and no other.
 *
 * @throws PullError `NO_MATCHING_PLATFORM`, also where `root` is the image of another platform
 */
export async function imageFor(
  content: Provider,
  root: Descriptor,
  platform: Platform,
  signal: AbortSignal,
): Promise<Descriptor> {
  const reader = readerOf(content, signal);
  const matcher = fallbackMatcher(platform);
  try {
    const { descriptor, manifest } = await chooseManifest(root, matcher, reader);
    const { platform: own } = await reader.config(manifest.config);
    if (matcher.matches(own)) return descriptor;
    const named = [own.os, own.architecture, own.variant].filter(Boolean).join('/');
    throw new ManifestError(
      'NO_PLATFORM',
      `no match for platform in manifest ${root.digest}, which is for ${named}`,
    );
  } catch (error) {
    if (!(error instanceof ManifestError) || error.code !== 'NO_PLATFORM') throw error;
    throw new PullError('NO_MATCHING_PLATFORM', error.message, { cause: error });
  }
}

function readerOf(content: Provider, signal: AbortSignal): ManifestReader {
  return {
    manifest: async (each) => parseManifest(await readVerified(content, each, signal), each.mediaType),
    config: async (each) => parseImageConfig(await readVerified(content, each, signal)),
  };
}

/**
 * Returns what a name points at. That may be an index of which only this platform was pulled: then it is this platform's manifest,
 * because an index with holes is of no use to anyone else.
 */
async function namedTarget(endpoint: StoreEndpoint, name: string, manifest: Descriptor): Promise<Descriptor> {
  const names = (await endpoint.images.names?.()) ?? [];
  const target = names.find((each) => each.name === name)?.target;
  return target !== undefined && (await isWhole(endpoint.content, target, 0)) ? target : manifest;
}

/** Tells whether every manifest below a descriptor is held. */
async function isWhole(content: Provider, descriptor: Descriptor, depth: number): Promise<boolean> {
  if (depth > MAX_INDEX_DEPTH || !(await isHeld(content, descriptor))) return false;
  if (!isIndexType(descriptor.mediaType)) return true;
  const index = parseManifest(
    await readVerified(content, descriptor, new AbortController().signal),
    descriptor.mediaType,
  );
  for (const child of index.kind === 'index' ? index.manifests : []) {
    if (!(await isWhole(content, child, depth + 1))) return false;
  }
  return true;
}
