import { compressionOf, decompress } from '../../archive/decompress.ts';
import { readTar } from '../../archive/read-tar.ts';
import type { Ingest, Ingester, Provider } from '../../content/store.ts';
import { writeBytes } from '../../content/write-content.ts';
import type { Lease } from '../../images/image-store.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { hostPlatform } from '../../oci/host-platform.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { isIndexType, isManifestType, MEDIA_TYPE } from '../../oci/media-type.ts';
import type { Platform } from '../../oci/platform.ts';
import { formatReference, parseDockerReference, ReferenceError, repositoryOf } from '../../oci/reference.ts';
import { PullError } from '../pull-error.ts';
import { contentSource } from './content-endpoint.ts';
import { blobsBelow, collectDocuments } from './copy-image.ts';
import { REF_NAME } from './layout-endpoint.ts';
import { describeImage, type NamedImages } from './store-endpoint.ts';
import { isHeld } from '../fetch-layer.ts';

/** Files of an archive that are looked at; an image of a thousand layers has a few thousand. */
const MAX_FILES = 50_000;

/** The descriptions in an archive are read into memory. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

export interface LoadRequest {
  readonly content: Provider & Ingester;
  readonly images: NamedImages;
  /** A tar archive as `docker save`, `podman save` or `skopeo` make it, plain or compressed. */
  readonly source: AsyncIterable<Uint8Array>;
  /** Name for an image that the archive does not name. */
  readonly name?: string | undefined;
  readonly platform?: Platform | undefined;
  readonly signal: AbortSignal;
}

export interface LoadedImage {
  readonly imageId: Digest;
  /** Normalised names given. */
  readonly names: readonly string[];
}

interface ArchiveFile {
  readonly digest: Digest;
  readonly size: number;
  /** First bytes, by which a compressed layer is known. */
  readonly magic: Buffer;
}

/**
 * Loads images from an archive, OCI layout or docker's form. Every file goes into the content store under the digest of what
 * it is, not of what it claims to be; nothing gets a name before all of its parts are there.
 *
 * @throws PullError `BAD_IMAGE`; ArchiveError
 */
export async function loadArchive(request: LoadRequest): Promise<LoadedImage[]> {
  const lease = await request.images.lease('load');
  try {
    const { files, texts } = await takeFiles(request, lease);
    const roots = rootsOfLayout(texts) ?? (await rootsOfDocker(request, files, texts, lease));
    if (roots === undefined || roots.length === 0)
      throw new PullError('BAD_IMAGE', 'archive holds no image: it has neither index.json nor manifest.json');
    const loaded: LoadedImage[] = [];
    for (const { root, names } of merged(roots)) loaded.push(await record(request, lease, root, names));
    return loaded;
  } finally {
    await lease.release();
  }
}

interface Root {
  readonly root: Descriptor;
  readonly names: readonly string[];
}

/** Several entries of one image are one image with several names. */
function merged(roots: readonly Root[]): Root[] {
  const byDigest = new Map<string, Root>();
  for (const { root, names } of roots) {
    const have = byDigest.get(root.digest)?.names ?? [];
    byDigest.set(root.digest, { root, names: [...new Set([...have, ...names])] });
  }
  return [...byDigest.values()];
}

async function takeFiles(
  { content, source, signal }: LoadRequest,
  lease: Lease,
): Promise<{ files: Map<string, ArchiveFile>; texts: Map<string, Buffer> }> {
  const files = new Map<string, ArchiveFile>();
  const links = new Map<string, string>();
  const texts = new Map<string, Buffer>();
  let current: { path: string; ingest: Ingest; head: Buffer[]; size: number } | undefined;
  try {
    for await (const event of readTar(decompress(source, signal), signal)) {
      if (event.kind === 'entry') {
        const { entry } = event;
        const path = normalPath(entry.path.toString('utf8'));
        if (files.size + links.size >= MAX_FILES)
          throw new PullError('TOO_LARGE', `archive has more than ${MAX_FILES} files`);
        if (entry.type === 'symlink' || entry.type === 'link') {
          const target = entry.linkPath.toString('utf8');
          links.set(path, normalPath(entry.type === 'link' ? target : `${path}/../${target}`));
        } else if (entry.type === 'file' && entry.sparse === undefined) {
          current = {
            path,
            ingest: await content.openIngest(`load ${path}`, { wait: signal }),
            head: [],
            size: 0,
          };
          // What an earlier, interrupted load left is of no use: this stream begins at the beginning.
          if (current.ingest.offset > 0) await current.ingest.truncate(0);
        }
      } else if (event.kind === 'data' && current !== undefined) {
        current.size += event.chunk.length;
        if (current.size <= MAX_TEXT_BYTES || current.head.length === 0)
          current.head.push(Buffer.from(event.chunk));
        await current.ingest.write(event.chunk);
      } else if (event.kind === 'end' && current !== undefined) {
        const { digest, size } = await current.ingest.commit({});
        await lease.add(digest);
        const head = Buffer.concat(current.head);
        files.set(current.path, { digest, size, magic: head.subarray(0, 8) });
        if (/^(?:index|manifest)\.json$/.test(current.path) && size <= MAX_TEXT_BYTES)
          texts.set(current.path, head);
        current = undefined;
      }
    }
  } finally {
    await current?.ingest.abort();
  }
  for (const [path, target] of links) {
    const file = files.get(target);
    if (file !== undefined) files.set(path, file);
  }
  return { files, texts };
}

/** `./a/../b` is `b`; what leads out of the archive leads nowhere. */
function normalPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function rootsOfLayout(texts: ReadonlyMap<string, Buffer>): Root[] | undefined {
  const text = texts.get('index.json');
  if (text === undefined) return undefined;
  const index = parseManifest(text, MEDIA_TYPE.ociIndex);
  if (index.kind !== 'index') return undefined;
  return index.manifests
    .filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType))
    .map(({ annotations, ...root }) => {
      const name = annotations?.['io.containerd.image.name'] ?? annotations?.[REF_NAME];
      return { root, names: name === undefined ? [] : [name] };
    });
}

/** Makes manifests for docker's form, which has none: a config and layers, by their paths. */
async function rootsOfDocker(
  { content, signal }: LoadRequest,
  files: ReadonlyMap<string, ArchiveFile>,
  texts: ReadonlyMap<string, Buffer>,
  lease: Lease,
): Promise<Root[] | undefined> {
  const text = texts.get('manifest.json');
  if (text === undefined) return undefined;
  const roots: Root[] = [];
  for (const { config, layers, names } of readDockerManifest(text)) {
    const find = (path: string): ArchiveFile => {
      const file = files.get(normalPath(path));
      if (file === undefined)
        throw new PullError('BAD_IMAGE', `archive lacks the file "${path}" that its manifest names`);
      return file;
    };
    const layerFiles = layers.map(find);
    const configFile = find(config);
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: configFile.digest, size: configFile.size },
      layers: layerFiles.map(({ digest, size, magic }) => ({ mediaType: layerType(magic), digest, size })),
    };
    const root = await writeBytes(
      content,
      MEDIA_TYPE.ociManifest,
      Buffer.from(JSON.stringify(document)),
      signal,
    );
    await lease.add(root.digest);
    roots.push({ root, names });
  }
  return roots;
}

function layerType(magic: Buffer): string {
  const compression = compressionOf(magic);
  if (compression === 'gzip') return MEDIA_TYPE.ociLayerGzip;
  return compression === 'zstd' ? MEDIA_TYPE.ociLayerZstd : MEDIA_TYPE.ociLayer;
}

function readDockerManifest(text: Buffer): { config: string; layers: string[]; names: string[] }[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.toString('utf8'));
  } catch (error) {
    throw new PullError('BAD_IMAGE', 'manifest.json of the archive is not JSON', { cause: error });
  }
  const strings = (value: unknown): string[] =>
    Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : [];
  return (Array.isArray(parsed) ? parsed : []).map((entry: unknown) => {
    const { Config, Layers, RepoTags } = (entry ?? {}) as Record<string, unknown>;
    if (typeof Config !== 'string')
      throw new PullError('BAD_IMAGE', 'manifest.json of the archive names no config');
    return { config: Config, layers: strings(Layers), names: strings(RepoTags) };
  });
}

/** Checks that an image is whole and gives it its names. */
async function record(
  request: LoadRequest,
  lease: Lease,
  root: Descriptor,
  names: readonly string[],
): Promise<LoadedImage> {
  const { content, images, signal } = request;
  const image = await describeImage(content, root, request.platform ?? hostPlatform(), signal);
  const documents = await collectDocuments(contentSource(content, image.manifest), image.manifest, signal);
  for (const blob of blobsBelow(documents)) {
    // An archive may leave out what is here already, which must not go before it has a name.
    await lease.add(blob.digest);
    if (!(await isHeld(content, blob)))
      throw new PullError(
        'BAD_IMAGE',
        `archive lacks ${blob.digest}, which its image needs and this store has not`,
      );
  }
  const own = names.flatMap(normal);
  const given = own.length === 0 && request.name !== undefined ? normal(request.name) : own;
  const references = given.map((name) => ({ name, target: root }));
  const digests = [...new Set(given.map((name) => repositoryOf(parseDockerReference(name))))].map(
    (repository) => ({
      name: `${repository}@${root.digest}`,
      target: root,
    }),
  );
  const all = [...references, ...digests];
  if (all.length === 0)
    throw new PullError('INVALID_REFERENCE', `image ${image.id} of the archive has no name: give it one`);
  await images.put(image, all);
  return { imageId: image.id, names: references.map(({ name }) => name) };
}

/** Some tools write only a tag as ref name; that alone names no image. */
function normal(name: string): string[] {
  if (!/[/:]/.test(name)) return [];
  try {
    return [formatReference(parseDockerReference(name))];
  } catch (error) {
    if (error instanceof ReferenceError) return [];
    throw error;
  }
}
