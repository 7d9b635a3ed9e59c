import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { ContentError } from '../content/content-error.ts';
import type { ContentStore, Ingest } from '../content/store.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { GatheredWrites, gatherStream } from './_gathered-writes.ts';
import { OpenUploads } from './_open-uploads.ts';
import { WHOLE_BYTES } from './_small-first-ingest.ts';
import { commitBlob } from './commit-blob.ts';
import type { ProjectIndex } from './metadata/identity-index.ts';
import type { BlobIndex, UploadIndex, UploadRecord } from './metadata/registry-index.ts';
import { uploadQuota } from './quota.ts';
import { RegistryError } from './registry-error.ts';

/** How often it is noted that an upload goes on: far more often than uploads are thrown away. */
const TOUCH_MS = 3_600_000 / 4;

/** What a request adds to an upload. */
export interface UploadBody {
  readonly stream: Readable;
  /** From `Content-Range`; absent, the bytes go to the end. */
  readonly range?: { readonly first: number; readonly last: number };
  /** Bytes that the client announced. */
  readonly length?: number;
}

export interface UploadSessionsParts {
  readonly store: ContentStore;
  readonly uploads: UploadIndex;
  readonly blobs: BlobIndex;
  readonly projects: Pick<ProjectIndex, 'findProjects'>;
  readonly clock: Clock;
  /**
   * Milliseconds that an ingest stays open between two requests of an upload, which saves digesting its bytes anew. 0 where
   * another process may get the next request.
   */
  readonly keepOpenMs: number;
}

/**
 * Takes blobs in. An upload lives in the metadata and its bytes in a content ingest, so that it can go on in another
 * process or after a restart.
 */
export class UploadSessions {
  readonly #parts: UploadSessionsParts;
  readonly #open: OpenUploads;

  constructor(parts: UploadSessionsParts) {
    this.#parts = parts;
    this.#open = new OpenUploads(parts.store, parts.keepOpenMs);
  }

  /** Begins an upload and returns its ID. */
  async start(repository: string, algorithm: string, account: string): Promise<string> {
    const id = randomUUID();
    const startedAt = this.#parts.clock.now();
    await this.#parts.uploads.createUpload({ id, repository, algorithm, account, startedAt });
    return id;
  }

  /** Returns how many bytes are there. @throws RegistryError `BLOB_UPLOAD_UNKNOWN` */
  async status(repository: string, id: string): Promise<number> {
    return this.#open.offset(await this.#find(repository, id));
  }

  /**
   * Appends a body and returns how many bytes are there then. What arrived before the client went away is kept.
   *
   * @throws RegistryError `BLOB_UPLOAD_UNKNOWN`, `RANGE_INVALID`, `SIZE_INVALID`, `UPLOAD_BUSY`
   */
  async append(repository: string, id: string, body: UploadBody): Promise<number> {
    const record = await this.#find(repository, id);
    const claim = await this.#open.claim(record, body.stream);
    try {
      await this.#append(claim.ingest, body, record);
      return claim.ingest.offset;
    } finally {
      await claim.release('keep');
    }
  }

  /**
   * Appends what the body holds, checks the whole against `digest`, makes it visible in the repository and returns its size.
   *
   * @throws RegistryError as {@link append}; `DIGEST_INVALID`, and the upload is gone
   */
  finish(repository: string, id: string, digest: Digest, body: UploadBody): Promise<number> {
    return this.#finish(repository, id, digest, body, (error) => ENDS_UPLOAD.has(error));
  }

  async #finish(
    repository: string,
    id: string,
    digest: Digest,
    body: UploadBody,
    ends: (code: string) => boolean,
  ): Promise<number> {
    const record = await this.#find(repository, id);
    const small = body.length !== undefined && body.length <= WHOLE_BYTES;
    const claim = await this.#open.claim(record, body.stream, { small });
    try {
      await this.#append(claim.ingest, body, record);
      const size = await commitBlob(this.#parts, claim.ingest, repository, digest);
      await this.#parts.uploads.removeUpload(id);
      await claim.release('abort');
      return size;
    } catch (error) {
      if (ends(error instanceof RegistryError ? error.code : '')) {
        await claim.release('abort');
        await this.#parts.uploads.removeUpload(id).catch(leaveToSweep);
      }
      throw error;
    } finally {
      await claim.release('close');
    }
  }

  /** Takes a whole blob in one request and returns its size. @throws RegistryError `DIGEST_INVALID` */
  async push(repository: string, digest: Digest, body: UploadBody, account: string): Promise<number> {
    const id = await this.start(repository, algorithmOf(digest), account);
    try {
      // Nobody knows the ID, so nobody could go on with it.
      return await this.#finish(repository, id, digest, body, () => true);
    } catch (error) {
      await this.#parts.uploads.removeUpload(id).catch(leaveToSweep);
      throw error;
    }
  }

  /** Throws an upload away. @throws RegistryError `BLOB_UPLOAD_UNKNOWN` */
  async cancel(repository: string, id: string): Promise<void> {
    await this.#drop(await this.#find(repository, id));
  }

  /** Throws away uploads that nobody wrote to since `before`, in whatever process. Returns how many. */
  async sweep(before: number, limit = 1_000): Promise<number> {
    let swept = 0;
    for (const record of await this.#parts.uploads.uploadsBefore(before, limit)) {
      if (this.#open.isClaimed(record.id)) continue;
      try {
        await this.#drop(record);
        swept++;
      } catch (error) {
        // It goes on after all.
        if (!(error instanceof RegistryError && error.code === 'UPLOAD_BUSY')) throw error;
      }
    }
    return swept;
  }

  /** Closes all files; uploads can go on later. */
  close(): Promise<void> {
    return this.#open.close();
  }

  async #find(repository: string, id: string): Promise<UploadRecord> {
    const record = await this.#parts.uploads.findUpload(id);
    if (record === undefined || record.repository !== repository) {
      throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
    }
    return record;
  }

  async #append(ingest: Ingest, body: UploadBody, record: UploadRecord): Promise<void> {
    const { id, repository } = record;
    const announced = body.length === undefined ? 0 : ingest.offset + body.length;
    const quota = await uploadQuota(this.#parts, { id, repository }, announced);
    const touch = this.#toucher(record);
    const beforeWrite = async (total: number): Promise<void> => {
      await touch();
      await quota.cover(total);
    };
    await appendBody(ingest, body, beforeWrite, uploadHeaders(repository, id, ingest.offset));
  }

  /** None of the bytes are read. */
  async #dropClosed(id: string): Promise<void> {
    try {
      await this.#parts.store.abortIngest(`upload/${id}`);
    } catch (cause) {
      if (!(cause instanceof ContentError && cause.code === 'LOCKED')) throw cause;
      throw new RegistryError('UPLOAD_BUSY', 'another request writes to this upload', {
        cause,
        retryable: true,
      });
    }
    await this.#parts.uploads.removeUpload(id);
  }

  /** Returns what notes that an upload goes on, once in a while. */
  #toucher({ id, touchedAt }: UploadRecord): () => Promise<void> {
    let touched = touchedAt;
    return async () => {
      const now = this.#parts.clock.now();
      if (Math.abs(now - touched) < TOUCH_MS) return;
      touched = now;
      await this.#parts.uploads.touchUpload(id, now);
    };
  }

  /** Bytes go first: on a full disk that is what makes room to note that the upload is gone. */
  async #drop(record: UploadRecord): Promise<void> {
    if (this.#open.isOpen(record.id)) {
      const claim = await this.#open.claim(record, undefined);
      await claim.release('abort');
      await this.#parts.uploads.removeUpload(record.id);
    } else {
      await this.#dropClosed(record.id);
    }
  }
}

async function appendBody(
  ingest: Ingest,
  body: UploadBody,
  beforeWrite: (total: number) => Promise<void>,
  headers: Record<string, string>,
): Promise<void> {
  const start = ingest.offset;
  if (body.range !== undefined && body.range.first !== start) {
    throw new RegistryError('RANGE_INVALID', `chunk begins at ${body.range.first}, expected ${start}`, {
      headers,
    });
  }
  const writes = new GatheredWrites(ingest, beforeWrite);
  try {
    await gatherStream(body.stream, writes);
  } finally {
    // Also what came before the client went away.
    await writes.flush();
  }
  const received = ingest.offset - start;
  const expected = body.range && body.range.last - body.range.first + 1;
  if (expected !== undefined && received !== expected) {
    await ingest.truncate(start);
    throw new RegistryError('SIZE_INVALID', `chunk has ${received} bytes, its range says ${expected}`, {
      headers,
    });
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

/** What leaves nothing to go on with: the bytes are gone. */
const ENDS_UPLOAD: ReadonlySet<string> = new Set(['DIGEST_INVALID', 'BLOB_UPLOAD_UNKNOWN']);

/** A record that cannot be removed now, as on a full disk, is removed with the uploads that nobody finished. */
function leaveToSweep(): void {}
