import { messageOf } from '../base/coded-error.ts';
import { digestOf, isDigest, parseDigest, type Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { goQuote } from '../base/go-quote.ts';
import { MANIFEST_ACCEPT, MEDIA_TYPE } from '../oci/media-type.ts';
import { drain, headerOf, readBody, type Answer } from './exchange.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError, type HostAnswer } from './remote-error.ts';
import type { HostSession, RepositorySession } from './repository-session.ts';

/** The largest manifest accepted, in bytes; the odd number is containerd's (rule 17.6). */
export const MAX_RESOLVED_MANIFEST_BYTES = 4 * 1048 * 1048;

/** What a name stands for at the moment. */
export interface Resolved {
  readonly descriptor: Descriptor;
  /** The host that answered. */
  readonly host: string;
  /** The manifest itself, when it had to be fetched to find out. */
  readonly bytes?: Buffer;
}

/** How much an error says, for choosing the one to report (rule 16.16). */
const RANK = { transport: 1, notFound: 2, status: 3, tooLarge: 4 } as const;

type Attempt = { readonly resolved: Resolved } | { readonly rank: number; readonly error: RemoteError };

/**
 * Finds out what a tag or digest names, asking the hosts in order (rules 16.12, 16.16, 17.5 to 17.8).
 *
 * @param shownName the whole reference, for messages
 * @throws RemoteError the most telling answer, with each host's own in `answers`
 */
export async function resolveReference(
  session: RepositorySession,
  target: { readonly tag: string } | { readonly digest: Digest },
  shownName: string,
  signal: AbortSignal,
): Promise<Resolved> {
  const wanted = 'digest' in target ? target.digest : undefined;
  const object = 'digest' in target ? target.digest : target.tag;
  const all = await session.hosts();
  const hosts = all.filter(
    ({ host }) => host.capabilities.has('pull') && (wanted !== undefined || host.capabilities.has('resolve')),
  );
  if (hosts.length === 0) {
    throw new RemoteError('HOST_CONFIG', `no ${wanted === undefined ? 'resolve' : 'pull'} hosts: not found`);
  }
  const answers: HostAnswer[] = [];
  let worst: { rank: number; error: RemoteError } | undefined;
  for (const kind of wanted === undefined ? ['manifests'] : ['manifests', 'blobs']) {
    // What is no manifest may be stored as a blob, unless a host already said something better than "not there".
    if (kind === 'blobs' && (worst?.rank ?? 0) >= RANK.status) break;
    for (const [index, host] of hosts.entries()) {
      const last = index === hosts.length - 1;
      const attempt = await tryHost(session, host, `${kind}/${object}`, wanted, shownName, last, signal);
      if ('resolved' in attempt) return attempt.resolved;
      answers.push({ host: host.host.host, answer: attempt.error.message });
      if (attempt.rank > (worst?.rank ?? 0)) worst = attempt;
    }
  }
  throw (worst?.error ?? new RemoteError('NOT_FOUND', `${shownName}: not found`)).with({ answers });
}

async function tryHost(
  session: RepositorySession,
  host: HostSession,
  path: string,
  wanted: Digest | undefined,
  shownName: string,
  last: boolean,
  signal: AbortSignal,
): Promise<Attempt> {
  const send = (method: 'HEAD' | 'GET'): Promise<Answer> =>
    session.send(
      host,
      { method, path, headers: { accept: [...MANIFEST_ACCEPT, '*/*'].join(', ') } },
      last,
      signal,
    );
  try {
    let answer = await send('HEAD');
    // Some registries know no HEAD; and a refusal has its reason only in a body.
    if (answer.status === 405 || answer.status === 403) {
      await drain(answer);
      answer = await send('GET');
    }
    if (answer.status === 404) {
      await drain(answer);
      return {
        rank: RANK.notFound,
        error: new RemoteError('NOT_FOUND', `${shownName}: not found`, { status: 404 }),
      };
    }
    if (answer.status > 299)
      return { rank: RANK.status, error: withheldNote(await unexpectedStatus(answer), host) };
    return { resolved: await read(answer, send, wanted, shownName, host.host.host) };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof RemoteError)) throw error;
    if (error.code === 'TOO_LARGE') return { rank: RANK.tooLarge, error };
    if (error.code === 'UNSUPPORTED') throw error;
    return { rank: RANK.transport, error: withheldNote(error, host) };
  }
}

async function read(
  first: Answer,
  send: (method: 'GET') => Promise<Answer>,
  wanted: Digest | undefined,
  shownName: string,
  host: string,
): Promise<Resolved> {
  const firstType = mediaTypeOf(first);
  const header = headerOf(first, 'docker-content-digest');
  const length = Number(headerOf(first, 'content-length') ?? Number.NaN);
  if (
    first.method === 'HEAD' &&
    Number.isSafeInteger(length) &&
    (wanted !== undefined || header !== undefined)
  ) {
    await drain(first);
    checkSize(length, shownName);
    const digest = wanted ?? headerDigest(header ?? '');
    return { descriptor: { mediaType: firstType, digest, size: length }, host };
  }
  let answer = first;
  if (first.method === 'HEAD') {
    await drain(first);
    answer = await send('GET');
    if (answer.status > 299) throw await unexpectedStatus(answer);
  }
  const mediaType = mediaTypeOf(answer);
  const bytes = await readManifest(answer, shownName);
  const digest = digestOf(bytes, wanted?.split(':', 1)[0]);
  if (wanted !== undefined && wanted !== digest) {
    throw new RemoteError(
      'DIGEST_MISMATCH',
      `unexpected commit digest ${digest}, expected ${wanted}: failed precondition`,
    );
  }
  return { descriptor: { mediaType, digest, size: bytes.length }, host, bytes };
}

async function readManifest(answer: Answer, shownName: string): Promise<Buffer> {
  const length = Number(headerOf(answer, 'content-length') ?? 0);
  if (length > MAX_RESOLVED_MANIFEST_BYTES) {
    answer.body.destroy();
    checkSize(length, shownName);
  }
  try {
    return await readBody(answer, MAX_RESOLVED_MANIFEST_BYTES);
  } catch (error) {
    if (error instanceof RemoteError && error.code === 'TOO_LARGE')
      checkSize(MAX_RESOLVED_MANIFEST_BYTES + 1, shownName);
    throw error;
  }
}

function checkSize(size: number, shownName: string): void {
  if (size > MAX_RESOLVED_MANIFEST_BYTES)
    throw new RemoteError('TOO_LARGE', `rejecting ${size} byte manifest for ${shownName}: not found`);
}

function headerDigest(header: string): Digest {
  if (isDigest(header)) return header;
  try {
    return parseDigest(header);
  } catch (error) {
    throw new RemoteError(
      'BAD_RESPONSE',
      `${goQuote(header)} in header not a valid digest: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Reads the media type of a manifest; the forms of docker schema 1 are refused (rule 17.8). */
function mediaTypeOf(answer: Answer): string {
  const type = (headerOf(answer, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const schema1 =
    type === 'text/plain' ||
    type === MEDIA_TYPE.dockerManifestV1 ||
    type === MEDIA_TYPE.dockerManifestV1Signed;
  if (!schema1) return type === '' ? 'application/octet-stream' : type;
  answer.body.destroy();
  throw new RemoteError(
    'UNSUPPORTED',
    `media type "${MEDIA_TYPE.dockerManifestV1Signed}" is no longer supported since containerd v2.1, please rebuild the image as "${MEDIA_TYPE.dockerManifest}" or "${MEDIA_TYPE.ociManifest}": not implemented`,
  );
}

/** Adds that we kept the credential back, where that may be why the answer was no. */
function withheldNote(error: RemoteError, host: HostSession): RemoteError {
  if (!host.authorizer.withheld) return error;
  return error.with({
    message: `${error.message} (the credential was withheld: the token service is outside the domain of registry "${host.host.host}")`,
  });
}
