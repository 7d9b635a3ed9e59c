import type { Readable } from 'node:stream';
import type { Descriptor } from '../oci/descriptor.ts';
import { drain, headerOf, type Answer } from './exchange.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError } from './remote-error.ts';
import type { HostSession, RepositorySession } from './repository-session.ts';
import { repositoryScope } from './scope.ts';

/** Attempts at moving an upload forward without any progress before it is given up. */
const MAX_STALLED_ATTEMPTS = 5;

/** Opens a blob's bytes from an offset; called again to resume. */
export type BlobSource = (offset: number) => Promise<Readable>;

export interface PushBlobOptions {
  /** Repository of the same registry that has the blob: asked to share it first. */
  readonly mountFrom?: string | undefined;
  readonly onProgress?: (sent: number) => void;
}

/** How a blob came to be there. */
export type PushOutcome = 'existed' | 'mounted' | 'uploaded';

/**
 * Puts a blob into a repository: not at all when it is there, by mounting when another repository has it, otherwise by one
 * upload that is resumed where it broke off.
 *
 * @throws RemoteError
 */
export async function pushBlob(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  source: BlobSource,
  options: PushBlobOptions,
  signal: AbortSignal,
): Promise<PushOutcome> {
  const head = await session.send(host, { method: 'HEAD', path: `blobs/${descriptor.digest}` }, true, signal);
  if (head.status === 200) {
    await drain(head);
    return 'existed';
  }
  if (head.status !== 404) throw await unexpectedStatus(head);
  await drain(head);
  const started = await startUpload(session, host, descriptor, options.mountFrom, signal);
  if (started === undefined) return 'mounted';
  await upload(session, host, descriptor, source, started, options, signal);
  return 'uploaded';
}

async function startUpload(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  mountFrom: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const mount = mountFrom === undefined || mountFrom === session.repository ? undefined : mountFrom;
  const start = (from: string | undefined): Promise<Answer> =>
    session.send(
      host,
      {
        method: 'POST',
        path: 'blobs/uploads/',
        headers: { 'content-length': '0' },
        ...(from === undefined
          ? {}
          : {
              query: { mount: descriptor.digest, from },
              scopes: [repositoryScope(session.repository, 'pull,push'), repositoryScope(from, 'pull')],
            }),
      },
      true,
      signal,
    );
  let answer: Answer;
  try {
    answer = await start(mount);
  } catch (error) {
    // Not being allowed to read the other repository only means that the bytes have to travel.
    if (mount === undefined || !(error instanceof RemoteError) || error.code !== 'UNAUTHORIZED') throw error;
    answer = await start(undefined);
  }
  if (mount !== undefined && answer.status >= 400) {
    await drain(answer);
    answer = await start(undefined);
  }
  if (answer.status === 201) {
    await drain(answer);
    return undefined;
  }
  if (answer.status !== 202) throw await unexpectedStatus(answer);
  await drain(answer);
  return locationOf(answer);
}

async function upload(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  source: BlobSource,
  first: string,
  options: PushBlobOptions,
  signal: AbortSignal,
): Promise<void> {
  let location = first;
  let offset = 0;
  let stalled = 0;
  for (;;) {
    const whole = offset === 0 && stalled === 0;
    const outcome = whole
      ? await sendWhole(session, host, descriptor, source, location, options, signal)
      : await sendRest(session, host, descriptor, source, { location, offset }, options, signal);
    if (outcome.done) return;
    if (!outcome.error.retryable && outcome.error.status !== 401) throw outcome.error;
    const state = await uploadState(session, host, outcome.location ?? location, signal);
    stalled = state.offset > offset ? 1 : stalled + 1;
    if (stalled > MAX_STALLED_ATTEMPTS) throw outcome.error;
    ({ location, offset } = state);
  }
}

type Sent =
  | { readonly done: true }
  | { readonly done: false; readonly error: RemoteError; readonly location?: string };

/** One PUT with everything: one request where nothing goes wrong. */
async function sendWhole(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  source: BlobSource,
  location: string,
  options: PushBlobOptions,
  signal: AbortSignal,
): Promise<Sent> {
  return attempt(async () => {
    const answer = await sendBody(session, host, 'PUT', location, descriptor, source, 0, options, signal);
    await expectStatus(answer, 201);
  });
}

/** PATCH with what is missing, then PUT to finish. */
async function sendRest(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  source: BlobSource,
  state: { location: string; offset: number },
  options: PushBlobOptions,
  signal: AbortSignal,
): Promise<Sent> {
  let { location } = state;
  const sent = await attempt(async () => {
    if (state.offset < descriptor.size) {
      const answer = await sendBody(
        session,
        host,
        'PATCH',
        location,
        descriptor,
        source,
        state.offset,
        options,
        signal,
      );
      await expectStatus(answer, 202);
      location = headerOf(answer, 'location') === undefined ? location : locationOf(answer);
    }
    const finish = await session.send(
      host,
      {
        method: 'PUT',
        path: location,
        query: { digest: descriptor.digest },
        headers: { 'content-length': '0' },
      },
      true,
      signal,
    );
    await expectStatus(finish, 201);
  });
  return sent.done ? sent : { ...sent, location };
}

async function sendBody(
  session: RepositorySession,
  host: HostSession,
  method: 'PUT' | 'PATCH',
  location: string,
  descriptor: Descriptor,
  source: BlobSource,
  offset: number,
  options: PushBlobOptions,
  signal: AbortSignal,
): Promise<Answer> {
  const body = await source(offset);
  let sent = offset;
  body.on('data', (chunk: Buffer) => {
    sent += chunk.length;
    options.onProgress?.(sent);
  });
  body.pause();
  try {
    return await session.send(
      host,
      {
        method,
        path: location,
        ...(method === 'PUT' ? { query: { digest: descriptor.digest } } : {}),
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': `${descriptor.size - offset}`,
          ...(method === 'PATCH' ? { 'content-range': `${offset}-${descriptor.size - 1}` } : {}),
        },
        body: () => body,
        once: true,
      },
      true,
      signal,
    );
  } finally {
    body.destroy();
  }
}

/** Asks how much of an upload arrived. */
async function uploadState(
  session: RepositorySession,
  host: HostSession,
  location: string,
  signal: AbortSignal,
): Promise<{ location: string; offset: number }> {
  const answer = await session.send(host, { method: 'GET', path: location }, true, signal);
  if (answer.status !== 204) throw await unexpectedStatus(answer);
  await drain(answer);
  const range = /^(?:bytes=)?0-(\d+)$/.exec(headerOf(answer, 'range') ?? '');
  const end = Number(range?.[1] ?? 0);
  return {
    location: headerOf(answer, 'location') === undefined ? location : locationOf(answer),
    // `0-0` is what registries say for nothing as well as for one byte; sending that byte again is refused, starting over is not.
    offset: end === 0 ? 0 : end + 1,
  };
}

async function attempt(run: () => Promise<void>): Promise<Sent> {
  try {
    await run();
    return { done: true };
  } catch (error) {
    if (error instanceof RemoteError) return { done: false, error };
    throw error;
  }
}

async function expectStatus(answer: Answer, status: number): Promise<void> {
  if (answer.status !== status) throw await unexpectedStatus(answer);
  await drain(answer);
}

function locationOf(answer: Answer): string {
  const location = headerOf(answer, 'location');
  const url = location === undefined ? null : URL.parse(location, answer.url);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new RemoteError('BAD_RESPONSE', 'upload was answered without a usable Location');
  return url.href;
}
