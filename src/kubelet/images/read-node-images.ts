import { messageOf } from '../../base/coded-error.ts';
import type { ImageService } from '../../pull/image-service.ts';
import { nodeImages, type NodeImage } from '../node/node-images.ts';

/** Time for which the list is taken from memory (rules 11.1, 13.1). */
export const IMAGE_LIST_PERIOD = 30_000;

export interface NodeImagesResult {
  /** Empty when listing failed (rule 13.3). */
  readonly images: readonly NodeImage[];
  readonly error?: string;
}

/** Asks the runtime for its images and lists them as the Node tells them; -1 is no cap (rules 13.1 to 13.3). */
export async function readNodeImages(
  imageService: ImageService,
  maxImages: number,
  signal: AbortSignal,
): Promise<NodeImagesResult> {
  try {
    return { images: nodeImages(await imageService.listImages(undefined, signal), maxImages) };
  } catch (error) {
    signal.throwIfAborted();
    return { images: [], error: `error getting image list: ${messageOf(error)}` };
  }
}
