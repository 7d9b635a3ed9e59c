import { methodNotAllowed, unknownResource } from '../kube/status.ts';
import type { Answer, ApiCall } from './api-call.ts';
import { answerComponents } from './component-status.ts';
import { deleteCollection, deleteObject } from './delete-objects.ts';
import { getObject, listObjects, type ObjectList } from './read-objects.ts';
import { answerReview } from './reviews.ts';
import type { RouterContext } from './router-context.ts';
import { answerSubresource } from './subresources.ts';
import { createObject, patchStored, updateObject } from './write-objects.ts';

export type Routed =
  | { readonly type: 'object'; readonly answer: Answer }
  | { readonly type: 'list'; readonly list: ObjectList };

const object = (answer: Answer): Routed => ({ type: 'object', answer });

/** Sends a call to its verb. Watch and log answer as streams and are not handled here. */
export async function routeCall(context: RouterContext, call: ApiCall): Promise<Routed> {
  const { request, resource } = call;
  const { verb } = request;
  if (isMisplaced(call)) throw unknownResource();
  if (request.subresource !== '') return object(await answerSubresource(context, call));
  const components = answerComponents(context, call);
  if (components !== undefined) return components;
  const review = await answerReview(context, call);
  if (review !== undefined) return object(review);
  const onCollection = verb === 'create' || verb === 'list' || verb === 'deletecollection';
  if (!resource.verbs.includes(verb) || onCollection !== (request.name === '')) throw methodNotAllowed();
  if (resource.namespaced && request.namespace === '' && verb !== 'list') throw methodNotAllowed();
  switch (verb) {
    case 'get':
      return object(getObject(context, call));
    case 'list':
      return { type: 'list', list: listObjects(context, call) };
    case 'create':
      if (resource.resource === 'bindings') return object(await answerSubresource(context, call));
      return object(await createObject(context, call));
    case 'update':
      return object(await updateObject(context, call));
    case 'patch':
      return object(await patchStored(context, call));
    case 'delete':
      return object(await deleteObject(context, call));
    case 'deletecollection':
      return { type: 'list', list: await deleteCollection(context, call) };
    case 'watch':
    case '':
      throw methodNotAllowed();
    default:
      return verb satisfies never;
  }
}

/** Says whether a path names an object where its kind has none: below a namespace, or without one. */
function isMisplaced({ request, resource }: ApiCall): boolean {
  if (resource.namespaced) return request.namespace === '' && request.name !== '';
  return request.namespace !== (resource.resource === 'namespaces' ? request.name : '');
}
