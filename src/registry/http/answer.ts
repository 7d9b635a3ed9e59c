import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { registryErrorFrom } from '../registry-error.ts';

/** What a request is answered with; written by {@link sendAnswer} alone. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** A stream is destroyed when the client goes away. Left out of answers to HEAD. */
  readonly body?: string | Uint8Array | Readable;
}

/** Says which protocol is spoken here; docker looks for it before it believes a 401. */
const API_VERSION = {
  'Docker-Distribution-API-Version': 'registry/2.0',
  'X-Content-Type-Options': 'nosniff',
};

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
 * @throws the stream's or the socket's error; the connection is then gone
 */
export async function sendAnswer(response: ServerResponse, answer: Answer, head: boolean): Promise<void> {
  const { status, headers, body } = answer;
  response.writeHead(status, { ...API_VERSION, ...headers } as Record<string, string | string[]>);
  if (head || body === undefined) {
    if (body !== undefined && isStream(body)) body.destroy();
    response.end();
  } else if (isStream(body)) {
    await pipeline(body, response);
  } else {
    response.end(body);
  }
}

function isStream(body: string | Uint8Array | Readable): body is Readable {
  return typeof body !== 'string' && !(body instanceof Uint8Array);
}
