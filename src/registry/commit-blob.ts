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
  for (
    const end = clock.now() + SWEEP_WAIT_MS;
    clock.now() < end;
    await clock.sleep(SWEEP_PAUSE_MS, signal)
  ) {
    if ((await blobs.reserveBlob(digest)) === 'reserved') return;
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
 * @throws RegistryError `DIGEST_INVALID`; the ingest is then gone
 */
export async function commitBlob(
  parts: { blobs: Pick<BlobIndex, 'reserveBlob' | 'linkBlob'>; clock: Clock },
  ingest: Ingest,
  repository: string,
  digest: Digest,
): Promise<number> {
  await reserveBlob(parts, digest);
  const size = await commitAs(ingest, digest);
  await parts.blobs.linkBlob(repository, { digest, size });
  return size;
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
    throw error;
  }
}
