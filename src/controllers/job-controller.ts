import { isDeepStrictEqual } from 'node:util';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod } from '../kube/pod.ts';
import { labelSelectorOf } from '../kube/selector/label-selector.ts';
import { formatTime, parseTime } from '../kube/time.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { Expectations } from './expectations.ts';
import { endOf, FailureRows, pauseAfter } from './job-backoff.ts';
import { formatIndexes, freeIndexes, indexedName, withIndex } from './job-index.ts';
import { failuresAfter, type IndexFailures } from './job-policies.ts';
import {
  annotationsOf,
  closing,
  count,
  hasFailed,
  isDone,
  isLeaving,
  JOB_FINALIZER,
  judge,
  reached,
  rulesOf,
  suspensionOf,
  type Counted,
  type Job,
  type JobStatus,
} from './job-verdict.ts';
import { isTerminating, PodControl } from './pod-control.ts';
import { isActive, isFinished, isReady, sortForDeletion } from './pod-state.ts';
import { JOBS, PODS } from './resource-types.ts';
import { withoutZeros } from './workloads.ts';

const COMPONENT = 'job-controller';

/** Runs Pods of a Job until as many as it wants have succeeded, or too many have failed. */
export function startJobController(context: ControllerContext): void {
  const jobs = context.informer<Job>(JOBS);
  const pods = context.informer<Pod>(PODS);
  const expectations = new Expectations(context.clock, pods);
  const control = new PodControl(context, expectations, COMPONENT);
  const failures = new FailureRows();

  const queue = context.queue('sync job', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const job = jobs.get(namespace, name);
    if (job === undefined) {
      failures.forget(key);
      await releaseOrphans(namespace, name, signal);
      return;
    }
    if (!expectations.isMet(job)) return;
    if (isDone(job)) {
      failures.forget(key);
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
      await Promise.all(active.map((pod) => control.delete(job, pod, signal)));
      live = [];
    }
    let conditions = job.status?.conditions ?? [];
    if (suspension !== undefined) {
      conditions = [...conditions.filter(({ type }) => type !== suspension.type), suspension];
    }
    const terminating = owned.filter(
      (pod) => pod.metadata.deletionTimestamp !== undefined && !isFinished(pod),
    ).length;
    // A Job ends when its last Pod has, and every Pod was counted and let go: the API takes no end before that.
    const isOver =
      verdict !== undefined &&
      terminating === 0 &&
      Object.keys(counted.uncounted).length === 0 &&
      owned.every(isFinished);
    const row = failures.after(key, counted.ended.succeeded, counted.ended.failed);
    const wait = counted.byIndex === undefined ? pauseAfter(row, now) : 0;
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
          terminating,
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
    failures.set(key, row);
    if (suspension !== undefined) {
      context.events.record(COMPONENT, job, {
        type: 'Normal',
        reason: isSuspended ? 'Suspended' : 'Resumed',
        message: suspension.message,
      });
    }
    // Only after the count is stored may the finalizers go.
    const kept = new Set<Pod>(verdict === undefined ? counted.byIndex?.last.values() : []);
    for (const pod of owned) {
      if ((isFinished(pod) || hasFailed(job, pod)) && !kept.has(pod)) await release(pod, signal);
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
    else if (counted.succeeded > 0) wanted = active.length;
    const missing = Math.max(0, wanted) - active.length;
    if (missing < 0) {
      const doomed = sortForDeletion(active, []).slice(0, -missing);
      await Promise.all(doomed.map((pod) => control.delete(job, pod, signal)));
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
      const annotations =
        index === undefined
          ? {}
          : {
              generateName: indexedName(job.metadata.name, index),
              annotations: annotationsOf(job, index, byIndex),
            };
      created.push(
        await control.create(job, template, signal, { finalizers: [JOB_FINALIZER], ...annotations }),
      );
    }
    return [...active, ...created];
  }

  /** The indexes whose next Pod must wait. */
  function resting(job: Job, key: string, byIndex: IndexFailures | undefined): number[] {
    const now = context.clock.now();
    return [...(byIndex?.last ?? [])].flatMap(([index, pod]) => {
      const row = { count: failuresAfter(pod, rulesOf(job)), last: endOf(pod) };
      const wait = pauseAfter(row, now);
      if (wait > 0) queue.addAfter(key, wait);
      return wait > 0 ? [index] : [];
    });
  }

  async function release(pod: Pod, signal: AbortSignal): Promise<void> {
    if (!(pod.metadata.finalizers ?? []).includes(JOB_FINALIZER)) return;
    const { name, namespace = '', uid } = pod.metadata;
    const finalizers = (pod.metadata.finalizers ?? []).filter((finalizer) => finalizer !== JOB_FINALIZER);
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
