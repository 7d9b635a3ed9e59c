import { isDeepStrictEqual } from 'node:util';
import { KubeApiError } from '../kube/client/kube-api-error.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import type { KubeObject } from '../kube/object.ts';
import { findKind, parseApiVersion } from '../kube/resources.ts';
import { formatTime } from '../kube/time.ts';
import { failureOf, type Metric } from './autoscaler-metrics.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { AUTOSCALERS } from './resource-types.ts';

const COMPONENT = 'horizontal-pod-autoscaler';
/** How often each autoscaler is looked at, as kube-controller-manager does. */
const PERIOD_MS = 15_000;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

interface AutoscalerStatus {
  readonly lastScaleTime?: string;
  readonly currentReplicas?: number;
  readonly desiredReplicas: number;
  readonly conditions?: readonly Condition[];
}

interface Autoscaler extends KubeObject {
  readonly spec: {
    readonly scaleTargetRef: { readonly apiVersion?: string; readonly kind: string; readonly name: string };
    readonly minReplicas?: number;
    readonly maxReplicas: number;
    readonly metrics?: readonly Metric[];
  };
  readonly status?: AutoscalerStatus;
}

interface Scalable extends KubeObject {
  readonly spec?: { readonly replicas?: number };
}

/** What is to become of the number of Pods, and why it cannot be told where it cannot. */
type Plan =
  | { readonly desired: number; readonly reason: string }
  | { readonly condition: Omit<Condition, 'type' | 'status'>; readonly events: readonly [string, string][] };

/**
 * Keeps the number of Pods of a workload within the bounds of its HorizontalPodAutoscaler. Nobody measures here, so within them it
 * stays as it is, and the autoscaler says why.
 */
export function startAutoscalerController(context: ControllerContext): void {
  const autoscalers = context.informer<Autoscaler>(AUTOSCALERS);
  const queue = context.queue('sync HorizontalPodAutoscaler', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const autoscaler = autoscalers.get(namespace, name);
    if (autoscaler === undefined) return;
    const status = await sync(autoscaler, namespace, signal);
    if (!isDeepStrictEqual(status, autoscaler.status)) {
      const next = { ...autoscaler, status };
      await unless(['NotFound'], context.client.update(AUTOSCALERS, next, signal, 'status'));
    }
    queue.addAfter(key, PERIOD_MS);
  });
  autoscalers.onChange(({ type, object, old }) => {
    // What this controller writes itself is no reason to look again.
    if (type === 'added' || (type === 'updated' && !isDeepStrictEqual(object.spec, old?.spec))) {
      queue.add(queueKey(object));
    }
  });

  async function sync(
    autoscaler: Autoscaler,
    namespace: string,
    signal: AbortSignal,
  ): Promise<AutoscalerStatus> {
    const { spec, status } = autoscaler;
    const now = formatTime(context.clock.now());
    let conditions = status?.conditions ?? [];
    const say = (type: string, is: string, reason: string, message: string): void => {
      conditions = withCondition(conditions, { type, status: is, reason, message }, now);
    };
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string): void => {
      context.events.record(COMPONENT, autoscaler, { type, reason, message });
    };
    let current: number;
    let type: ResourceType;
    try {
      type = targetType(spec.scaleTargetRef);
      const name = { namespace, name: spec.scaleTargetRef.name };
      current = (await context.client.get<Scalable>(type, name, signal)).spec?.replicas ?? 1;
    } catch (error) {
      if (!(error instanceof KubeApiError) && !(error instanceof TargetError)) throw error;
      tell('Warning', 'FailedGetScale', messageOf(error));
      const why = "the HPA controller was unable to get the target's current scale";
      say('AbleToScale', 'False', 'FailedGetScale', `${why}: ${messageOf(error)}`);
      return { ...status, desiredReplicas: status?.desiredReplicas ?? 0, conditions };
    }
    const able = "the HPA controller was able to get the target's current scale";
    say('AbleToScale', 'True', 'SucceededGetScale', able);
    const plan = planFor(autoscaler, current);
    if ('condition' in plan) {
      say('ScalingActive', 'False', plan.condition.reason ?? '', plan.condition.message ?? '');
      for (const [reason, message] of plan.events) tell('Warning', reason, message);
      return {
        ...status,
        currentReplicas: current,
        desiredReplicas: status?.desiredReplicas ?? 0,
        conditions,
      };
    }
    const { desired, reason } = plan;
    const patch = { spec: { replicas: desired } };
    const name = { namespace, name: spec.scaleTargetRef.name };
    await context.client.patch(type, name, patch, 'merge', signal, { subresource: 'scale' });
    tell('Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`);
    const done = `the HPA controller was able to update the target scale to ${desired}`;
    say('AbleToScale', 'True', 'SucceededRescale', done);
    return { ...status, lastScaleTime: now, currentReplicas: current, desiredReplicas: desired, conditions };
  }
}

class TargetError extends Error {}

function targetType({ apiVersion = '', kind }: Autoscaler['spec']['scaleTargetRef']): ResourceType {
  const found = findKind(apiVersion, kind);
  if (found?.subresources.some(({ name }) => name === 'scale') === true) return found;
  const { group } = parseApiVersion(apiVersion);
  const what = `no matches for kind ${goQuote(kind)} in group ${goQuote(group)}`;
  throw new TargetError(`unable to determine resource for scale target reference: ${what}`);
}

function planFor({ spec }: Autoscaler, current: number): Plan {
  const { minReplicas = 1, maxReplicas, metrics = [] } = spec;
  if (current === 0 && minReplicas !== 0) {
    const message = 'scaling is disabled since the replica count of the target is zero';
    return { condition: { reason: 'ScalingDisabled', message }, events: [] };
  }
  if (current > maxReplicas) {
    return { desired: maxReplicas, reason: 'Current number of replicas above Spec.MaxReplicas' };
  }
  if (current < minReplicas) {
    return { desired: minReplicas, reason: 'Current number of replicas below Spec.MinReplicas' };
  }
  const failures = metrics.map(failureOf);
  const [first] = failures;
  if (first === undefined) return { condition: { reason: 'InvalidMetricSourceType' }, events: [] };
  const all = `invalid metrics (${failures.length} invalid out of ${metrics.length}), first error is: ${first.context}: ${first.message}`;
  return {
    condition: {
      reason: first.reason,
      message: `the HPA was unable to compute the replica count: ${first.message}`,
    },
    events: [
      ...failures.map(({ reason, message }): [string, string] => [reason, message]),
      ['FailedComputeMetricsReplicas', all],
    ],
  };
}

/** Says something anew; when it was last otherwise stays, where it is not. */
function withCondition(all: readonly Condition[], next: Condition, now: string): Condition[] {
  const old = all.find(({ type }) => type === next.type);
  const since = old?.status === next.status ? (old.lastTransitionTime ?? now) : now;
  const { type, status, ...why } = next;
  const condition = { type, status, lastTransitionTime: since, ...why };
  return old === undefined ? [...all, condition] : all.map((other) => (other === old ? condition : other));
}
