import { isDeepStrictEqual } from 'node:util';
import { resourcesOf, type CustomResourceDefinition } from '../kube/custom/definition.ts';
import type { KubeObject } from '../kube/object.ts';
import { resources, type ResourceInfo } from '../kube/resources.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { formatTime } from '../kube/time.ts';
import { queueKey, splitKey, type ControllerContext } from './controller-context.ts';
import { isEstablished } from './custom-informers.ts';
import { deletionConditions, type Leftovers } from './namespace-conditions.ts';
import { DEFINITIONS, NAMESPACES, PODS } from './resource-types.ts';
import { setCondition, type Condition } from './workloads.ts';

interface Namespace extends KubeObject {
  spec?: { finalizers?: string[] };
  status?: { phase?: string; conditions?: Condition[] };
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
    try {
      const told = await tell(context, namespace, left, signal);
      if (left.failures.length > 0) {
        throw new Error(`Cannot empty namespace ${name}`, { cause: left.failures[0] });
      }
      if (left.resources.size > 0) {
        queue.addAfter(key, AGAIN_MS);
        return;
      }
      const finalizers = (told.spec?.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
      const finalized: Namespace = { ...told, spec: { ...told.spec, finalizers } };
      await context.client.update(NAMESPACES, finalized, signal, 'finalize');
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  });
  informer.onChange((change) => {
    if (change.type !== 'deleted') queue.add(queueKey(change.object));
  });
}

/** Says in the namespace's conditions what keeps it. */
async function tell(
  context: ControllerContext,
  namespace: Namespace,
  left: Leftovers,
  signal: AbortSignal,
): Promise<Namespace> {
  const now = formatTime(context.clock.now());
  const before = namespace.status?.conditions ?? [];
  const conditions = deletionConditions(left).reduce<Condition[]>(
    (all, condition) => setCondition(all, condition, now),
    before,
  );
  if (isDeepStrictEqual(conditions, before)) return namespace;
  const next: Namespace = { ...namespace, status: { ...namespace.status, conditions } };
  return context.client.update(NAMESPACES, next, signal, 'status');
}

/**
 * Deletes everything in a namespace and tells what is still there. Pods go first, so that none of them outlives the
 * objects that restrain it.
 */
async function emptyNamespace(
  context: ControllerContext,
  namespace: string,
  signal: AbortSignal,
): Promise<Leftovers> {
  const left = {
    resources: new Map<string, number>(),
    finalizers: new Map<string, number>(),
    failures: [] as unknown[],
  };
  const take = async (resource: ResourceInfo): Promise<void> => {
    try {
      await emptyOf(context, resource, namespace, left, signal);
    } catch (error) {
      signal.throwIfAborted();
      left.failures.push(error);
    }
  };
  const found = await contentResources(context, signal);
  for (const resource of found) if (isPods(resource)) await take(resource);
  if (left.resources.size > 0 || left.failures.length > 0) return left;
  for (const resource of found) if (!isPods(resource)) await take(resource);
  return left;
}

function isPods({ group, resource }: ResourceInfo): boolean {
  return group === PODS.group && resource === PODS.resource;
}

async function emptyOf(
  context: ControllerContext,
  resource: ResourceInfo,
  namespace: string,
  left: Leftovers,
  signal: AbortSignal,
): Promise<void> {
  const list = await context.client.list(resource, { namespace, limit: PAGE }, signal);
  let count = list.metadata.remainingItemCount ?? 0;
  for (const object of list.items) {
    if (await isDeletedNow(context, resource, object, signal)) continue;
    count++;
    for (const finalizer of object.metadata.finalizers ?? []) {
      left.finalizers.set(finalizer, (left.finalizers.get(finalizer) ?? 0) + 1);
    }
  }
  if (count > 0) left.resources.set(`${resource.resource}.${resource.group}`, count);
}

/** Deletes an object unless that was done before, and tells whether it went at once. */
async function isDeletedNow(
  context: ControllerContext,
  resource: ResourceInfo,
  { metadata }: KubeObject,
  signal: AbortSignal,
): Promise<boolean> {
  if (metadata.deletionTimestamp !== undefined) return false;
  const { name, namespace } = metadata;
  try {
    await context.client.delete(
      resource,
      { ...(namespace === undefined ? {} : { namespace }), name },
      signal,
      isPods(resource) ? {} : { propagationPolicy: 'Background' },
    );
    return (metadata.finalizers ?? []).length === 0 && !isPods(resource);
  } catch (error) {
    if (isApiError(error, 'NotFound')) return true;
    throw error;
  }
}

async function contentResources(context: ControllerContext, signal: AbortSignal): Promise<ResourceInfo[]> {
  const builtIn = resources.filter(
    (resource) => resource.namespaced && resource.verbs.includes('delete') && resource.storedAs === undefined,
  );
  const definitions = await context.client.list<CustomResourceDefinition>(DEFINITIONS, {}, signal);
  const isLasting = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp === undefined;
  const lasting = definitions.items.filter(
    (definition) => isEstablished(definition) && isLasting(definition),
  );
  const custom = lasting.flatMap((definition) => {
    // All versions show the same objects.
    const [first] = resourcesOf(definition);
    return first === undefined || !first.namespaced ? [] : [first];
  });
  return [...builtIn, ...custom];
}
