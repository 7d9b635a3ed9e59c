import { tarHeader, tarPadding, TAR_END } from '../../archive/tar-writer.ts';
import type { Provider } from '../../content/store.ts';
import { verified } from '../../content/verified-reader.ts';
import { algorithmOf, hexOf } from '../../oci/digest.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { MEDIA_TYPE } from '../../oci/media-type.ts';
import { familiarReference, parseDockerReference } from '../../oci/reference.ts';
import { blobsBelow, collectDocuments } from './copy-image.ts';
import { contentSource } from './content-endpoint.ts';
import { REF_NAME } from './layout-endpoint.ts';

/** One image to save with the names it is to have. */
export interface SavedImage {
  readonly root: Descriptor;
  /** The manifest that docker's own form of the archive names; the root itself when that is a manifest. */
  readonly manifest: Descriptor;
  /** Normalised. */
  readonly names: readonly string[];
}

/**
 * Makes a tar archive of images that docker, podman, skopeo and containerd can load: an OCI layout with docker's `manifest.json`
 * beside it. Layers are stored as they are held; every byte is checked on its way out.
 *
 * @param leftOut digests of blobs that whoever loads the archive has already
 */
export async function* saveArchive(
  content: Pick<Provider, 'open' | 'stat'>,
  images: readonly SavedImage[],
  signal: AbortSignal,
  leftOut: ReadonlySet<string> = new Set(),
): AsyncGenerator<Uint8Array> {
  const blobs = new Map<string, Descriptor>();
  const docker: object[] = [];
  for (const image of images) {
    const documents = await collectDocuments(contentSource(content, image.root), image.root, signal);
    for (const { descriptor } of documents) blobs.set(descriptor.digest, descriptor);
    for (const blob of blobsBelow(documents)) blobs.set(blob.digest, blob);
    const own = documents.find(({ descriptor }) => descriptor.digest === image.manifest.digest);
    const manifest = own === undefined ? undefined : parseManifest(own.bytes, own.descriptor.mediaType);
    if (manifest?.kind !== 'manifest') continue;
    docker.push({
      Config: blobPath(manifest.config),
      RepoTags: image.names.filter((name) => !name.includes('@')).map(familiar),
      Layers: manifest.layers.map(blobPath),
    });
  }
  yield* file('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  yield* file('index.json', JSON.stringify(indexOf(images)));
  yield* file('manifest.json', JSON.stringify(docker));
  for (const blob of blobs.values()) {
    if (leftOut.has(blob.digest)) continue;
    yield tarHeader({ type: 'file', path: blobPath(blob), mode: 0o644, size: blob.size });
    yield* verified(await content.open(blob.digest), blob, signal) as AsyncIterable<Uint8Array>;
    yield tarPadding(blob.size);
  }
  yield TAR_END;
}

function* file(path: string, text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text);
  yield tarHeader({ type: 'file', path, mode: 0o644, size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}

function indexOf(images: readonly SavedImage[]): object {
  const manifests = images.flatMap(({ root, names }) => {
    const { mediaType, digest, size, platform } = root;
    const entry = { mediaType, digest, size, ...(platform === undefined ? {} : { platform }) };
    const tagged = names.filter((name) => !name.includes('@'));
    if (tagged.length === 0) return [entry];
    // containerd reads its own annotation for the whole name; others read the OCI one.
    return tagged.map((name) => ({
      ...entry,
      annotations: { 'io.containerd.image.name': name, [REF_NAME]: name },
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests };
}

function blobPath({ digest }: Descriptor): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

function familiar(name: string): string {
  return familiarReference(parseDockerReference(name));
}
