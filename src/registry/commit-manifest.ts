import type { Clock } from '../base/clock.ts';
import { reserveBlob } from './commit-blob.ts';
import type { ManifestBytes } from './manifest-bytes.ts';
import type { Metadata } from './metadata/metadata.ts';
import type { NewManifest, PutManifestResult } from './metadata/registry-index.ts';
import { RegistryError } from './registry-error.ts';

/** How often a manifest is stored anew because a collector took its bytes: once is a leap of the clock, more is a fault. */
const ATTEMPTS = 3;

/**
 * Stores a manifest's bytes, then its record. As with blobs, the reservation comes first; a record is never made for bytes
 * that a collector has taken meanwhile.
 *
 * @throws RegistryError `UNAVAILABLE` when a collector does not let go of its digest
 */
export async function commitManifest(
  parts: { metadata: Pick<Metadata, 'blobs' | 'manifests'>; manifestBytes: ManifestBytes; clock: Clock },
  bytes: Uint8Array,
  manifest: NewManifest,
): Promise<Exclude<PutManifestResult, { kind: 'unreserved' }>> {
  const { metadata, manifestBytes, clock } = parts;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await reserveBlob({ blobs: metadata.blobs, clock }, manifest.digest);
    await manifestBytes.write(manifest.digest, bytes);
    const result = await metadata.manifests.putManifest(manifest);
    if (result.kind !== 'unreserved') return result;
  }
  throw new RegistryError('UNAVAILABLE', 'content was collected while it was stored, push it again', {
    retryable: true,
    headers: { 'Retry-After': '5' },
  });
}
