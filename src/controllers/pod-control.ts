import { messageOf } from '../base/coded-error.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject, ObjectMeta } from '../kube/object.ts';
import { controllerReference } from '../kube/owner-reference.ts';
import type { Pod, PodTemplate } from '../kube/pod.ts';
import type { ControllerContext } from './controller-context.ts';
import type { Expectations } from './expectations.ts';
import { PODS } from './resource-types.ts';

/** How a kind of owner tells what it did, from the names of Pod and owner, or why it could not. */
export interface PodWords {
  readonly created: (pod: string, owner: string) => string;
  readonly deleted: (pod: string, owner: string) => string;
  readonly notCreated: (pod: string, owner: string, why: string) => string;
  readonly notDeleted: (pod: string, owner: string, why: string) => string;
}

const PLAIN_WORDS: PodWords = {
  created: (pod) => `Created pod: ${pod}`,
  deleted: (pod) => `Deleted pod: ${pod}`,
  notCreated: (_pod, _owner, why) => `Error creating: ${why}`,
  notDeleted: (_pod, _owner, why) => `Error deleting: ${why}`,
};

/** Creates and deletes the Pods of one kind of owner, with the events that tell of it. */
export class PodControl {
  readonly #context: ControllerContext;
  readonly #expectations: Expectations;
  readonly #words: PodWords;
  /** `replicaset-controller` */
  readonly component: string;

  constructor(
    context: ControllerContext,
    expectations: Expectations,
    component: string,
    words: PodWords = PLAIN_WORDS,
  ) {
    this.#words = words;
    this.#context = context;
    this.#expectations = expectations;
    this.component = component;
  }

  /** Makes a Pod from a template, owned by `owner`; the server calls it `OWNER-xxxxx` unless `metadata` says otherwise. */
  async create(
    owner: KubeObject,
    template: PodTemplate,
    signal: AbortSignal,
    metadata: Partial<ObjectMeta> = {},
  ): Promise<Pod> {
    const named =
      metadata.name === undefined
        ? { name: '', generateName: metadata.generateName ?? `${owner.metadata.name}-` }
        : { name: metadata.name };
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...named,
        ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
        labels: { ...template.metadata?.labels, ...metadata.labels },
        ...(template.metadata?.annotations === undefined && metadata.annotations === undefined
          ? {}
          : { annotations: { ...template.metadata?.annotations, ...metadata.annotations } }),
        ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers }),
        ownerReferences: [controllerReference(owner)],
      },
      spec: template.spec,
    };
    this.#expectations.expectCreate(owner);
    try {
      const created = await this.#context.client.create(PODS, pod, signal);
      this.#context.events.record(this.component, owner, {
        type: 'Normal',
        reason: 'SuccessfulCreate',
        message: this.#words.created(created.metadata.name, owner.metadata.name),
      });
      return created;
    } catch (error) {
      this.#expectations.cancelCreate(owner);
      // A namespace on its way out refuses new Pods; telling so again and again helps nobody.
      if (!isTerminating(error)) {
        this.#context.events.record(this.component, owner, {
          type: 'Warning',
          reason: 'FailedCreate',
          message: this.#words.notCreated(pod.metadata.name, owner.metadata.name, messageOf(error)),
        });
      }
      throw error;
    }
  }

  async delete(owner: KubeObject, pod: Pod, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid } = pod.metadata;
    this.#expectations.expectDelete(owner, pod);
    try {
      await this.#context.client.delete(
        PODS,
        { namespace, name },
        signal,
        uid === undefined ? {} : { preconditions: { uid } },
      );
      this.#context.events.record(this.component, owner, {
        type: 'Normal',
        reason: 'SuccessfulDelete',
        message: this.#words.deleted(name, owner.metadata.name),
      });
    } catch (error) {
      this.#expectations.cancelDelete(pod);
      if (isApiError(error, 'NotFound', 'Conflict')) return;
      this.#context.events.record(this.component, owner, {
        type: 'Warning',
        reason: 'FailedDelete',
        message: this.#words.notDeleted(name, owner.metadata.name, messageOf(error)),
      });
      throw error;
    }
  }
}

/** Tells whether a create was refused because its namespace is going. */
export function isTerminating(error: unknown): boolean {
  if (!isApiError(error, 'Forbidden')) return false;
  return error.status?.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating') ?? false;
}
