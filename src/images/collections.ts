import type { Digest } from '../oci/digest.ts';

/** A view of what is needed that stays right while work goes on. */
export interface Collection {
  /**
   * Runs `remove` unless `digest` is in `needed` or was leased, recorded or named since the collection began; whoever leases it
   * meanwhile waits for the end, so that nobody relies on what is about to go. Returns whether it ran.
   */
  remove(digest: Digest, needed: ReadonlySet<Digest>, remove: () => Promise<void>): Promise<boolean>;
  end(): void;
}

/** Keeps collections that are under way and the work that goes on meanwhile from hurting each other. */
export class Collections {
  /** Content being removed at this moment. */
  readonly #condemned = new Map<Digest, Promise<void>>();
  /** For each collection under way, what came to be needed since it began. */
  readonly #underWay = new Set<Set<Digest>>();

  /** Says that digests are needed from now on. */
  need(...digests: readonly Digest[]): void {
    for (const since of this.#underWay) for (const digest of digests) since.add(digest);
  }

  /** Waits until `digest` is not just being removed. */
  async settled(digest: Digest): Promise<void> {
    await this.#condemned.get(digest);
  }

  start(): Collection {
    const since = new Set<Digest>();
    this.#underWay.add(since);
    return {
      remove: async (digest, needed, remove) => {
        if (needed.has(digest) || since.has(digest)) return false;
        const removal = remove();
        const over = removal.catch(() => undefined);
        this.#condemned.set(digest, over);
        try {
          await removal;
        } finally {
          if (this.#condemned.get(digest) === over) this.#condemned.delete(digest);
        }
        return true;
      },
      end: () => {
        this.#underWay.delete(since);
      },
    };
  }
}
