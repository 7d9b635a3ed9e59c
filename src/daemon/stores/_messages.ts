import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MAX_BODY_BYTES } from './store-calls.ts';
import { StoreError } from './store-error.ts';
import { toWireError } from './wire-error.ts';

/** Reads a body that is bounded. */
export async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw new StoreError(
        'NOT_UNDERSTOOD',
        `Cannot read a message: it has more than ${MAX_BODY_BYTES} bytes`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads a JSON object. */
export async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const text = (await readBytes(request)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new StoreError('NOT_UNDERSTOOD', 'Cannot read a message: it is no JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null)
    throw new StoreError('NOT_UNDERSTOOD', 'Cannot read a message: it is no object');
  return value as Readonly<Record<string, unknown>>;
}

export function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** Tells an error, if it can still be told. */
export function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else
    response
      .writeHead(500, { 'content-type': 'application/json', connection: 'close' })
      .end(JSON.stringify({ error: toWireError(error) }));
}

/** Begins an answer of lines and returns what writes one. */
export function startLines(response: ServerResponse): (line: object) => void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  return (line) => {
    if (!response.writableEnded && !response.destroyed) response.write(`${JSON.stringify(line)}\n`);
  };
}

export async function streamOut(response: ServerResponse, source: Readable): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  await pipeline(source, response);
}
