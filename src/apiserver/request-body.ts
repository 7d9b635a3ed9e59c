import type { IncomingMessage } from 'node:http';
import { requestEntityTooLarge } from '../kube/status.ts';
import type { RequestBody } from './api-call.ts';
import { mediaTypeOf } from './negotiation.ts';

/** Largest body taken, as kube-apiserver has it: an object has to fit into 1.5 MiB of storage, patches may be larger. */
export const MAX_BODY = 3 * 1024 * 1024;

/**
 * So much of a body that is too large is read and thrown away. Who still sends when the connection is closed sees a broken pipe in
 * place of the answer; whoever sends more than this does not ask for one.
 */
export const MAX_DRAINED = 64 * 1024 * 1024;

const CUT_OFF = new DOMException('the client went away in the middle of a body', 'AbortError');

/**
 * Reads the whole body of a request, counting while it arrives.
 *
 * @throws StatusError 413 when there is too much
 */
export async function readBody(request: IncomingMessage): Promise<RequestBody> {
  const mediaType = mediaTypeOf(request.headers['content-type']);
  const tooLarge = (): Error => requestEntityTooLarge(`limit is ${MAX_BODY}`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_DRAINED) throw tooLarge();
  const bytes = await new Promise<Buffer | undefined>((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    // Events, not iteration: most bodies are one chunk, and an iterator costs more than reading it.
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY) chunks = [];
      else chunks.push(chunk);
      if (size > MAX_DRAINED) {
        request.destroy();
        resolve(undefined);
      }
    });
    request.once('end', () => {
      resolve(size > MAX_BODY ? undefined : chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size));
    });
    request.once('error', reject);
    request.once('close', () => {
      if (!request.readableEnded) reject(CUT_OFF);
    });
  });
  if (bytes === undefined) throw tooLarge();
  return { bytes, mediaType };
}
