import type { Answer } from './answer.ts';
import { jsonAnswer } from './answer.ts';
import { deleteBlob, getBlob } from './blob-handlers.ts';
import type { Exchange, Service } from './exchange.ts';
import { listCatalog, listTags } from './listing-handlers.ts';
import { deleteManifest, getManifest, putManifest } from './manifest-handlers.ts';
import { listReferrers } from './referrer-handlers.ts';
import { answerPullThrough } from './pull-through-handlers.ts';
import { RegistryError } from '../registry-error.ts';
import type { RegistryRequest } from './request-target.ts';
import {
  appendUpload,
  cancelUpload,
  finishUpload,
  mountBlob,
  pushBlob,
  startUpload,
  uploadStatus,
} from './upload-handlers.ts';

/** Hands a request that was let pass to what answers it. */
export async function dispatch(
  service: Service,
  exchange: Exchange,
  request: RegistryRequest,
): Promise<Answer> {
  const isDeletion = request.kind === 'deleteManifest' || request.kind === 'deleteBlob';
  if (isDeletion && !service.deletes) {
    throw new RegistryError('UNSUPPORTED', 'deletion is switched off', {
      headers: { Allow: 'GET, HEAD, PUT' },
    });
  }
  const cache = service.cache?.pullThrough;
  const target = 'repository' in request ? cache?.find(request.repository) : undefined;
  if (cache === undefined || target === undefined) return dispatchLocally(service, exchange, request);
  const answer = await answerPullThrough(cache, target, service, exchange, request);
  return answer ?? dispatchLocally(service, exchange, request);
}

async function dispatchLocally(
  service: Service,
  exchange: Exchange,
  request: RegistryRequest,
): Promise<Answer> {
  switch (request.kind) {
    case 'ping':
      return jsonAnswer(200, {});
    case 'catalog':
      return listCatalog(service, exchange, request);
    case 'tags':
      return listTags(service, request);
    case 'referrers':
      return listReferrers(service, request);
    case 'getManifest':
      return getManifest(service, exchange, request);
    case 'putManifest':
      return putManifest(service, exchange, request);
    case 'deleteManifest':
      return deleteManifest(service, exchange, request);
    case 'getBlob':
      return getBlob(service, exchange, request);
    case 'deleteBlob':
      return deleteBlob(service, request);
    case 'startUpload':
      return startUpload(service, exchange, request);
    case 'pushBlob':
      return pushBlob(service, exchange, request);
    case 'mountBlob':
      return mountBlob(service, exchange, request);
    case 'uploadStatus':
      return uploadStatus(service, request);
    case 'appendUpload':
      return appendUpload(service, exchange, request);
    case 'finishUpload':
      return finishUpload(service, exchange, request);
    case 'cancelUpload':
      return cancelUpload(service, request);
  }
}
