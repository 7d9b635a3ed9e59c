import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import { conflict, deleted, notFound } from '../kube/status.ts';
import { formatTime } from '../kube/time.ts';
import { admissionOfDelete } from './admission-request.ts';
import { decodeBody } from './decode-body.ts';
import {
  asServed,
  asStored,
  keyOf,
  storageFailure,
  type Answer,
  type ApiCall,
  type ApiContext,
} from './api-call.ts';
import { StoreError, type Stored } from './stored-object.ts';
import { selectObjects, selectionOf, type ObjectList } from './read-objects.ts';
import {
  deleteOptions,
  listOptions,
  type DeleteOptionsBody,
  type DeleteRequestOptions,
  type PropagationPolicy,
} from './request-options.ts';

const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';
/** Seconds that a Pod gets to end when neither it nor the request says. */
const DEFAULT_GRACE_SECONDS = 30;
const CONFLICT_TRIES = 8;

/** Kinds of which a completed delete answers with the object instead of a Status. */
const RETURNED = new Set([
  'pods',
  'podtemplates',
  'persistentvolumes',
  'persistentvolumeclaims',
  'resourcequotas',
  'serviceaccounts',
  'services',
]);
/** Kinds whose dependents stay unless the request says otherwise, as the API promised before it collected garbage. */
const ORPHANING = new Set(['replicationcontrollers', 'jobs.batch']);

/** Tells whether an object under deletion has nothing left to wait for. */
export function isReadyToGo(object: KubeObject): boolean {
  const { metadata } = object;
  if (metadata.deletionTimestamp === undefined) return false;
  if ((metadata.finalizers ?? []).length > 0 || specFinalizers(object).length > 0) return false;
  return (metadata.deletionGracePeriodSeconds ?? 0) === 0;
}

/** Answers `delete`. */
export async function deleteObject(context: ApiContext, call: ApiCall): Promise<Answer> {
  const options = await readOptions(call);
  const { resource, request } = call;
  return removeByName(context, call, request.namespace, request.name, options, (object, done) => {
    const { metadata } = object;
    if (!done || RETURNED.has(resource.resource)) return { code: 200, value: object };
    return { code: 200, value: deleted(resource, metadata.name, metadata.uid ?? '') };
  });
}

/** Answers `deletecollection` with the list of what it removed. */
export async function deleteCollection(context: ApiContext, call: ApiCall): Promise<ObjectList> {
  const options = await readOptions(call);
  const listed = listOptions(call.request.query, false);
  const selection = selectionOf(call.resource, listed.labelSelector, listed.fieldSelector);
  const list = selectObjects(context, call, listed, selection);
  const items: KubeObject[] = [];
  for (const item of list.items) {
    const { name, namespace = '' } = item.metadata;
    try {
      items.push(await removeByName(context, call, namespace, name, options, (object) => object));
    } catch (error) {
      if (error instanceof StoreError || isNotFound(error)) continue;
      throw error;
    }
  }
  return { metadata: { resourceVersion: String(context.store.revision) }, items };
}

async function readOptions(call: ApiCall): Promise<DeleteRequestOptions> {
  const body = await call.body();
  if (body.bytes.length === 0) return deleteOptions(call.request.query, undefined);
  const kind = { group: '', version: 'v1', kind: 'DeleteOptions', isOptions: true } as const;
  const { object } = decodeBody<DeleteOptionsBody>(body, kind, 'Ignore');
  return deleteOptions(call.request.query, object);
}

async function removeByName<T>(
  context: ApiContext,
  call: ApiCall,
  namespace: string,
  name: string,
  options: DeleteRequestOptions,
  answer: (object: KubeObject, done: boolean) => T,
): Promise<T> {
  const { resource } = call;
  for (let attempt = 1; ; attempt++) {
    const stored = context.store.get(keyOf(resource, namespace, name));
    if (stored === undefined) throw notFound(resource, name);
    checkPreconditions(resource, stored, options);
    const admission = admissionOfDelete(call, options, asServed(resource, stored.object));
    await context.admission.admit(admission, call.signal);
    await context.admission.validate(admission, call.signal);
    try {
      const { object, done } = remove(context, resource, stored, options);
      return answer(asServed(resource, object), done);
    } catch (error) {
      const lost = error instanceof StoreError && error.code === 'CONFLICT';
      if (!lost || attempt === CONFLICT_TRIES) throw storageFailure(error, resource, name);
    }
  }
}

function remove(
  context: ApiContext,
  resource: ResourceInfo,
  stored: Stored,
  options: DeleteRequestOptions,
): { object: KubeObject; done: boolean } {
  const now = context.clock.now();
  const object = structuredClone(stored.object);
  const { metadata } = object;
  const before = metadata.deletionTimestamp;
  const grace = graceSeconds(resource, object, options);
  if (before !== undefined && metadata.deletionGracePeriodSeconds !== undefined) {
    const left = metadata.deletionGracePeriodSeconds;
    // A second delete may only shorten the time; asking for as much or more changes nothing.
    if (options.gracePeriodSeconds !== undefined && grace < left) {
      metadata.deletionTimestamp = formatTime(Date.parse(before) + (grace - left) * 1000);
      metadata.deletionGracePeriodSeconds = grace;
    }
  } else {
    metadata.deletionTimestamp = formatTime(now + grace * 1000);
    metadata.deletionGracePeriodSeconds = grace;
    if ((metadata.generation ?? 0) > 0) metadata.generation = (metadata.generation ?? 0) + 1;
  }
  setCollectionFinalizers(resource, object, options.propagationPolicy);
  if (object.kind === 'Namespace') markTerminating(object);
  if (isReadyToGo(object)) {
    if (options.dryRun) return { object: stored.object, done: true };
    return { object: removeForGood(context, resource, stored, object), done: true };
  }
  if (options.dryRun || isUnchanged(stored.object, object)) return { object, done: false };
  return {
    object: context.store.update(stored.key, stored.revision, asStored(resource, object)).object,
    done: false,
  };
}

function removeForGood(
  context: ApiContext,
  resource: ResourceInfo,
  stored: Stored,
  marked: KubeObject,
): KubeObject {
  const { store } = context;
  const last = lastState(stored.object, marked);
  if (!isPod(resource) || isUnchanged(stored.object, marked)) {
    return store.delete(stored.key, stored.revision, asStored(resource, last)).object;
  }
  // A Pod is always told that it is to end, even when it gets no time for it.
  const told = store.update(stored.key, stored.revision, asStored(resource, marked));
  return store.delete(told.key, told.revision, told.object).object;
}

function isPod(resource: ResourceInfo): boolean {
  return resource.group === '' && resource.resource === 'pods';
}

/** A graceless delete leaves no trace in the last state; one that was announced keeps its marks. */
function lastState(stored: KubeObject, marked: KubeObject): KubeObject {
  return stored.metadata.deletionTimestamp === undefined ? stored : marked;
}

/** Only Pods that a node may still be running get time to end. */
function graceSeconds(resource: ResourceInfo, object: KubeObject, options: DeleteRequestOptions): number {
  if (!isPod(resource)) return 0;
  const pod = object as Pod;
  const asked = options.gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  const phase = pod.status?.phase;
  if ((pod.spec.nodeName ?? '') === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
  // Negative periods are leftovers of old objects; the API treats them as one second.
  return asked < 0 ? 1 : asked;
}

function setCollectionFinalizers(
  resource: ResourceInfo,
  object: KubeObject,
  policy: PropagationPolicy | undefined,
): void {
  const name = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
  const present = object.metadata.finalizers ?? [];
  let effective = policy;
  if (effective === undefined) {
    if (present.includes(ORPHAN) || ORPHANING.has(name)) effective = 'Orphan';
    else if (present.includes(FOREGROUND)) effective = 'Foreground';
    else effective = 'Background';
  }
  const finalizers = present.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  if (effective === 'Orphan') finalizers.push(ORPHAN);
  if (effective === 'Foreground') finalizers.push(FOREGROUND);
  if (finalizers.length > 0) object.metadata.finalizers = finalizers;
  else delete object.metadata.finalizers;
}

function specFinalizers(object: KubeObject): readonly unknown[] {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return [];
  const { spec } = object as KubeObject & { spec?: { finalizers?: unknown[] } };
  return spec?.finalizers ?? [];
}

function markTerminating(object: KubeObject & { status?: { phase?: string } }): void {
  object.status = { ...object.status, phase: 'Terminating' };
}

function isUnchanged(a: KubeObject, b: KubeObject): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function checkPreconditions(resource: ResourceInfo, stored: Stored, options: DeleteRequestOptions): void {
  const { name, uid } = stored.object.metadata;
  // Upstream words this refusal with the kind where others have the resource.
  const fail = (why: string): Error =>
    conflict({ group: resource.group, resource: resource.kind }, name, why);
  if (options.uid !== undefined && options.uid !== uid) {
    throw fail(
      `the UID in the precondition (${options.uid}) does not match the UID in record (${uid ?? ''}). The object might have been deleted and then recreated`,
    );
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== String(stored.revision)) {
    throw fail(
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${stored.revision}). The object might have been modified`,
    );
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'NotFound';
}
