import {
  addUsage,
  exceeded,
  quotaCovers,
  subtractUsage,
  unsaid,
  usageOf,
  type QuotaSpec,
  type Usage,
} from '../../admission/quota-usage.ts';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { forbidden } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import { storageName } from '../api-call.ts';
import type { ObjectStore } from '../object-store.ts';
import { StoreError, type Stored } from '../stored-object.ts';

const QUOTAS = 'resourcequotas';
/** Changes that come within this time are counted together. */
const SETTLE_MS = 100;

interface ResourceQuota extends KubeObject {
  readonly spec?: QuotaSpec;
  readonly status?: { readonly hard?: Usage; readonly used?: Usage };
}

/** Keeps namespaces within their quotas, and the quotas' status with what is used. */
export class ResourceQuotas {
  readonly plugin: AdmissionPlugin;
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #ending = new AbortController();
  /** Namespaces that have, or had, a quota: writes to all others are not looked at. */
  readonly #namespaces = new Set<string>();
  /** Namespaces whose usage is to be counted again. */
  readonly #dirty = new Set<string>();
  readonly #watched = new Map<string, () => void>();
  #waiting = false;

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.plugin = {
      name: 'ResourceQuota',
      validate: (request) => this.#charge(request),
    };
    this.#watched.set(
      QUOTAS,
      store.subscribe(QUOTAS, ({ key, type }) => {
        if (type === 'DELETED') return;
        this.#namespaces.add(key.namespace);
        // A quota says what it bounds before anything else happens in its namespace.
        queueMicrotask(() => this.#count(key.namespace, true));
      }),
    );
    for (const { key } of store.list(QUOTAS).items) {
      this.#namespaces.add(key.namespace);
      this.#later(key.namespace);
    }
  }

  close(): void {
    this.#ending.abort();
    for (const stop of this.#watched.values()) stop();
  }

  /** Takes what a request needs from the quotas of its namespace, at once, so that two cannot have the last of it. */
  #charge(request: AdmissionRequest): void {
    const { operation, object, namespace } = request;
    const isWrite = operation === 'CREATE' || operation === 'UPDATE';
    if (!isWrite || object === undefined || request.subresource !== '' || !request.resource.namespaced)
      return;
    const resource = storageName(request.resource);
    if (!this.#namespaces.has(namespace)) return;
    const quotas = this.#store.list(QUOTAS, { namespace }).items;
    if (quotas.length === 0 || (operation === 'UPDATE' && resource === 'pods')) return;
    const charges: [Stored, Usage][] = [];
    for (const stored of quotas) {
      const quota = stored.object as ResourceQuota;
      const { name } = quota.metadata;
      const hard = quota.spec?.hard ?? {};
      if (!quotaCovers(quota.spec ?? {}, object, resource)) continue;
      const refuse = (why: string): Error => forbidden(request.resource, request.name, why);
      if (resource === 'pods') {
        const missing = unsaid(object as Pod, hard);
        if (missing !== '') throw refuse(`failed quota: ${name}: must specify ${missing}`);
      }
      const before = request.oldObject === undefined ? {} : usageOf(request.oldObject, resource);
      const delta = addUsage(hard, subtractUsage(usageOf(object, resource), before));
      const counted = addUsage(hard, quota.status?.used ?? this.#usage(namespace, quota));
      const fault = exceeded(name, hard, counted, delta);
      if (fault !== undefined) throw refuse(fault);
      const used = addUsage(hard, counted, delta);
      if (!isDeepStrictEqual(used, counted)) charges.push([stored, used]);
    }
    if (request.dryRun) return;
    for (const [stored, used] of charges) this.#write(stored, used);
    if (charges.length > 0) this.#later(namespace);
  }

  /** Counts a namespace again soon: what was charged for may not have come, and what is gone gives back. */
  #later(namespace: string): void {
    this.#dirty.add(namespace);
    if (this.#waiting) return;
    this.#waiting = true;
    void this.#clock.sleep(SETTLE_MS, this.#ending.signal).then(
      () => {
        this.#waiting = false;
        const dirty = [...this.#dirty];
        this.#dirty.clear();
        for (const each of dirty) this.#count(each, false);
      },
      () => undefined,
    );
  }

  /** @param fresh only quotas whose status does not fit their spec yet */
  #count(namespace: string, fresh: boolean): void {
    if (this.#ending.signal.aborted) return;
    for (const stored of this.#store.list(QUOTAS, { namespace }).items) {
      const quota = stored.object as ResourceQuota;
      const hard = quota.spec?.hard ?? {};
      if (fresh && isDeepStrictEqual(quota.status?.hard ?? {}, hard)) continue;
      this.#watch(Object.keys(hard));
      this.#write(stored, this.#usage(namespace, quota));
    }
  }

  #usage(namespace: string, quota: ResourceQuota): Usage {
    const hard = quota.spec?.hard ?? {};
    const usages = resourcesFor(Object.keys(hard)).flatMap((resource) =>
      this.#store
        .list(resource, { namespace })
        .items.filter(({ object }) => quotaCovers(quota.spec ?? {}, object, resource))
        .map(({ object }) => usageOf(object, resource)),
    );
    return addUsage(hard, ...usages);
  }

  #write(stored: Stored, used: Usage): void {
    const now = this.#store.get(stored.key);
    if (now === undefined) return;
    const quota = now.object as ResourceQuota;
    const hard = quota.spec?.hard ?? {};
    const status = { hard, used };
    if (isDeepStrictEqual(quota.status, status)) return;
    try {
      this.#store.update(now.key, now.revision, { ...quota, status } as KubeObject);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#later(now.key.namespace);
    }
  }

  /** Listens for changes of what quotas bound, from the first quota on that does. */
  #watch(names: readonly string[]): void {
    for (const resource of resourcesFor(names)) {
      if (this.#watched.has(resource)) continue;
      const stop = this.#store.subscribe(resource, ({ key, type, object }) => {
        if (type === 'DELETED' || (resource === 'pods' && hasEnded(object))) this.#later(key.namespace);
      });
      this.#watched.set(resource, stop);
    }
  }
}

function hasEnded(object: KubeObject): boolean {
  const phase = (object as Pod).status?.phase;
  return phase === 'Failed' || phase === 'Succeeded';
}

/** Returns the resources whose objects use the amounts named. */
function resourcesFor(names: readonly string[]): string[] {
  const found = new Set<string>();
  for (const name of names) {
    if (name.startsWith('count/')) found.add(name.slice('count/'.length));
    else if (name.startsWith('services')) found.add('services');
    else if (name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/')) {
      found.add('persistentvolumeclaims');
    } else if (
      [
        'replicationcontrollers',
        'resourcequotas',
        'secrets',
        'configmaps',
        'persistentvolumeclaims',
      ].includes(name)
    ) {
      found.add(name);
    } else found.add('pods');
  }
  return [...found];
}
