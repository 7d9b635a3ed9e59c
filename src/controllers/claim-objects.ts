import { isApiError } from '../kube/client/kube-api-error.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf, controllerReference } from '../kube/owner-reference.ts';
import type { LabelSelector } from '../kube/selector/label-selector.ts';
import type { ControllerContext } from './controller-context.ts';

/**
 * Returns the objects that belong to `owner`: those it controls, and those without a controller that its selector
 * matches, which it adopts. Lets go of what it controls but no longer matches.
 */
export async function claimObjects<T extends KubeObject>(
  context: ControllerContext,
  type: ResourceType,
  owner: KubeObject,
  selector: LabelSelector,
  candidates: readonly T[],
  signal: AbortSignal,
): Promise<T[]> {
  const claimed: T[] = [];
  for (const object of candidates) {
    if (object.metadata.namespace !== owner.metadata.namespace) continue;
    const controller = controllerOf(object);
    const matches = selector.matches(object.metadata.labels);
    if (controller !== undefined) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches) claimed.push(object);
      else if (owner.metadata.deletionTimestamp === undefined)
        await release(context, type, owner, object, signal);
      continue;
    }
    if (!matches || object.metadata.deletionTimestamp !== undefined) continue;
    if (owner.metadata.deletionTimestamp !== undefined) continue;
    const adopted = await adopt(context, type, owner, object, signal);
    if (adopted !== undefined) claimed.push(adopted);
  }
  return claimed;
}

async function adopt<T extends KubeObject>(
  context: ControllerContext,
  type: ResourceType,
  owner: KubeObject,
  object: T,
  signal: AbortSignal,
): Promise<T | undefined> {
  const { name, namespace = '', uid } = object.metadata;
  const references = [...(object.metadata.ownerReferences ?? []), controllerReference(owner)];
  const patch = { metadata: { ...(uid === undefined ? {} : { uid }), ownerReferences: references } };
  try {
    return await context.client.patch<T>(type, { namespace, name }, patch, 'merge', signal);
  } catch (error) {
    if (isApiError(error, 'NotFound', 'Invalid', 'Conflict')) return undefined;
    throw error;
  }
}

async function release(
  context: ControllerContext,
  type: ResourceType,
  owner: KubeObject,
  object: KubeObject,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = '', uid } = object.metadata;
  const references = (object.metadata.ownerReferences ?? []).filter(
    (reference) => reference.uid !== owner.metadata.uid,
  );
  const patch = {
    metadata: {
      ...(uid === undefined ? {} : { uid }),
      ownerReferences: references.length === 0 ? null : references,
    },
  };
  try {
    await context.client.patch(type, { namespace, name }, patch, 'merge', signal);
  } catch (error) {
    if (!isApiError(error, 'NotFound', 'Invalid', 'Conflict')) throw error;
  }
}
