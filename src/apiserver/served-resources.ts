import { resourcesOf, type CustomResourceDefinition } from '../kube/custom/definition.ts';
import { findResource, resources, type ResourceInfo } from '../kube/resources.ts';
import type { ObjectStore } from './object-store.ts';

/** Where definitions are stored. */
export const DEFINITIONS = 'customresourcedefinitions.apiextensions.k8s.io';

/** Knows what is served now: what is built in, and what the established definitions add. */
export class ServedResources {
  readonly #store: ObjectStore;
  readonly #stop: () => void;
  #all: readonly ResourceInfo[] = resources;
  #custom: ReadonlyMap<string, ResourceInfo> = new Map();

  constructor(store: ObjectStore) {
    this.#store = store;
    this.#stop = store.subscribe(DEFINITIONS, () => {
      this.#read();
    });
    this.#read();
  }

  /** Everything served; another list after each change. */
  get all(): readonly ResourceInfo[] {
    return this.#all;
  }

  /** Finds by path parts; `undefined` when not served. */
  find(group: string, version: string, resource: string): ResourceInfo | undefined {
    return findResource(group, version, resource) ?? this.#custom.get(`${group}/${version}/${resource}`);
  }

  close(): void {
    this.#stop();
  }

  #read(): void {
    const found = this.#store.list(DEFINITIONS).items.flatMap(({ object }) => {
      const definition = object as CustomResourceDefinition;
      return isEstablished(definition) ? resourcesOf(definition) : [];
    });
    this.#custom = new Map(found.map((info) => [`${info.apiVersion}/${info.resource}`, info]));
    this.#all = found.length === 0 ? resources : [...resources, ...found];
  }
}

/** Tells whether the objects of a definition are served. */
export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return (status?.conditions ?? []).some(
    (condition) => condition.type === 'Established' && condition.status === 'True',
  );
}
