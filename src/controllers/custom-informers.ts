import { resourcesOf, type CustomResourceDefinition } from '../kube/custom/definition.ts';
import type { Informer, InformerChange } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { parseApiVersion, type ResourceInfo } from '../kube/resources.ts';
import type { ControllerContext } from './controller-context.ts';
import { DEFINITIONS } from './resource-types.ts';

export interface CustomChange extends InformerChange<KubeObject> {
  readonly resource: ResourceInfo;
}

interface Watched {
  readonly resource: ResourceInfo;
  readonly informer: Informer<KubeObject>;
  readonly stop: AbortController;
}

/** Watches the objects of every established definition, each kind in one version, for as long as it is served. */
export class CustomInformers {
  readonly #context: ControllerContext;
  readonly #onChange: (change: CustomChange) => void;
  /** By the name of the definition: `widgets.example.com`. */
  readonly #watched = new Map<string, Watched>();

  /** @param onChange told of every object, and of each as deleted when its kind goes */
  constructor(context: ControllerContext, onChange: (change: CustomChange) => void) {
    this.#context = context;
    this.#onChange = onChange;
    context.informer<CustomResourceDefinition>(DEFINITIONS).onChange(({ type, object }) => {
      const wanted = type === 'deleted' ? undefined : servedOf(object);
      const present = this.#watched.get(object.metadata.name);
      if (wanted?.apiVersion === present?.resource.apiVersion) return;
      if (present !== undefined) this.#end(object.metadata.name, present);
      if (wanted !== undefined) this.#begin(object.metadata.name, wanted);
    });
  }

  /** Finds a kind in whatever version it is watched: all of them show the same objects. */
  find(apiVersion: string, kind: string): ResourceInfo | undefined {
    const { group } = parseApiVersion(apiVersion);
    for (const { resource } of this.#watched.values()) {
      if (resource.group === group && resource.kind === kind) return resource;
    }
    return undefined;
  }

  /** Resolves once the objects of all present definitions are known. */
  async synced(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(({ informer }) => informer.synced()));
  }

  #begin(name: string, resource: ResourceInfo): void {
    const stop = new AbortController();
    const informer = this.#context.informerUntil(resource, stop.signal);
    informer.onChange(({ type, object }) => {
      if (!stop.signal.aborted) this.#onChange({ resource, type, object });
    });
    this.#watched.set(name, { resource, informer, stop });
  }

  #end(name: string, { resource, informer, stop }: Watched): void {
    this.#watched.delete(name);
    stop.abort();
    for (const object of informer.values()) this.#onChange({ resource, type: 'deleted', object });
  }
}

function servedOf(definition: CustomResourceDefinition): ResourceInfo | undefined {
  return isEstablished(definition) ? resourcesOf(definition)[0] : undefined;
}

/** Tells whether the kind of a definition is served. */
export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return (status?.conditions ?? []).find(({ type }) => type === 'Established')?.status === 'True';
}
