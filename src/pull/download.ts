import type { Clock } from '../base/clock.ts';
import { ContentError } from '../content/content-error.ts';
import { ArchiveError } from '../archive/archive-error.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { openBlob } from '../remote/fetch-content.ts';
import { RemoteError } from '../remote/remote-error.ts';
import type { RepositorySession } from '../remote/repository-session.ts';

/** Attempts without one new byte before a download is given up. */
const MAX_STALLED_ATTEMPTS = 5;

/** First wait before a broken download is taken up again; doubled each time it stalls. */
const FIRST_WAIT_MS = 100;

/** What takes the bytes: an ingest, or a layer that is unpacked as it comes. */
export interface Destination {
  /** Bytes it already has. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
}

export interface DownloadContext {
  readonly session: RepositorySession;
  readonly clock: Clock;
  readonly onBytes: (held: number) => void;
}

export interface Downloaded {
  /** Bytes that travelled, those that came twice included. */
  readonly travelled: number;
  /** Hosts that sent some of it. */
  readonly hosts: ReadonlySet<string>;
}

/**
 * Brings the bytes that a destination lacks, in order. A connection that breaks is taken up by range where it broke; a host
 * that serves no ranges sends from the beginning, and what is held already is skipped. Whether the bytes are right is the
 * destination's concern.
 *
 * @param have bytes the destination has at the start
 * @throws RemoteError; whatever the destination throws
 */
export async function download(
  context: DownloadContext,
  descriptor: Descriptor,
  destination: Pick<Destination, 'write'>,
  have: number,
  avoid: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Downloaded> {
  const hosts = new Set<string>();
  let held = have;
  let travelled = 0;
  let stalled = 0;
  let etag: string | undefined;
  while (held < descriptor.size) {
    const before = held;
    try {
      const stream = await openBlob(context.session, descriptor, { offset: held, etag, avoid }, signal);
      etag = stream.etag;
      hosts.add(stream.host);
      let skip = held - stream.offset;
      try {
        for await (const piece of stream.body as AsyncIterable<Uint8Array>) {
          signal.throwIfAborted();
          travelled += piece.length;
          const chunk = skip > 0 ? piece.subarray(Math.min(skip, piece.length)) : piece;
          skip -= piece.length - chunk.length;
          if (held + chunk.length > descriptor.size) throw tooMuch(descriptor);
          if (chunk.length === 0) continue;
          await destination.write(chunk);
          held += chunk.length;
          context.onBytes(held);
        }
      } finally {
        stream.body.destroy();
      }
      if (held < descriptor.size) throw shortRead(held, descriptor);
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error)) throw error;
      stalled = held > before ? 0 : stalled + 1;
      if (stalled >= MAX_STALLED_ATTEMPTS) throw described(error);
      await context.clock.sleep(FIRST_WAIT_MS * 2 ** stalled, signal);
    }
  }
  return { travelled, hosts };
}

/** A body that breaks is taken up again; an answer that says no was already retried where that could help. */
function isTransient(error: unknown): boolean {
  if (error instanceof ContentError || error instanceof ArchiveError) return false;
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
