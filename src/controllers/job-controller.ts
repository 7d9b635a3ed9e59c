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
import { completedIndexes, formatIndexes, freeIndexes, INDEX_ANNOTATION, withIndex } from './job-index.ts';
import { isTerminating, PodControl } from './pod-control.ts';
import { compareForDeletion, isActive, isFinished, isReady } from './pod-state.ts';
import { JOBS, PODS } from './resource-types.ts';
import { withoutZeros, type Condition } from './workloads.ts';

export interface Job extends KubeObject {
  spec: {
    parallelism?: number;
    completions?: number;
    backoffLimit?: number;
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
    const verdict = judge(job, counted, active, now);
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
    const wait = backoff(owned, now);
    let refused: unknown;
    if (verdict === undefined && !isSuspended && job.metadata.deletionTimestamp === undefined) {
      if (wait > 0) queue.addAfter(key, wait);
      else {
        try {
          live = await adjust(job, key, active, counted, signal);
        } catch (error) {
          refused = error;
        }
      }
    }
    if (verdict !== undefined) conditions = [...conditions, ...closing(verdict, formatTime(now))];
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
      ...(verdict?.type === 'Complete' ? { completionTime: formatTime(now) } : {}),
      ...(counted.indexes === '' ? {} : { completedIndexes: counted.indexes }),
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
    for (const pod of owned) if (isFinished(pod) || verdict !== undefined) await release(pod, signal);
    if (verdict !== undefined) {
      context.events.record(COMPONENT, job, {
        type: verdict.type === 'Complete' ? 'Normal' : 'Warning',
        reason: verdict.type === 'Complete' ? 'Completed' : verdict.reason,
        message: verdict.type === 'Complete' ? 'Job completed' : verdict.message,
      });
    } else armDeadline(job, key, startTime, now);
    if (refused !== undefined && !isTerminating(refused)) throw refused;
  }

  async function adjust(
    job: Job,
    key: string,
    active: readonly Pod[],
    counted: Counted,
    signal: AbortSignal,
  ): Promise<readonly Pod[]> {
    const { completions, parallelism = 1 } = job.spec;
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
    const indexes = isIndexed ? freeIndexes(completions ?? 0, active, counted.done, missing) : [];
    for (let i = 0; i < missing; i++) {
      const index = indexes[i];
      if (isIndexed && index === undefined) break;
      const template =
        index === undefined ? job.spec.template : withIndex(job.spec.template, index, job.metadata.name);
      const annotations = index === undefined ? {} : { annotations: { [INDEX_ANNOTATION]: String(index) } };
      created.push(
        await control.create(job, key, template, signal, { finalizers: [FINALIZER], ...annotations }),
      );
    }
    return [...active, ...created];
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

interface Counted {
  readonly succeeded: number;
  readonly failed: number;
  readonly done: ReadonlySet<number>;
  readonly indexes: string;
  readonly uncounted: { succeeded?: string[]; failed?: string[] };
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
      pod.status?.phase === 'Failed' ||
      (!isSuccess && pod.metadata.deletionTimestamp !== undefined && isGone(pod));
    if (isSuccess) {
      uncounted.succeeded.push(uid);
      const index = Number(pod.metadata.annotations?.[INDEX_ANNOTATION] ?? -1);
      if (isIndexed) {
        if (index >= 0) done.add(index);
      } else if (!(before.succeeded ?? []).includes(uid)) succeeded++;
    } else if (isFailure) {
      uncounted.failed.push(uid);
      if (!(before.failed ?? []).includes(uid)) failed++;
    }
  }
  if (isIndexed) succeeded = done.size;
  return {
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
  return (pod.metadata.deletionGracePeriodSeconds ?? 0) === 0;
}

interface Verdict {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

function judge(job: Job, counted: Counted, active: readonly Pod[], now: number): Verdict | undefined {
  const { completions, backoffLimit = 6, activeDeadlineSeconds } = job.spec;
  const isEnough =
    completions === undefined
      ? counted.succeeded > 0 && active.length === 0
      : counted.succeeded >= completions;
  if (isEnough) {
    return {
      type: 'Complete',
      reason: 'CompletionsReached',
      message: 'Reached expected number of succeeded pods',
    };
  }
  const restarts = active
    .flatMap((pod) => [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
    ])
    .reduce((sum, status) => sum + status.restartCount, 0);
  const isOnFailure = job.spec.template.spec.restartPolicy === 'OnFailure';
  if (counted.failed > backoffLimit || (isOnFailure && restarts > backoffLimit)) {
    return {
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    };
  }
  const start = parseTime(job.status?.startTime ?? '');
  if (activeDeadlineSeconds !== undefined && start !== undefined && job.spec.suspend !== true) {
    if (now - start >= activeDeadlineSeconds * 1000) {
      return {
        type: 'Failed',
        reason: 'DeadlineExceeded',
        message: 'Job was active longer than specified deadline',
      };
    }
  }
  return undefined;
}

function closing(verdict: Verdict, time: string): Condition[] {
  const target = verdict.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  return [target, verdict.type].map((type) => ({
    type,
    status: 'True' as const,
    reason: verdict.reason,
    message: verdict.message,
    lastProbeTime: time,
    lastTransitionTime: time,
  }));
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
  if (failures === 0 || last === undefined) return 0;
  return Math.max(0, last.at + Math.min(BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS) - now);
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
