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
import { listReferrers } from './referrer-handlers.ts';
import type { ManifestReference, RegistryRequest } from './request-target.ts';

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
      const { items, headers } = await cache.listings.tags(target);
      return withHeaders(await listTags(service, request, items), headers);
    }
    case 'referrers': {
      const { items, headers } = await cache.listings.referrers(target, request.subject);
      return withHeaders(await listReferrers(service, request, items), headers);
    }
    case 'deleteManifest':
    case 'deleteBlob':
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
  const headers = await cache.manifests.bring(target, reference);
  return withHeaders(await getManifest(service, exchange, { repository: target.local, reference }), headers);
}

function withHeaders(answer: Answer, headers: Answer['headers']): Answer {
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

async function cachedBlob(
  cache: PullThrough,
  target: UpstreamRepository,
  service: Service,
  exchange: Exchange,
  digest: Digest,
): Promise<Answer> {
  const descriptor = await cache.blobs.absent(target, digest);
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
        return cache.blobs.open(target, descriptor, range ?? { offset: 0, length: size });
      },
    },
    contentConditions(exchange.message),
  );
}
