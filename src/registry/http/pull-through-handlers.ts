import type { Digest } from '../../oci/digest.ts';
import type { PullThrough } from '../proxy/pull-through.ts';
import type { UpstreamRepository } from '../proxy/upstreams.ts';
import { RegistryError } from '../registry-error.ts';
import type { Answer } from './answer.ts';
import { BLOB_CACHE, getBlob } from './blob-handlers.ts';
import { contentAnswer, contentConditions } from './content-answer.ts';
import type { Exchange, Service } from './exchange.ts';
import { listTags } from './listing-handlers.ts';
import { getManifest } from './manifest-handlers.ts';
import type { ManifestReference, RegistryRequest } from './request-target.ts';

/** Says that a listing does not ask the upstream. */
const ONLY_CACHED = { Warning: '299 - "this lists what was pulled through, not all that the upstream has"' };

/** Answers a request to a repository of an upstream; undefined for what is answered as everywhere else. */
export async function answerPullThrough(
  cache: PullThrough,
  target: UpstreamRepository,
  service: Service,
  exchange: Exchange,
  request: RegistryRequest,
): Promise<Answer | undefined> {
  switch (request.kind) {
    case 'getManifest':
      return cachedManifest(cache, target, service, exchange, request.reference);
    case 'getBlob':
      return cachedBlob(cache, target, service, exchange, request.digest);
    case 'tags': {
      const answer = await listTags(service, request);
      return { ...answer, headers: { ...answer.headers, ...ONLY_CACHED } };
    }
    case 'deleteManifest':
    case 'deleteBlob':
    case 'referrers':
      return undefined;
    case 'ping':
    case 'catalog':
      return undefined;
    case 'putManifest':
    case 'startUpload':
    case 'pushBlob':
    case 'mountBlob':
    case 'uploadStatus':
    case 'appendUpload':
    case 'finishUpload':
    case 'cancelUpload':
      throw new RegistryError('UNSUPPORTED', `"${target.upstream.prefix}" is a cache: push to its upstream`, {
        headers: { Allow: 'GET, HEAD, DELETE' },
      });
  }
}

async function cachedManifest(
  cache: PullThrough,
  target: UpstreamRepository,
  service: Service,
  exchange: Exchange,
  reference: ManifestReference,
): Promise<Answer> {
  const cacheHeaders = await cache.manifest(target, reference);
  const answer = await getManifest(service, exchange, { repository: target.local, reference });
  return { ...answer, headers: { ...answer.headers, ...cacheHeaders } };
}

async function cachedBlob(
  cache: PullThrough,
  target: UpstreamRepository,
  service: Service,
  exchange: Exchange,
  digest: Digest,
): Promise<Answer> {
  const descriptor = await cache.absentBlob(target, digest);
  if (descriptor === undefined) return getBlob(service, exchange, { repository: target.local, digest });
  const { size } = descriptor;
  return contentAnswer(
    {
      digest,
      size,
      mediaType: 'application/octet-stream',
      cacheControl: BLOB_CACHE,
      open: async (range) => {
        if (size === 0) return new Uint8Array();
        const flight = await cache.blob(target, descriptor);
        return flight.read(range ?? { offset: 0, length: size });
      },
    },
    contentConditions(exchange.message),
  );
}
