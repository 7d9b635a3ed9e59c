import { isDeepStrictEqual } from 'node:util';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod, PodTemplate } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';
import { formatTime, parseTime } from '../kube/time.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { Expectations } from './expectations.ts';
import {
  completedIndexes,
  formatIndexes,
  freeIndexes,
  INDEX_ANNOTATION,
  indexOf,
  withIndex,
} from './job-index.ts';
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
import { isTerminating, PodControl } from './pod-control.ts';
import { compareForDeletion, isActive, isFinished, isReady } from './pod-state.ts';
import { JOBS, PODS } from './resource-types.ts';
import { withoutZeros, type Condition } from './workloads.ts';

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

const COMPONENT = 'job-controller';
/** Keeps a finished Pod until it was counted, so that no success and no failure is lost. */
const FINALIZER = 'batch.kubernetes.io/job-tracking';
const BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 600_000;

/** Runs Pods of a Job until as many as it wants have succeeded, or too many have failed. */
export function startJobController(context: ControllerContext): void {
  const jobs = context.informer<Job>(JOBS);
  const pods = context.informer<Pod>(PODS);
  const expectations = new Expectations(context.clock, pods);
  const control = new PodControl(context, expectations, COMPONENT);

  const queue = context.queue('sync job', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const job = jobs.get(namespace, name);
    if (job === undefined) {
      await releaseOrphans(namespace, name, signal);
      return;
    }
    if (!expectations.isMet(key)) return;
    if (isDone(job)) {
      await finish(job, key, signal);
      return;
    }
    const selector = labelSelectorOf(job.spec.selector);
    const owned = await claimObjects(context, PODS, job, selector, pods.values(), signal);
    await sync(job, key, owned, signal);
  });

  async function sync(job: Job, key: string, owned: readonly Pod[], signal: AbortSignal): Promise<void> {
    const now = context.clock.now();
    const counted = count(job, owned);
    const active = owned.filter(isActive);
    const isSuspended = job.spec.suspend === true;
    const verdict = reached(job) ?? judge(job, counted, owned, now);
    const suspension = suspensionOf(job, isSuspended, formatTime(now));
    // A resumed Job has all its time again.
    const before = suspension?.status === 'False' ? undefined : job.status?.startTime;
    const startTime = before ?? (isSuspended ? job.status?.startTime : formatTime(now));
    let live: readonly Pod[] = active;
    if (verdict !== undefined || isSuspended) {
      await Promise.all(active.map((pod) => control.delete(job, key, pod, signal)));
      live = [];
    }
    let conditions = job.status?.conditions ?? [];
    if (suspension !== undefined) {
      conditions = [...conditions.filter(({ type }) => type !== suspension.type), suspension];
    }
    // A Job ends when its last Pod has.
    const isOver = verdict !== undefined && owned.every((pod) => isFinished(pod) || isGone(pod));
    const wait = counted.byIndex === undefined ? backoff(owned, now) : 0;
    let refused: unknown;
    if (verdict === undefined && !isSuspended && job.metadata.deletionTimestamp === undefined) {
      if (wait > 0) queue.addAfter(key, wait);
      else {
        try {
          live = await adjust(job, key, owned, counted, signal);
        } catch (error) {
          refused = error;
        }
      }
    }
    if (verdict !== undefined) conditions = closing(conditions, verdict, isOver, formatTime(now));
    const status: JobStatus = {
      ...withoutZeros<JobStatus>(
        {
          active: live.length,
          ready: live.filter(isReady).length,
          terminating: owned.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isFinished(pod))
            .length,
          succeeded: counted.succeeded,
          failed: counted.failed,
        },
        ['ready', 'terminating'],
      ),
      ...(startTime === undefined ? {} : { startTime }),
      ...(isOver && verdict.type === 'Complete' ? { completionTime: formatTime(now) } : {}),
      ...(counted.indexes === '' ? {} : { completedIndexes: counted.indexes }),
      ...(counted.byIndex === undefined ? {} : { failedIndexes: formatIndexes(counted.byIndex.failed) }),
      uncountedTerminatedPods: counted.uncounted,
      ...(conditions.length === 0 ? {} : { conditions }),
    };
    if (!isDeepStrictEqual(status, job.status)) {
      await unless(['NotFound'], context.client.update(JOBS, { ...job, status }, signal, 'status'));
    }
    if (suspension !== undefined) {
      context.events.record(COMPONENT, job, {
        type: 'Normal',
        reason: isSuspended ? 'Suspended' : 'Resumed',
        message: suspension.message,
      });
    }
    // Only after the count is stored may the finalizers go.
    const kept = new Set<Pod>(isOver ? [] : counted.byIndex?.last.values());
    for (const pod of owned) {
      if ((isFinished(pod) || isGone(pod)) && !kept.has(pod)) await release(pod, signal);
    }
    if (isOver) {
      context.events.record(COMPONENT, job, {
        type: verdict.type === 'Complete' ? 'Normal' : 'Warning',
        reason: verdict.type === 'Complete' ? 'Completed' : verdict.reason,
        message: verdict.type === 'Complete' ? 'Job completed' : verdict.message,
      });
    } else if (verdict === undefined) armDeadline(job, key, startTime, now);
    if (refused !== undefined && !isTerminating(refused)) throw refused;
  }

  async function adjust(
    job: Job,
    key: string,
    owned: readonly Pod[],
    counted: Counted,
    signal: AbortSignal,
  ): Promise<readonly Pod[]> {
    const { completions, parallelism = 1, podReplacementPolicy } = job.spec;
    const { byIndex } = counted;
    const active = owned.filter(isActive);
    // Where only Pods that have failed are replaced, those on their way out still hold their places.
    const leaving = owned.filter((pod) => podReplacementPolicy === 'Failed' && isLeaving(pod));
    let wanted = parallelism;
    if (completions !== undefined) wanted = Math.min(parallelism, completions - counted.succeeded);
    // A work queue without a number of completions winds down once one Pod has succeeded.
    else if (counted.succeeded > 0) wanted = Math.min(active.length, parallelism);
    const missing = Math.max(0, wanted) - active.length;
    if (missing < 0) {
      const doomed = [...active].sort(compareForDeletion).slice(0, -missing);
      await Promise.all(doomed.map((pod) => control.delete(job, key, pod, signal)));
      return active.filter((pod) => !doomed.includes(pod));
    }
    const created: Pod[] = [];
    const isIndexed = job.spec.completionMode === 'Indexed';
    const room = missing - leaving.length;
    const busy = new Set([...counted.done, ...(byIndex?.failed ?? []), ...resting(job, key, byIndex)]);
    const taken = [...active, ...leaving];
    const indexes = isIndexed ? freeIndexes(completions ?? 0, taken, busy, room) : [];
    for (let i = 0; i < room; i++) {
      const index = indexes[i];
      if (isIndexed && index === undefined) break;
      const template =
        index === undefined ? job.spec.template : withIndex(job.spec.template, index, job.metadata.name);
      const annotations = index === undefined ? {} : { annotations: annotationsOf(job, index, byIndex) };
      created.push(
        await control.create(job, key, template, signal, { finalizers: [FINALIZER], ...annotations }),
      );
    }
    return [...active, ...created];
  }

  /** The indexes whose next Pod must wait. */
  function resting(job: Job, key: string, byIndex: IndexFailures | undefined): number[] {
    const now = context.clock.now();
    return [...(byIndex?.last ?? [])].flatMap(([index, pod]) => {
      const wait = pauseAfter(failuresAfter(pod, rulesOf(job)), endOf(pod), now);
      if (wait > 0) queue.addAfter(key, wait);
      return wait > 0 ? [index] : [];
    });
  }

  async function release(pod: Pod, signal: AbortSignal): Promise<void> {
    if (!(pod.metadata.finalizers ?? []).includes(FINALIZER)) return;
    const { name, namespace = '', uid } = pod.metadata;
    const finalizers = (pod.metadata.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
    const patch = {
      metadata: {
        ...(uid === undefined ? {} : { uid }),
        finalizers: finalizers.length === 0 ? null : finalizers,
      },
    };
    try {
      await context.client.patch(PODS, { namespace, name }, patch, 'merge', signal);
    } catch (error) {
      if (!isApiError(error, 'NotFound', 'Invalid')) throw error;
    }
  }

  /** Pods whose Job is gone are counted by nobody. */
  async function releaseOrphans(namespace: string, name: string, signal: AbortSignal): Promise<void> {
    for (const pod of pods.values()) {
      const controller = controllerOf(pod);
      if (controller?.kind !== 'Job' || controller.name !== name || pod.metadata.namespace !== namespace)
        continue;
      await release(pod, signal);
    }
  }

  async function finish(job: Job, key: string, signal: AbortSignal): Promise<void> {
    for (const pod of pods.values())
      if (controllerOf(pod)?.uid === job.metadata.uid) await release(pod, signal);
    if (Object.keys(job.status?.uncountedTerminatedPods ?? {}).length > 0) {
      const status: JobStatus = { ...job.status, uncountedTerminatedPods: {} };
      await unless(['NotFound'], context.client.update(JOBS, { ...job, status }, signal, 'status'));
      return;
    }
    const ttl = job.spec.ttlSecondsAfterFinished;
    if (ttl === undefined || job.metadata.deletionTimestamp !== undefined) return;
    const ended = job.status?.conditions?.find(
      (condition) => condition.type === 'Complete' || condition.type === 'Failed',
    );
    const at = parseTime(ended?.lastTransitionTime ?? '') ?? context.clock.now();
    const left = at + ttl * 1000 - context.clock.now();
    if (left > 0) {
      queue.addAfter(key, left);
      return;
    }
    const { name, namespace = '', uid } = job.metadata;
    await unless(
      ['NotFound', 'Conflict'],
      context.client.delete(JOBS, { namespace, name }, signal, {
        propagationPolicy: 'Foreground',
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      }),
    );
  }

  function armDeadline(job: Job, key: string, startTime: string | undefined, now: number): void {
    const deadline = job.spec.activeDeadlineSeconds;
    const start = parseTime(startTime ?? '');
    if (deadline === undefined || start === undefined) return;
    queue.addAfter(key, Math.max(1, start + deadline * 1000 - now));
  }

  jobs.onChange(({ object }) => queue.add(queueKey(object)));
  pods.onChange(({ object }) => {
    const controller = controllerOf(object);
    if (controller?.kind === 'Job') queue.add(`${object.metadata.namespace ?? ''}/${controller.name}`);
  });
}

function rulesOf(job: Job): readonly FailureRule[] {
  return job.spec.podFailurePolicy?.rules ?? [];
}

function annotationsOf(job: Job, index: number, byIndex: IndexFailures | undefined): Record<string, string> {
  return {
    [INDEX_ANNOTATION]: String(index),
    ...(byIndex === undefined
      ? {}
      : { [INDEX_FAILURES_ANNOTATION]: String(failuresAfter(byIndex.last.get(index), rulesOf(job))) }),
  };
}

interface Counted {
  readonly succeeded: number;
  readonly failed: number;
  readonly done: ReadonlySet<number>;
  readonly indexes: string;
  readonly uncounted: { succeeded?: string[]; failed?: string[] };
  /** Only of a Job that counts failures by index. */
  readonly byIndex: IndexFailures | undefined;
}

/** Adds finished Pods to the counts, each once: those that still have the finalizer and were not counted before. */
function count(job: Job, owned: readonly Pod[]): Counted {
  const before = job.status?.uncountedTerminatedPods ?? {};
  const isIndexed = job.spec.completionMode === 'Indexed';
  const done = completedIndexes(job.status?.completedIndexes);
  let succeeded = job.status?.succeeded ?? 0;
  let failed = job.status?.failed ?? 0;
  const uncounted = { succeeded: [] as string[], failed: [] as string[] };
  for (const pod of owned) {
    const uid = pod.metadata.uid ?? '';
    if (!(pod.metadata.finalizers ?? []).includes(FINALIZER)) continue;
    const isSuccess = pod.status?.phase === 'Succeeded';
    const isFailure =
      (pod.status?.phase === 'Failed' || (!isSuccess && isGone(pod))) &&
      matchFailure(rulesOf(job), pod)?.action !== 'Ignore';
    if (isSuccess) {
      uncounted.succeeded.push(uid);
      const index = indexOf(pod);
      if (isIndexed) {
        if (index >= 0) done.add(index);
      } else if (!(before.succeeded ?? []).includes(uid)) succeeded++;
    } else if (isFailure) {
      uncounted.failed.push(uid);
      if (!(before.failed ?? []).includes(uid)) failed++;
    }
  }
  if (isIndexed) succeeded = done.size;
  const limit = job.spec.backoffLimitPerIndex;
  const known = completedIndexes(job.status?.failedIndexes);
  return {
    byIndex: limit === undefined ? undefined : failuresByIndex(limit, rulesOf(job), known, done, owned),
    succeeded,
    failed,
    done,
    indexes: isIndexed ? formatIndexes(done) : '',
    uncounted: {
      ...(uncounted.succeeded.length === 0 ? {} : { succeeded: uncounted.succeeded }),
      ...(uncounted.failed.length === 0 ? {} : { failed: uncounted.failed }),
    },
  };
}

/** A deleted Pod whose node has let go of it stays only because of our finalizer. */
function isGone(pod: Pod): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0;
}

function isLeaving(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined && !isFinished(pod) && !isGone(pod);
}

interface Verdict {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

/** What was decided before; the Job only waits for its Pods to end. */
function reached(job: Job): Verdict | undefined {
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

function judge(job: Job, counted: Counted, owned: readonly Pod[], now: number): Verdict | undefined {
  return judgeFailure(job, counted, owned, now) ?? judgeSuccess(job, counted, owned);
}

function judgeFailure(job: Job, counted: Counted, owned: readonly Pod[], now: number): Verdict | undefined {
  const failed = (reason: string, message: string): Verdict => ({ type: 'Failed', reason, message });
  const { completions = 0, backoffLimit = 6, activeDeadlineSeconds, maxFailedIndexes = Infinity } = job.spec;
  for (const pod of owned) {
    const match = pod.status?.phase === 'Failed' ? matchFailure(rulesOf(job), pod) : undefined;
    if (match?.action === 'FailJob') return failed('PodFailurePolicy', match.message);
  }
  const restarts = owned
    .filter(isActive)
    .flatMap((pod) => [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
    ])
    .reduce((sum, status) => sum + status.restartCount, 0);
  const isOnFailure = job.spec.template.spec.restartPolicy === 'OnFailure';
  if (counted.failed > backoffLimit || (isOnFailure && restarts > backoffLimit)) {
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
function closing(before: readonly Condition[], verdict: Verdict, isOver: boolean, time: string): Condition[] {
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
function suspensionOf(job: Job, isSuspended: boolean, time: string) {
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

/** After failures in a row the next Pod waits: 10 s, 20 s, 40 s, up to ten minutes. */
function backoff(owned: readonly Pod[], now: number): number {
  const ended = owned
    .filter(isFinished)
    .map((pod) => ({ isFailed: pod.status?.phase === 'Failed', at: endOf(pod) }))
    .sort((a, b) => b.at - a.at);
  const row = ended.findIndex((pod) => !pod.isFailed);
  const failures = row < 0 ? ended.length : row;
  const last = ended[0];
  return last === undefined ? 0 : pauseAfter(failures, last.at, now);
}

function pauseAfter(failures: number, ended: number, now: number): number {
  if (failures === 0) return 0;
  return Math.max(0, ended + Math.min(BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS) - now);
}

function endOf(pod: Pod): number {
  const times = (pod.status?.containerStatuses ?? []).map(
    (status) => parseTime(status.state?.terminated?.finishedAt ?? '') ?? 0,
  );
  return Math.max(0, ...times);
}

/** Tells whether a Job has come to its end. */
export function isDone(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    (condition) =>
      (condition.type === 'Complete' || condition.type === 'Failed') && condition.status === 'True',
  );
}
