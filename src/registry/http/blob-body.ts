import type { ServerResponse } from 'node:http';
import type { OpenContent } from '../../content/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { SelfWritingBody } from './answer.ts';
import type { ReadBuffers } from './read-buffers.ts';

interface BlobBodyParts {
  readonly content: OpenContent;
  readonly digest: Digest;
  readonly range: { readonly offset: number; readonly length: number };
  readonly buffers: ReadBuffers;
}

/**
 * The bytes of a blob on their way to one client. While one buffer is written the next is read; a slow client holds what it
 * has not taken yet and nothing more.
 */
export class BlobBody implements SelfWritingBody {
  readonly #parts: BlobBodyParts;

  constructor(parts: BlobBodyParts) {
    this.#parts = parts;
  }

  discard(): Promise<void> {
    return this.#parts.content.close();
  }

  async writeTo(response: ServerResponse): Promise<void> {
    const { content, buffers } = this.#parts;
    const writer = new ChunkWriter(response);
    buffers.join();
    try {
      await this.#writeRange(writer);
    } finally {
      buffers.leave();
      writer.release();
      await content.close();
    }
  }

  async #writeRange(writer: ChunkWriter): Promise<void> {
    const { buffers, range } = this.#parts;
    const end = range.offset + range.length;
    let written = range.length === 0 ? writer.write(Buffer.alloc(0), true) : Promise.resolve();
    for (let position = range.offset; position < end;) {
      if (buffers.crowded) await written;
      const buffer = buffers.lend(end - position);
      const chunk = await this.#read(buffer, position, end);
      await written;
      position += chunk.length;
      written = writer.write(chunk, position === end);
      // A buffer whose write failed is left to the garbage collector: the socket may still hold it.
      written.then(
        () => buffers.takeBack(buffer),
        () => {},
      );
    }
    await written;
  }

  async #read(buffer: Buffer, position: number, end: number): Promise<Buffer> {
    const wanted = buffer.subarray(0, Math.min(buffer.length, end - position));
    const bytes = await this.#parts.content.read(wanted, position);
    if (bytes > 0) return wanted.subarray(0, bytes);
    const { digest } = this.#parts;
    throw new Error(`Cannot send blob "${digest}": its file ends at ${position}, expected ${end} bytes`);
  }
}

/** Writes to a response, one chunk at a time, and notices when the client goes away meanwhile. */
class ChunkWriter {
  readonly #response: ServerResponse;
  #fail: ((error: Error) => void) | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.once('close', this.#onClose);
  }

  /** Resolves when the chunk was handed over. */
  write(chunk: Buffer, last: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#response.destroyed) {
        reject(clientGone());
        return;
      }
      // A write whose connection closes before it began is never called back.
      this.#fail = reject;
      const done = (error?: Error | null): void => {
        this.#fail = undefined;
        if (error) reject(error);
        else resolve();
      };
      if (last) this.#response.end(chunk, done);
      else this.#response.write(chunk, done);
    });
  }

  release(): void {
    this.#response.removeListener('close', this.#onClose);
  }

  readonly #onClose = (): void => this.#fail?.(clientGone());
}

function clientGone(): Error {
  return new Error('Cannot send a blob: the client went away');
}
