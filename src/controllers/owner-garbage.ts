import { LruMap } from '../base/lru-map.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject, OwnerReference } from '../kube/object.ts';
import { findKind, resources, type ResourceInfo } from '../kube/resources.ts';
import { unless, type ControllerContext } from './controller-context.ts';
import { CustomInformers, type CustomChange } from './custom-informers.ts';

const ORPHAN = 'orphan';
const FOREGROUND = 'foregroundDeletion';
const WORKERS = 4;
/** Objects remembered that went. */
const ABSENT = 500;
const COMPONENT = 'garbage-collector-controller';

interface Entry {
  readonly resource: ResourceInfo;
  readonly object: KubeObject;
}

/**
 * Removes what nobody owns any more, and does what the deletion of an owner asks for: dependents first (foreground),
 * afterwards (background), or not at all (orphan).
 */
export function startOwnerGarbageCollector(context: ControllerContext): void {
  /** uid → the object as last seen. */
  const known = new Map<string, Entry>();
  /** uid of an owner → uids of what it owns. */
  const dependents = new Map<string, Set<string>>();
  /** uids of objects that were seen to go: their kind may be gone too by the time when somebody asks. */
  const absent = new LruMap<string, true>(ABSENT);

  const queue = context.queue(
    'collect',
    async (uid, signal) => {
      const entry = known.get(uid);
      if (entry === undefined) return;
      const { metadata } = entry.object;
      if (metadata.deletionTimestamp !== undefined) {
        const isOrphaning = metadata.finalizers?.includes(ORPHAN) === true;
        if (!isOrphaning && metadata.finalizers?.includes(FOREGROUND) !== true) return;
        // Of dependents not known yet an owner would let go too soon.
        await custom.synced();
        await (isOrphaning ? orphan(entry, signal) : foreground(entry, signal));
        return;
      }
      await collect(entry, signal);
    },
    WORKERS,
  );

  const custom = new CustomInformers(context, see);

  /** Deletes an object all of whose owners are gone; drops references to those of several that are. */
  async function collect(entry: Entry, signal: AbortSignal): Promise<void> {
    const { metadata } = entry.object;
    const references = metadata.ownerReferences ?? [];
    if (references.length === 0) return;
    const present: OwnerReference[] = [];
    let isWaitedFor = false;
    for (const reference of references) {
      const owner = await ownerOf(reference, metadata.namespace, signal);
      if (owner === 'unresolvable') return;
      if (owner === undefined) continue;
      present.push(reference);
      const isGoing = owner.metadata.deletionTimestamp !== undefined;
      if (isGoing && owner.metadata.finalizers?.includes(FOREGROUND) === true) isWaitedFor = true;
    }
    if (present.length === references.length && !isWaitedFor) return;
    const isHeld = present.length > 0 && !(isWaitedFor && present.length === 1);
    if (isHeld) {
      if (present.length < references.length) await setReferences(entry, present, signal);
      return;
    }
    await remove(entry, isWaitedFor ? 'Foreground' : 'Background', signal);
  }

  /** Looks for an owner where it would have to be: beside its dependent, or in no namespace. */
  async function ownerOf(
    reference: OwnerReference,
    namespace: string | undefined,
    signal: AbortSignal,
  ): Promise<KubeObject | 'unresolvable' | undefined> {
    const seen = known.get(reference.uid);
    if (seen !== undefined && isWithin(seen.object, namespace)) return seen.object;
    if (absent.has(reference.uid)) return undefined;
    // Not in our picture is not yet gone: it may be newer than the picture.
    const { apiVersion, kind } = reference;
    const resource = seen?.resource ?? findKind(apiVersion, kind) ?? custom.find(apiVersion, kind);
    if (resource === undefined) throw new Error(`owner kind ${apiVersion} ${kind} is not served`);
    if (resource.namespaced && namespace === undefined) return 'unresolvable';
    try {
      const scope = resource.namespaced && namespace !== undefined ? { namespace } : {};
      const owner = await context.client.get(resource, { ...scope, name: reference.name }, signal);
      return owner.metadata.uid === reference.uid ? owner : undefined;
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Tells of owners that are somewhere else than their dependent: they count as absent. */
  function tellStrangers(object: KubeObject): void {
    const { namespace } = object.metadata;
    for (const { uid, apiVersion, kind, name } of object.metadata.ownerReferences ?? []) {
      const owner = known.get(uid)?.object;
      if (owner === undefined || isWithin(owner, namespace)) continue;
      const where = namespace ?? '';
      const which = `[${apiVersion}/${kind}, namespace: ${where}, name: ${name}, uid: ${uid}]`;
      context.events.record(COMPONENT, object, {
        type: 'Warning',
        reason: 'OwnerRefInvalidNamespace',
        message: `ownerRef ${which} does not exist in namespace "${where}"`,
      });
    }
  }

  async function orphan(entry: Entry, signal: AbortSignal): Promise<void> {
    const uid = entry.object.metadata.uid ?? '';
    for (const dependent of dependentsOf(uid)) {
      const references = (dependent.object.metadata.ownerReferences ?? []).filter(
        (reference) => reference.uid !== uid,
      );
      await setReferences(dependent, references, signal);
    }
    await dropFinalizer(entry, ORPHAN, signal);
  }

  async function foreground(entry: Entry, signal: AbortSignal): Promise<void> {
    const uid = entry.object.metadata.uid ?? '';
    const blocking = dependentsOf(uid).filter((dependent) =>
      dependent.object.metadata.ownerReferences?.some(
        (reference) => reference.uid === uid && reference.blockOwnerDeletion === true,
      ),
    );
    for (const dependent of dependentsOf(uid)) queue.add(dependent.object.metadata.uid ?? '');
    if (blocking.length === 0) await dropFinalizer(entry, FOREGROUND, signal);
  }

  function dependentsOf(uid: string): Entry[] {
    return [...(dependents.get(uid) ?? [])].flatMap((dependent) => known.get(dependent) ?? []);
  }

  async function remove(
    entry: Entry,
    propagationPolicy: 'Foreground' | 'Background',
    signal: AbortSignal,
  ): Promise<void> {
    const { name, namespace, uid } = entry.object.metadata;
    // What was marked for orphaning keeps that wish.
    const policy = entry.object.metadata.finalizers?.includes(ORPHAN) === true ? 'Orphan' : propagationPolicy;
    await unless(
      ['NotFound', 'Conflict'],
      context.client.delete(
        entry.resource,
        { name, ...(namespace === undefined ? {} : { namespace }) },
        signal,
        {
          propagationPolicy: policy,
          ...(uid === undefined ? {} : { preconditions: { uid } }),
        },
      ),
    );
  }

  async function setReferences(
    entry: Entry,
    references: OwnerReference[],
    signal: AbortSignal,
  ): Promise<void> {
    await patch(entry, { ownerReferences: references.length === 0 ? null : references }, signal);
  }

  async function dropFinalizer(entry: Entry, finalizer: string, signal: AbortSignal): Promise<void> {
    const left = (entry.object.metadata.finalizers ?? []).filter((candidate) => candidate !== finalizer);
    const { resourceVersion } = entry.object.metadata;
    await patch(entry, { resourceVersion, finalizers: left.length === 0 ? null : left }, signal);
  }

  async function patch(entry: Entry, metadata: object, signal: AbortSignal): Promise<void> {
    const { name, namespace, uid } = entry.object.metadata;
    const target = { name, ...(namespace === undefined ? {} : { namespace }) };
    await unless(
      ['NotFound', 'Invalid'],
      context.client.patch(entry.resource, target, { metadata: { uid, ...metadata } }, 'merge', signal),
    );
  }

  function forget(uid: string): void {
    for (const reference of known.get(uid)?.object.metadata.ownerReferences ?? []) {
      const set = dependents.get(reference.uid);
      set?.delete(uid);
      if (set?.size === 0) dependents.delete(reference.uid);
    }
    known.delete(uid);
  }

  function see({ resource, type, object }: CustomChange): void {
    const uid = object.metadata.uid ?? '';
    const owners = new Set([
      ...(known.get(uid)?.object.metadata.ownerReferences ?? []),
      ...(object.metadata.ownerReferences ?? []),
    ]);
    forget(uid);
    if (type === 'deleted') {
      absent.set(uid, true);
      for (const dependent of dependents.get(uid) ?? []) queue.add(dependent);
    } else {
      known.set(uid, { resource, object });
      for (const reference of object.metadata.ownerReferences ?? []) {
        let set = dependents.get(reference.uid);
        if (set === undefined) dependents.set(reference.uid, (set = new Set()));
        set.add(uid);
      }
      if (type === 'added') tellStrangers(object);
      queue.add(uid);
    }
    // An owner that waits for its dependents looks again.
    for (const reference of owners) {
      const owner = known.get(reference.uid)?.object;
      if (owner?.metadata.deletionTimestamp !== undefined) queue.add(reference.uid);
    }
  }

  for (const resource of collectable()) {
    context.informer(resource).onChange(({ type, object }) => see({ resource, type, object }));
  }
}

function isWithin(owner: KubeObject, namespace: string | undefined): boolean {
  return owner.metadata.namespace === undefined || owner.metadata.namespace === namespace;
}

/** Everything that can own or be owned. Events and leases come by the thousand and are neither. */
function collectable(): ResourceInfo[] {
  const skipped = new Set(['events', 'leases']);
  return resources.filter(
    (resource) =>
      resource.verbs.includes('delete') &&
      resource.verbs.includes('watch') &&
      resource.storedAs === undefined &&
      !skipped.has(resource.resource),
  );
}
