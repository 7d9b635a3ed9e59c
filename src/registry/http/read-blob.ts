import type { Readable } from 'node:stream';
import type { ContentStore } from '../../content/store.ts';
import type { Digest } from '../../oci/digest.ts';

/** Bytes read at a time for each of few readers: few turns of the event loop. */
const LARGE_CHUNK = 256 * 1024;
/** And for each of many: a reader holds about two chunks, and there may be hundreds. */
const SMALL_CHUNK = 32 * 1024;
/** Readers from which on they are many. */
const MANY = 64;

/** Opens blobs for clients, in chunks that shrink as the readers become many, so that memory stays bounded. */
export class BlobReader {
  readonly #store: ContentStore;
  #readers = 0;

  constructor(store: ContentStore) {
    this.#store = store;
  }

  /** @throws ContentError `NOT_FOUND` */
  async open(digest: Digest, range: { offset: number; length: number } | undefined): Promise<Readable> {
    const chunkBytes = this.#readers >= MANY ? SMALL_CHUNK : LARGE_CHUNK;
    this.#readers++;
    try {
      const stream = await this.#store.open(digest, range, { chunkBytes });
      stream.once('close', () => {
        this.#readers--;
      });
      return stream;
    } catch (error) {
      this.#readers--;
      throw error;
    }
  }
}
