import { digestOf, algorithmOf, type Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { drain, headerOf } from './exchange.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError } from './remote-error.ts';
import type { HostSession, RepositorySession } from './repository-session.ts';

/**
 * Puts a manifest under a tag, or under its digest. Returns whether the registry keeps referrers itself (it answered
 * `OCI-Subject`).
 *
 * @throws RemoteError `DIGEST_MISMATCH` when the registry stored something else
 */
export async function pushManifest(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  bytes: Buffer,
  name: string | Digest,
  signal: AbortSignal,
): Promise<{ readonly keepsReferrers: boolean }> {
  const answer = await session.send(
    host,
    {
      method: 'PUT',
      path: `manifests/${name}`,
      headers: { 'content-type': descriptor.mediaType, 'content-length': `${bytes.length}` },
      body: () => bytes,
    },
    true,
    signal,
  );
  if (answer.status !== 201 && answer.status !== 200 && answer.status !== 202)
    throw await unexpectedStatus(answer);
  await drain(answer);
  const stored = headerOf(answer, 'docker-content-digest');
  const sent = digestOf(bytes, algorithmOf(descriptor.digest));
  if (stored !== undefined && stored !== sent && stored !== digestOf(bytes)) {
    throw new RemoteError(
      'DIGEST_MISMATCH',
      `got digest ${stored} from the registry for manifest "${name}", expected ${sent}`,
    );
  }
  return { keepsReferrers: headerOf(answer, 'oci-subject') !== undefined };
}
