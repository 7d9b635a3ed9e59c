import type { Clock } from '../base/clock.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { BlobRange, BlobStream } from '../remote/fetch-content.ts';
import { RemoteError } from '../remote/remote-error.ts';

/** Attempts in a row that got no further before a download is given up. */
const MAX_STALLED_ATTEMPTS = 5;

/**
 * New bytes that make an attempt count as one that got further: with fewer each time, a large layer would take thousands of requests
 * of a registry that is in trouble anyway.
 */
const MIN_PROGRESS_BYTES = 4 * 1024;

/** First wait before a broken download is taken up again; doubled each time it stalls. */
const FIRST_WAIT_MS = 100;

/** Opens a blob at an offset; a source without ranges may begin earlier, and says so. */
export type BlobOpener = (
  descriptor: Descriptor,
  range: BlobRange,
  signal: AbortSignal,
) => Promise<BlobStream>;

export interface DownloadContext {
  readonly open: BlobOpener;
  readonly clock: Clock;
  /** Frees the memory of a chunk that nobody reads any more, where its maker knows how. */
  readonly release?: (chunk: Uint8Array) => void;
  /** Told of bytes as they arrive, those that come twice included. */
  readonly onTravelled?: (bytes: number) => void;
}

/** What a download did, known when it is over. */
export class DownloadStory {
  /** Bytes that travelled, those that came twice included. */
  travelled = 0;
  /** Hosts that sent some of it. */
  readonly hosts = new Set<string>();
}

/** A part of a blob that is asked for by itself. */
export interface DownloadRange {
  /** Offset behind its last byte. */
  readonly end: number;
  /** Whether a host that sends all of the blob instead is listened to until its end; otherwise it is an error. */
  readonly takesWhole: boolean;
}

/** Says that a host sent all of a blob where a range was asked for. */
export class WholeAnswerError extends Error {}

/**
 * Yields the bytes of a blob from `have` on, in order. A connection that breaks is taken up by range where it broke; a host that
 * serves no ranges sends from the beginning, and what is had already is skipped. Ends after `descriptor.size` bytes, or where `range`
 * does; whether they are right is the reader's concern.
 *
 * @throws RemoteError; {@link WholeAnswerError}; the signal's reason
 */
export async function* downloadChunks(
  context: DownloadContext,
  descriptor: Descriptor,
  have: number,
  story: DownloadStory,
  avoid: ReadonlySet<string>,
  signal: AbortSignal,
  range?: DownloadRange,
): AsyncGenerator<Uint8Array> {
  let end = range?.end ?? descriptor.size;
  let held = have;
  let stalled = 0;
  let etag: string | undefined;
  while (held < end) {
    const before = held;
    let stream: BlobStream | undefined;
    try {
      const length = end < descriptor.size ? { length: end - held } : {};
      stream = await context.open(descriptor, { offset: held, etag, avoid, ...length }, signal);
      if (stream.whole === true && end < descriptor.size) {
        if (range?.takesWhole !== true) throw new WholeAnswerError('all of the blob came, not a range of it');
        end = descriptor.size;
      }
      etag = stream.etag;
      story.hosts.add(stream.host);
      let skip = held - stream.offset;
      for await (const piece of stream.body as AsyncIterable<Uint8Array>) {
        signal.throwIfAborted();
        story.travelled += piece.length;
        context.onTravelled?.(piece.length);
        const chunk = skip > 0 ? piece.subarray(Math.min(skip, piece.length)) : piece;
        skip -= piece.length - chunk.length;
        if (held + chunk.length > end) throw tooMuch(descriptor);
        if (chunk.length === 0) continue;
        held += chunk.length;
        yield chunk;
      }
      if (held < end) throw shortRead(held, descriptor);
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error)) throw error;
      stalled = held - before >= MIN_PROGRESS_BYTES ? 0 : stalled + 1;
      if (stalled >= MAX_STALLED_ATTEMPTS) throw described(error);
      await context.clock.sleep(FIRST_WAIT_MS * 2 ** stalled, signal);
    } finally {
      stream?.body.destroy();
    }
  }
}

/** A body that breaks is taken up again; an answer that says no was already retried where that could help. */
function isTransient(error: unknown): boolean {
  if (error instanceof RemoteError) return error.retryable && error.status === undefined;
  return wireCode(error) !== undefined;
}

function wireCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const { code } = error;
  const known =
    code.startsWith('UND_ERR_') || ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'].includes(code);
  return known ? code : undefined;
}

function described(error: unknown): unknown {
  if (error instanceof RemoteError) return error;
  const timeout = wireCode(error) === 'UND_ERR_BODY_TIMEOUT';
  return new RemoteError(timeout ? 'TIMEOUT' : 'UNREACHABLE', timeout ? 'i/o timeout' : 'unexpected EOF', {
    cause: error,
    retryable: true,
  });
}

function shortRead(held: number, descriptor: Descriptor): RemoteError {
  return new RemoteError(
    'UNREACHABLE',
    `short read: expected ${descriptor.size} bytes but got ${held}: unexpected EOF`,
    { retryable: true },
  );
}

function tooMuch(descriptor: Descriptor): RemoteError {
  return new RemoteError(
    'SIZE_MISMATCH',
    `unexpected commit size more than ${descriptor.size}, expected ${descriptor.size}: failed precondition`,
  );
}
