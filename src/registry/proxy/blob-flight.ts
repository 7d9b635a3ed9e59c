import { EventEmitter, once } from 'node:events';
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { isSystemError } from '../../base/coded-error.ts';
import type { ExternalIngest } from '../../content/file-store.ts';
import { algorithmOf, Digester, type Digest } from '../../oci/digest.ts';
import { RegistryError } from '../registry-error.ts';

/** Bytes read at a time for one waiter. */
const READ_CHUNK = 128 * 1024;
/** Waiters of one blob: each is a request with a connection of its own. */
const WAITERS = 10_000;

/** Bytes from an upstream, from `offset` on. */
export type OpenUpstream = (
  offset: number,
  signal: AbortSignal,
) => Promise<{ body: Readable; offset: number }>;

export interface BlobFlightParts {
  readonly digest: Digest;
  readonly size: number;
  readonly ingest: ExternalIngest;
  readonly open: OpenUpstream;
  /** Told of bytes as they arrive, those that come twice included. */
  readonly received: (bytes: number) => void;
  /** Called before the bytes are published and after. */
  readonly reserve: () => Promise<void>;
  readonly link: () => Promise<void>;
  readonly openStored: (range: { offset: number; length: number }) => Promise<Readable>;
  readonly signal: AbortSignal;
}

/** How often a broken download is taken up again where it broke. */
const RESUMES = 3;

/**
 * One download of a blob from an upstream, stored while any number of clients read along. It goes on when they go away. The
 * last byte is given to nobody before the digest of the whole was verified.
 */
export class BlobFlight {
  /** Settles when the blob is stored, or cannot be had. */
  readonly done: Promise<void>;
  readonly #parts: BlobFlightParts;
  readonly #progress = new EventEmitter();
  #available = 0;
  #failure: unknown;

  constructor(parts: BlobFlightParts) {
    this.#parts = parts;
    this.#progress.setMaxListeners(WAITERS);
    this.done = this.#run();
    // Each reader hears of the failure itself; this one is for nobody.
    this.done.catch(() => {});
  }

  /** Whether it came to nothing; another can be started once {@link done} settled. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Reads along, once there is something to read; the stream fails when the download does.
   *
   * @throws whatever the download failed with before there was
   */
  async read(range: { offset: number; length: number }): Promise<Readable> {
    await this.#reached(range.offset);
    let file: FileHandle;
    try {
      file = await open(this.#parts.ingest.path, 'r');
    } catch (error) {
      // It was stored just now, and has moved.
      if (!isSystemError(error, 'ENOENT')) throw error;
      await this.done;
      return this.#parts.openStored(range);
    }
    const stream = Readable.from(this.#follow(file, range), { objectMode: false, highWaterMark: READ_CHUNK });
    // A reader that leaves before the first byte never enters the generator, so that could not close it.
    stream.once('close', () => void file.close());
    return stream;
  }

  async *#follow(
    file: FileHandle,
    { offset, length }: { offset: number; length: number },
  ): AsyncIterable<Buffer> {
    const end = offset + length;
    for (let position = offset; position < end;) {
      await this.#reached(position);
      const want = Math.min(READ_CHUNK, end - position, this.#available - position);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(want), 0, want, position);
      if (bytesRead === 0) throw new Error('Cannot read along: the file is shorter than what was written');
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** Waits until the byte at `position` may be given away. */
  async #reached(position: number): Promise<void> {
    while (this.#available <= position) {
      if (this.#failure !== undefined) throw this.#failure;
      await once(this.#progress, 'change');
    }
  }

  async #run(): Promise<void> {
    const { ingest, digest, size } = this.#parts;
    try {
      const file = await open(ingest.path, 'r+');
      try {
        await file.truncate(0);
        await this.#download(file);
      } finally {
        await file.close();
      }
      await this.#parts.reserve();
      await ingest.publish(digest, size);
      await this.#parts.link();
      this.#available = size;
    } catch (error) {
      this.#failure = error;
      await ingest.abort();
      throw error;
    } finally {
      this.#progress.emit('change');
    }
  }

  async #download(file: FileHandle): Promise<void> {
    const { digest, size, signal } = this.#parts;
    const digester = new Digester(algorithmOf(digest));
    let written = 0;
    for (let resumes = 0; written < size; resumes++) {
      const { body, offset } = await this.#parts.open(written, signal);
      let skip = written - offset;
      try {
        for await (const data of body as AsyncIterable<Buffer>) {
          this.#parts.received(data.length);
          // A host without ranges begins again at the beginning.
          const chunk = skip > 0 ? data.subarray(Math.min(skip, data.length)) : data;
          skip -= data.length - chunk.length;
          if (written + chunk.length > size) throw wrong(digest, `it has more than ${size} bytes`);
          for (let at = 0; at < chunk.length;) {
            at += (await file.write(chunk, at, chunk.length - at, written + at)).bytesWritten;
          }
          digester.update(chunk);
          written += chunk.length;
          this.#available = Math.min(written, size - 1);
          this.#progress.emit('change');
        }
      } catch (error) {
        body.destroy();
        if (error instanceof RegistryError || signal.aborted || resumes >= RESUMES) throw error;
      }
      if (written < size && resumes >= RESUMES)
        throw wrong(digest, `it ended after ${written} of ${size} bytes`);
    }
    const actual = digester.digest();
    if (actual !== digest) throw wrong(digest, `its digest is ${actual}`);
  }
}

function wrong(digest: Digest, says: string): RegistryError {
  return new RegistryError('UNAVAILABLE', `upstream sent something else for ${digest}: ${says}`, {
    status: 502,
  });
}
