import type { Image } from '../../pull/image-service.ts';

/** Images that a Node object lists at most, and names of each (rules 13.1 and 13.2). */
export const DEFAULT_MAX_IMAGES = 50;
const MAX_NAMES = 5;

export interface NodeImage {
  names: string[];
  sizeBytes: number;
}

/**
 * Returns the images for a Node's status: largest first, ties by ID descending, cut to `max` (rules 13.1 and 13.2).
 *
 * @param max -1 keeps all
 */
export function nodeImages(images: readonly Image[], max: number): NodeImage[] {
  const sorted = [...images].sort((a, b) => b.size - a.size || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
  const kept = max < 0 ? sorted : sorted.slice(0, max);
  return kept.map((image) => ({
    names: [...image.repoDigests, ...image.repoTags].slice(0, MAX_NAMES),
    sizeBytes: image.size,
  }));
}
