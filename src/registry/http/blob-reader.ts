import type { Readable } from 'node:stream';
import { canReadAt, type ContentStore } from '../../content/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { SelfWritingBody } from './answer.ts';
import { BlobBody } from './blob-body.ts';
import { ReadBuffers } from './read-buffers.ts';

/** Opens blobs for clients; what all of them hold in memory at a time is bounded by the buffers that they share. */
export class BlobReader {
  readonly #store: ContentStore;
  readonly #buffers = new ReadBuffers();

  constructor(store: ContentStore) {
    this.#store = store;
  }

  /** @throws ContentError `NOT_FOUND` */
  async open(digest: Digest, range: { offset: number; length: number }): Promise<Readable | SelfWritingBody> {
    if (!canReadAt(this.#store)) return this.#store.open(digest, range);
    const content = await this.#store.openAt(digest);
    return new BlobBody({ content, digest, range, buffers: this.#buffers });
  }
}
