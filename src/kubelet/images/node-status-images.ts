import { messageOf } from '../../base/coded-error.ts';
import type { Image, ImageService } from '../../pull/image-service.ts';

/** One entry of a Node's `status.images`. */
export interface NodeImage {
  readonly names: readonly string[];
  readonly sizeBytes: number;
}

/** Time for which the list is taken from memory (rules 11.1, 13.1). */
export const IMAGE_LIST_PERIOD = 30_000;
/** Names told of each image (rule 13.2): with five digests no tag is left. */
const MAX_NAMES = 5;

/** Lists images as a Node tells them: largest first, digests before tags, at most `maxImages` (-1 is all; rules 13.1, 13.2). */
export function nodeStatusImages(images: readonly Image[], maxImages: number): readonly NodeImage[] {
  const sorted = images.toSorted((a, b) => b.size - a.size || (a.id < b.id ? 1 : -1));
  return sorted.slice(0, maxImages < 0 ? undefined : maxImages).map(({ repoDigests, repoTags, size }) => ({
    names: [...repoDigests, ...repoTags].slice(0, MAX_NAMES),
    sizeBytes: size,
  }));
}

export interface NodeImagesResult {
  /** Empty when listing failed (rule 13.3). */
  readonly images: readonly NodeImage[];
  readonly error?: string;
}

/** Asks the runtime and lists what the Node tells. */
export async function readNodeImages(
  imageService: ImageService,
  maxImages: number,
  signal: AbortSignal,
): Promise<NodeImagesResult> {
  try {
    return { images: nodeStatusImages(await imageService.listImages(undefined, signal), maxImages) };
  } catch (error) {
    signal.throwIfAborted();
    return { images: [], error: `error getting image list: ${messageOf(error)}` };
  }
}
