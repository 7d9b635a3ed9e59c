import { setDefaults, type DefaultOptions } from '../../kube/default/set-defaults.ts';
import { newUid } from '../../kube/names.ts';
import type { KubeObject } from '../../kube/object.ts';
import { findKind } from '../../kube/resources.ts';
import { prepareForCreate } from '../../kube/strategy.ts';
import { formatTime } from '../../kube/time.ts';
import { keyOf } from '../api-call.ts';
import { SYSTEM_NAMESPACES } from '../namespace-lifecycle.ts';
import type { ObjectStore } from '../object-store.ts';
import { defaultRoles, reconciled } from './bootstrap-roles.ts';

/** The classes that every cluster has. */
const PRIORITIES: Readonly<Record<string, { readonly value: number; readonly description: string }>> = {
  'system-cluster-critical': {
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
  'system-node-critical': {
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
};

/**
 * Creates what every cluster begins with and is not there yet: the system's namespaces, priorities and default roles.
 * Objects that exist are left as their owner made them, but that default roles and bindings gain what they lack.
 */
export function createBootstrapObjects(store: ObjectStore, now: number, defaults: DefaultOptions): void {
  for (const object of bootstrapObjects()) {
    const resource = findKind(object.apiVersion, object.kind);
    if (resource === undefined) throw new Error(`Cannot start: kind "${object.kind}" is not declared`);
    const key = keyOf(resource, object.metadata.namespace ?? '', object.metadata.name);
    const stored = store.get(key);
    if (stored !== undefined) {
      const next = reconciled(stored.object, object);
      if (next !== undefined) store.update(key, stored.revision, next);
      continue;
    }
    setDefaults(object, defaults);
    prepareForCreate(object, resource);
    object.metadata.uid = newUid();
    object.metadata.creationTimestamp = formatTime(now);
    store.create(key, object);
  }
}

function* bootstrapObjects(): Generator<KubeObject> {
  for (const name of SYSTEM_NAMESPACES) {
    yield {
      kind: 'Namespace',
      apiVersion: 'v1',
      metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    };
  }
  for (const [name, { value, description }] of Object.entries(PRIORITIES)) {
    const metadata = { name };
    const apiVersion = 'scheduling.k8s.io/v1';
    yield { kind: 'PriorityClass', apiVersion, metadata, value, description } as KubeObject;
  }
  yield* defaultRoles();
}
