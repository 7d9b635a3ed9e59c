import type { Pod } from '../kube/pod.ts';
import { completedIndexes, indexOf } from './job-index.ts';
import { isActive } from './pod-state.ts';

/* What a Job's policies make of its Pods. Pure: no clock, no network. */

/** How often the index of a Pod had failed before it. */
export const INDEX_FAILURES_ANNOTATION = 'batch.kubernetes.io/job-index-failure-count';

export type FailureAction = 'Count' | 'FailIndex' | 'FailJob' | 'Ignore';

export interface FailureRule {
  action: FailureAction;
  onExitCodes?: { containerName?: string; operator: 'In' | 'NotIn'; values: number[] };
  onPodConditions?: { type: string; status: string }[];
}

export interface SuccessRule {
  succeededIndexes?: string;
  succeededCount?: number;
}

/** What a policy says of a failed Pod; `message` when it fails the whole Job. */
export interface FailureMatch {
  readonly action: FailureAction;
  readonly message: string;
}

/** Finds the first rule that fits a failed Pod; undefined: it counts like any other. */
export function matchFailure(rules: readonly FailureRule[], pod: Pod): FailureMatch | undefined {
  const name = `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
  for (const [index, rule] of rules.entries()) {
    const end = `matching ${rule.action} rule at index ${index}`;
    if (rule.onExitCodes !== undefined) {
      const found = exitOf(pod, rule.onExitCodes);
      if (found === undefined) continue;
      const message = `Container ${found.container} for pod ${name} failed with exit code ${found.code} ${end}`;
      return { action: rule.action, message };
    }
    const condition = (pod.status?.conditions ?? []).find(({ type, status }) =>
      rule.onPodConditions?.some((wanted) => wanted.type === type && wanted.status === status),
    );
    if (condition !== undefined) {
      return { action: rule.action, message: `Pod ${name} has condition ${condition.type} ${end}` };
    }
  }
  return undefined;
}

function exitOf(
  pod: Pod,
  { containerName, operator, values }: NonNullable<FailureRule['onExitCodes']>,
): { container: string; code: number } | undefined {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  for (const { name, state } of statuses) {
    const code = state?.terminated?.exitCode ?? 0;
    if (code === 0 || (containerName !== undefined && containerName !== name)) continue;
    if (values.includes(code) === (operator === 'In')) return { container: name, code };
  }
  return undefined;
}

/** Finds the first rule of a success policy that holds for the indexes that are done. */
export function matchSuccess(rules: readonly SuccessRule[], done: ReadonlySet<number>): number | undefined {
  const index = rules.findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return done.size >= (succeededCount ?? Infinity);
    const wanted = completedIndexes(succeededIndexes);
    const count = [...wanted].filter((candidate) => done.has(candidate)).length;
    return count >= (succeededCount ?? wanted.size);
  });
  return index < 0 ? undefined : index;
}

/** What became of the indexes of a Job that counts failures by index. */
export interface IndexFailures {
  /** Those that are not tried again. */
  readonly failed: ReadonlySet<number>;
  /** For those to try again: the Pod that failed last, kept until another one runs. */
  readonly last: ReadonlyMap<number, Pod>;
}

/** Sorts out which indexes have failed for good, and which Pod tells how often each of the others has failed. */
export function failuresByIndex(
  limit: number,
  rules: readonly FailureRule[],
  known: ReadonlySet<number>,
  done: ReadonlySet<number>,
  pods: readonly Pod[],
  hasFailed: (pod: Pod) => boolean,
): IndexFailures {
  const failed = new Set(known);
  const last = new Map<number, Pod>();
  for (const pod of pods) {
    if (!hasFailed(pod)) continue;
    const index = indexOf(pod);
    const action = matchFailure(rules, pod)?.action;
    if (action === 'FailIndex' || (action !== 'Ignore' && failuresBefore(pod) >= limit)) failed.add(index);
    const other = last.get(index);
    if (other === undefined || failuresBefore(other) < failuresBefore(pod)) last.set(index, pod);
  }
  const running = pods.filter(isActive).map(indexOf);
  for (const index of [...failed, ...done, ...running]) last.delete(index);
  return { failed, last };
}

/** How often the index of a Pod that follows this one has failed. */
export function failuresAfter(pod: Pod | undefined, rules: readonly FailureRule[]): number {
  if (pod === undefined) return 0;
  return failuresBefore(pod) + (matchFailure(rules, pod)?.action === 'Ignore' ? 0 : 1);
}

function failuresBefore(pod: Pod): number {
  return Number(pod.metadata.annotations?.[INDEX_FAILURES_ANNOTATION] ?? 0);
}
