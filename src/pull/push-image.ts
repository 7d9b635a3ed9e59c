import { goQuote } from '../base/go-quote.ts';
import { Limiter } from '../base/limiter.ts';
import { ContentError } from '../content/content-error.ts';
import type { Provider } from '../content/store.ts';
import { readVerified } from '../content/verified-reader.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_INDEX_DEPTH } from '../oci/choose-manifest.ts';
import { parseManifest, type Manifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/media-type.ts';
import { formatReference, parseDockerReference } from '../oci/reference.ts';
import type { CredentialSource } from '../remote/credential.ts';
import { pushBlob, type PushOutcome } from '../remote/push-blob.ts';
import { pushManifest } from '../remote/push-manifest.ts';
import { addToReferrersTag } from '../remote/referrers.ts';
import type { RemoteClient } from '../remote/remote-client.ts';
import { RemoteError } from '../remote/remote-error.ts';
import type { HostSession, RepositorySession } from '../remote/repository-session.ts';
import { PullError } from './pull-error.ts';

/** Blobs sent at a time: enough to fill a line, few enough not to be turned away. */
const PARALLEL_UPLOADS = 3;

export interface PushImageRequest {
  readonly remote: RemoteClient;
  readonly content: Pick<Provider, 'open' | 'stat'>;
  /** Where to, as people write it: `registry.example/app:v2`. */
  readonly reference: string;
  /** What to push: an index or a manifest that `content` holds with everything below it. */
  readonly target: Descriptor;
  readonly credentials?: CredentialSource | undefined;
  /** Repository (of the same registry) that may already have the blobs. */
  readonly mountFrom?: string | undefined;
  readonly onProgress?: ((progress: PushProgress) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface PushProgress {
  readonly digest: string;
  readonly phase: 'uploading' | PushOutcome;
  readonly bytes: number;
  readonly total: number;
}

export interface PushedImage {
  /** Normalised name. */
  readonly name: string;
  readonly digest: string;
}

interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly manifest: Manifest;
}

/**
 * Pushes an image with everything it needs: blobs first and side by side, then manifests from the leaves up, the name last, so
 * that nobody ever sees a part.
 *
 * @throws PullError `NOT_FOUND` when the store lacks a part; RemoteError for the registry's answers
 */
export async function pushImage(request: PushImageRequest): Promise<PushedImage> {
  const { remote, signal } = request;
  const reference = parseDockerReference(request.reference);
  const name = formatReference(reference);
  const session = remote.repository(reference.domain, reference.path, {
    credentials: request.credentials,
    actions: 'pull,push',
  });
  try {
    const host = await pushHost(session);
    const documents = await collect(request, request.target, 0, new Map());
    const blobs = new Map(
      documents.flatMap(({ manifest }) => blobsOf(manifest)).map((blob) => [blob.digest, blob]),
    );
    const limiter = new Limiter(PARALLEL_UPLOADS);
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const uploads = [...blobs.values()]
      .toSorted((a, b) => b.size - a.size)
      .map((blob) => limiter.run(() => sendBlob(request, session, host, blob, both), both));
    const settled = await Promise.allSettled(
      uploads.map((each) =>
        each.catch((error: unknown) => {
          stop.abort(error);
          throw error;
        }),
      ),
    );
    signal.throwIfAborted();
    if (settled.some((each) => each.status === 'rejected')) throw stop.signal.reason;
    for (const document of documents) {
      const last = document === documents.at(-1);
      const target = last ? (reference.tag ?? document.descriptor.digest) : document.descriptor.digest;
      await sendManifest(session, host, document, target, signal);
    }
    return { name, digest: request.target.digest };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RemoteError) throw error.wrap(`failed to push image ${goQuote(name)}`);
    throw error;
  }
}

async function pushHost(session: RepositorySession): Promise<HostSession> {
  const host = (await session.hosts()).find(
    (each) => each.host.capabilities.has('push') && !each.host.mirror,
  );
  if (host === undefined) throw new RemoteError('HOST_CONFIG', 'no push hosts: not found');
  return host;
}

/** Lists manifests from the leaves to the root, each once. */
async function collect(
  request: PushImageRequest,
  descriptor: Descriptor,
  depth: number,
  seen: Map<string, Document>,
): Promise<Document[]> {
  if (depth > MAX_INDEX_DEPTH) throw new PullError('BAD_IMAGE', `indexes stand in indexes ${depth} deep`);
  if (!seen.has(descriptor.digest)) {
    const bytes = await readHeld(request, descriptor);
    const manifest = parseManifest(bytes, descriptor.mediaType);
    for (const child of manifest.kind === 'index' ? manifest.manifests : []) {
      if (isManifestType(child.mediaType) || isIndexType(child.mediaType))
        await collect(request, child, depth + 1, seen);
    }
    seen.set(descriptor.digest, { descriptor, bytes, manifest });
  }
  return [...seen.values()];
}

async function readHeld(request: PushImageRequest, descriptor: Descriptor): Promise<Buffer> {
  try {
    return await readVerified(request.content, descriptor, request.signal);
  } catch (error) {
    if (!(error instanceof ContentError) || error.code !== 'NOT_FOUND') throw error;
    throw new PullError(
      'NOT_FOUND',
      `content ${descriptor.digest} (${descriptor.mediaType}) is not held: pull all platforms or push one: not found`,
      { cause: error },
    );
  }
}

function blobsOf(manifest: Manifest): readonly Descriptor[] {
  if (manifest.kind === 'index') {
    return manifest.manifests.filter(
      ({ mediaType }) => !isManifestType(mediaType) && !isIndexType(mediaType),
    );
  }
  // Foreign layers are fetched from where their URLs say; registries refuse or ignore them.
  return [
    manifest.config,
    ...manifest.layers.filter(({ mediaType }) => !/foreign|nondistributable/.test(mediaType)),
  ];
}

async function sendBlob(
  request: PushImageRequest,
  session: RepositorySession,
  host: HostSession,
  blob: Descriptor,
  signal: AbortSignal,
): Promise<void> {
  const report = (phase: PushProgress['phase'], bytes: number): void =>
    request.onProgress?.({ digest: blob.digest, phase, bytes, total: blob.size });
  const outcome = await pushBlob(
    session,
    host,
    blob,
    (offset) => request.content.open(blob.digest, offset >= blob.size ? undefined : { offset }),
    { mountFrom: request.mountFrom, onProgress: (sent) => report('uploading', sent) },
    signal,
  );
  report(outcome, blob.size);
}

async function sendManifest(
  session: RepositorySession,
  host: HostSession,
  { descriptor, bytes, manifest }: Document,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const { keepsReferrers } = await pushManifest(session, host, descriptor, bytes, name, signal);
  if (manifest.subject === undefined || keepsReferrers) return;
  const artifactType =
    manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
  await addToReferrersTag(
    session,
    host,
    manifest.subject.digest,
    {
      ...descriptor,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
    },
    signal,
  );
}
