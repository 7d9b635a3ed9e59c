import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import type { ImageStore, ImageWithNames } from '../images/image-store.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, parseDockerReference, ReferenceError } from '../oci/reference.ts';
import { credentialsFromAuth } from './auth-config.ts';
import type { AuthConfig, Image, ImageFsInfo, ImageService, ImageSpec } from './image-service.ts';
import { splitImageUser } from './image-user.ts';
import type { ProgressListener } from './progress.ts';
import type { Puller } from './pull-image.ts';

export interface LocalImageServiceOptions {
  readonly images: ImageStore;
  readonly puller: Puller;
  /** Directory whose file system holds the images, reported as mount point. */
  readonly root: string;
  /** Bytes and inodes that images use; what the file system has in use when absent. */
  readonly usage?: (
    signal: AbortSignal,
  ) => Promise<{ readonly usedBytes: number; readonly inodesUsed: number }>;
  /** Names of images that clean-up is to pass over, as people write them (rule 12.17). */
  readonly pinnedImages?: readonly string[];
  /** Told of the progress of every pull. */
  readonly onProgress?: ProgressListener;
  /** Milliseconds since the epoch; the machine's clock when absent. */
  readonly now?: () => number;
}

/** The image service of this node itself: pulls with {@link Puller}, answers from the image store. */
export class LocalImageService implements ImageService {
  readonly #options: LocalImageServiceOptions;
  readonly #pinned: ReadonlySet<string>;
  readonly #converted = new WeakMap<ImageWithNames, Image>();

  constructor(options: LocalImageServiceOptions) {
    this.#options = options;
    this.#pinned = new Set((options.pinnedImages ?? []).map((name) => normalName(name) ?? name));
  }

  /** Lists all images; a filter changes nothing, as in containerd (rule 12.16). */
  async listImages(_filter: { image?: string } | undefined, signal: AbortSignal): Promise<Image[]> {
    signal.throwIfAborted();
    return (await this.#options.images.list()).map((image) => this.#toImage(image));
  }

  async imageStatus(spec: ImageSpec, signal: AbortSignal): Promise<Image | undefined> {
    signal.throwIfAborted();
    const found = await this.#find(spec.image);
    return found === undefined ? undefined : this.#toImage(found);
  }

  async pullImage(spec: ImageSpec, auth: AuthConfig | undefined, signal: AbortSignal): Promise<string> {
    const pulled = await this.#options.puller.pull({
      reference: spec.image,
      credentials: sourceFor(spec.image, auth),
      credentialKey: keyOf(auth),
      onProgress: this.#options.onProgress,
      signal,
    });
    return pulled.imageId;
  }

  async removeImage(spec: ImageSpec, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const found = await this.#find(spec.image);
    if (found !== undefined) await this.#options.images.removeImage(found.id);
  }

  async imageFsInfo(signal: AbortSignal): Promise<ImageFsInfo> {
    const { root, usage, now = Date.now } = this.#options;
    signal.throwIfAborted();
    const used = await (usage === undefined ? wholeFilesystem(root) : usage(signal));
    const filesystem = { timestamp: BigInt(now()) * 1_000_000n, mountpoint: root, ...used };
    return { imageFilesystems: [filesystem], containerFilesystems: [filesystem] };
  }

  /** The store gives the same object for an image as long as nothing changes. */
  #toImage(image: ImageWithNames): Image {
    const known = this.#converted.get(image);
    if (known !== undefined) return known;
    const made = this.#convert(image);
    this.#converted.set(image, made);
    return made;
  }

  #convert(image: ImageWithNames): Image {
    const names = [...image.repoTags, ...image.repoDigests];
    return {
      id: image.id,
      repoTags: image.repoTags,
      repoDigests: image.repoDigests,
      size: image.size,
      ...splitImageUser(image.user),
      pinned: image.pinned || names.some((name) => this.#pinned.has(name)),
    };
  }

  /** Finds by digest, by name as people write it, or by the beginning of an ID (rule 12.15). */
  async #find(text: string): Promise<ImageWithNames | undefined> {
    const { images } = this.#options;
    if (isDigest(text)) return images.find(text);
    const name = normalName(text);
    const found = name === undefined ? undefined : await images.find(name);
    return found ?? (/^[0-9a-f]{4,64}$/.test(text) ? images.find(text) : undefined);
  }
}

function normalName(text: string): string | undefined {
  try {
    return formatReference(parseDockerReference(text));
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

function sourceFor(image: string, auth: AuthConfig | undefined): ReturnType<typeof credentialsFromAuth> {
  const registry = normalName(image)?.split('/', 1)[0] ?? '';
  return credentialsFromAuth(auth, registry, auth?.source ?? 'CRI');
}

/** Names a credential without showing it: pulls that present the same one may share a flight. */
function keyOf(auth: AuthConfig | undefined): string {
  if (auth === undefined) return 'anonymous';
  const { username, password, auth: basic, identityToken, registryToken, serverAddress } = auth;
  return createHash('sha256')
    .update(JSON.stringify([username, password, basic, identityToken, registryToken, serverAddress]))
    .digest('base64');
}

async function wholeFilesystem(root: string): Promise<{ usedBytes: number; inodesUsed: number }> {
  const info = await statfs(root);
  return { usedBytes: (info.blocks - info.bfree) * info.bsize, inodesUsed: info.files - info.ffree };
}
