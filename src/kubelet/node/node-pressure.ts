import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import type { EventObject, EventRecorder } from '../ensure-image.ts';
import {
  evictionGraceSeconds,
  evictionMessage,
  reclaimSteps,
  refusalUnderPressure,
  thresholdMetEvent,
} from '../images/eviction-action.ts';
import {
  CALM,
  evictionRound,
  EVICTION_PERIOD,
  metThresholds,
  withContainerfs,
  type EvictionState,
  type NodePressure as Pressure,
} from '../images/eviction-state.ts';
import type { EvictionThreshold } from '../images/eviction-thresholds.ts';
import { isCritical } from '../critical-pods.ts';
import { containersMessage, rankForEviction, type EvictionUsage } from './eviction-rank.ts';
import type { ResourceReport } from './observe-resources.ts';

export interface NodePressureOptions {
  readonly thresholds: readonly EvictionThreshold[];
  readonly transitionPeriod?: number;
  /** Bound of the time that Pods get to end when a soft threshold evicts them, in seconds; 0 when absent. */
  readonly maxPodGraceSeconds?: number;
  readonly observe: (signal: AbortSignal) => Promise<ResourceReport>;
  /** Removes every unused image (rule 11.17). */
  readonly removeUnusedImages: (signal: AbortSignal) => Promise<void>;
  /** Removes containers that have ended and that nothing needs any more (rule 11.29). */
  readonly removeDeadContainers: (signal: AbortSignal) => Promise<void>;
  readonly pods: () => readonly Pod[];
  /** Measures what a Pod takes; undefined when that cannot be told. */
  readonly usage: (pod: Pod, signal: AbortSignal) => Promise<EvictionUsage | undefined>;
  /** Ends a Pod with phase Failed and this message. */
  readonly evict: (
    pod: Pod,
    message: string,
    graceSeconds: number,
    signal: EvictionThreshold['signal'],
  ) => void;
  readonly recorder: EventRecorder;
  readonly node: EventObject;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when a condition came or went. */
  readonly changed: () => void;
}

/** Watches what runs short on the node, and gives back images, then Pods, one a round (rules 11.19 to 11.31). */
export class NodePressure {
  readonly #options: NodePressureOptions;
  #state: EvictionState = CALM;
  #conditions: readonly Pressure[] = [];
  #thresholds: readonly EvictionThreshold[];
  #layout: ResourceReport['layout'] | undefined;

  constructor(options: NodePressureOptions) {
    this.#options = options;
    this.#thresholds = options.thresholds;
  }

  has(condition: Pressure): boolean {
    return this.#conditions.includes(condition);
  }

  /** Says why a Pod that comes now is refused; undefined lets it in (rule 11.31). */
  refusal(pod: Pod): { readonly reason: string; readonly message: string } | undefined {
    return refusalUnderPressure(this.#conditions, {
      critical: isCritical(pod),
      bestEffort: (pod.status?.qosClass ?? 'BestEffort') === 'BestEffort',
    });
  }

  /** Looks every ten seconds until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.round(signal).catch((error: unknown) => {
        if (!signal.aborted)
          this.#options.logger.warn({ error: messageOf(error) }, 'cannot judge the node’s resources');
      });
      await this.#options.clock.sleep(EVICTION_PERIOD, signal).catch(() => undefined);
    }
  }

  /** Looks once and does what is due. */
  async round(signal: AbortSignal): Promise<void> {
    const { clock, recorder, node } = this.#options;
    const report = await this.#options.observe(signal);
    this.#adaptTo(report.layout);
    const round = evictionRound(
      this.#state,
      this.#thresholds,
      report.observations,
      clock.now(),
      this.#options.transitionPeriod,
    );
    this.#state = round.state;
    if (!isDeepStrictEqual(this.#conditions, round.conditions)) {
      this.#conditions = round.conditions;
      this.#options.changed();
    }
    const threshold = round.actOn;
    if (threshold === undefined) return;
    const { reason, message } = thresholdMetEvent(threshold.signal);
    recorder.event(node, 'Warning', reason, message);
    if (await this.#reclaim(threshold, report, signal)) return;
    await this.#evictOne(threshold, report, signal);
  }

  /** Values stay the same objects from round to round, because time is kept for each. */
  #adaptTo(layout: ResourceReport['layout']): void {
    if (layout === this.#layout) return;
    this.#layout = layout;
    this.#thresholds = withContainerfs(this.#options.thresholds, layout, (message) =>
      this.#options.logger.warn({}, message),
    );
  }

  /** Gives back what nobody needs; true when that was enough (rule 11.29). */
  async #reclaim(
    threshold: EvictionThreshold,
    report: ResourceReport,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { removeDeadContainers, removeUnusedImages, logger } = this.#options;
    const steps = reclaimSteps(threshold.signal, report.layout);
    if (steps.length === 0) return false;
    for (const step of steps) {
      const work = step === 'dead-containers' ? removeDeadContainers : removeUnusedImages;
      await work(signal).catch((error: unknown) => {
        signal.throwIfAborted();
        logger.warn({ error: messageOf(error) }, `cannot remove ${step.replace('-', ' ')}`);
      });
    }
    const { observations } = await this.#options.observe(signal);
    return metThresholds([threshold], observations, true).length === 0;
  }

  /** Ends the Pod that ranks first; the kubelet goes on to the next one only where ending was refused. */
  async #evictOne(threshold: EvictionThreshold, report: ResourceReport, signal: AbortSignal): Promise<void> {
    const observed = report.observations.get(threshold.signal);
    if (observed === undefined) return;
    const usages = new Map<Pod, EvictionUsage | undefined>();
    const candidates = this.#options.pods().filter(mayBeEvicted);
    for (const pod of candidates) usages.set(pod, await this.#options.usage(pod, signal));
    const [victim] = rankForEviction(candidates, (pod) => usages.get(pod), threshold.signal, report.layout);
    if (victim === undefined) {
      this.#options.logger.warn({ signal: threshold.signal }, 'unable to evict any pods from the node');
      return;
    }
    const message =
      evictionMessage(threshold, observed) + containersMessage(victim, usages.get(victim), threshold.signal);
    const own = victim.spec.terminationGracePeriodSeconds ?? 30;
    const grace = evictionGraceSeconds(threshold, own, this.#options.maxPodGraceSeconds ?? 0);
    this.#options.evict(victim, message, grace, threshold.signal);
  }
}

function mayBeEvicted(pod: Pod): boolean {
  return (
    !isCritical(pod) &&
    pod.metadata.deletionTimestamp === undefined &&
    pod.status?.phase !== 'Succeeded' &&
    pod.status?.phase !== 'Failed'
  );
}
