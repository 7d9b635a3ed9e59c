import type { Clock } from '../base/clock.ts';
import { ContentError } from '../content/content-error.ts';
import type { ContentStore, Ingest } from '../content/store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf } from '../oci/digest.ts';
import { openBlob } from '../remote/fetch-content.ts';
import { RemoteError } from '../remote/remote-error.ts';
import type { RepositorySession } from '../remote/repository-session.ts';

/** Attempts without one new byte before a layer is given up. */
const MAX_STALLED_ATTEMPTS = 5;

/** First wait before a broken download is taken up again; doubled each time it stalls. */
const FIRST_WAIT_MS = 100;

export interface FetchLayerContext {
  readonly session: RepositorySession;
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly onBytes: (held: number) => void;
  readonly onVerify?: () => void;
}

/**
 * Brings one blob into the content store: takes up what an earlier attempt left, goes on by range where a connection broke,
 * and starts over once, from another host if there is one, when the digest turns out wrong. Nothing can be seen until all
 * of it was verified.
 *
 * @returns the bytes that travelled
 * @throws RemoteError or ContentError
 */
export async function fetchLayer(
  context: FetchLayerContext,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<number> {
  const { content } = context;
  const avoid = new Set<string>();
  let travelled = 0;
  for (let round = 1; ; round++) {
    const ingest = await content.openIngest(descriptor.digest, {
      algorithm: algorithmOf(descriptor.digest),
      wait: signal,
    });
    try {
      if (await isHeld(content, descriptor)) {
        await ingest.abort();
        return travelled;
      }
      const inherited = ingest.offset;
      const hosts = new Set<string>();
      travelled += await fill(context, ingest, descriptor, { avoid, hosts }, signal);
      context.onVerify?.();
      try {
        await ingest.commit({ digest: descriptor.digest, size: descriptor.size });
        return travelled;
      } catch (error) {
        if (!(error instanceof ContentError) || error.code !== 'DIGEST_MISMATCH' || round > 1)
          throw wrong(error, descriptor);
        // Bytes found on disk may be what was wrong; only a host that sent everything is known to be.
        if (inherited === 0) for (const host of hosts) avoid.add(host);
      }
    } finally {
      await ingest.close();
    }
  }
}

/** Tells whether the content store has all of a descriptor's content. */
export async function isHeld(content: Pick<ContentStore, 'stat'>, descriptor: Descriptor): Promise<boolean> {
  try {
    return (await content.stat(descriptor.digest)).size === descriptor.size;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

async function fill(
  context: FetchLayerContext,
  ingest: Ingest,
  descriptor: Descriptor,
  seen: { readonly avoid: ReadonlySet<string>; readonly hosts: Set<string> },
  signal: AbortSignal,
): Promise<number> {
  if (ingest.offset > descriptor.size) await ingest.truncate(0);
  let travelled = 0;
  let stalled = 0;
  let etag: string | undefined;
  let furthest = ingest.offset;
  while (ingest.offset < descriptor.size) {
    const before = ingest.offset;
    try {
      const stream = await openBlob(
        context.session,
        descriptor,
        { offset: before, etag, avoid: seen.avoid },
        signal,
      );
      etag = stream.etag;
      seen.hosts.add(stream.host);
      if (stream.offset !== before) await ingest.truncate(stream.offset);
      try {
        travelled += await copy(stream.body, ingest, descriptor, context.onBytes, signal);
      } finally {
        stream.body.destroy();
      }
      if (ingest.offset < descriptor.size)
        throw new RemoteError('UNREACHABLE', shortRead(ingest, descriptor), { retryable: true });
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error)) throw error;
      // Only bytes never seen before are progress: a host without ranges that always breaks at the same place must end.
      stalled = ingest.offset > furthest ? 0 : stalled + 1;
      furthest = Math.max(furthest, ingest.offset);
      if (stalled >= MAX_STALLED_ATTEMPTS) throw broken(error);
      await context.clock.sleep(FIRST_WAIT_MS * 2 ** stalled, signal);
    }
  }
  return travelled;
}

async function copy(
  body: AsyncIterable<Uint8Array>,
  ingest: Ingest,
  descriptor: Descriptor,
  onBytes: (held: number) => void,
  signal: AbortSignal,
): Promise<number> {
  let copied = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    if (ingest.offset + chunk.length > descriptor.size) {
      await ingest.truncate(0);
      throw new RemoteError(
        'SIZE_MISMATCH',
        `unexpected commit size more than ${descriptor.size}, expected ${descriptor.size}: failed precondition`,
      );
    }
    await ingest.write(chunk);
    copied += chunk.length;
    onBytes(ingest.offset);
  }
  return copied;
}

/** A body that breaks is taken up again; an answer that says no was already retried where that could help. */
function isTransient(error: unknown): boolean {
  if (error instanceof ContentError) return false;
  if (error instanceof RemoteError) return error.retryable && error.status === undefined;
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && isWireCode(error.code)
  );
}

function isWireCode(code: string): boolean {
  return code.startsWith('UND_ERR_') || ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'].includes(code);
}

function broken(error: unknown): unknown {
  if (error instanceof RemoteError) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const text = code === 'UND_ERR_BODY_TIMEOUT' ? 'i/o timeout' : 'unexpected EOF';
  return new RemoteError(code === 'UND_ERR_BODY_TIMEOUT' ? 'TIMEOUT' : 'UNREACHABLE', text, {
    cause: error,
    retryable: true,
  });
}

function shortRead(ingest: Ingest, descriptor: Descriptor): string {
  return `short read: expected ${descriptor.size} bytes but got ${ingest.offset}: unexpected EOF`;
}

function wrong(error: unknown, descriptor: Descriptor): unknown {
  if (!(error instanceof ContentError) || error.code !== 'DIGEST_MISMATCH') return error;
  const actual = /digest is (sha\d+:[0-9a-f]+)/.exec(error.message)?.[1] ?? 'another';
  return new RemoteError(
    'DIGEST_MISMATCH',
    `unexpected commit digest ${actual}, expected ${descriptor.digest}: failed precondition`,
    { cause: error },
  );
}
