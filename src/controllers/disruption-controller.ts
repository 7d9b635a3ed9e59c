import { isDeepStrictEqual } from 'node:util';
import type { ResourceType } from '../kube/client/kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject, OwnerReference } from '../kube/object.ts';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';
import { findKind } from '../kube/resources.ts';
import { formatTime, parseTime } from '../kube/time.ts';
import { queueKey, splitKey, type ControllerContext } from './controller-context.ts';
import { intOrPercent } from './int-or-percent.ts';
import { isReady } from './pod-state.ts';
import {
  BUDGETS,
  DEPLOYMENTS,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  STATEFUL_SETS,
} from './resource-types.ts';

/** How long an eviction counts although its Pod is still there. */
const EVICTION_MS = 2 * 60_000;
const COMPONENT = 'controllermanager';

interface Condition {
  type: string;
  status: string;
  observedGeneration?: number;
  lastTransitionTime: string;
  reason: string;
  message: string;
}

interface BudgetStatus {
  observedGeneration?: number;
  disruptionsAllowed: number;
  currentHealthy: number;
  desiredHealthy: number;
  expectedPods: number;
  disruptedPods?: Record<string, string>;
  conditions: Condition[];
}

interface DisruptionBudget extends KubeObject {
  spec?: { selector?: LabelSelectorObject; minAvailable?: number | string; maxUnavailable?: number | string };
  status?: BudgetStatus;
}

interface Scalable extends KubeObject {
  spec?: { replicas?: number };
}

/** Says of each PodDisruptionBudget how many of its Pods may be evicted now. */
export function startDisruptionController(context: ControllerContext): void {
  const budgets = context.informer<DisruptionBudget>(BUDGETS);
  const pods = context.informer<Pod>(PODS);
  const scalables: readonly (readonly [string, ResourceType])[] = [
    ['ReplicaSet', REPLICA_SETS],
    ['Deployment', DEPLOYMENTS],
    ['StatefulSet', STATEFUL_SETS],
    ['ReplicationController', REPLICATION_CONTROLLERS],
  ];
  const keepers = new Map(scalables.map(([kind, type]) => [kind, context.informer<Scalable>(type)]));

  const queue = context.queue('sync PodDisruptionBudget', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const budget = budgets.get(namespace, name);
    if (budget === undefined) return;
    const now = context.clock.now();
    const { status, recheck } = statusOf(budget, now);
    if (recheck !== undefined) queue.addAfter(key, recheck);
    if (isDeepStrictEqual(status, budget.status)) return;
    try {
      await context.client.update(BUDGETS, { ...budget, status } as KubeObject, signal, 'status');
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  });

  function tell(budget: DisruptionBudget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    context.events.record(COMPONENT, budget, { type, reason, message });
  }

  function statusOf(budget: DisruptionBudget, now: number): { status: BudgetStatus; recheck?: number } {
    const selector = labelSelectorOf(budget.spec?.selector);
    const covered = pods
      .values()
      .filter(
        (pod) =>
          pod.metadata.namespace === budget.metadata.namespace && selector.matches(pod.metadata.labels),
      );
    if (covered.length === 0) tell(budget, 'Normal', 'NoPods', 'No matching pods found');
    const { expected, desired, fault, strays } = wanted(budget, covered);
    if (fault !== undefined) {
      const message = `Failed to calculate the number of expected pods: ${fault}`;
      tell(budget, 'Warning', 'CalculateExpectedPodCountFailed', message);
      return { status: failedStatus(budget, fault, now) };
    }
    if (strays > 0) tell(budget, 'Warning', 'UnmanagedPods', unmanaged(budget.spec?.selector));
    const disrupted: Record<string, string> = {};
    const waits: number[] = [];
    for (const [name, time] of Object.entries(budget.status?.disruptedPods ?? {})) {
      const pod = covered.find(({ metadata }) => metadata.name === name);
      const until = (parseTime(time) ?? 0) + EVICTION_MS;
      if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || until <= now) continue;
      disrupted[name] = time;
      waits.push(until - now);
    }
    const healthy = covered.filter(
      (pod) =>
        isReady(pod) &&
        pod.metadata.deletionTimestamp === undefined &&
        !Object.hasOwn(disrupted, pod.metadata.name),
    ).length;
    const allowed = expected <= 0 ? 0 : Math.max(0, healthy - desired);
    const reason = allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
    const generation = budget.metadata.generation ?? 0;
    const condition = conditionOf(budget, allowed > 0, generation, reason, '', now);
    return {
      status: {
        observedGeneration: generation,
        ...(Object.keys(disrupted).length === 0 ? {} : { disruptedPods: disrupted }),
        disruptionsAllowed: allowed,
        currentHealthy: healthy,
        desiredHealthy: desired,
        expectedPods: expected,
        conditions: [condition],
      },
      ...(waits.length === 0 ? {} : { recheck: Math.min(...waits) }),
    };
  }

  /** How many Pods there should be, and how many must stay. */
  function wanted(
    { spec = {} }: DisruptionBudget,
    covered: readonly Pod[],
  ): { expected: number; desired: number; strays: number; fault?: string } {
    const { minAvailable, maxUnavailable } = spec;
    if (typeof minAvailable === 'number') {
      return { expected: covered.length, desired: minAvailable, strays: 0 };
    }
    const { total, strays, fault } = scaleOf(covered);
    if (fault !== undefined) return { expected: 0, desired: 0, strays, fault };
    if (maxUnavailable !== undefined) {
      const missing = intOrPercent(maxUnavailable, total, 'up');
      return { expected: total, desired: Math.max(0, total - missing), strays };
    }
    const desired = minAvailable === undefined ? 0 : intOrPercent(minAvailable, total, 'up');
    return { expected: total, desired, strays };
  }

  /** Adds up what the controllers of the Pods are asked to keep; Pods without one are strays and count for nothing. */
  function scaleOf(covered: readonly Pod[]): { total: number; strays: number; fault?: string } {
    const seen = new Map<string, number>();
    let strays = 0;
    for (const pod of covered) {
      const reference = controllerOf(pod);
      if (reference === undefined) {
        strays++;
        continue;
      }
      const keeper = keepers.get(reference.kind)?.get(pod.metadata.namespace, reference.name);
      if (keeper === undefined) {
        if (keepers.has(reference.kind)) continue;
        return { total: 0, strays, fault: whyNoScale(reference, pod) };
      }
      const above = controllerOf(keeper);
      const top =
        above === undefined ? undefined : keepers.get(above.kind)?.get(keeper.metadata.namespace, above.name);
      const counted = top ?? keeper;
      seen.set(counted.metadata.uid ?? '', counted.spec?.replicas ?? 1);
    }
    return { total: [...seen.values()].reduce((sum, replicas) => sum + replicas, 0), strays };
  }

  budgets.onChange(({ object }) => queue.add(queueKey(object)));
  const touch = (namespace: string | undefined, labels?: Record<string, string>): void => {
    for (const budget of budgets.values()) {
      if (budget.metadata.namespace !== namespace) continue;
      if (labels !== undefined && !labelSelectorOf(budget.spec?.selector).matches(labels)) continue;
      queue.add(queueKey(budget));
    }
  };
  pods.onChange(({ object, old }) => {
    touch(object.metadata.namespace, object.metadata.labels ?? {});
    if (old !== undefined) touch(old.metadata.namespace, old.metadata.labels ?? {});
  });
  for (const keeper of keepers.values()) {
    keeper.onChange(({ object, old }) => {
      if (old === undefined || old.spec?.replicas !== object.spec?.replicas) touch(object.metadata.namespace);
    });
  }
}

function whyNoScale({ apiVersion, kind }: OwnerReference, pod: Pod): string {
  const resource = findKind(apiVersion, kind);
  if (resource === undefined) return `found no controllers for pod "${pod.metadata.name}"`;
  const { resource: plural, group } = resource;
  return `${group === '' ? plural : `${plural}.${group}`} does not implement the scale subresource`;
}

/** When it is not known how many there should be, nobody may go; what was counted before stays. */
function failedStatus(budget: DisruptionBudget, fault: string, now: number): BudgetStatus {
  const before = budget.status ?? { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  const { observedGeneration } = budget.status ?? {};
  const condition = conditionOf(budget, false, observedGeneration, 'SyncFailed', fault, now);
  return { ...before, disruptionsAllowed: 0, conditions: [condition] };
}

function conditionOf(
  budget: DisruptionBudget,
  isAllowed: boolean,
  generation: number | undefined,
  reason: string,
  message: string,
  now: number,
): Condition {
  const before = budget.status?.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  const status = isAllowed ? 'True' : 'False';
  return {
    type: 'DisruptionAllowed',
    status,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : formatTime(now),
    reason,
    message,
  };
}

function unmanaged(selector: LabelSelectorObject | undefined): string {
  return (
    `Pods selected by this PodDisruptionBudget (selector: ${printSelector(selector)}) were found to be unmanaged. ` +
    'As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. ' +
    'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
  );
}

/** Prints a selector as Go prints the struct. */
function printSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelectorObject = {}): string {
  const labels = Object.entries(matchLabels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value},`);
  const expressions = matchExpressions.map(
    ({ key, operator, values = [] }) =>
      `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(' ')}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join('')}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`;
}
