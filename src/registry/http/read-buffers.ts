/** Bytes read at a time for each of few readers: few turns of the event loop. */
const LARGE = 256 * 1024;
/** And for each of many: there may be hundreds of slow ones, each holding a buffer until its client takes more. */
const SMALL = 32 * 1024;
/** Readers from which on they are many. */
const MANY = 64;
/** Buffers kept for the next reader: 4 MiB and 2 MiB. */
const LARGE_KEPT = 16;
const SMALL_KEPT = 64;

/**
 * Memory that readers of blobs read into, lent for one read and one write. Used again and again, it costs neither
 * collection nor fresh pages; of many readers each gets little.
 */
export class ReadBuffers {
  readonly #large: Buffer[] = [];
  readonly #small: Buffer[] = [];
  #readers = 0;

  /** Whether readers are so many that each should do with one buffer. */
  get crowded(): boolean {
    return this.#readers > MANY;
  }

  /** Counts a reader, until {@link leave}. */
  join(): void {
    this.#readers++;
  }

  leave(): void {
    this.#readers--;
  }

  /** Lends a buffer, of at most `wanted` bytes or hardly more when that is less than the usual. */
  lend(wanted: number): Buffer {
    if (this.crowded || wanted <= SMALL) return this.#small.pop() ?? Buffer.allocUnsafeSlow(SMALL);
    return this.#large.pop() ?? Buffer.allocUnsafeSlow(LARGE);
  }

  /** Takes a buffer back that nobody reads any more. */
  takeBack(buffer: Buffer): void {
    const large = buffer.length === LARGE;
    const kept = large ? this.#large : this.#small;
    if (kept.length < (large ? LARGE_KEPT : SMALL_KEPT)) kept.push(buffer);
  }
}
