import type { Pod, PodCondition } from '../kube/pod.ts';
import { formatTime } from '../kube/time.ts';
import { unless, type ControllerContext } from './controller-context.ts';
import { CLAIMS, PODS, VOLUMES } from './resource-types.ts';
import type { Node } from './scheduling-fit.ts';
import {
  BOUND_BY_CONTROLLER,
  findVolume,
  referenceTo,
  SELECTED_NODE,
  type Claim,
  type Volume,
} from './volume-objects.ts';

/** Longer texts are cut off: Events do not take them. */
const MAX_MESSAGE = 1024;

/** Writes down what the scheduler decided, with the events that tell of it. */
export class SchedulerWriter {
  readonly #context: ControllerContext;
  readonly #name: string;
  /** uid of a waiting Pod → what it was told last; the informer may not show that yet. */
  readonly #told = new Map<string, { message: string; nominated: string | undefined }>();

  /** @param name the scheduler's own, as Pods ask for it */
  constructor(context: ControllerContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  async bind(pod: Pod, node: string, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid } = pod.metadata;
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
      target: { kind: 'Node', name: node },
    };
    await this.#context.client.createSubresource(PODS, { namespace, name }, 'binding', binding, signal);
    this.#context.events.record(this.#name, pod, {
      type: 'Normal',
      reason: 'Scheduled',
      message: `Successfully assigned ${namespace}/${name} to ${node}`,
      action: 'Binding',
    });
  }

  /** @param promised the node on which others make room; absent: none does any more */
  async tellUnschedulable(pod: Pod, message: string, signal: AbortSignal, promised?: string): Promise<void> {
    const conditions = pod.status?.conditions ?? [];
    const current = conditions.find((condition) => condition.type === 'PodScheduled');
    const { uid = '' } = pod.metadata;
    const last = this.#told.get(uid) ?? {
      message: current?.reason === 'Unschedulable' ? (current.message ?? '') : '',
      nominated: pod.status?.nominatedNodeName,
    };
    const isTold = last.message === message;
    const before = last.nominated;
    // Whom it was promised before is still right while somebody leaves there.
    const nominated =
      promised ?? (message.includes('terminating pod on the nominated node') ? before : undefined);
    if (isTold && nominated === before) return;
    const { generation } = pod.metadata;
    const condition: PodCondition = {
      type: 'PodScheduled',
      status: 'False',
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastProbeTime: null,
      lastTransitionTime:
        current?.status === 'False' && current.lastTransitionTime !== undefined
          ? current.lastTransitionTime
          : formatTime(this.#context.clock.now()),
      reason: 'Unschedulable',
      message,
    };
    if (!isTold) {
      this.#context.events.record(this.#name, pod, {
        type: 'Warning',
        reason: 'FailedScheduling',
        message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 4)} ...` : message,
        action: 'Scheduling',
      });
    }
    this.#told.set(uid, { message, nominated });
    await this.#patchStatus(
      pod,
      {
        conditions: [condition],
        ...(nominated === before ? {} : { nominatedNodeName: nominated ?? null }),
      },
      signal,
    );
  }

  /** Call when a Pod waits no more. */
  forget(pod: Pod): void {
    this.#told.delete(pod.metadata.uid ?? '');
  }

  async withdrawPromise(pod: Pod, signal: AbortSignal): Promise<void> {
    const last = this.#told.get(pod.metadata.uid ?? '');
    if (last !== undefined) last.nominated = undefined;
    await this.#patchStatus(pod, { nominatedNodeName: null }, signal);
  }

  /** Deletes a Pod so that a more important one finds room. */
  async pushOff(victim: Pod, pod: Pod, node: string, signal: AbortSignal): Promise<void> {
    if (victim.metadata.deletionTimestamp !== undefined) return;
    const { name, namespace = '', uid, generation } = victim.metadata;
    const condition: PodCondition = {
      type: 'DisruptionTarget',
      status: 'True',
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastProbeTime: null,
      lastTransitionTime: formatTime(this.#context.clock.now()),
      reason: 'PreemptionByScheduler',
      message: `${this.#name}: preempting to accommodate a higher priority pod`,
    };
    await this.#patchStatus(victim, { conditions: [condition] }, signal);
    await unless(
      ['NotFound', 'Conflict'],
      this.#context.client.delete(
        PODS,
        { namespace, name },
        signal,
        uid === undefined ? {} : { preconditions: { uid } },
      ),
    );
    this.#context.events.record(this.#name, victim, {
      type: 'Normal',
      reason: 'Preempted',
      message: `Preempted by pod ${pod.metadata.uid ?? ''} on node ${node}`,
      action: 'Preempting',
      related: pod,
    });
  }

  /** Gives a claim that waited for its first Pod a free volume of that node, or has one made there. */
  async placeClaim(claim: Claim, node: Node, volumes: readonly Volume[], signal: AbortSignal): Promise<void> {
    const { name, namespace = '', annotations } = claim.metadata;
    const volume = findVolume(claim, volumes, node);
    if (volume !== undefined) {
      const patch = {
        metadata: { annotations: { [BOUND_BY_CONTROLLER]: 'yes' } },
        spec: { claimRef: referenceTo(claim) },
      };
      await this.#context.client.patch(VOLUMES, { name: volume.metadata.name }, patch, 'merge', signal);
      return;
    }
    if (annotations?.[SELECTED_NODE] === node.metadata.name) return;
    const patch = { metadata: { annotations: { [SELECTED_NODE]: node.metadata.name } } };
    await unless(
      ['NotFound'],
      this.#context.client.patch(CLAIMS, { namespace, name }, patch, 'merge', signal),
    );
  }

  async #patchStatus(pod: Pod, status: object, signal: AbortSignal): Promise<void> {
    const { name, namespace = '' } = pod.metadata;
    await unless(
      ['NotFound'],
      this.#context.client.patch(PODS, { namespace, name }, { status }, 'strategic', signal, {
        subresource: 'status',
      }),
    );
  }
}
