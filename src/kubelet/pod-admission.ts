import { messageOf } from '../base/coded-error.ts';
import type { Pod } from '../kube/pod.ts';
import { podRequests } from '../kube/scheduling/pod-requests.ts';
import type { Logger } from '../observe/logger.ts';
import { NODE_AFFINITY, refusalsOf, type AdmittingNode, type PodRefusal } from './admit-pod.ts';
import { isCritical } from './critical-pods.ts';
import type { EventRecorder } from './ensure-image.ts';
import { graceOf } from './pod-killer.ts';
import { podEventObject, podUid } from './pod-reference.ts';
import { refusalOfCapacity, type ResizeRefusal } from './pod-resizer.ts';
import type { Eviction } from './pod-syncer.ts';
import { podsToPreempt, type Need } from './preemption.ts';

/** Reason of Pods that are ended for a critical one, and of the event that says so. */
const PREEMPTING = 'Preempting';

export interface PodAdmissionOptions {
  /** Pods that run here or shall, without those that have ended. */
  readonly present: () => readonly Pod[];
  /** Says why a Pod may not come while the node is short of something. */
  readonly pressure: (pod: Pod) => PodRefusal | undefined;
  /** The node as it is known. */
  readonly node: () => AdmittingNode;
  /** Asks the API for the node: its labels may be newer there. */
  readonly freshNode: (signal: AbortSignal) => Promise<AdmittingNode>;
  /** Ends a Pod for good and returns once nothing of it runs. */
  readonly end: (pod: Pod, eviction: Eviction, signal: AbortSignal) => Promise<void>;
  readonly recorder: EventRecorder;
  readonly logger: Logger;
}

/** Judges Pods that are new on the node, and makes room for those that it cannot do without. */
export class PodAdmission {
  readonly #options: PodAdmissionOptions;

  constructor(options: PodAdmissionOptions) {
    this.#options = options;
  }

  /** Says why a Pod may not run here; undefined lets it in. Who is there is asked at once, before anything is waited for. */
  async judge(pod: Pod, signal: AbortSignal): Promise<Eviction | undefined> {
    const { pressure, recorder } = this.#options;
    const present = this.#options.present().filter((other) => podUid(other) !== podUid(pod));
    const refusal = pressure(pod) ?? (await this.#judge(pod, present, signal));
    if (refusal === undefined) return undefined;
    const { reason, message } = refusal;
    recorder.event(podEventObject(pod), 'Warning', reason, message);
    return { reason, message: `Pod was rejected: ${message}`, graceSeconds: 0 };
  }

  /** Says why a Pod that runs may not have what it asks for now; undefined when there is room. */
  refuseResize(pod: Pod): ResizeRefusal | undefined {
    const node = this.#options.node();
    const never = refusalOfCapacity(podRequests(pod), node.status.allocatable);
    if (never !== undefined) return never;
    const others = this.#options.present().filter((other) => podUid(other) !== podUid(pod));
    const lacking = refusalsOf(pod, others, node).find(({ lacks }) => lacks !== undefined);
    return lacking === undefined
      ? undefined
      : { reason: 'Deferred', event: lacking.reason, message: lacking.message };
  }

  async #judge(pod: Pod, present: readonly Pod[], signal: AbortSignal): Promise<PodRefusal | undefined> {
    const { node, freshNode, logger } = this.#options;
    let refusals = refusalsOf(pod, present, node());
    if (refusals.some(({ reason }) => reason === NODE_AFFINITY)) {
      // Somebody may have labelled the node for this very Pod.
      try {
        refusals = refusalsOf(pod, present, await freshNode(signal));
      } catch (error) {
        signal.throwIfAborted();
        logger.warn({ error: messageOf(error) }, 'cannot look at the node');
      }
    }
    const [first] = refusals;
    if (first === undefined || !isCritical(pod)) return first;
    const other = refusals.find(({ lacks }) => lacks === undefined);
    if (other !== undefined) return other;
    return await this.#makeRoom(
      pod,
      present,
      refusals.flatMap(({ lacks }) => lacks ?? []),
      signal,
    );
  }

  async #makeRoom(
    pod: Pod,
    present: readonly Pod[],
    needs: readonly Need[],
    signal: AbortSignal,
  ): Promise<PodRefusal | undefined> {
    const { end, recorder } = this.#options;
    const chosen = podsToPreempt(pod, present, needs);
    if (typeof chosen === 'string') {
      return {
        reason: 'UnexpectedAdmissionError',
        message: `Unexpected error while attempting to recover from admission failure: ${chosen}`,
      };
    }
    const message = 'Preempted in order to admit critical pod';
    for (const victim of chosen) {
      recorder.event(podEventObject(victim), 'Warning', PREEMPTING, message);
      const eviction: Eviction = {
        reason: PREEMPTING,
        message,
        graceSeconds: graceOf(victim),
        disruption: 'Pod was preempted by Kubelet to accommodate a critical pod.',
      };
      await end(victim, eviction, signal);
    }
    return undefined;
  }
}
