import { rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { algorithmOf, Digester, type Digest } from '../oci/digest.ts';
import { contentError } from './_system-error.ts';
import { ContentError } from './content-error.ts';
import type { ContentInfo, Ingest } from './store.ts';

/** File of an ingest that holds its bytes. */
export const INGEST_DATA = 'data';
/** File of an ingest that says what it is. */
export const INGEST_RECORD = 'record.json';
/** Committed content is read-only, so that a reader with the wrong flags fails instead of damaging it. */
export const COMMITTED_MODE = 0o444;
/** Bytes digested at a time when bytes of an earlier process are taken up again. */
const REHASH_CHUNK = 1024 * 1024;
/** Bytes after which the disk is set to work: enough for it to be busy, few enough to be soon done at the end. */
const FLUSH_STEP = 8 * 1024 * 1024;

export interface IngestRecord {
  readonly ref: string;
  readonly startedAt: number;
}

interface FileIngestParts {
  readonly ref: string;
  readonly directory: string;
  /** Open for appending and reading. */
  readonly file: FileHandle;
  readonly algorithm: string;
  /** Lets go of the ref. */
  readonly release: () => void;
  readonly publish: (digest: Digest, size: number, inode: number) => Promise<ContentInfo>;
}

/** One ingest of a file store: digests what it appends, so that a commit reads nothing again. */
export class FileIngest implements Ingest {
  readonly ref: string;
  readonly #parts: FileIngestParts;
  #offset = 0;
  #inode = 0;
  #digester: Digester;
  /** Whether the digest is of other bytes than those in the file. */
  #digestStale = false;
  /** Up to where the disk was told to write. */
  #flushed = 0;
  #flushing: Promise<void> | undefined;
  #flushFailure: { readonly error: unknown } | undefined;
  #state: 'open' | 'closed' = 'open';

  private constructor(parts: FileIngestParts) {
    this.ref = parts.ref;
    this.#parts = parts;
    this.#digester = new Digester(parts.algorithm);
  }

  /** Takes up the bytes that are in the file: they are digested anew, never believed. */
  static async resume(parts: FileIngestParts): Promise<FileIngest> {
    const ingest = new FileIngest(parts);
    try {
      const { size, ino } = await parts.file.stat();
      ingest.#inode = ino;
      await digestFile(parts.file, size, ingest.#digester);
      ingest.#offset = size;
    } catch (error) {
      await parts.file.close();
      throw error;
    }
    return ingest;
  }

  get offset(): number {
    return this.#offset;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.writeAll([chunk]);
  }

  async writeAll(chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertOpen('write to');
    try {
      await this.#catchUp();
      const writing = this.#append(chunks);
      // While the kernel takes the bytes. Should it not take all, the digest is of more than there is.
      this.#digestStale = true;
      for (const chunk of chunks) this.#digester.update(chunk);
      await writing;
      this.#digestStale = false;
    } catch (error) {
      throw contentError(error, `Cannot write to ingest "${this.ref}"`);
    }
    this.#flushEarly();
  }

  async #append(chunks: readonly Uint8Array[]): Promise<void> {
    const { file } = this.#parts;
    for (let rest = chunks; rest.length > 0;) {
      const [first] = rest;
      const { bytesWritten } =
        rest.length === 1 && first !== undefined ? await file.write(first) : await file.writev(rest);
      this.#offset += bytesWritten;
      rest = withoutFirst(rest, bytesWritten);
    }
  }

  /** Digests what is in the file anew after a write that failed in the middle. */
  async #catchUp(): Promise<void> {
    if (!this.#digestStale) return;
    const digester = new Digester(this.#parts.algorithm);
    await digestFile(this.#parts.file, this.#offset, digester);
    this.#digester = digester;
    this.#digestStale = false;
  }

  /** Lets the disk begin while more bytes come, so that a commit waits for the last ones only. */
  #flushEarly(): void {
    if (this.#flushing !== undefined || this.#offset - this.#flushed < FLUSH_STEP) return;
    this.#flushed = this.#offset;
    this.#flushing = this.#parts.file.datasync().then(
      () => {
        this.#flushing = undefined;
      },
      // The kernel tells of a failed write once: it has to be remembered for the commit.
      (error: unknown) => {
        this.#flushFailure = { error };
      },
    );
  }

  async #sync(): Promise<void> {
    await this.#flushing;
    if (this.#flushFailure !== undefined) throw this.#flushFailure.error;
    await this.#parts.file.sync();
  }

  async truncate(offset: number): Promise<void> {
    this.#assertOpen('truncate');
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > this.#offset) {
      throw new ContentError(
        'OUT_OF_RANGE',
        `Cannot truncate ingest "${this.ref}" to ${offset}: it has ${this.#offset} bytes`,
      );
    }
    await this.#parts.file.truncate(offset);
    this.#offset = offset;
    this.#flushed = Math.min(this.#flushed, offset);
    this.#digestStale = true;
    await this.#catchUp();
  }

  async commit(expected: { digest?: Digest; size?: number }): Promise<ContentInfo> {
    this.#assertOpen('commit');
    const action = `Cannot commit ingest "${this.ref}"`;
    try {
      if (expected.size !== undefined && expected.size !== this.#offset) {
        await this.abort();
        throw new ContentError(
          'SIZE_MISMATCH',
          `${action}: size is ${this.#offset}, expected ${expected.size}`,
        );
      }
      await this.#catchUp();
      const digest = await this.#finalDigest(expected.digest);
      if (expected.digest !== undefined && expected.digest !== digest) {
        await this.abort();
        throw new ContentError(
          'DIGEST_MISMATCH',
          `${action}: digest is ${digest}, expected ${expected.digest}`,
        );
      }
      await this.#sync();
      await this.#parts.file.chmod(COMMITTED_MODE);
      await this.#parts.file.close();
      return await this.#parts.publish(digest, this.#offset, this.#inode);
    } catch (error) {
      throw contentError(error, action);
    } finally {
      await this.close();
    }
  }

  async isCurrent(): Promise<boolean> {
    try {
      const { ino, size } = await stat(join(this.#parts.directory, INGEST_DATA));
      return ino === this.#inode && size === this.#offset;
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return false;
      throw contentError(error, `Cannot look at ingest "${this.ref}"`);
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    try {
      await this.#flushing;
      await this.#parts.file.close();
    } finally {
      this.#parts.release();
    }
  }

  async abort(): Promise<void> {
    if (this.#state === 'closed') return;
    await rm(this.#parts.directory, { recursive: true, force: true });
    await this.close();
  }

  /** A caller may learn only at the end that another algorithm is wanted; then the file is read once more. */
  async #finalDigest(expected: Digest | undefined): Promise<Digest> {
    if (expected === undefined || algorithmOf(expected) === this.#parts.algorithm)
      return this.#digester.digest();
    const digester = new Digester(algorithmOf(expected));
    await digestFile(this.#parts.file, this.#offset, digester);
    return digester.digest();
  }

  #assertOpen(verb: string): void {
    if (this.#state === 'closed') throw new Error(`Cannot ${verb} ingest "${this.ref}": it is closed`);
  }
}

/** Returns what is left of `chunks` behind their first `count` bytes. */
function withoutFirst(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const chunk of chunks) {
    if (skip < chunk.length) rest.push(skip === 0 ? chunk : chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return rest;
}

async function digestFile(file: FileHandle, size: number, digester: Digester): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(REHASH_CHUNK, Math.max(size, 1)));
  for (let position = 0; position < size;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - position), position);
    if (bytesRead === 0)
      throw new Error(`Cannot digest an ingest: it ended at ${position}, expected ${size} bytes`);
    digester.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}
