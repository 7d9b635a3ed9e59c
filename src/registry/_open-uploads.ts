import type { Readable } from 'node:stream';
import { SingleFlight } from '../base/single-flight.ts';
import { ContentError } from '../content/content-error.ts';
import { canPutWhole, type Ingest, type Ingester } from '../content/store.ts';
import { SmallFirstIngest } from './_small-first-ingest.ts';
import type { UploadRecord } from './metadata/registry-index.ts';
import { RegistryError } from './registry-error.ts';

interface OpenUpload {
  readonly ingest: Ingest;
  claim?: UploadClaim;
  idle?: NodeJS.Timeout;
}

/** The right of one request to write to an upload. */
export interface UploadClaim {
  readonly ingest: Ingest;
  /** Body being read, which a later claim destroys. */
  readonly stream: Readable | undefined;
  /** Settles once the claim was given back. */
  readonly done: Promise<void>;
  /**
   * Gives the upload back: `keep` leaves its file open for the next request, `close` does not, `abort` throws its bytes away.
   * The first call counts.
   */
  release(how: 'keep' | 'close' | 'abort'): Promise<void>;
}

/** Ingests kept open between requests at most: each holds a file. */
const OPEN_LIMIT = 512;

/** The ingests that this process has open, each with at most one request writing to it. */
export class OpenUploads {
  readonly #store: Ingester;
  readonly #keepOpenMs: number;
  readonly #open = new Map<string, OpenUpload>();
  readonly #opening = new SingleFlight<string, OpenUpload>();

  /** @param keepOpenMs how long an idle ingest stays open; 0 where another process may get the next request */
  constructor(store: Ingester, keepOpenMs: number) {
    this.#store = store;
    this.#keepOpenMs = keepOpenMs;
  }

  isClaimed(id: string): boolean {
    return this.#open.get(id)?.claim !== undefined;
  }

  /** Tells whether this process has its file open. */
  isOpen(id: string): boolean {
    return this.#open.has(id);
  }

  /** Returns how many bytes are there, also while a request writes. */
  async offset(record: UploadRecord): Promise<number> {
    const upload = await this.#get(record);
    const { ingest } = upload;
    // Bytes in memory could be lost, so nobody is told of them.
    const offset = ingest instanceof SmallFirstIngest ? ingest.keptBytes : ingest.offset;
    await this.#rest(record.id, upload);
    return offset;
  }

  /**
   * Claims an upload. A request that still writes is cut off: its client has lost that connection, or it would not have
   * sent another.
   *
   * @param options.small the request ends the upload with few bytes, for which no file is worth making
   * @throws RegistryError `UPLOAD_BUSY` when another process has it
   */
  async claim(
    record: UploadRecord,
    stream: Readable | undefined,
    { small = false }: { small?: boolean } = {},
  ): Promise<UploadClaim> {
    for (;;) {
      const upload = await this.#get(record, small);
      if (upload.claim === undefined && this.#open.get(record.id) === upload) {
        return this.#claim(record.id, upload, stream);
      }
      upload.claim?.stream?.destroy(busy());
      await upload.claim?.done;
    }
  }

  /** Cuts off every request and closes all files. */
  async close(): Promise<void> {
    for (const [id, upload] of this.#open) {
      upload.claim?.stream?.destroy(busy());
      await upload.claim?.done;
      await this.#close(id, upload);
    }
  }

  #claim(id: string, upload: OpenUpload, stream: Readable | undefined): UploadClaim {
    clearTimeout(upload.idle);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const claim: UploadClaim = {
      ingest: upload.ingest,
      stream,
      done,
      release: async (how) => {
        if (upload.claim !== claim) return;
        try {
          // What another process has taken away is no longer ours to throw away.
          const isOurs = how === 'abort' && (await upload.ingest.isCurrent?.()) !== false;
          if (isOurs) await upload.ingest.abort();
          if (how !== 'keep') await this.#close(id, upload);
        } finally {
          delete upload.claim;
          resolve();
        }
        if (how === 'keep') await this.#rest(id, upload);
      },
    };
    upload.claim = claim;
    return claim;
  }

  async #get(record: UploadRecord, small = false): Promise<OpenUpload> {
    const written = this.#open.get(record.id);
    if (written?.claim !== undefined) return written;
    return this.#opening.do(record.id, async () => {
      try {
        const { id, algorithm } = record;
        // Another process may have gone on with it meanwhile, or do so while this one still has it open.
        const known = this.#open.get(id);
        if (known?.claim !== undefined) return known;
        if (known !== undefined) {
          if ((await known.ingest.isCurrent?.()) !== false || known.claim !== undefined) return known;
          await this.#close(id, known);
        }
        const upload: OpenUpload = { ingest: await this.#openIngest(`upload/${id}`, algorithm, small) };
        this.#open.set(id, upload);
        return upload;
      } catch (error) {
        // Another holder of this process has it, or another process just ended it.
        if (error instanceof ContentError && (error.code === 'LOCKED' || error.code === 'NOT_FOUND'))
          throw busy(error);
        throw error;
      }
    });
  }

  async #openIngest(ref: string, algorithm: string, small: boolean): Promise<Ingest> {
    const store = this.#store;
    const options = { algorithm, shared: true };
    if (small && canPutWhole(store) && !(await store.hasIngest(ref))) {
      return new SmallFirstIngest(store, ref, options);
    }
    return store.openIngest(ref, options);
  }

  /** Leaves an upload that no request writes to open for a while. */
  async #rest(id: string, upload: OpenUpload): Promise<void> {
    if (upload.claim !== undefined || this.#open.get(id) !== upload) return;
    clearTimeout(upload.idle);
    if (this.#keepOpenMs === 0 || this.#open.size > OPEN_LIMIT) {
      await this.#close(id, upload);
      return;
    }
    upload.idle = setTimeout(() => {
      if (upload.claim === undefined) this.#close(id, upload).catch(ignoreClosed);
    }, this.#keepOpenMs);
    upload.idle.unref();
  }

  async #close(id: string, upload: OpenUpload): Promise<void> {
    clearTimeout(upload.idle);
    try {
      await upload.ingest.close();
    } finally {
      if (this.#open.get(id) === upload) this.#open.delete(id);
    }
  }
}

/** The bytes of an idle upload are on disk as far as they are; the next request opens them again and sees any fault. */
function ignoreClosed(): void {}

function busy(cause?: unknown): RegistryError {
  return new RegistryError('UPLOAD_BUSY', 'another request writes to this upload', {
    retryable: true,
    headers: { 'Retry-After': '1' },
    ...(cause === undefined ? {} : { cause }),
  });
}
