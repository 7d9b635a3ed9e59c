import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What the node's endpoint says to a request. */
export interface EndpointAnswer {
  readonly status: number;
  readonly type: string;
  /** A stream is read to its end, or destroyed. */
  readonly body: string | Readable;
}

export function plainText(status: number, body: string | Readable): EndpointAnswer {
  return { status, type: 'text/plain; charset=utf-8', body };
}

export function json(value: object): EndpointAnswer {
  return { status: 200, type: 'application/json', body: JSON.stringify(value) };
}

/** Sends an answer, without its body to `HEAD`. @throws when a stream breaks, after which the connection is of no use */
export async function sendAnswer(
  response: ServerResponse,
  { status, type, body }: EndpointAnswer,
  headOnly: boolean,
): Promise<void> {
  response.writeHead(status, {
    'content-type': type,
    ...(typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {}),
  });
  if (typeof body === 'string') {
    response.end(headOnly ? undefined : body);
  } else if (headOnly) {
    body.destroy();
    response.end();
  } else {
    // Who follows a log that is still empty must learn that it is there.
    response.flushHeaders();
    await pipeline(body, response);
  }
}
