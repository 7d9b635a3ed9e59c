import type { Readable } from 'node:stream';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/*
 * The content-addressed store, as four small interfaces. An implementation offers those it can;
 * `content/conformance.ts` holds one conformance function for all of them.
 *
 * Lifecycle: an ingest is opened under a caller-chosen ref, written, then committed. Until the commit nothing of it
 * can be seen through Provider or Manager; after it the content is complete, verified, durable and immutable.
 * An ingest that is closed without commit keeps its bytes and can be opened again under the same ref (resume);
 * `abort` throws them away. Two ingests of one ref never run at once: the second `openIngest` fails with `LOCKED`.
 */

/** Facts about committed content. */
export interface ContentInfo {
  readonly digest: Digest;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly committedAt: number;
}

/** A byte range: `length` absent means to the end. */
export interface Range {
  readonly offset: number;
  readonly length?: number;
}

export interface OpenOptions {
  /** Bytes read at a time, at most; a store may have its own mind. Fewer spare memory where many read at once. */
  readonly chunkBytes?: number;
}

/** Reads committed content. */
export interface Provider {
  /**
   * Opens content for reading. The caller destroys or drains the stream.
   *
   * @throws ContentError `NOT_FOUND`; `OUT_OF_RANGE` when the range begins behind the end
   */
  open(digest: Digest, range?: Range, options?: OpenOptions): Promise<Readable>;
  /** @throws ContentError `NOT_FOUND` */
  stat(digest: Digest): Promise<ContentInfo>;
}

/** Content opened for reads at any position. */
export interface OpenContent {
  /** Fills `buffer` as far as there is content from `position` on, and returns how many bytes that was: 0 behind the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Reads committed content into memory of the reader's, who can so bound what many readers hold. An ability that a store may
 * lack: see {@link canReadAt}.
 */
export interface PositionedProvider {
  /** Opens content; the caller closes it. @throws ContentError `NOT_FOUND` */
  openAt(digest: Digest): Promise<OpenContent>;
}

/** Whether a store reads into memory of the reader's. */
export function canReadAt<T extends object>(store: T): store is T & PositionedProvider {
  return 'openAt' in store;
}

/** Bytes on their way in. */
export interface Ingest {
  readonly ref: string;
  /** Bytes written so far, including those found from an earlier, closed ingest of this ref. */
  readonly offset: number;
  /** Appends bytes. They may not change before it resolves. */
  write(chunk: Uint8Array): Promise<void>;
  /** Appends the bytes of several chunks in one go; for ingests that gain by it. */
  writeAll?(chunks: readonly Uint8Array[]): Promise<void>;
  /** Drops what was written after `offset` (0 starts again). */
  truncate(offset: number): Promise<void>;
  /**
   * Verifies, makes durable and publishes. Content that already exists is a success, and the ingest's bytes are dropped.
   *
   * @throws ContentError `DIGEST_MISMATCH` or `SIZE_MISMATCH`; the ingest is then unusable and its bytes are gone.
   *   `LOCKED` when another process has taken a shared ingest away
   */
  commit(expected: { digest?: Digest; size?: number }): Promise<ContentInfo>;
  /** Tells whether a shared ingest still is what this process wrote: no other has taken it up or away. */
  isCurrent?(): Promise<boolean>;
  /** Stops writing and keeps the bytes for a later resume; harmless after commit or abort. */
  close(): Promise<void>;
  /** Throws the bytes away; harmless after commit. */
  abort(): Promise<void>;
}

/** Takes content in. */
export interface Ingester {
  /**
   * Opens or resumes the ingest named `ref` (any string).
   *
   * @throws ContentError `LOCKED` while another holder has it, unless `wait` is given; `wait`'s reason when it aborts
   */
  openIngest(ref: string, options?: OpenIngestOptions): Promise<Ingest>;
}

/**
 * Takes in what is small enough to be in memory already, at less cost than an ingest. An ability that a store may lack: see
 * {@link canPutWhole}.
 */
export interface WholeIngester {
  /** Stores bytes under their digest, which the caller has computed; resolves once they are durable. */
  putWhole(digest: Digest, bytes: Uint8Array): Promise<ContentInfo>;
  /** Whether there are bytes of an ingest of this ref, in this process or another. */
  hasIngest(ref: string): Promise<boolean>;
}

/** Whether a store takes in what is in memory. */
export function canPutWhole<T extends object>(store: T): store is T & WholeIngester {
  return 'putWhole' in store;
}

export interface OpenIngestOptions {
  /** Algorithm to digest with while writing: `sha256` by default. */
  readonly algorithm?: string;
  /**
   * Set where another process may take the same ref up while this one still has it: whoever took it last has it, and an
   * ingest that was taken away can be neither committed nor made to write into what the other has.
   */
  readonly shared?: boolean;
  /** Waits for another holder of the ref to let go, until this aborts, instead of failing with `LOCKED`. */
  readonly wait?: AbortSignal;
}

/** An ingest that is not committed. */
export interface IngestStatus {
  readonly ref: string;
  readonly offset: number;
  readonly startedAt: number;
  readonly updatedAt: number;
}

/** Sees and removes unfinished ingests. */
export interface IngestManager {
  ingests(): Promise<IngestStatus[]>;
  /** @throws ContentError `LOCKED` while a holder has it; a missing ref is no error */
  abortIngest(ref: string): Promise<void>;
}

/** Walks and removes committed content. Whether something may be removed is the caller's knowledge, not the store's. */
export interface Manager {
  /** Iterates over everything committed, in no particular order. */
  walk(): AsyncIterable<ContentInfo>;
  /** Removes content; removing what is not there is no error. Open readers keep reading. */
  remove(digest: Digest): Promise<void>;
}

/** What a full local store offers. */
export type ContentStore = Provider & Ingester & IngestManager & Manager;

/** Content that can be asked for with its descriptor, so that size and type are known beforehand. */
export type { Descriptor };
