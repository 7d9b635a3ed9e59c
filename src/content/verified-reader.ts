import { Readable } from 'node:stream';
import { algorithmOf, Digester } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { ContentError } from './content-error.ts';
import type { Provider } from './store.ts';

/**
 * Most bytes of a document (manifest, index, config) held in memory: distribution-spec 1.1 asks registries for at least
 * 4 MiB of manifest, and configs of images with thousands of layers stay below this.
 */
export const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

/**
 * Opens the blob named by `descriptor`. The stream ends only after size and digest were checked; on a mismatch it errors
 * with `DIGEST_MISMATCH` or `SIZE_MISMATCH` and the last bytes are withheld. An abort of `signal` destroys it.
 *
 * @throws ContentError `NOT_FOUND`
 * @see OCI image-spec v1.1.1, descriptor.md, "Verification"
 */
export async function openVerified(
  provider: Pick<Provider, 'open'>,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<Readable> {
  signal.throwIfAborted();
  return verified(await provider.open(descriptor.digest), descriptor, signal);
}

/** Wraps bytes from anywhere so that they can be used before their end, yet never completely unless they are right. */
export function verified(source: Readable, descriptor: Descriptor, signal: AbortSignal): Readable {
  const checked = Readable.from(checkedChunks(source, descriptor, signal), {
    objectMode: false,
    highWaterMark: 0,
    signal,
  });
  // A generator that nobody began ends without having looked at its source, which would stay open.
  checked.once('close', () => source.destroy());
  return checked;
}

/**
 * Reads a whole document into memory and checks it.
 *
 * @throws ContentError as {@link openVerified}; `OUT_OF_RANGE` when it is larger than `limit` bytes
 */
export async function readVerified(
  provider: Pick<Provider, 'open'>,
  descriptor: Descriptor,
  signal: AbortSignal,
  limit = MAX_DOCUMENT_BYTES,
): Promise<Buffer> {
  if (descriptor.size > limit) {
    throw new ContentError(
      'OUT_OF_RANGE',
      `Cannot read content "${descriptor.digest}" into memory: it has ${descriptor.size} bytes, the limit is ${limit}`,
    );
  }
  const chunks: Buffer[] = [];
  for await (const chunk of await openVerified(provider, descriptor, signal)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function* checkedChunks(
  source: Readable,
  descriptor: Descriptor,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { digest, size } = descriptor;
  const digester = new Digester(algorithmOf(digest));
  let seen = 0;
  let withheld: Uint8Array | undefined;
  for await (const piece of source) {
    signal.throwIfAborted();
    const chunk = piece as Uint8Array;
    seen += chunk.length;
    if (seen > size) {
      throw new ContentError(
        'SIZE_MISMATCH',
        `Cannot read content "${digest}": it has more than the expected ${size} bytes`,
      );
    }
    digester.update(chunk);
    if (withheld !== undefined) yield withheld;
    withheld = chunk;
  }
  if (seen !== size) {
    throw new ContentError(
      'SIZE_MISMATCH',
      `Cannot read content "${digest}": it has ${seen} bytes, expected ${size}`,
    );
  }
  const actual = digester.digest();
  if (actual !== digest) {
    throw new ContentError('DIGEST_MISMATCH', `Cannot read content "${digest}": digest is ${actual}`);
  }
  if (withheld !== undefined) yield withheld;
}
