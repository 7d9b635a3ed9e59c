import { setDefaults, type DefaultOptions } from '../kube/default/set-defaults.ts';
import { newUid } from '../kube/names.ts';
import type { KubeObject } from '../kube/object.ts';
import { findResource, resources, type ResourceInfo } from '../kube/resources.ts';
import { prepareForCreate } from '../kube/strategy.ts';
import { formatTime } from '../kube/time.ts';
import type { Clock } from '../base/clock.ts';
import { asStored, keyOf } from './api-call.ts';
import type { ObjectStore } from './object-store.ts';
import { DEFINITIONS, type ServedResources } from './served-resources.ts';

const OWN_GROUP = 'apiregistration.k8s.io';
const MANAGED = 'kube-aggregator.kubernetes.io/automanaged';

/** Place of every group that a definition brings. */
const CUSTOM_PRIORITY = 1000;

/** Places of the groups that are built in: clients look for a name in the order of discovery, which follows from them. */
const PRIORITIES: Readonly<Record<string, number>> = {
  '': 18_000,
  apps: 17_800,
  'events.k8s.io': 17_750,
  'authentication.k8s.io': 17_700,
  'authorization.k8s.io': 17_600,
  autoscaling: 17_500,
  batch: 17_400,
  'certificates.k8s.io': 17_300,
  'networking.k8s.io': 17_200,
  policy: 17_100,
  'rbac.authorization.k8s.io': 17_000,
  'storage.k8s.io': 16_800,
  'apiextensions.k8s.io': 16_700,
  'admissionregistration.k8s.io': 16_700,
  'scheduling.k8s.io': 16_600,
  'coordination.k8s.io': 16_500,
  'node.k8s.io': 16_300,
  'discovery.k8s.io': 16_200,
};

/** Keeps an APIService for each version that is served here: built in, or by a definition for as long as that is there. */
export class RegisteredVersions {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #served: ServedResources;
  readonly #defaults: DefaultOptions;
  readonly #stop: () => void;
  #closed = false;

  constructor(store: ObjectStore, clock: Clock, served: ServedResources, defaults: DefaultOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#served = served;
    this.#defaults = defaults;
    for (const { group, version } of resources) {
      if (group !== OWN_GROUP) this.#register(group, version, 'onstart');
    }
    this.#stop = store.subscribe(DEFINITIONS, () => {
      // Not within the announcement of a change: what is written here is a change of its own.
      queueMicrotask(() => {
        if (!this.#closed) this.#follow();
      });
    });
    this.#follow();
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #follow(): void {
    const custom = this.#served.all.filter((info) => info.custom !== undefined);
    const names = new Set(custom.map(({ group, version }) => `${version}.${group}`));
    for (const { group, version } of custom) this.#register(group, version, 'true');
    for (const { key, object, revision } of this.#store.list(storageName()).items) {
      const isOurs = object.metadata.labels?.[MANAGED] === 'true';
      if (isOurs && !names.has(key.name)) this.#store.delete(key, revision, object);
    }
  }

  #register(group: string, version: string, managed: 'onstart' | 'true'): void {
    const resource = apiServices();
    const name = `${version}.${group}`;
    const key = keyOf(resource, '', name);
    if (this.#store.get(key) !== undefined) return;
    const isBuiltIn = managed === 'onstart';
    const object = {
      kind: resource.kind,
      apiVersion: resource.apiVersion,
      metadata: {
        name,
        uid: newUid(),
        creationTimestamp: formatTime(this.#clock.now()),
        labels: { [MANAGED]: managed },
      },
      spec: {
        ...(group === '' ? {} : { group }),
        version,
        groupPriorityMinimum: (isBuiltIn ? PRIORITIES[group] : undefined) ?? CUSTOM_PRIORITY,
        versionPriority: isBuiltIn ? (group === '' ? 1 : 15 * Number(/\d+/.exec(version)?.[0])) : 100,
      },
    } as KubeObject;
    setDefaults(object, this.#defaults);
    prepareForCreate(object, resource);
    this.#store.create(key, asStored(resource, object));
  }
}

function apiServices(): ResourceInfo {
  const found = findResource(OWN_GROUP, 'v1', 'apiservices');
  if (found === undefined) throw new Error('Cannot start: kind "APIService" is not declared');
  return found;
}

function storageName(): string {
  return `apiservices.${OWN_GROUP}`;
}
