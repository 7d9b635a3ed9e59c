import { Readable } from 'node:stream';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { isIndexType, isManifestType } from '../oci/media-type.ts';
import type { Bandwidth } from './bandwidth.ts';
import { drain, headerOf, readBody, type Answer } from './exchange.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError, type HostAnswer } from './remote-error.ts';
import { MAX_RESOLVED_MANIFEST_BYTES } from './resolve.ts';
import type { HostSession, RepositorySession } from './repository-session.ts';

/** Bytes of a blob on their way. Nothing has been verified: that is the reader's task. */
export interface BlobStream {
  /** The caller reads it to the end or destroys it. */
  readonly body: Readable;
  /** Offset of the first byte; 0 when the host does not serve ranges. */
  readonly offset: number;
  /** Set when all of the blob comes, whatever range was asked for. */
  readonly whole?: boolean;
  readonly host: string;
  /** Entity tag for a later `If-Range`; absent when the host gave none that is strong. */
  readonly etag?: string;
}

export interface BlobRange {
  readonly offset?: number;
  /** Bytes wanted; absent: to the end. */
  readonly length?: number;
  readonly etag?: string | undefined;
  /** Hosts to pass over, because what they sent was wrong. */
  readonly avoid?: ReadonlySet<string>;
}

/**
 * Opens a blob from the first host that has it (rule 16.12: all hosts, whatever their capabilities).
 *
 * @throws RemoteError the first host's answer, `NOT_FOUND` when it is that
 */
export async function openBlob(
  session: RepositorySession,
  descriptor: Descriptor,
  range: BlobRange,
  signal: AbortSignal,
): Promise<BlobStream> {
  const stream = await overHosts(session, range.avoid, signal, (host, last) =>
    openOn(session, host, descriptor, range, last, signal),
  ).catch(missing(descriptor));
  const { bandwidth } = session;
  return bandwidth.limited ? { ...stream, body: paced(stream.body, bandwidth, signal) } : stream;
}

/** Lets a body through no faster than the bandwidth allows; the connection behind it fills up and waits. */
function paced(body: Readable, bandwidth: Bandwidth, signal: AbortSignal): Readable {
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of body as AsyncIterable<Uint8Array>) {
      await bandwidth.take(piece.length, signal);
      yield piece;
    }
  };
  const limited = Readable.from(pieces(), { objectMode: false, highWaterMark: 1 });
  limited.once('close', () => body.destroy());
  // Whoever reads sees the error; nobody reading must not end the process.
  limited.on('error', () => {});
  return limited;
}

async function openOn(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  range: BlobRange,
  last: boolean,
  signal: AbortSignal,
): Promise<BlobStream> {
  const offset = range.offset ?? 0;
  const partial = offset > 0 || range.length !== undefined;
  const end = range.length === undefined ? '' : offset + range.length - 1;
  const answer = await session.send(
    host,
    {
      method: 'GET',
      path: `blobs/${descriptor.digest}`,
      headers: {
        accept: `${descriptor.mediaType}, */*`,
        ...(partial ? { range: `bytes=${offset}-${end}` } : {}),
        ...(partial && range.etag !== undefined ? { 'if-range': range.etag } : {}),
      },
    },
    last,
    signal,
  );
  if (answer.status === 206 && partial) {
    checkContentRange(answer, offset, descriptor);
    return streamOf(answer, offset, host);
  }
  if (answer.status === 200) {
    const length = headerOf(answer, 'content-length');
    if (length !== undefined && Number(length) !== descriptor.size) {
      answer.body.destroy();
      throw wrongSize(Number(length), descriptor);
    }
    return { ...streamOf(answer, 0, host), whole: true };
  }
  throw await contentStatus(answer);
}

/**
 * Fetches a manifest, an index or a config whole and checks size and digest; a host that sends something else is passed over.
 *
 * @throws RemoteError `DIGEST_MISMATCH`, `SIZE_MISMATCH`, `SHORT_BODY`, or as {@link openBlob}
 */
export async function fetchDocument(
  session: RepositorySession,
  descriptor: Descriptor,
  limit: number,
  signal: AbortSignal,
): Promise<Buffer> {
  if (descriptor.size > limit) {
    throw new RemoteError(
      'TOO_LARGE',
      `rejecting ${descriptor.size} byte document ${descriptor.digest}: limit is ${limit} bytes`,
    );
  }
  const manifest = isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
  const paths = manifest ? ['manifests', 'blobs'] : ['blobs'];
  let failure: unknown;
  for (const kind of paths) {
    try {
      return await overHosts(session, undefined, signal, (host, last) =>
        fetchOn(session, host, `${kind}/${descriptor.digest}`, descriptor, last, signal),
      );
    } catch (error) {
      failure ??= error;
      if (!(error instanceof RemoteError) || error.code !== 'NOT_FOUND') break;
    }
  }
  // As in containerd, a manifest that is not there is told by its address, content of other kinds by its descriptor.
  if (manifest) throw failure;
  return missing(descriptor)(failure);
}

async function fetchOn(
  session: RepositorySession,
  host: HostSession,
  path: string,
  descriptor: Descriptor,
  last: boolean,
  signal: AbortSignal,
): Promise<Buffer> {
  const answer = await session.send(
    host,
    { method: 'GET', path, headers: { accept: `${descriptor.mediaType}, */*` } },
    last,
    signal,
  );
  if (answer.status !== 200) throw await contentStatus(answer);
  let bytes: Buffer;
  try {
    bytes = await readBody(answer, Math.min(descriptor.size, MAX_RESOLVED_MANIFEST_BYTES * 2));
  } catch (error) {
    if (!(error instanceof RemoteError) || error.code !== 'TOO_LARGE') throw error;
    throw wrongSize(undefined, descriptor);
  }
  if (bytes.length !== descriptor.size) throw wrongSize(bytes.length, descriptor);
  const digest = digestOf(bytes, algorithmOf(descriptor.digest));
  if (digest !== descriptor.digest) {
    throw new RemoteError(
      'DIGEST_MISMATCH',
      `unexpected commit digest ${digest}, expected ${descriptor.digest}: failed precondition`,
    );
  }
  return bytes;
}

/** @param found bytes that came; undefined: more than there should be */
function wrongSize(found: number | undefined, { size }: Descriptor): RemoteError {
  if (found !== undefined && found < size)
    return new RemoteError('SHORT_BODY', 'failed to read expected number of bytes: unexpected EOF');
  return new RemoteError(
    'SIZE_MISMATCH',
    `unexpected commit size ${found ?? `more than ${size}`}, expected ${size}: failed precondition`,
  );
}

/** Tries hosts in order and reports the first one's error, with every host's answer kept. */
async function overHosts<T>(
  session: RepositorySession,
  avoid: ReadonlySet<string> | undefined,
  signal: AbortSignal,
  attempt: (host: HostSession, last: boolean) => Promise<T>,
): Promise<T> {
  const all = await session.hosts();
  const left = all.filter(({ host }) => avoid?.has(host.host) !== true);
  const hosts = left.length > 0 ? left : all;
  const answers: HostAnswer[] = [];
  let first: RemoteError | undefined;
  for (const [index, host] of hosts.entries()) {
    try {
      return await attempt(host, index === hosts.length - 1);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RemoteError)) throw error;
      answers.push({ host: host.host.host, answer: error.message });
      first ??= error;
    }
  }
  throw (first ?? new RemoteError('HOST_CONFIG', 'no pull hosts: not found')).with({ answers });
}

function missing(descriptor: Descriptor): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RemoteError) || error.code !== 'NOT_FOUND') throw error;
    throw error.with({
      message: `could not fetch content descriptor ${descriptor.digest} (${descriptor.mediaType}) from remote: not found`,
    });
  };
}

async function contentStatus(answer: Answer): Promise<RemoteError> {
  if (answer.status !== 404) return unexpectedStatus(answer);
  await drain(answer);
  return new RemoteError('NOT_FOUND', `content at ${answer.url} not found: not found`, { status: 404 });
}

function checkContentRange(answer: Answer, offset: number, descriptor: Descriptor): void {
  const header = headerOf(answer, 'content-range') ?? '';
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header);
  const total = match?.[3];
  if (Number(match?.[1]) === offset && (total === '*' || Number(total) === descriptor.size)) return;
  answer.body.destroy();
  throw new RemoteError(
    'BAD_RESPONSE',
    `range request for ${descriptor.digest} from byte ${offset} of ${descriptor.size} was answered with "${header}"`,
    { status: 206 },
  );
}

function streamOf(answer: Answer, offset: number, host: HostSession): BlobStream {
  const etag = headerOf(answer, 'etag');
  return {
    body: answer.body,
    offset,
    host: host.host.host,
    ...(etag === undefined || etag.startsWith('W/') ? {} : { etag }),
  };
}
