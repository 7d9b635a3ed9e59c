import type { OperationRule } from '../../admission/rule-match.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { LabelSelectorObject } from '../../kube/selector/label-selector.ts';
import type { ObjectStore } from '../object-store.ts';

export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** One webhook of a configuration, defaults filled in. */
export interface Webhook {
  readonly name: string;
  readonly clientConfig: {
    readonly url?: string;
    readonly service?: {
      readonly namespace: string;
      readonly name: string;
      readonly path?: string;
      readonly port?: number;
    };
    /** Base64 of PEM. */
    readonly caBundle?: string;
  };
  readonly rules?: readonly OperationRule[];
  readonly failurePolicy?: 'Fail' | 'Ignore';
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelectorObject;
  readonly objectSelector?: LabelSelectorObject;
  readonly sideEffects?: string;
  readonly timeoutSeconds?: number;
  readonly admissionReviewVersions: readonly string[];
  readonly matchConditions?: readonly MatchCondition[];
  readonly reinvocationPolicy?: string;
}

interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly Webhook[];
}

/** A webhook, with a name that no other has even when configurations repeat names. */
export interface ConfiguredWebhook {
  readonly id: string;
  readonly configuration: string;
  readonly index: number;
  readonly webhook: Webhook;
}

/** Keeps the objects of some resources in memory, read again after each change. */
export class StoredObjects<T> {
  readonly #store: ObjectStore;
  readonly #resources: readonly string[];
  readonly #read: (objects: readonly KubeObject[]) => T;
  readonly #stops: (() => void)[];
  #known: T | undefined;

  /** @param read makes what is kept from the objects of all resources, each resource's by name */
  constructor(store: ObjectStore, resources: readonly string[], read: (objects: readonly KubeObject[]) => T) {
    this.#store = store;
    this.#resources = resources;
    this.#read = read;
    this.#stops = resources.map((resource) =>
      store.subscribe(resource, () => {
        this.#known = undefined;
      }),
    );
  }

  get value(): T {
    return (this.#known ??= this.#read(
      this.#resources.flatMap((resource) => this.#store.list(resource).items.map(({ object }) => object)),
    ));
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }
}

/** Keeps the webhooks of one kind of configuration, in the order in which they are called. */
export function webhooksOf(
  store: ObjectStore,
  kind: 'mutating' | 'validating',
): StoredObjects<readonly ConfiguredWebhook[]> {
  return new StoredObjects(
    store,
    [`${kind}webhookconfigurations.admissionregistration.k8s.io`],
    (objects) => {
      const names = new Map<string, number>();
      return (objects as readonly WebhookConfiguration[])
        .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        .flatMap(({ metadata, webhooks = [] }) =>
          webhooks.map((webhook, index) => {
            const id = `${metadata.name}/${webhook.name}`;
            const count = names.get(id) ?? 0;
            names.set(id, count + 1);
            return { id: `${id}/${count}`, configuration: metadata.name, index, webhook };
          }),
        );
    },
  );
}
