import type { Image } from '../../pull/image-service.ts';

/** What is remembered of an image while it is on the node. Times are milliseconds since the epoch. */
export interface TrackedImage {
  readonly id: string;
  readonly names: readonly string[];
  readonly size: number;
  readonly pinned: boolean;
  readonly firstDetected: number;
  /** 0 for an image never seen in use (rule 11.8). */
  readonly lastUsed: number;
  readonly inUse: boolean;
}

/** Follows which images are there and when each was last in use; nothing survives a restart (rules 11.1 to 11.5). */
export class ImageTracker {
  readonly #images = new Map<string, TrackedImage>();

  /**
   * Takes in what the runtime has. Images that vanished are forgotten, so that one pulled again starts anew (11.2).
   *
   * @param inUse IDs of the images of all containers, dead ones too, and of mounted image volumes (11.4)
   */
  detect(images: readonly Image[], inUse: ReadonlySet<string>, now: number): readonly TrackedImage[] {
    const present = new Set<string>();
    for (const { id, repoTags, repoDigests, size, pinned } of images) {
      present.add(id);
      const used = inUse.has(id);
      const known = this.#images.get(id);
      this.#images.set(id, {
        id,
        names: [...repoTags, ...repoDigests],
        size,
        pinned,
        firstDetected: known?.firstDetected ?? now,
        lastUsed: used ? now : (known?.lastUsed ?? 0),
        inUse: used,
      });
    }
    for (const id of this.#images.keys()) if (!present.has(id)) this.#images.delete(id);
    return [...this.#images.values()];
  }
}
