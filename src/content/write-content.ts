import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { ContentError } from './content-error.ts';
import type { ContentInfo, Ingester, Provider } from './store.ts';

/**
 * Commits bytes held in memory and returns their descriptor.
 *
 * @throws ContentError `NO_SPACE`
 */
export async function writeBytes(
  store: Ingester & Pick<Provider, 'stat'>,
  mediaType: string,
  bytes: Uint8Array,
  signal: AbortSignal,
  algorithm = 'sha256',
): Promise<Descriptor> {
  const descriptor: Descriptor = { mediaType, digest: digestOf(bytes, algorithm), size: bytes.length };
  await writeContent(store, descriptor, [bytes], signal);
  return descriptor;
}

/**
 * Commits the content of `descriptor` from `source`, which is not touched when the content is already there. Of two
 * writers of one descriptor the second waits for the first and finds its work done.
 *
 * @throws ContentError `NO_SPACE`, `DIGEST_MISMATCH`, `SIZE_MISMATCH`
 */
export async function writeContent(
  store: Ingester & Pick<Provider, 'stat'>,
  descriptor: Descriptor,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ContentInfo> {
  const { digest, size } = descriptor;
  const existing = await statOrUndefined(store, descriptor);
  if (existing !== undefined) return existing;
  const ingest = await store.openIngest(digest, { algorithm: algorithmOf(digest), wait: signal });
  try {
    const meanwhile = await statOrUndefined(store, descriptor);
    if (meanwhile !== undefined) return meanwhile;
    // The source begins at the beginning; what an earlier attempt left is of no use to it.
    if (ingest.offset > 0) await ingest.truncate(0);
    for await (const chunk of source) {
      signal.throwIfAborted();
      if (ingest.offset + chunk.length > size) {
        throw new ContentError(
          'SIZE_MISMATCH',
          `Cannot write content "${digest}": it has more than ${size} bytes`,
        );
      }
      await ingest.write(chunk);
    }
    return await ingest.commit({ digest, size });
  } finally {
    await ingest.abort();
  }
}

async function statOrUndefined(
  store: Pick<Provider, 'stat'>,
  { digest, size }: Descriptor,
): Promise<ContentInfo | undefined> {
  try {
    const info = await store.stat(digest);
    return info.size === size ? info : undefined;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
