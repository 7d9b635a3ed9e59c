import type { Informer, InformerChange } from '../kube/client/kube-client.ts';
import { resourcesOf, type CustomResourceDefinition } from '../kube/custom/definition.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import type { ControllerContext } from './controller-context.ts';
import { DEFINITIONS } from './resource-types.ts';

/** Told of each object of a custom kind as an informer tells it. */
type Listener = (resource: ResourceInfo, change: InformerChange<KubeObject>) => void;

/** The objects of one definition, followed in one of its versions: all versions show the same objects. */
interface Followed {
  readonly resource: ResourceInfo;
  /** The kinds by which others refer to them. */
  readonly kinds: readonly string[];
  readonly informer: Informer<KubeObject>;
  stop(): void;
}

/** Follows the objects of custom kinds, each as long as its definition is there. */
export class CustomObjects {
  readonly #context: ControllerContext;
  readonly #listener: Listener;
  readonly #followed = new Map<string, Followed>();

  constructor(context: ControllerContext, listener: Listener) {
    this.#context = context;
    this.#listener = listener;
    context.informer<CustomResourceDefinition>(DEFINITIONS).onChange(({ type, object }) => {
      if (type === 'deleted') this.#leave(object.metadata.name);
      else this.#follow(object);
    });
  }

  /** Finds the resource that serves a kind, such as `example.com/v1` and `Box`. */
  find(apiVersion: string, kind: string): ResourceInfo | undefined {
    for (const { kinds, resource } of this.#followed.values())
      if (kinds.includes(`${apiVersion}/${kind}`)) return resource;
    return undefined;
  }

  #follow(definition: CustomResourceDefinition): void {
    const { name } = definition.metadata;
    const served = isEstablished(definition) ? resourcesOf(definition) : [];
    const [resource] = served;
    if (resource === undefined) return;
    const kinds = served.map(({ apiVersion, kind }) => `${apiVersion}/${kind}`);
    const before = this.#followed.get(name);
    if (before !== undefined && before.kinds.join(' ') === kinds.join(' ')) return;
    before?.stop();
    const ending = new AbortController();
    const informer = this.#context.informerUntil(resource, ending.signal);
    informer.onChange((change) => {
      if (!ending.signal.aborted) this.#listener(resource, change);
    });
    this.#followed.set(name, { resource, kinds, informer, stop: () => ending.abort() });
  }

  #leave(name: string): void {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    followed.stop();
    this.#followed.delete(name);
    // A definition goes after its last object; that one may not have been told of yet.
    for (const object of followed.informer.values())
      this.#listener(followed.resource, { type: 'deleted', object });
  }
}

/** Tells whether the kind of a definition is served. */
export function isEstablished({ status }: CustomResourceDefinition): boolean {
  return (status?.conditions ?? []).find(({ type }) => type === 'Established')?.status === 'True';
}
