import type { IncomingMessage } from 'node:http';
import { RegistryError } from '../registry-error.ts';

/**
 * Reads a request body of at most `limit` bytes into memory.
 *
 * @throws RegistryError `MANIFEST_TOO_LARGE` (413) as soon as it is known to be larger; the rest is not kept
 */
export async function readBounded(message: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(message.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  const chunks: Buffer[] = [];
  let size = 0;
  // Not `for await`: leaving such a loop early destroys the socket, and with it the answer.
  await new Promise<void>((resolve, reject) => {
    message.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        message.removeAllListeners('data');
        message.resume();
        reject(tooLarge(limit));
      } else chunks.push(chunk);
    });
    message.once('end', resolve);
    message.once('error', reject);
    message.once('close', () => reject(new Error('Cannot read a body: the client went away')));
  });
  return Buffer.concat(chunks, size);
}

function tooLarge(limit: number): RegistryError {
  return new RegistryError('MANIFEST_TOO_LARGE', `body is larger than ${limit} bytes`);
}
