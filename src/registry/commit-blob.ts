import type { Clock } from '../base/clock.ts';
import { ContentError } from '../content/content-error.ts';
import type { Ingest } from '../content/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { BlobIndex } from './metadata/registry-index.ts';
import { RegistryError } from './registry-error.ts';

/** Pause before bytes that a collector is removing are reserved again; removing one file takes less. */
const SWEEP_PAUSE_MS = 20;
/** Longest wait for a collector: one that takes longer has died and will be replaced. */
const SWEEP_WAIT_MS = 30_000;

/**
 * Protects `digest` from collection before its bytes are there.
 *
 * @throws RegistryError `UNAVAILABLE` when a collector does not let go of it
 */
export async function reserveBlob(
  { blobs, clock }: { blobs: Pick<BlobIndex, 'reserveBlob'>; clock: Clock },
  digest: Digest,
): Promise<void> {
  const signal = new AbortController().signal;
  // Pauses are counted, not read from a clock that may be set meanwhile.
  for (let waited = 0; waited < SWEEP_WAIT_MS; waited += SWEEP_PAUSE_MS) {
    if ((await blobs.reserveBlob(digest)) === 'reserved') return;
    await clock.sleep(SWEEP_PAUSE_MS, signal);
  }
  throw new RegistryError('UNAVAILABLE', 'content is being removed, try again', {
    retryable: true,
    headers: { 'Retry-After': '5' },
  });
}

/**
 * Commits an ingest as `digest` and makes it visible in a repository; returns its size. The reservation comes first and
 * the link last: a collector between them finds bytes that are protected, a reader finds them only when they are whole.
 *
 * @throws RegistryError `DIGEST_INVALID`, or `BLOB_UPLOAD_UNKNOWN` when a collector took the bytes; the ingest is then gone
 */
export async function commitBlob(
  parts: { blobs: Pick<BlobIndex, 'reserveBlob' | 'linkBlob'>; clock: Clock },
  ingest: Ingest,
  repository: string,
  digest: Digest,
): Promise<number> {
  await reserveBlob(parts, digest);
  const size = await commitAs(ingest, digest);
  if (await parts.blobs.linkBlob(repository, { digest, size })) return size;
  throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'content was collected while it was stored, push it again', {
    retryable: true,
    detail: { digest },
  });
}

async function commitAs(ingest: Ingest, digest: Digest): Promise<number> {
  try {
    return (await ingest.commit({ digest })).size;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'DIGEST_MISMATCH') {
      throw new RegistryError('DIGEST_INVALID', 'provided digest did not match uploaded content', {
        cause: error,
        detail: { digest },
      });
    }
    if (error instanceof ContentError && (error.code === 'LOCKED' || error.code === 'NOT_FOUND')) {
      throw new RegistryError('UPLOAD_BUSY', 'another request has taken this upload over', {
        cause: error,
        retryable: true,
        headers: { 'Retry-After': '1' },
      });
    }
    throw error;
  }
}
