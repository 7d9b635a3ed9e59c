import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { ContentError } from '../content/content-error.ts';
import type { ContentStore, Ingest } from '../content/store.ts';
import type { Digest } from '../oci/digest.ts';
import { commitBlob } from './commit-blob.ts';
import type { BlobIndex, UploadIndex, UploadRecord } from './metadata/registry-index.ts';
import { RegistryError } from './registry-error.ts';

/** What a request adds to an upload. */
export interface UploadBody {
  readonly stream: Readable;
  /** From `Content-Range`; absent, the bytes go to the end. */
  readonly range?: { readonly first: number; readonly last: number };
}

export interface UploadSessionsParts {
  readonly store: ContentStore;
  readonly uploads: UploadIndex;
  readonly blobs: BlobIndex;
  readonly clock: Clock;
  /**
   * Milliseconds that an ingest stays open between two requests of an upload, which saves digesting its bytes anew. 0 where
   * another process may get the next request.
   */
  readonly keepOpenMs: number;
}

interface OpenUpload {
  readonly ingest: Ingest;
  /** Body that is being written just now. */
  writer?: { readonly stream: Readable; readonly done: Promise<void> };
  idle?: NodeJS.Timeout;
}

/** Ingests kept open between requests at most: each holds a file. */
const OPEN_LIMIT = 512;

/**
 * Takes blobs in. An upload lives in the metadata and its bytes in a content ingest, so that it can go on in another
 * process or after a restart; only open files are kept here.
 */
export class UploadSessions {
  readonly #parts: UploadSessionsParts;
  readonly #open = new Map<string, OpenUpload>();

  constructor(parts: UploadSessionsParts) {
    this.#parts = parts;
  }

  /** Begins an upload and returns its ID. */
  async start(repository: string, algorithm: string, account: string): Promise<string> {
    const id = randomUUID();
    await this.#parts.uploads.createUpload({
      id,
      repository,
      algorithm,
      account,
      startedAt: this.#parts.clock.now(),
    });
    return id;
  }

  /** Returns how many bytes are there. @throws RegistryError `BLOB_UPLOAD_UNKNOWN` */
  async status(repository: string, id: string): Promise<number> {
    const record = await this.#find(repository, id);
    const open = this.#open.get(id);
    if (open !== undefined) return open.ingest.offset;
    const upload = await this.#take(record);
    await this.#giveBack(id, upload);
    return upload.ingest.offset;
  }

  /**
   * Appends a body and returns how many bytes are there then. What arrived before the client went away is kept.
   *
   * @throws RegistryError `BLOB_UPLOAD_UNKNOWN`, `RANGE_INVALID`, `SIZE_INVALID`, `UPLOAD_BUSY`
   */
  async append(repository: string, id: string, body: UploadBody): Promise<number> {
    const upload = await this.#take(await this.#find(repository, id));
    try {
      await this.#write(repository, id, upload, body);
      return upload.ingest.offset;
    } finally {
      await this.#giveBack(id, upload);
    }
  }

  /**
   * Appends what the body holds, checks the whole against `digest` and makes it visible in the repository.
   *
   * @throws RegistryError as {@link append}; `DIGEST_INVALID`, and the upload is gone
   */
  async finish(repository: string, id: string, digest: Digest, body: UploadBody): Promise<number> {
    const upload = await this.#take(await this.#find(repository, id));
    try {
      await this.#write(repository, id, upload, body);
      const size = await commitBlob(this.#parts, upload.ingest, repository, digest);
      await this.#drop(id, upload);
      return size;
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'DIGEST_INVALID') await this.#drop(id, upload);
      else await this.#closeIngest(id, upload);
      throw error;
    } finally {
      await this.#giveBack(id, upload);
    }
  }

  /** Takes a whole blob in one request. @throws RegistryError `DIGEST_INVALID` */
  async push(repository: string, digest: Digest, stream: Readable, account: string): Promise<number> {
    const id = await this.start(repository, digest.slice(0, digest.indexOf(':')), account);
    try {
      return await this.finish(repository, id, digest, { stream });
    } catch (error) {
      // Nobody knows the ID, so nobody could go on with it.
      await this.cancel(repository, id).catch(ignoreUnknown);
      throw error;
    }
  }

  /** Throws an upload away. @throws RegistryError `BLOB_UPLOAD_UNKNOWN` */
  async cancel(repository: string, id: string): Promise<void> {
    const upload = await this.#take(await this.#find(repository, id));
    await this.#drop(id, upload);
  }

  /** Throws away uploads that began before `before`; those that are being written now are left. Returns how many. */
  async sweep(before: number, limit = 1_000): Promise<number> {
    let swept = 0;
    for (const record of await this.#parts.uploads.uploadsBefore(before, limit)) {
      if (this.#open.get(record.id)?.writer !== undefined) continue;
      await this.#drop(record.id, await this.#take(record));
      swept++;
    }
    return swept;
  }

  /** Closes all files; uploads can go on later. */
  async close(): Promise<void> {
    for (const [id, upload] of this.#open) {
      upload.writer?.stream.destroy();
      await upload.writer?.done;
      await this.#closeIngest(id, upload);
    }
  }

  async #find(repository: string, id: string): Promise<UploadRecord> {
    const record = await this.#parts.uploads.findUpload(id);
    if (record === undefined || record.repository !== repository) {
      throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
    }
    return record;
  }

  /**
   * Returns the upload's ingest for use by one request. A request that still writes is cut off: its client has lost that
   * connection, or would not send another.
   */
  async #take(record: UploadRecord): Promise<OpenUpload> {
    for (let known = this.#open.get(record.id); known !== undefined; known = this.#open.get(record.id)) {
      clearTimeout(known.idle);
      if (known.writer === undefined) return known;
      known.writer.stream.destroy(busy());
      await known.writer.done;
    }
    try {
      const ref = `upload/${record.id}`;
      const ingest = await this.#parts.store.openIngest(ref, { algorithm: record.algorithm });
      const upload: OpenUpload = { ingest };
      this.#open.set(record.id, upload);
      return upload;
    } catch (error) {
      if (error instanceof ContentError && error.code === 'LOCKED') throw busy(error);
      throw error;
    }
  }

  async #giveBack(id: string, upload: OpenUpload): Promise<void> {
    if (this.#open.get(id) !== upload || upload.writer !== undefined) return;
    clearTimeout(upload.idle);
    if (this.#parts.keepOpenMs === 0 || this.#open.size > OPEN_LIMIT) {
      await this.#closeIngest(id, upload);
      return;
    }
    upload.idle = setTimeout(() => {
      if (upload.writer === undefined) this.#closeIngest(id, upload).catch(ignoreClosed);
    }, this.#parts.keepOpenMs);
    upload.idle.unref();
  }

  async #closeIngest(id: string, upload: OpenUpload): Promise<void> {
    clearTimeout(upload.idle);
    if (this.#open.get(id) === upload) this.#open.delete(id);
    await upload.ingest.close();
  }

  async #drop(id: string, upload: OpenUpload): Promise<void> {
    clearTimeout(upload.idle);
    await upload.ingest.abort();
    if (this.#open.get(id) === upload) this.#open.delete(id);
    await this.#parts.uploads.removeUpload(id);
  }

  async #write(repository: string, id: string, upload: OpenUpload, body: UploadBody): Promise<void> {
    if (upload.writer !== undefined) throw busy();
    const { ingest } = upload;
    const start = ingest.offset;
    if (body.range !== undefined && body.range.first !== start) {
      throw new RegistryError('RANGE_INVALID', `chunk begins at ${body.range.first}, expected ${start}`, {
        headers: uploadHeaders(repository, id, start),
      });
    }
    const { promise: done, resolve } = Promise.withResolvers<void>();
    upload.writer = { stream: body.stream, done };
    try {
      // A stream left early is not destroyed: its socket has to carry the answer that says why.
      const chunks = body.stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
      for await (const chunk of chunks) await ingest.write(chunk);
      const received = ingest.offset - start;
      const expected = body.range && body.range.last - body.range.first + 1;
      if (expected !== undefined && received !== expected) {
        await ingest.truncate(start);
        throw new RegistryError('SIZE_INVALID', `chunk has ${received} bytes, its range says ${expected}`, {
          headers: uploadHeaders(repository, id, start),
        });
      }
    } finally {
      delete upload.writer;
      resolve();
    }
  }
}

/** Returns the headers that say where an upload is and how far. @see OCI distribution-spec v1.1.1, "Pushing a blob in chunks" */
export function uploadHeaders(repository: string, id: string, offset: number): Record<string, string> {
  return {
    Location: `/v2/${repository}/blobs/uploads/${id}`,
    Range: `0-${Math.max(offset - 1, 0)}`,
    'Docker-Upload-UUID': id,
  };
}

function busy(cause?: unknown): RegistryError {
  return new RegistryError('UPLOAD_BUSY', 'another request writes to this upload', {
    retryable: true,
    headers: { 'Retry-After': '1' },
    ...(cause === undefined ? {} : { cause }),
  });
}

function ignoreUnknown(error: unknown): void {
  if (!(error instanceof RegistryError && error.code === 'BLOB_UPLOAD_UNKNOWN')) throw error;
}

/** The bytes of an idle upload are on disk as far as they are; the next request opens them again and sees any fault. */
function ignoreClosed(): void {}
