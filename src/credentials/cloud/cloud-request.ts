import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { redactUrl } from '../../observe/redact.ts';
import { CredentialError } from '../credential-error.ts';

/** One request as the HTTP client of the plug-ins is given it. */
export interface CloudInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

/** The HTTP client of the plug-ins; `fetch` fits, and so does `cloudFetch`, which starts faster. */
export type CloudFetch = (
  url: string,
  init: CloudInit,
) => Promise<{
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
}>;

/** What a plug-in runs in. */
export interface CloudContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly fetch: CloudFetch;
  readonly clock: Clock;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** Reads a file named by configuration. */
  readonly readFile: (path: string) => Promise<string>;
  /** Tells a person what went wrong without failing; never holds a secret. */
  readonly warn: (message: string) => void;
}

export interface CloudRequest {
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For one attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** Attempts when the other side is busy or out of reach; default 1. */
  readonly attempts?: number;
}

export interface CloudAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly text: string;
}

/** Largest answer read: tokens are a few kilobytes. */
const MAX_ANSWER_BYTES = 1 << 20;

/** First pause before another attempt; doubled each time. */
const RETRY_PAUSE_MS = 200;

/**
 * Sends one request without following redirects: a credential must not travel to where a redirect points.
 * Answers of any status are returned; only 429 and 5xx are tried again.
 *
 * @throws CredentialError `CLOUD_REFUSED` when no answer comes; names the URL without its secrets
 */
export async function cloudRequest(
  context: CloudContext,
  url: string,
  request: CloudRequest,
): Promise<CloudAnswer> {
  const attempts = request.attempts ?? 1;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await once(context, url, request);
      if (attempt >= attempts || (answer.status !== 429 && answer.status < 500)) return answer;
    } catch (error) {
      context.signal.throwIfAborted();
      if (attempt >= attempts) throw unreachable(url, request, error);
    }
    await context.clock.sleep(RETRY_PAUSE_MS * 2 ** (attempt - 1), context.signal);
  }
}

async function once(context: CloudContext, url: string, request: CloudRequest): Promise<CloudAnswer> {
  const timer = new AbortController();
  const waiting = new AbortController();
  context.clock.sleep(request.timeoutMs, waiting.signal).then(
    () => timer.abort(new Error(`no answer within ${request.timeoutMs / 1000} s`)),
    () => undefined,
  );
  try {
    const response = await context.fetch(url, {
      method: request.method ?? 'GET',
      headers: { ...request.headers },
      redirect: 'manual',
      signal: AbortSignal.any([context.signal, timer.signal]),
      ...(request.body !== undefined && { body: request.body }),
    });
    return { status: response.status, headers: response.headers, text: await boundedText(response.body) };
  } finally {
    waiting.abort();
  }
}

async function boundedText(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new Error(`answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unreachable(url: string, request: CloudRequest, error: unknown): CredentialError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return new CredentialError(
    'CLOUD_REFUSED',
    `Cannot ${request.method ?? 'GET'} "${redactUrl(url)}": ${messageOf(cause)}`,
    { cause: error, retryable: true },
  );
}

/** Reads an answer's JSON object into a map; undefined when it is none. A key is data here, whatever its name. */
export function answerObject(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value));
  } catch {
    // Not quoted: the answer may hold a token.
    return undefined;
  }
}

/** Returns a non-empty string of an answer, else undefined. */
export function answerText(
  answer: ReadonlyMap<string, unknown> | undefined,
  name: string,
): string | undefined {
  const value = answer?.get(name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Tells whether a URL may carry a credential: https anywhere, http on this machine only. */
export function isSafeOrigin(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:') return true;
  return (
    protocol === 'http:' &&
    (hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname))
  );
}
