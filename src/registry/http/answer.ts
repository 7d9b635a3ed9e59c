import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { registryErrorFrom } from '../registry-error.ts';

/** A body that knows how to write itself. One of the two is called, once. */
export interface SelfWritingBody {
  /** Writes all and ends the response; resolves when the last byte was handed over. */
  writeTo(response: ServerResponse): Promise<void>;
  /** Lets go of what the body holds. */
  discard(): Promise<void>;
}

/** What a request is answered with; written by {@link sendAnswer} alone. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** A stream is destroyed when the client goes away. Left out of answers to HEAD. */
  readonly body?: Uint8Array | Readable | SelfWritingBody;
}

/** Bodies up to this go out together with the headers: beyond it, the copy costs more than the second part of a write. */
const ONE_WRITE_BYTES = 8 * 1024;

/** Makes an answer of JSON. */
export function jsonAnswer(status: number, value: unknown, headers: Answer['headers'] = {}): Answer {
  const body = Buffer.from(JSON.stringify(value));
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'Content-Length': String(body.length), ...headers },
    body,
  };
}

/** Makes an answer without a body. */
export function emptyAnswer(status: number, headers: Answer['headers'] = {}): Answer {
  return { status, headers: status === 204 ? headers : { 'Content-Length': '0', ...headers } };
}

/** Makes the answer that tells of a failure. */
export function errorAnswer(thrown: unknown): Answer {
  const error = registryErrorFrom(thrown);
  return jsonAnswer(error.status, error.body(), error.headers);
}

/**
 * Writes an answer and resolves when the last byte was handed over.
 *
 * @param request its ID, and whether it was HEAD
 * @throws the stream's or the socket's error; the connection is then gone
 */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  request: { readonly id: string; readonly head: boolean },
): Promise<void> {
  const { status, headers, body } = answer;
  response.writeHead(status, {
    ...headers,
    'X-Request-Id': request.id,
    // Says which protocol is spoken here; docker looks for it before it believes a 401.
    'Docker-Distribution-API-Version': 'registry/2.0',
    'X-Content-Type-Options': 'nosniff',
  } as Record<string, string | string[]>);
  if (body === undefined || (request.head && body instanceof Uint8Array)) {
    response.end();
  } else if (body instanceof Uint8Array) {
    // As a string it goes out with the headers in one plain write; latin1 stands for each byte as it is.
    if (body.length > ONE_WRITE_BYTES) response.end(body);
    else response.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1'), 'latin1');
  } else if ('writeTo' in body) {
    if (!request.head) return body.writeTo(response);
    await body.discard();
    response.end();
  } else if (request.head) {
    body.destroy();
    response.end();
  } else {
    await pipeline(body, response);
  }
}

/** Lets go of what an answer holds that nobody is there to get. */
export async function discardAnswer({ body }: Answer): Promise<void> {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return;
  if ('writeTo' in body) await body.discard();
  else body.destroy();
}
