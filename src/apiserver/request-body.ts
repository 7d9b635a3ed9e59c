import type { IncomingMessage } from 'node:http';
import { requestEntityTooLarge } from '../kube/status.ts';
import type { RequestBody } from './api-call.ts';
import { mediaTypeOf } from './negotiation.ts';

/** Largest body taken, as kube-apiserver has it: an object has to fit into 1.5 MiB of storage, patches may be larger. */
export const MAX_BODY = 3 * 1024 * 1024;

/**
 * Reads the whole body of a request, counting while it arrives.
 *
 * @throws StatusError 413 as soon as there is too much; the rest is not read
 */
export async function readBody(request: IncomingMessage): Promise<RequestBody> {
  const mediaType = mediaTypeOf(request.headers['content-type']);
  const tooLarge = (): Error => requestEntityTooLarge(`limit is ${MAX_BODY}`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw tooLarge();
    chunks.push(chunk);
  }
  return { bytes: Buffer.concat(chunks, size), mediaType };
}
