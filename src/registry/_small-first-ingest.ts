import { ContentError } from '../content/content-error.ts';
import type { ContentInfo, Ingest, Ingester, OpenIngestOptions, WholeIngester } from '../content/store.ts';
import { algorithmOf, Digester, type Digest } from '../oci/digest.ts';

/** Bytes kept in memory before they go to a file: configs and small layers are less, and a request holds no more anyway. */
export const WHOLE_BYTES = 64 * 1024;

/**
 * An ingest of bytes that may turn out to be few: those that come in one request and are committed by it are stored at one
 * go, and there never is a file to be made, resumed and removed. If they do turn out to be many, or the request ends early,
 * they go to an ingest of the store as all bytes do.
 */
export class SmallFirstIngest implements Ingest {
  readonly ref: string;
  readonly #store: Ingester & WholeIngester;
  readonly #options: OpenIngestOptions;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #file: Ingest | undefined;
  #ended = false;

  constructor(store: Ingester & WholeIngester, ref: string, options: OpenIngestOptions) {
    this.ref = ref;
    this.#store = store;
    this.#options = options;
  }

  get offset(): number {
    return this.#file?.offset ?? this.#bytes;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.writeAll([chunk]);
  }

  async writeAll(chunks: readonly Uint8Array[]): Promise<void> {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, this.#bytes);
    if (this.#file === undefined && bytes <= WHOLE_BYTES) {
      this.#chunks.push(...chunks);
      this.#bytes = bytes;
      return;
    }
    const file = await this.#keep();
    if (file.writeAll !== undefined) return file.writeAll(chunks);
    for (const chunk of chunks) await file.write(chunk);
  }

  /** How many bytes would outlive this process. */
  get keptBytes(): number {
    return this.#file?.offset ?? 0;
  }

  /** Takes the bytes to an ingest of the store. */
  async #keep(): Promise<Ingest> {
    if (this.#file !== undefined) return this.#file;
    const file = await this.#store.openIngest(this.ref, this.#options);
    try {
      for (const chunk of this.#chunks) await file.write(chunk);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    this.#chunks = [];
    this.#bytes = 0;
    return file;
  }

  async truncate(offset: number): Promise<void> {
    if (this.#file !== undefined) return this.#file.truncate(offset);
    this.#chunks = [Buffer.concat(this.#chunks).subarray(0, offset)];
    this.#bytes = Math.min(this.#bytes, offset);
  }

  async commit(expected: { digest?: Digest; size?: number }): Promise<ContentInfo> {
    if (this.#file !== undefined) return this.#file.commit(expected);
    const action = `Cannot commit ingest "${this.ref}"`;
    const digester = new Digester(
      expected.digest === undefined ? (this.#options.algorithm ?? 'sha256') : algorithmOf(expected.digest),
    );
    for (const chunk of this.#chunks) digester.update(chunk);
    const digest = digester.digest();
    this.#ended = true;
    if (expected.size !== undefined && expected.size !== this.#bytes) {
      throw new ContentError('SIZE_MISMATCH', `${action}: size is ${this.#bytes}, expected ${expected.size}`);
    }
    if (expected.digest !== undefined && expected.digest !== digest) {
      throw new ContentError(
        'DIGEST_MISMATCH',
        `${action}: digest is ${digest}, expected ${expected.digest}`,
      );
    }
    return this.#store.putWhole(digest, Buffer.concat(this.#chunks));
  }

  async isCurrent(): Promise<boolean> {
    if (this.#file !== undefined) return (await this.#file.isCurrent?.()) !== false;
    return !(await this.#store.hasIngest(this.ref));
  }

  async close(): Promise<void> {
    if (this.#bytes > 0 && !this.#ended) await this.#keep();
    this.#ended = true;
    await this.#file?.close();
  }

  async abort(): Promise<void> {
    this.#ended = true;
    await this.#file?.abort();
  }
}
