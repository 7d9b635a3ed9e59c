import type { Ingest } from '../content/store.ts';

/** Bytes written at a time: a socket gives some 64 KB, and for each write a thread has to be woken. */
const GATHER_BYTES = 1024 * 1024;

/** Gathers what arrives into large writes, and takes more while one of them is under way: at most two are in memory. */
export class GatheredWrites {
  readonly #ingest: Pick<Ingest, 'write' | 'writeAll'>;
  readonly #release: ((chunk: Uint8Array) => void) | undefined;
  #chunks: Uint8Array[] = [];
  #length = 0;
  #writing: Promise<void> = Promise.resolve();

  /** @param release called with each chunk once it was written */
  constructor(
    ingest: Pick<Ingest, 'write' | 'writeAll'>,
    release: ((chunk: Uint8Array) => void) | undefined,
  ) {
    this.#ingest = ingest;
    this.#release = release;
  }

  /** Takes a chunk, whose memory it keeps. Rejects when an earlier one could not be written. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < GATHER_BYTES) return;
    await this.#writing;
    this.#begin();
  }

  /** Writes what is left. */
  async flush(): Promise<void> {
    await this.#writing;
    this.#begin();
    await this.#writing;
  }

  #begin(): void {
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    this.#chunks = [];
    this.#length = 0;
    this.#writing = this.#append(chunks);
    // Whoever writes or flushes next hears of a failure.
    this.#writing.catch(() => undefined);
  }

  async #append(chunks: readonly Uint8Array[]): Promise<void> {
    if (this.#ingest.writeAll !== undefined) await this.#ingest.writeAll(chunks);
    else for (const chunk of chunks) await this.#ingest.write(chunk);
    if (this.#release !== undefined) for (const chunk of chunks) this.#release(chunk);
  }
}
