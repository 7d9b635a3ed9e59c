import type { GzipInflater } from './gzip-inflater.ts';

/**
 * Gives a stream's bytes to an inflater and asks for the next chunk before it is needed, so that whoever makes chunks works meanwhile.
 * A chunk is in use until the next but one is asked for.
 */
export class SourceAhead {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array | undefined;
  #at = 0;
  #asked: Promise<void> | undefined;
  #arrived: Uint8Array | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** Whether bytes are here that have not been given yet. */
  get hasMore(): boolean {
    return this.#chunk !== undefined || this.#arrived !== undefined;
  }

  /** Gives what is here, as much as there is room for. */
  give(inflater: GzipInflater): void {
    for (;;) {
      if (this.#chunk === undefined) {
        this.#chunk = this.#arrived;
        this.#arrived = undefined;
        this.#at = 0;
        if (this.#chunk === undefined) return;
        this.#ask();
      }
      this.#at += inflater.push(this.#chunk, this.#at);
      if (this.#at < this.#chunk.length) return;
      this.#chunk = undefined;
    }
  }

  /** Waits for bytes; false when there are no more. @throws what the source throws */
  async wait(): Promise<boolean> {
    this.#ask();
    await this.#asked;
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.hasMore;
  }

  /** Lets the source go. */
  async close(): Promise<void> {
    await this.#asked;
    await this.#chunks.return?.();
  }

  #ask(): void {
    if (this.#ended || this.#asked !== undefined || this.#arrived !== undefined) return;
    this.#asked = this.#next().finally(() => {
      this.#asked = undefined;
    });
  }

  async #next(): Promise<void> {
    try {
      const { done, value } = await this.#chunks.next();
      if (done === true) this.#ended = true;
      else this.#arrived = value;
    } catch (error) {
      this.#ended = true;
      this.#failure = { error };
    }
  }
}
