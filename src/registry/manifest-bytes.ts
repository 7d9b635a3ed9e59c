import { randomUUID } from 'node:crypto';
import { LruMap } from '../base/lru-map.ts';
import { ContentError } from '../content/content-error.ts';
import { canPutWhole, type ContentStore } from '../content/store.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';

/** Largest manifest kept in memory: nearly all are below 64 KiB, and a large one costs others their place. */
const KEEP_BYTES = 64 * 1024;
/** Manifests kept: at most 16 MiB, in practice 2 MiB. */
const KEEP_COUNT = 256;

/**
 * The bytes of manifests, in the content store, with the latest kept in memory once they were verified. What a digest names
 * never changes, so the memory can be out of date in one way only: a manifest that was deleted, and that is asked of the
 * metadata first.
 */
export class ManifestBytes {
  readonly #store: ContentStore;
  readonly #kept = new LruMap<Digest, Uint8Array>(KEEP_COUNT);

  constructor(store: ContentStore) {
    this.#store = store;
  }

  /** Returns the bytes, verified. @throws ContentError `NOT_FOUND`, `DIGEST_MISMATCH` when the disk has damaged them */
  async read(digest: Digest): Promise<Uint8Array> {
    const kept = this.#kept.get(digest);
    if (kept !== undefined) return kept;
    const chunks: Uint8Array[] = [];
    for await (const chunk of await this.#store.open(digest)) chunks.push(chunk as Uint8Array);
    const bytes = Buffer.concat(chunks);
    const actual = digestOf(bytes, algorithmOf(digest));
    if (actual !== digest) {
      throw new ContentError('DIGEST_MISMATCH', `Cannot read manifest "${digest}": its digest is ${actual}`);
    }
    if (bytes.length <= KEEP_BYTES) this.#kept.set(digest, bytes);
    return bytes;
  }

  /** Stores bytes under a digest that the caller has computed; returns once they are durable. */
  async write(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (canPutWhole(this.#store)) {
      await this.#store.putWhole(digest, bytes);
      return;
    }
    if (await this.#isThere(digest, bytes.length)) return;
    const algorithm = algorithmOf(digest);
    const ingest = await this.#store.openIngest(`manifest/${randomUUID()}`, { algorithm });
    try {
      await ingest.write(bytes);
      await ingest.commit({ digest, size: bytes.length });
    } finally {
      await ingest.abort();
    }
  }

  async #isThere(digest: Digest, size: number): Promise<boolean> {
    try {
      return (await this.#store.stat(digest)).size === size;
    } catch (error) {
      if (error instanceof ContentError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }
}
