import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { LruMap } from '../base/lru-map.ts';
import type { Connections } from './connections.ts';
import { describeDialFailure, requestError } from './dial-error.ts';
import { describeProxiedFailure } from './proxy-error.ts';
import type { RegistryHost } from './host-config.ts';
import { printableUrl } from './printable-url.ts';
import { mayFollowForOthers } from './redirect-policy.ts';
import { RemoteError } from './remote-error.ts';
import { NO_TLS_SETTINGS, type TlsSettings } from './tls-roots.ts';

/** Redirects followed before giving up (rule 17.3). */
const MAX_REDIRECTS = 10;

/** Body bytes of an unwanted answer that are read to keep its connection; a longer one costs the connection instead. */
const MAX_DRAINED_BYTES = 64 * 1024;

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type RequestBody = Buffer | string | Readable;

/** What a request is for, also when it was redirected. */
export type RequestPurpose = 'manifest' | 'blob' | 'token' | 'other';

/** One HTTP request to a host, before redirects. */
export interface ExchangeRequest {
  readonly method: Method;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: RequestBody | undefined;
  /** Trust, identity and time limits; its address is not used. */
  readonly host: Pick<
    RegistryHost,
    'ca' | 'clientCertificates' | 'skipVerify' | 'dialTimeoutMs' | 'fallbackToHttp' | 'redirects'
  >;
  readonly signal: AbortSignal;
  readonly purpose: RequestPurpose;
  /** Name of the credential presented, for the record of hops; never its value. */
  readonly credential?: string | undefined;
  readonly observe?: ((hop: Hop) => void) | undefined;
}

/** One request on the wire and what came of it: for flight records. */
export interface Hop {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly purpose: RequestPurpose;
  readonly method: Method;
  /** Printable: without user, password or signature. */
  readonly url: string;
  readonly host: string;
  /** Name of the credential presented; absent for anonymous. */
  readonly credential?: string;
  /** HTTP status; absent when no answer came. */
  readonly status?: number;
  readonly error?: string;
  /** Headers of the answer that tell how much more may be asked for; absent when there are none. */
  readonly limits?: Readonly<Record<string, string>>;
  /** Milliseconds until the answer's head, or the failure. */
  readonly durationMs: number;
}

/** An answer whose body the caller must read, {@link drain} or destroy. */
export interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: Dispatcher.ResponseData['body'];
  /** The URL that answered, after redirects. */
  readonly url: string;
  readonly method: Method;
}

/** Sends requests, follows redirects, and keeps what a registry must not see from whoever it points to. */
export class Exchanger {
  readonly #connections: Connections;
  /** Origins that answered TLS with plain http, so that the greeting is not repeated for each request. */
  readonly #plainOrigins = new LruMap<string, true>(256);

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /**
   * Sends and returns the first answer that is not a redirect. A redirect to another host gets neither `Authorization` nor
   * any configured header, nor the client certificate; the CA stays, since private registries point to private storage.
   *
   * @throws RemoteError when no answer came; the signal's reason when it aborted
   */
  async send(asked: ExchangeRequest): Promise<Answer> {
    let { url, headers } = asked;
    let tls: TlsSettings = asked.host;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#sendOnce({ ...asked, url, headers }, tls);
      const target = redirectTarget(answer);
      if (target === undefined) return answer;
      await drain(answer);
      if (redirects === MAX_REDIRECTS) throw tooManyRedirects(asked.method, answer.url);
      if (asked.host.redirects === 'outside' && !mayFollowForOthers(new URL(answer.url), new URL(target)))
        throw forbiddenRedirect(answer.url, target);
      if (new URL(target).host !== new URL(url).host) {
        headers = publicHeaders(headers);
        tls = { ...NO_TLS_SETTINGS, ca: tls.ca, skipVerify: tls.skipVerify };
      } else if (new URL(target).protocol !== new URL(answer.url).protocol && target.startsWith('http:')) {
        // Same name, but in the clear from here on: whoever listens must not get the credential.
        headers = publicHeaders(headers);
      }
      url = target;
    }
  }

  async #sendOnce(asked: ExchangeRequest, tls: TlsSettings): Promise<Answer> {
    const { signal } = asked;
    const mayFallBack = asked.host.fallbackToHttp === true && asked.url.startsWith('https:');
    const plain = asked.url.replace(/^https:/, 'http:');
    const origin = new URL(asked.url).host;
    if (mayFallBack && this.#plainOrigins.has(origin)) return this.#dispatch({ ...asked, url: plain }, tls);
    try {
      return await this.#dispatch(asked, tls);
    } catch (error) {
      signal.throwIfAborted();
      if (!mayFallBack || !(error instanceof PlainHttpError)) throw error;
      this.#plainOrigins.set(origin, true);
      return this.#dispatch({ ...asked, url: plain }, tls);
    }
  }

  async #dispatch(asked: ExchangeRequest, tls: TlsSettings): Promise<Answer> {
    const { method, url, signal, purpose } = asked;
    signal.throwIfAborted();
    const target = new URL(url);
    const at = Date.now();
    const report = (outcome: Pick<Hop, 'status' | 'error' | 'limits'>): void =>
      asked.observe?.({
        at,
        purpose,
        method,
        url: printableUrl(url),
        host: target.host,
        // In a header, or in the form of a token request, which no redirect takes elsewhere.
        ...(asked.credential === undefined ||
        (asked.headers['authorization'] === undefined && asked.body === undefined)
          ? {}
          : { credential: asked.credential }),
        ...outcome,
        durationMs: Date.now() - at,
      });
    try {
      const dispatcher = this.#connections.for(target, tls, asked.host.dialTimeoutMs);
      const response = await dispatcher.request({
        origin: target.origin,
        path: `${target.pathname}${target.search}`,
        method,
        headers: { ...asked.headers } as Record<string, string | string[]>,
        body: asked.body ?? null,
        signal,
        // A HEAD, of which every pull makes one, would otherwise cost its connection.
        reset: false,
      });
      // A body that fails while nobody listens must not end the process; readers still see the error.
      response.body.on('error', () => {});
      const limits = limitHeaders(response.headers);
      report({ status: response.statusCode, ...(limits === undefined ? {} : { limits }) });
      return { status: response.statusCode, headers: response.headers, body: response.body, url, method };
    } catch (error) {
      signal.throwIfAborted();
      const host = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? target.host;
      const port = target.protocol === 'https:' ? 443 : 80;
      const proxy = this.#connections.proxyOf(target);
      const failure =
        proxy === undefined
          ? describeDialFailure(error, host, port)
          : describeProxiedFailure(error, host, port, proxy);
      report({ error: failure.text });
      const described = requestError(method, printableUrl(url), failure, error);
      throw failure.spokePlainHttp ? new PlainHttpError(described) : described;
    }
  }
}

/** Headers by which a registry says how much more it lets be pulled. */
const LIMIT_HEADERS = [
  'ratelimit',
  'ratelimit-policy',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'docker-ratelimit-source',
];

/** A limit is a few words; whatever is longer, or has what a header may not, is none. */
const LIMIT_VALUE = /^[\x20-\x7e]{1,200}$/;

function limitHeaders(headers: Answer['headers']): Record<string, string> | undefined {
  const found = LIMIT_HEADERS.flatMap((name) => {
    const value = headerOf({ headers }, name);
    return value !== undefined && LIMIT_VALUE.test(value) ? [[name, value] as const] : [];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Marks the one failure that a host configured for it answers by changing to plain http. */
class PlainHttpError extends RemoteError {
  constructor(described: RemoteError) {
    super(described.code, described.message, { cause: described.cause, retryable: described.retryable });
    this.name = 'RemoteError';
  }
}

/** Reads a header that must occur once; the first value when it does not. */
export function headerOf(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = Object.hasOwn(answer.headers, name) ? answer.headers[name] : undefined;
  return Array.isArray(value) ? value[0] : value;
}

/** Reads away the rest of a body so that its connection can be used again; a long or stuck one is cut off. */
export async function drain(answer: Pick<Answer, 'body'>): Promise<void> {
  try {
    await answer.body.dump({ limit: MAX_DRAINED_BYTES });
  } catch {
    // The answer was unwanted; that its rest cannot be read either changes nothing.
    answer.body.destroy();
  }
}

/** Reads a body into memory. @throws RemoteError `TOO_LARGE` beyond `limit` bytes */
export async function readBody(answer: Answer, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) {
        throw new RemoteError('TOO_LARGE', `body of ${printableUrl(answer.url)} exceeds ${limit} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    answer.body.destroy();
    if (error instanceof RemoteError) throw error;
    throw bodyError(answer, error);
  }
  return Buffer.concat(chunks);
}

/** Describes a body that broke off. */
export function bodyError(answer: Pick<Answer, 'url'>, error: unknown): RemoteError {
  const target = new URL(answer.url);
  const failure = describeDialFailure(error, target.host, target.protocol === 'https:' ? 443 : 80);
  return new RemoteError(failure.code, failure.text, { cause: error, retryable: true });
}

function redirectTarget(answer: Answer): string | undefined {
  if (![301, 302, 303, 307, 308].includes(answer.status)) return undefined;
  if (answer.method !== 'GET' && answer.method !== 'HEAD') return undefined;
  const location = headerOf(answer, 'location');
  if (location === undefined) return undefined;
  const target = URL.parse(location, answer.url);
  if (target === null || (target.protocol !== 'https:' && target.protocol !== 'http:')) {
    throw new RemoteError(
      'BAD_RESPONSE',
      `${printableUrl(answer.url)} redirects to an address that is not http`,
    );
  }
  target.hash = '';
  return target.href;
}

/** Headers of the request itself, without those that were meant for the first host only. */
function publicHeaders(
  headers: Readonly<Record<string, string | readonly string[]>>,
): Record<string, string | readonly string[]> {
  const kept = new Set(['accept', 'accept-encoding', 'range', 'if-range', 'user-agent']);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.has(name.toLowerCase())));
}

function forbiddenRedirect(from: string, to: string): RemoteError {
  return new RemoteError(
    'BAD_RESPONSE',
    `${printableUrl(from)} redirects to ${new URL(to).origin}, where this server must not be led`,
  );
}

function tooManyRedirects(method: Method, url: string): RemoteError {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return new RemoteError(
    'BAD_RESPONSE',
    `${verb} "${printableUrl(url)}": stopped after ${MAX_REDIRECTS} redirects`,
  );
}
