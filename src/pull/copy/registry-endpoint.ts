import { Readable } from 'node:stream';
import { systemClock } from '../../base/clock.ts';
import { goQuote } from '../../base/go-quote.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { formatReference, parseDockerReference, type Reference } from '../../oci/reference.ts';
import type { CredentialSource } from '../../remote/credential.ts';
import type { Hop } from '../../remote/exchange.ts';
import { fetchDocument, openBlob } from '../../remote/fetch-content.ts';
import { pushBlob } from '../../remote/push-blob.ts';
import { pushManifest } from '../../remote/push-manifest.ts';
import { addToReferrersTag, listReferrers } from '../../remote/referrers.ts';
import type { RemoteClient } from '../../remote/remote-client.ts';
import { releaseChunk } from '../../remote/release-chunk.ts';
import { RemoteError } from '../../remote/remote-error.ts';
import { resolveReference } from '../../remote/resolve.ts';
import type { HostSession, RepositorySession } from '../../remote/repository-session.ts';
import { downloadChunks, DownloadStory } from '../download.ts';
import { asPullError, type PullError } from '../pull-error.ts';
import type { CopySource, CopyTarget } from './endpoint.ts';

export interface RegistryEndpoint {
  readonly remote: RemoteClient;
  /** As people write it. */
  readonly reference: string;
  readonly credentials?: CredentialSource | undefined;
  readonly observe?: ((hop: Hop) => void) | undefined;
}

/** Reads an image from a registry; mirrors are used as for a pull. */
export function registrySource(endpoint: RegistryEndpoint): CopySource {
  const reference = parseDockerReference(endpoint.reference);
  const name = formatReference(reference);
  const session = sessionOf(endpoint, reference, 'pull');
  return {
    resolve: async (signal) => {
      const target =
        reference.digest === undefined ? { tag: reference.tag ?? 'latest' } : { digest: reference.digest };
      try {
        return (await resolveReference(session, target, name, signal)).descriptor;
      } catch (error) {
        signal.throwIfAborted();
        throw asPullError(error, `failed to resolve reference ${goQuote(name)}`);
      }
    },
    document: async (descriptor, limit, signal) => {
      try {
        return await fetchDocument(session, descriptor, limit, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw asPullError(error, `failed to fetch ${goQuote(name)}`);
      }
    },
    blobs: {
      open: (descriptor, range, signal) => openBlob(session, descriptor, range, signal),
      clock: systemClock,
      release: releaseChunk,
    },
    referrers: (subject, signal) => listReferrers(session, subject, undefined, signal),
    repository: { registry: reference.domain, path: reference.path },
  };
}

/** Writes an image to a registry: the registry itself, never a mirror. */
export function registryTarget(endpoint: RegistryEndpoint): CopyTarget {
  const reference = parseDockerReference(endpoint.reference);
  const name = formatReference(reference);
  const session = sessionOf(endpoint, reference, 'pull,push');
  const failed = (error: unknown, signal: AbortSignal): PullError => {
    signal.throwIfAborted();
    return asPullError(error, `failed to push image ${goQuote(name)}`);
  };
  const put = async (
    descriptor: Descriptor,
    bytes: Buffer,
    under: string,
    signal: AbortSignal,
  ): Promise<void> => {
    try {
      await putWithReferrer(session, await pushHost(session), descriptor, bytes, under, signal);
    } catch (error) {
      throw failed(error, signal);
    }
  };
  return {
    putBlob: async (descriptor, source, onBytes, signal) => {
      const mountFrom = source.repository?.registry === reference.domain ? source.repository.path : undefined;
      const open = (offset: number): Promise<Readable> =>
        Promise.resolve(
          Readable.from(
            downloadChunks(source.blobs, descriptor, offset, new DownloadStory(), new Set(), signal),
            { objectMode: false },
          ),
        );
      try {
        const host = await pushHost(session);
        return await pushBlob(session, host, descriptor, open, { mountFrom, onProgress: onBytes }, signal);
      } catch (error) {
        throw failed(error, signal);
      }
    },
    takesReferrers: true,
    putManifest: (descriptor, bytes, signal) => put(descriptor, bytes, descriptor.digest, signal),
    publish: (root, bytes, signal) => put(root, bytes, reference.tag ?? root.digest, signal),
    close: () => Promise.resolve(),
  };
}

function sessionOf(
  endpoint: RegistryEndpoint,
  reference: Reference,
  actions: 'pull' | 'pull,push',
): RepositorySession {
  const { remote, credentials, observe } = endpoint;
  return remote.repository(reference.domain, reference.path, { credentials, observe, actions });
}

async function pushHost(session: RepositorySession): Promise<HostSession> {
  const host = (await session.hosts()).find(
    (each) => each.host.capabilities.has('push') && !each.host.mirror,
  );
  if (host === undefined) throw new RemoteError('HOST_CONFIG', 'no push hosts: not found');
  return host;
}

/** Where the registry does not list referrers itself, the fall-back tag of the subject does. */
async function putWithReferrer(
  session: RepositorySession,
  host: HostSession,
  descriptor: Descriptor,
  bytes: Buffer,
  under: string,
  signal: AbortSignal,
): Promise<void> {
  const { keepsReferrers } = await pushManifest(session, host, descriptor, bytes, under, signal);
  const manifest = parseManifest(bytes, descriptor.mediaType);
  if (manifest.subject === undefined || keepsReferrers) return;
  const artifactType =
    manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
  const referrer: Descriptor = {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  };
  await addToReferrersTag(session, host, manifest.subject.digest, referrer, signal);
}
