import { unlink } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { http } from '../../base/node-http.ts';
import { isSystemError } from '../../base/coded-error.ts';
import { isDigest } from '../../oci/digest.ts';
import type { NodeStores } from '../node-stores.ts';
import { answerCall, isCallName } from './_answer-call.ts';
import { answerPull } from './_answer-pull.ts';
import { readBytes, readJson, sendError, sendJson, startLines, streamOut } from './_messages.ts';
import { Session } from './_session.ts';
import { socketPathOf } from './_socket-path.ts';
import { SESSION_HEADER } from './store-calls.ts';
import { StoreError } from './store-error.ts';

export interface StoreServer {
  /** Sessions of others that are open. */
  readonly sessions: number;
  /** Takes no more sessions and returns when those that are open have ended, or cuts them when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>;
}

/**
 * Serves the stores of a root to other processes of the same user, on a socket in the root. The caller holds the root's lock,
 * so a socket found there is one that a killed process left.
 */
export async function serveStores(root: string, stores: NodeStores): Promise<StoreServer> {
  const service = new StoreService(stores);
  const socket = await socketPathOf(root);
  try {
    await removeSocket(socket.path);
    await service.listen(socket.path);
  } catch (error) {
    await socket.close();
    throw error;
  }
  return {
    get sessions() {
      return service.sessions;
    },
    close: async (signal) => {
      try {
        // Out of sight first: who comes now waits for the lock and not for us.
        await removeSocket(socket.path);
        await service.close(signal);
      } finally {
        await socket.close();
      }
    },
  };
}

async function removeSocket(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}

class StoreService {
  readonly #stores: NodeStores;
  readonly #server: Server;
  readonly #sessions = new Map<string, { session: Session; ended: Promise<void> }>();
  #closing = false;

  constructor(stores: NodeStores) {
    this.#stores = stores;
    this.#server = http.createServer((request, response) => {
      // A client that goes in mid-answer is no error of ours; the session's end cleans up behind it.
      response.on('error', () => {});
      void this.#answer(request, response).catch((error: unknown) => sendError(response, error));
    });
    // Pieces of an ingest and the answers to pulls take as long as they take.
    this.#server.requestTimeout = 0;
    this.#server.keepAliveTimeout = 60_000;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // Binding happens within the call: nobody else can connect in between.
      const earlier = process.umask(0o177);
      try {
        this.#server.listen(path, resolve);
      } finally {
        process.umask(earlier);
      }
    });
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    const cut = (): void => this.#server.closeAllConnections();
    if (signal.aborted) cut();
    else signal.addEventListener('abort', cut, { once: true });
    while (this.#sessions.size > 0) await Promise.all([...this.#sessions.values()].map(({ ended }) => ended));
    signal.removeEventListener('abort', cut);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://root');
    const [, version, kind, name, ...rest] = url.pathname.split('/');
    const what = `${request.method ?? ''} ${kind ?? ''}`;
    if (version !== 'v1' || rest.length > 0) throw notUnderstood(url.pathname);
    if (what === 'POST sessions') return this.#openSession(response);
    if (what === 'GET pulls') return this.#watchPulls(response);
    const session = this.#sessionOf(request);
    if (what === 'POST calls' && isCallName(name)) {
      const ask = await readJson(request);
      return sendJson(response, {
        answer: await answerCall(this.#stores, session, name, ask, signalOf(response, session)),
      });
    }
    if (what === 'GET content' && name !== undefined && isDigest(name)) {
      const offset = Number(url.searchParams.get('offset') ?? 0);
      const length = url.searchParams.get('length');
      const range = { offset, ...(length === null ? {} : { length: Number(length) }) };
      return streamOut(response, await this.#stores.content.open(name, range));
    }
    if (what === 'POST ingests' && name !== undefined) {
      const bytes = await readBytes(request);
      await session.withIngest(name, (ingest) => ingest.write(bytes));
      return sendJson(response, { answer: null });
    }
    if (what === 'POST pulls')
      return answerPull(
        this.#stores,
        session,
        await readJson(request),
        response,
        signalOf(response, session),
      );
    throw notUnderstood(url.pathname);
  }

  #openSession(response: ServerResponse): void {
    if (this.#closing) throw new StoreError('HOLDER_GONE', 'the process that holds the root is ending');
    const session = new Session();
    const ended = new Promise<void>((resolve) => {
      response.once('close', () => {
        void session.end(new StoreError('HOLDER_GONE', 'the client has gone')).finally(() => {
          this.#sessions.delete(session.id);
          resolve();
        });
      });
    });
    this.#sessions.set(session.id, { session, ended });
    startLines(response)({ session: session.id });
  }

  /** Tells where every part of every pull is, and then each change. */
  #watchPulls(response: ServerResponse): void {
    const send = startLines(response);
    const { board } = this.#stores.puller;
    const leave = board.watch((event) => send({ progress: event }));
    response.once('close', leave);
  }

  #sessionOf(request: IncomingMessage): Session {
    const id = request.headers[SESSION_HEADER];
    const known = typeof id === 'string' ? this.#sessions.get(id) : undefined;
    if (known === undefined) throw new StoreError('HOLDER_GONE', 'the session has ended');
    return known.session;
  }
}

/** Aborts when the client goes away, from this answer or altogether. */
function signalOf(response: ServerResponse, session: Session): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort(new StoreError('HOLDER_GONE', 'the client has gone'));
  });
  return AbortSignal.any([gone.signal, session.signal]);
}

function notUnderstood(path: string): StoreError {
  return new StoreError(
    'NOT_UNDERSTOOD',
    `Cannot answer ${JSON.stringify(path)}: this version does not know it`,
  );
}
