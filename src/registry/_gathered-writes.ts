import { finished, type Readable } from 'node:stream';
import type { Ingest } from '../content/store.ts';

/** Most bytes gathered while earlier ones are being written. */
const GATHER_BYTES = 1024 * 1024;

/**
 * Writes to an ingest while the next bytes arrive: what came meanwhile goes out in one go. At most two lots are in memory, of
 * a client that sends faster than the disk takes.
 */
export class GatheredWrites {
  readonly #ingest: Ingest;
  readonly #before: ((total: number) => Promise<void>) | undefined;
  #gathered: Uint8Array[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #soon: NodeJS.Immediate | undefined;

  /** @param before called ahead of each write with how many bytes there will be; what it throws keeps them from being written */
  constructor(ingest: Ingest, before?: (total: number) => Promise<void>) {
    this.#ingest = ingest;
    this.#before = before;
  }

  /**
   * Takes bytes. Returns what resolves when more may come, or undefined when they may come at once.
   *
   * @throws what writing earlier ones failed with, by way of what it returns
   */
  add(chunk: Uint8Array): Promise<void> | undefined {
    this.#gathered.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= GATHER_BYTES) return this.#room();
    // All that the socket holds already comes before: one write for it all costs little more than one for its first part.
    if (this.#writing === undefined) this.#soon ??= setImmediate(() => this.#write());
    return undefined;
  }

  /** Resolves when all is written. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined || this.#bytes > 0) {
      if (this.#writing === undefined) this.#write();
      await this.#writing;
    }
  }

  /** Resolves when what was gathered is being written. */
  async #room(): Promise<void> {
    if (this.#writing === undefined) this.#write();
    else await this.#writing;
  }

  #write(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    const chunks = this.#gathered;
    const bytes = this.#bytes;
    this.#gathered = [];
    this.#bytes = 0;
    const writing = this.#writeAll(chunks, bytes).then(() => {
      this.#writing = undefined;
      if (this.#bytes > 0) this.#write();
    });
    // Whoever adds or flushes next hears of it.
    writing.catch(() => {});
    this.#writing = writing;
  }

  async #writeAll(chunks: readonly Uint8Array[], bytes: number): Promise<void> {
    await this.#before?.(this.#ingest.offset + bytes);
    if (this.#ingest.writeAll !== undefined) return this.#ingest.writeAll(chunks);
    for (const chunk of chunks) await this.#ingest.write(chunk);
  }
}

/**
 * Writes all that a stream holds; resolves at its end, when not all need be written yet. A stream that is left early is paused
 * and not destroyed: its socket has to carry the answer that says why.
 *
 * @throws the stream's error, or what writing failed with
 */
export function gatherStream(stream: Readable, writes: GatheredWrites): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = (error: unknown): void => {
    stream.off('data', take);
    stopWaiting();
    stream.pause();
    reject(error);
  };
  // Events and no iteration: an iteration stops the socket after each 64 KiB.
  const take = (chunk: Uint8Array): void => {
    const room = writes.add(chunk);
    if (room === undefined) return;
    stream.pause();
    room.then(() => stream.resume(), stop);
  };
  const stopWaiting = finished(stream, { writable: false }, (error) => {
    if (error) stop(error);
    else resolve();
  });
  stream.on('data', take);
  return promise;
}
