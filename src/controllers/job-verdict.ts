import type { KubeObject } from '../kube/object.ts';
import type { Pod, PodTemplate } from '../kube/pod.ts';
import type { LabelSelectorObject } from '../kube/selector/label-selector.ts';
import { parseTime } from '../kube/time.ts';
import { completedIndexes, formatIndexes, INDEX_ANNOTATION, indexOf } from './job-index.ts';
import {
  failuresAfter,
  failuresByIndex,
  INDEX_FAILURES_ANNOTATION,
  matchFailure,
  matchSuccess,
  type FailureRule,
  type IndexFailures,
  type SuccessRule,
} from './job-policies.ts';
import { isActive, isFinished } from './pod-state.ts';
import type { Condition } from './workloads.ts';

/* What the Pods of a Job come to: counts, verdict, pauses. Pure: no clock, no network. */

/** Keeps a finished Pod until it was counted, so that no success and no failure is lost. */
export const JOB_FINALIZER = 'batch.kubernetes.io/job-tracking';

export interface Job extends KubeObject {
  spec: {
    parallelism?: number;
    completions?: number;
    backoffLimit?: number;
    backoffLimitPerIndex?: number;
    maxFailedIndexes?: number;
    podFailurePolicy?: { rules: FailureRule[] };
    podReplacementPolicy?: 'Failed' | 'TerminatingOrFailed';
    successPolicy?: { rules: SuccessRule[] };
    activeDeadlineSeconds?: number;
    ttlSecondsAfterFinished?: number;
    completionMode?: string;
    suspend?: boolean;
    selector?: LabelSelectorObject;
    template: PodTemplate;
  };
  status?: JobStatus;
}

export interface JobStatus {
  active?: number;
  ready?: number;
  terminating?: number;
  succeeded?: number;
  failed?: number;
  startTime?: string;
  completionTime?: string;
  completedIndexes?: string;
  failedIndexes?: string;
  conditions?: Condition[];
  uncountedTerminatedPods?: { succeeded?: string[]; failed?: string[] };
}

/** How failed Pods are judged one by one. */
export function rulesOf(job: Job): readonly FailureRule[] {
  return job.spec.podFailurePolicy?.rules ?? [];
}

/** What a Pod of an index is made with. */
export function annotationsOf(
  job: Job,
  index: number,
  byIndex: IndexFailures | undefined,
): Record<string, string> {
  return {
    [INDEX_ANNOTATION]: String(index),
    ...(byIndex === undefined
      ? {}
      : { [INDEX_FAILURES_ANNOTATION]: String(failuresAfter(byIndex.last.get(index), rulesOf(job))) }),
  };
}

/** What came of the Pods of a Job so far. */
export interface Counted {
  readonly succeeded: number;
  readonly failed: number;
  readonly done: ReadonlySet<number>;
  readonly indexes: string;
  readonly uncounted: { succeeded?: string[]; failed?: string[] };
  /** Only of a Job that counts failures by index. */
  readonly byIndex: IndexFailures | undefined;
  /** Pods counted for the first time. */
  readonly ended: { readonly succeeded: readonly Pod[]; readonly failed: readonly Pod[] };
}

/** Adds finished Pods to the counts, each once: those that still have the finalizer and were not counted before. */
export function count(job: Job, owned: readonly Pod[]): Counted {
  const before = job.status?.uncountedTerminatedPods ?? {};
  const isIndexed = job.spec.completionMode === 'Indexed';
  const done = completedIndexes(job.status?.completedIndexes);
  let succeeded = job.status?.succeeded ?? 0;
  let failed = job.status?.failed ?? 0;
  const uncounted = { succeeded: [] as string[], failed: [] as string[] };
  const ended = { succeeded: [] as Pod[], failed: [] as Pod[] };
  for (const pod of owned) {
    const uid = pod.metadata.uid ?? '';
    if (!(pod.metadata.finalizers ?? []).includes(JOB_FINALIZER)) continue;
    if (pod.status?.phase === 'Succeeded') {
      uncounted.succeeded.push(uid);
      if (!(before.succeeded ?? []).includes(uid)) ended.succeeded.push(pod);
      const index = indexOf(pod);
      if (isIndexed) {
        if (index >= 0) done.add(index);
      } else if (!(before.succeeded ?? []).includes(uid)) succeeded++;
    } else if (hasFailed(job, pod) && matchFailure(rulesOf(job), pod)?.action !== 'Ignore') {
      uncounted.failed.push(uid);
      if (!(before.failed ?? []).includes(uid)) {
        failed++;
        ended.failed.push(pod);
      }
    }
  }
  if (isIndexed) succeeded = done.size;
  const limit = job.spec.backoffLimitPerIndex;
  const known = completedIndexes(job.status?.failedIndexes);
  return {
    byIndex:
      limit === undefined
        ? undefined
        : failuresByIndex(limit, rulesOf(job), known, done, owned, (pod) => hasFailed(job, pod)),
    succeeded,
    failed,
    ended,
    done,
    indexes: isIndexed ? formatIndexes(done) : '',
    uncounted: {
      ...(uncounted.succeeded.length === 0 ? {} : { succeeded: uncounted.succeeded }),
      ...(uncounted.failed.length === 0 ? {} : { failed: uncounted.failed }),
    },
  };
}

/**
 * Tells whether a Pod counts as failed. One that was deleted may never come to say so; only where Pods are replaced once
 * they have failed is that waited for.
 */
export function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Succeeded') return false;
  if (pod.status?.phase === 'Failed' || isGone(pod)) return true;
  return job.spec.podReplacementPolicy !== 'Failed' && pod.metadata.deletionTimestamp !== undefined;
}

/** A deleted Pod whose node has let go of it stays only because of our finalizer. */
export function isGone(pod: Pod): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0;
}

/** Whether a Pod was deleted and still runs. */
export function isLeaving(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined && !isFinished(pod) && !isGone(pod);
}

/** How a Job ends. */
export interface Verdict {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

/** What was decided before; the Job only waits for its Pods to end. */
export function reached(job: Job): Verdict | undefined {
  const found = job.status?.conditions?.find(
    ({ type, status }) => (type === 'SuccessCriteriaMet' || type === 'FailureTarget') && status === 'True',
  );
  if (found === undefined) return undefined;
  return {
    type: found.type === 'FailureTarget' ? 'Failed' : 'Complete',
    reason: found.reason ?? '',
    message: found.message ?? '',
  };
}

/** Decides whether a Job is over. */
export function judge(job: Job, counted: Counted, owned: readonly Pod[], now: number): Verdict | undefined {
  return judgeFailure(job, counted, owned, now) ?? judgeSuccess(job, counted, owned);
}

function judgeFailure(job: Job, counted: Counted, owned: readonly Pod[], now: number): Verdict | undefined {
  const failed = (reason: string, message: string): Verdict => ({ type: 'Failed', reason, message });
  const { completions = 0, backoffLimit = 6, activeDeadlineSeconds, maxFailedIndexes = Infinity } = job.spec;
  for (const pod of owned) {
    const match = pod.status?.phase === 'Failed' ? matchFailure(rulesOf(job), pod) : undefined;
    if (match?.action === 'FailJob') return failed('PodFailurePolicy', match.message);
  }
  if (counted.failed > backoffLimit || restartsTooOften(job, owned, backoffLimit)) {
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  const start = parseTime(job.status?.startTime ?? '');
  const isTimed = activeDeadlineSeconds !== undefined && start !== undefined && job.spec.suspend !== true;
  if (isTimed && now - start >= activeDeadlineSeconds * 1000) {
    return failed('DeadlineExceeded', 'Job was active longer than specified deadline');
  }
  const failedIndexes = counted.byIndex?.failed.size ?? 0;
  if (failedIndexes > maxFailedIndexes) {
    const message = 'Job has exceeded the specified maximal number of failed indexes';
    return failed('MaxFailedIndexesExceeded', message);
  }
  if (failedIndexes > 0 && failedIndexes + counted.succeeded >= completions) {
    return failed('FailedIndexes', 'Job has failed indexes');
  }
  return undefined;
}

/** Containers that start again in their Pods count too, where that is how they are tried again. */
function restartsTooOften(job: Job, owned: readonly Pod[], limit: number): boolean {
  if (job.spec.template.spec.restartPolicy !== 'OnFailure') return false;
  const restarts = owned
    .filter(({ status }) => status?.phase === 'Running' || status?.phase === 'Pending')
    .flatMap(({ status }) => [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

function judgeSuccess(job: Job, counted: Counted, owned: readonly Pod[]): Verdict | undefined {
  const { completions, successPolicy } = job.spec;
  const rule = matchSuccess(successPolicy?.rules ?? [], counted.done);
  if (rule !== undefined) {
    return { type: 'Complete', reason: 'SuccessPolicy', message: `Matched rules at index ${rule}` };
  }
  const isEnough =
    completions === undefined
      ? counted.succeeded > 0 && !owned.some(isActive)
      : counted.succeeded >= completions;
  const message = 'Reached expected number of succeeded pods';
  return isEnough ? { type: 'Complete', reason: 'CompletionsReached', message } : undefined;
}

/** Adds what a verdict makes of the conditions; the last word only when no Pod is left. */
export function closing(
  before: readonly Condition[],
  verdict: Verdict,
  isOver: boolean,
  time: string,
): Condition[] {
  const target = verdict.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  const wanted = isOver ? [target, verdict.type] : [target];
  const added = wanted
    .filter((type) => !before.some((condition) => condition.type === type))
    .map((type) => ({
      type,
      status: 'True' as const,
      reason: verdict.reason,
      message: verdict.message,
      lastProbeTime: time,
      lastTransitionTime: time,
    }));
  return [...before, ...added];
}

/** The condition to write when a Job was suspended or resumed since the last look. */
export function suspensionOf(job: Job, isSuspended: boolean, time: string) {
  const old = job.status?.conditions?.find((condition) => condition.type === 'Suspended');
  const status = isSuspended ? ('True' as const) : ('False' as const);
  if (old?.status === status || (!isSuspended && old === undefined)) return undefined;
  return {
    type: 'Suspended',
    status,
    reason: isSuspended ? 'JobSuspended' : 'JobResumed',
    message: isSuspended ? 'Job suspended' : 'Job resumed',
    lastProbeTime: time,
    lastTransitionTime: time,
  };
}

/** Tells whether a Job has come to its end. */
export function isDone(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    (condition) =>
      (condition.type === 'Complete' || condition.type === 'Failed') && condition.status === 'True',
  );
}
