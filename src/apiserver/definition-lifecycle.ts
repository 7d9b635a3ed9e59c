import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import type { CustomResourceDefinition, DefinitionCondition } from '../kube/custom/definition.ts';
import type { KubeObject } from '../kube/object.ts';
import { resources } from '../kube/resources.ts';
import { formatTime } from '../kube/time.ts';
import { isReadyToGo } from './delete-objects.ts';
import type { ObjectStore } from './object-store.ts';
import { StoreError, type Stored } from './stored-object.ts';
import { DEFINITIONS, isEstablished } from './served-resources.ts';

const CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

/** Accepts the names of definitions, and removes the objects of those that are deleted. */
export class DefinitionLifecycle {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #stop: () => void;
  /** Storage names of what is being removed, with the way to stop looking at each. */
  readonly #emptying = new Map<string, () => void>();
  #closed = false;

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#stop = store.subscribe(DEFINITIONS, ({ key }) => {
      this.#later(key.name);
    });
    for (const { key } of store.list(DEFINITIONS).items) this.#later(key.name);
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    for (const stop of this.#emptying.values()) stop();
  }

  /** Not within the announcement of a change: what is written here is a change of its own. */
  #later(name: string): void {
    queueMicrotask(() => {
      if (this.#closed) return;
      try {
        this.#reconcile(name);
      } catch (error) {
        // Somebody else wrote in between; that change is announced too.
        if (!(error instanceof StoreError)) throw error;
      }
    });
  }

  #reconcile(name: string): void {
    const stored = this.#store.get({ resource: DEFINITIONS, namespace: '', name });
    if (stored === undefined) return;
    const definition = stored.object as CustomResourceDefinition;
    if (definition.metadata.deletionTimestamp === undefined) {
      const status = this.#statusOf(definition);
      const accepted: CustomResourceDefinition = { ...definition, status };
      if (!isDeepStrictEqual(status, definition.status)) this.#write(stored, accepted);
      return;
    }
    if (definition.metadata.finalizers?.includes(CLEANUP) !== true) return;
    const content = `${definition.spec.names.plural}.${definition.spec.group}`;
    // Another definition may own objects of this name: one that was never accepted has none.
    if (isEstablished(definition) && this.#empty(content) > 0) {
      this.#keepEmptying(content, name);
      return;
    }
    this.#emptying.get(content)?.();
    this.#emptying.delete(content);
    const finalizers = definition.metadata.finalizers.filter((finalizer) => finalizer !== CLEANUP);
    const { finalizers: _all, ...metadata } = definition.metadata;
    const freed = {
      ...definition,
      metadata: finalizers.length === 0 ? metadata : { ...metadata, finalizers },
    };
    if (isReadyToGo(freed)) this.#store.delete(stored.key, stored.revision, freed);
    else this.#write(stored, freed);
  }

  #keepEmptying(content: string, name: string): void {
    if (this.#emptying.has(content)) return;
    const stop = this.#store.subscribe(content, ({ type }) => {
      if (type === 'DELETED') this.#later(name);
    });
    this.#emptying.set(content, stop);
  }

  /** Deletes what can go at once, marks the rest, and returns how many remain. */
  #empty(content: string): number {
    let left = 0;
    for (const row of this.#store.list(content).items) {
      const { object } = row;
      if ((object.metadata.finalizers ?? []).length === 0) {
        this.#store.delete(row.key, row.revision, object);
        continue;
      }
      left++;
      if (object.metadata.deletionTimestamp !== undefined) continue;
      const deletionTimestamp = formatTime(this.#clock.now());
      const metadata = { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0 };
      this.#write(row, { ...object, metadata });
    }
    return left;
  }

  #statusOf(definition: CustomResourceDefinition): NonNullable<CustomResourceDefinition['status']> {
    const { names, versions } = definition.spec;
    const conflict = this.#conflictOf(definition);
    const known = definition.status?.conditions ?? [];
    const accepted: DefinitionCondition =
      conflict === undefined
        ? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
        : { type: 'NamesAccepted', status: 'False', ...conflict };
    // Once established, a definition stays so: its objects exist.
    const isServed = conflict === undefined || isEstablished(definition);
    const established: DefinitionCondition = isServed
      ? {
          type: 'Established',
          status: 'True',
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
        }
      : {
          type: 'Established',
          status: 'False',
          reason: 'NotAccepted',
          message: 'not all names are accepted',
        };
    const stored = versions.find((version) => version.storage)?.name;
    const versionsBefore = definition.status?.storedVersions ?? [];
    return {
      ...definition.status,
      acceptedNames: isServed ? names : { kind: '', plural: '' },
      conditions: [accepted, established].map((condition) => this.#timed(condition, known)),
      storedVersions:
        stored === undefined || versionsBefore.includes(stored)
          ? versionsBefore
          : [...versionsBefore, stored],
    };
  }

  #timed(condition: DefinitionCondition, known: readonly DefinitionCondition[]): DefinitionCondition {
    const before = known.find(({ type }) => type === condition.type);
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
    const { type, status, ...why } = condition;
    return { lastTransitionTime: since ?? formatTime(this.#clock.now()), ...why, status, type };
  }

  #conflictOf(definition: CustomResourceDefinition): { reason: string; message: string } | undefined {
    const { group, names } = definition.spec;
    const taken = new Set<string>();
    const kinds = new Set<string>();
    for (const info of resources.filter((candidate) => candidate.group === group)) {
      for (const name of [info.resource, info.singular, ...info.shortNames]) taken.add(name);
      kinds.add(info.kind);
    }
    for (const { object } of this.#store.list(DEFINITIONS).items) {
      const other = object as CustomResourceDefinition;
      if (other.metadata.uid === definition.metadata.uid || other.spec.group !== group) continue;
      const {
        plural,
        singular = '',
        kind,
        shortNames = [],
      } = other.status?.acceptedNames ?? { plural: '', kind: '' };
      for (const name of [plural, singular, ...shortNames]) if (name !== '') taken.add(name);
      if (kind !== '') kinds.add(kind);
    }
    const refuse = (reason: string, name: string): { reason: string; message: string } => ({
      reason,
      message: `${JSON.stringify(name)} is already in use`,
    });
    if (taken.has(names.plural)) return refuse('PluralConflict', names.plural);
    if (names.singular !== undefined && taken.has(names.singular))
      return refuse('SingularConflict', names.singular);
    const short = (names.shortNames ?? []).find((name) => taken.has(name));
    if (short !== undefined) return refuse('ShortNamesConflict', short);
    return kinds.has(names.kind) ? refuse('KindConflict', names.kind) : undefined;
  }

  #write(stored: Stored, object: KubeObject): void {
    this.#store.update(stored.key, stored.revision, object);
  }
}
