import { resourcesOf, type CustomResourceDefinition } from '../kube/custom/definition.ts';
import type { KubeObject } from '../kube/object.ts';
import { resources, type ResourceInfo } from '../kube/resources.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { queueKey, splitKey, type ControllerContext } from './controller-context.ts';
import { DEFINITIONS, NAMESPACES, PODS } from './resource-types.ts';

interface Namespace extends KubeObject {
  spec?: { finalizers?: string[] };
  status?: { phase?: string };
}

const FINALIZER = 'kubernetes';
/** How soon a namespace whose content needs time to go is looked at again. */
const AGAIN_MS = 500;
const PAGE = 500;

/** Empties namespaces under deletion, then lets them go. */
export function startNamespaceController(context: ControllerContext): void {
  const informer = context.informer<Namespace>(NAMESPACES);
  const queue = context.queue('empty namespace', async (key, signal) => {
    const { name } = splitKey(key);
    const namespace = informer.get(undefined, name);
    if (namespace?.metadata.deletionTimestamp === undefined) return;
    if (!(namespace.spec?.finalizers ?? []).includes(FINALIZER)) return;
    const left = await emptyNamespace(context, name, signal);
    if (left > 0) {
      queue.addAfter(key, AGAIN_MS);
      return;
    }
    const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
    const finalized: Namespace = { ...namespace, spec: { ...namespace.spec, finalizers } };
    try {
      await context.client.update(NAMESPACES, finalized, signal, 'finalize');
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  });
  informer.onChange((change) => {
    if (change.type !== 'deleted') queue.add(queueKey(change.object));
  });
}

/** Deletes everything in a namespace and returns how many objects are still there. */
async function emptyNamespace(
  context: ControllerContext,
  namespace: string,
  signal: AbortSignal,
): Promise<number> {
  let left = 0;
  for (const resource of await contentResources(context, signal)) {
    const list = await context.client.list(resource, { namespace, limit: PAGE }, signal);
    left += list.items.length + (list.metadata.remainingItemCount ?? 0);
    for (const object of list.items) {
      if (object.metadata.deletionTimestamp !== undefined) continue;
      const { name } = object.metadata;
      try {
        const propagationPolicy = resource === PODS ? undefined : ('Background' as const);
        await context.client.delete(
          resource,
          { namespace, name },
          signal,
          propagationPolicy === undefined ? {} : { propagationPolicy },
        );
        if ((object.metadata.finalizers ?? []).length === 0 && resource !== PODS) left--;
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
        left--;
      }
    }
  }
  return left;
}

async function contentResources(context: ControllerContext, signal: AbortSignal): Promise<ResourceInfo[]> {
  const builtIn = resources.filter(
    (resource) => resource.namespaced && resource.verbs.includes('delete') && resource.storedAs === undefined,
  );
  const definitions = await context.client.list<CustomResourceDefinition>(DEFINITIONS, {}, signal);
  const custom = definitions.items.filter(isServed).flatMap((definition) => {
    // All versions show the same objects.
    const [first] = resourcesOf(definition);
    return first === undefined || !first.namespaced ? [] : [first];
  });
  return [...builtIn, ...custom];
}

function isServed({ status, metadata }: CustomResourceDefinition): boolean {
  const established = (status?.conditions ?? []).find(({ type }) => type === 'Established');
  return established?.status === 'True' && metadata.deletionTimestamp === undefined;
}
