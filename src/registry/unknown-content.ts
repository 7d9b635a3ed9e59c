import type { Digest } from '../oci/digest.ts';
import { RegistryError } from './registry-error.ts';

/** Makes the 404 of a blob. */
export function blobUnknown(digest: Digest, cause?: unknown): RegistryError {
  const detail = { digest };
  const options = cause === undefined ? { detail } : { detail, cause };
  return new RegistryError('BLOB_UNKNOWN', 'blob unknown to registry', options);
}

/** Makes the 404 of a repository. */
export function nameUnknown(repository: string): RegistryError {
  const detail = { name: repository };
  return new RegistryError('NAME_UNKNOWN', 'repository name not known to registry', { detail });
}
