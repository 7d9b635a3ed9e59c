import type { Ingester, Provider } from '../../content/store.ts';
import { readVerified } from '../../content/verified-reader.ts';
import { writeBytes } from '../../content/write-content.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { hostPlatform } from '../../oci/host-platform.ts';
import { parseImageConfig } from '../../oci/image-config.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { MEDIA_TYPE } from '../../oci/media-type.ts';
import { formatReference, parseDockerReference, repositoryOf } from '../../oci/reference.ts';
import { PullError } from '../pull-error.ts';
import { describeImage, storeSource, type NamedImages } from './store-endpoint.ts';

export interface CreateIndexRequest {
  readonly content: Provider & Ingester;
  readonly images: NamedImages;
  /** Name of the index, as people write it. */
  readonly name: string;
  /** Images of the store to list, in this order; of an index, all that it lists. */
  readonly sources: readonly string[];
  /** What the index says of itself. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Makes an index of images that are in the store and gives it a name there.
 *
 * @throws PullError `NOT_FOUND` for an image that is not there, `BAD_IMAGE` for two of one platform
 * @see OCI image-spec v1.1.1, image-index.md
 */
export async function createIndex(request: CreateIndexRequest): Promise<Descriptor> {
  const { content, images, signal } = request;
  const reference = parseDockerReference(request.name);
  const lease = await images.lease(`index ${request.name}`);
  try {
    const found: Descriptor[] = [];
    for (const name of request.sources) {
      const source = await storeSource({ content, images, name });
      found.push(...(await entriesOf(content, await source.resolve(signal), signal)));
    }
    const manifests = [...new Map(found.map((each) => [each.digest, each])).values()];
    refuseTwins(manifests);
    for (const { digest } of manifests) await lease.add(digest);
    const { annotations } = request;
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociIndex,
      manifests,
      ...(annotations === undefined ? {} : { annotations }),
    };
    const root = await writeBytes(
      content,
      MEDIA_TYPE.ociIndex,
      Buffer.from(JSON.stringify(document)),
      signal,
    );
    await lease.add(root.digest);
    await images.put(await describeImage(content, root, hostPlatform(), signal), [
      ...(reference.digest === undefined ? [{ name: formatReference(reference), target: root }] : []),
      { name: `${repositoryOf(reference)}@${root.digest}`, target: root },
    ]);
    return root;
  } finally {
    await lease.release();
  }
}

async function entriesOf(
  content: Provider,
  root: Descriptor,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const manifest = parseManifest(await readVerified(content, root, signal), root.mediaType);
  if (manifest.kind === 'index') return manifest.manifests;
  const { platform } = parseImageConfig(await readVerified(content, manifest.config, signal));
  const { mediaType, digest, size } = root;
  return [{ mediaType, digest, size, platform }];
}

/** Of two images of one platform a client would find the first only: whoever lists both made a mistake. */
function refuseTwins(manifests: readonly Descriptor[]): void {
  const seen = new Map<string, string>();
  for (const { platform, digest } of manifests) {
    if (platform === undefined || platform.os === 'unknown') continue;
    const key = JSON.stringify([
      platform.os,
      platform.architecture,
      platform.variant,
      platform['os.version'],
    ]);
    const twin = seen.get(key);
    if (twin !== undefined && twin !== digest) {
      throw new PullError(
        'BAD_IMAGE',
        `${twin} and ${digest} are both for ${platform.os}/${platform.architecture}: an index lists one image for a platform`,
      );
    }
    seen.set(key, digest);
  }
}
