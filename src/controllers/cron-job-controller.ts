import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf, controllerReference, isControlledBy } from '../kube/owner-reference.ts';
import { formatTime, parseTime } from '../kube/time.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { dueTime, isTooLate, localTime, MISSED_TOO_MANY, mailTime } from './cron-plan.ts';
import { CronError, parseCron, type CronSchedule } from './cron-schedule.ts';
import { isDone, type Job } from './job-verdict.ts';
import { isTerminating } from './pod-control.ts';
import { CRON_JOBS, JOBS } from './resource-types.ts';

interface JobReference {
  kind: string;
  namespace?: string;
  name: string;
  uid?: string;
  apiVersion: string;
  resourceVersion?: string;
}

interface CronJobStatus {
  active?: JobReference[];
  lastScheduleTime?: string;
  lastSuccessfulTime?: string;
}

interface CronJob extends KubeObject {
  spec: {
    schedule: string;
    timeZone?: string;
    suspend?: boolean;
    concurrencyPolicy?: string;
    startingDeadlineSeconds?: number;
    successfulJobsHistoryLimit?: number;
    failedJobsHistoryLimit?: number;
    jobTemplate: {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: Job['spec'];
    };
  };
  status?: CronJobStatus;
}

const COMPONENT = 'cronjob-controller';
/** Timers do not fire after longer than this (2^31 ms); the key is then looked at again in between. */
const LONGEST_TIMER = 24 * 3600_000;
/** A timer that fires a little early would find that it is not time yet. */
const AFTER_MS = 100;

/** Makes a Job at each time of a schedule. */
export function startCronJobController(context: ControllerContext): void {
  const crons = context.informer<CronJob>(CRON_JOBS);
  const jobs = context.informer<Job>(JOBS);
  /** uid → what was written last, and over which versions: the informer may still show one of those. */
  const written = new Map<string, { over: ReadonlySet<string>; cron: CronJob }>();

  const queue = context.queue('sync cron job', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const seen = crons.get(namespace, name);
    if (seen === undefined) return;
    const cron = newest(seen);
    const owned = jobs.values().filter((job) => isControlledBy(job, cron));
    const status = await review(cron, owned, signal);
    if (cron.metadata.deletionTimestamp === undefined) {
      const schedule = readSchedule(cron);
      if (schedule !== undefined && cron.spec.suspend !== true) {
        const now = context.clock.now();
        await runDue(cron, schedule, status, now, signal);
        const next = schedule.next(now);
        if (next !== undefined) queue.addAfter(key, Math.min(next - now + AFTER_MS, LONGEST_TIMER));
      }
    }
    await forgetOld(cron, owned, status, signal);
    await writeStatus(cron, status, signal);
  });

  /** What was told once would be told again from an old picture. */
  function newest(seen: CronJob): CronJob {
    const { uid = '', resourceVersion = '' } = seen.metadata;
    const last = written.get(uid);
    if (last?.over.has(resourceVersion) === true) return last.cron;
    written.delete(uid);
    return seen;
  }

  function tell(cron: CronJob, type: 'Normal' | 'Warning', reason: string, message: string): void {
    context.events.record(COMPONENT, cron, { type, reason, message });
  }

  /** Brings the list of running Jobs up to date. */
  async function review(cron: CronJob, owned: readonly Job[], signal: AbortSignal): Promise<CronJobStatus> {
    const status: CronJobStatus = { ...cron.status };
    for (const job of [...owned].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
      const isListed = isActive(status, job);
      if (!isListed && !isDone(job)) {
        // Our own picture of the list may be older than the Job.
        const fresh = await context.client.get<CronJob>(CRON_JOBS, target(cron), signal);
        if (isActive(fresh.status ?? {}, job)) {
          Object.assign(status, fresh.status);
          continue;
        }
        const message = `Saw a job that the controller did not create or forgot: ${job.metadata.name}`;
        tell(cron, 'Warning', 'UnexpectedJob', message);
      } else if (isListed && isDone(job)) {
        drop(status, job.metadata.uid);
        const message = `Saw completed job: ${job.metadata.name}, condition: ${outcomeOf(job)}`;
        tell(cron, 'Normal', 'SawCompletedJob', message);
      }
      const { completionTime } = job.status ?? {};
      if (outcomeOf(job) === 'Complete' && completionTime !== undefined) {
        if (completionTime > (status.lastSuccessfulTime ?? '')) status.lastSuccessfulTime = completionTime;
      }
    }
    for (const { uid, name, namespace = '' } of status.active ?? []) {
      if (owned.some((job) => job.metadata.uid === uid)) continue;
      try {
        await context.client.get(JOBS, { namespace, name }, signal);
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
        tell(cron, 'Normal', 'MissingJob', `Active job went missing: ${name}`);
        drop(status, uid);
      }
    }
    return status;
  }

  function readSchedule(cron: CronJob): CronSchedule | undefined {
    const { schedule, timeZone } = cron.spec;
    try {
      return parseCron(schedule, timeZone);
    } catch (error) {
      if (!(error instanceof CronError)) throw error;
      if (error.code === 'BAD_TIME_ZONE') {
        const zone = timeZone ?? '';
        const message = `invalid timeZone: ${goQuote(zone)}: unknown time zone ${zone}`;
        tell(cron, 'Warning', 'UnknownTimeZone', message);
      } else {
        const message = `unparseable schedule: ${goQuote(schedule)} : ${error.message}`;
        tell(cron, 'Warning', 'UnparseableSchedule', message);
      }
      return undefined;
    }
  }

  async function runDue(
    cron: CronJob,
    schedule: CronSchedule,
    status: CronJobStatus,
    now: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { startingDeadlineSeconds: deadline, concurrencyPolicy } = cron.spec;
    const since = parseTime(status.lastScheduleTime ?? cron.metadata.creationTimestamp ?? '') ?? now;
    const { due, missed } = dueTime(schedule, since, deadline, now);
    if (missed > MISSED_TOO_MANY) {
      const message =
        'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
      tell(cron, 'Warning', 'TooManyMissedTimes', message);
    }
    if (due === undefined) return;
    if (isTooLate(due, deadline, now)) {
      tell(cron, 'Warning', 'MissSchedule', `Missed scheduled time to start a job: ${mailTime(due)}`);
      return;
    }
    const isListed = (status.active ?? []).some(({ name }) => name === jobName(cron, due));
    if (isListed || status.lastScheduleTime === formatTime(due)) return;
    const running = status.active ?? [];
    if (concurrencyPolicy === 'Forbid' && running.length > 0) {
      const message = 'Not starting job because prior execution is running and concurrency policy is Forbid';
      tell(cron, 'Normal', 'JobAlreadyActive', message);
      return;
    }
    if (concurrencyPolicy === 'Replace') {
      for (const { name, uid } of running) await removeJob(cron, name, uid, status, signal);
    }
    await startJob(cron, due, status, signal);
  }

  async function startJob(
    cron: CronJob,
    due: number,
    status: CronJobStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const made = jobAt(cron, due);
    let job: Job;
    try {
      job = await context.client.create(JOBS, made, signal);
      tell(cron, 'Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`);
    } catch (error) {
      if (isTerminating(error)) return;
      if (!isApiError(error, 'AlreadyExists')) {
        tell(cron, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
        throw error;
      }
      // Made in an attempt whose end was never written down, or by somebody else.
      const { namespace = '', name } = made.metadata;
      job = await context.client.get<Job>(JOBS, { namespace, name }, signal);
      if (!isControlledBy(job, cron) || isActive(status, job)) return;
    }
    status.active = [...(status.active ?? []), referenceTo(job)];
    status.lastScheduleTime = formatTime(due);
  }

  async function removeJob(
    cron: CronJob,
    name: string,
    uid: string | undefined,
    status: CronJobStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace = '' } = cron.metadata;
    try {
      await unless(
        ['NotFound'],
        context.client.delete(JOBS, { namespace, name }, signal, { propagationPolicy: 'Background' }),
      );
    } catch (error) {
      tell(cron, 'Warning', 'FailedDelete', `Deleted job: ${messageOf(error)}`);
      throw error;
    }
    drop(status, uid);
    tell(cron, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
  }

  async function forgetOld(
    cron: CronJob,
    owned: readonly Job[],
    status: CronJobStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cron.spec;
    const surplus = (outcome: string, limit: number): Job[] => {
      const ended = owned
        .filter((job) => outcomeOf(job) === outcome && job.metadata.deletionTimestamp === undefined)
        .sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
      return ended.slice(0, Math.max(0, ended.length - limit));
    };
    for (const { metadata } of [
      ...surplus('Complete', successfulJobsHistoryLimit),
      ...surplus('Failed', failedJobsHistoryLimit),
    ]) {
      await removeJob(cron, metadata.name, metadata.uid, status, signal);
    }
  }

  async function writeStatus(cron: CronJob, status: CronJobStatus, signal: AbortSignal): Promise<void> {
    const { active = [], ...times } = status;
    const next = { ...(active.length === 0 ? {} : { active }), ...times };
    if (isDeepStrictEqual(next, cron.status ?? {})) return;
    const store = async (): Promise<void> => {
      const stored = await context.client.update(CRON_JOBS, { ...cron, status: next }, signal, 'status');
      const { uid = '', resourceVersion = '' } = cron.metadata;
      const over = new Set(written.get(uid)?.over).add(resourceVersion);
      written.set(uid, { over, cron: stored });
    };
    await unless(['NotFound'], store());
  }

  crons.onChange(({ object, type }) => {
    if (type === 'deleted') written.delete(object.metadata.uid ?? '');
    else queue.add(queueKey(object));
  });
  jobs.onChange(({ object }) => {
    const controller = controllerOf(object);
    if (controller?.kind === 'CronJob') queue.add(`${object.metadata.namespace ?? ''}/${controller.name}`);
  });
}

function target({ metadata }: KubeObject): { namespace: string; name: string } {
  return { namespace: metadata.namespace ?? '', name: metadata.name };
}

function isActive(status: CronJobStatus, job: Job): boolean {
  return (status.active ?? []).some(({ uid }) => uid === job.metadata.uid);
}

function drop(status: CronJobStatus, uid: string | undefined): void {
  status.active = (status.active ?? []).filter((reference) => reference.uid !== uid);
}

function referenceTo({ metadata }: Job): JobReference {
  const { namespace, name, uid, resourceVersion } = metadata;
  return {
    kind: 'Job',
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(uid === undefined ? {} : { uid }),
    apiVersion: 'batch/v1',
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

/** `Complete`, `Failed`, or nothing yet. */
function outcomeOf(job: Job): string {
  const ends = ['Complete', 'Failed'];
  const found = job.status?.conditions?.find(({ type, status }) => ends.includes(type) && status === 'True');
  return found?.type ?? '';
}

/** Jobs that never began come last. */
function startOf(job: Job): string {
  return `${job.status?.startTime ?? '~'} ${job.metadata.name}`;
}

/** One name for each scheduled minute: a second attempt finds the first one's Job. */
function jobName(cron: CronJob, due: number): string {
  return `${cron.metadata.name}-${Math.floor(due / 60_000)}`;
}

function jobAt(cron: CronJob, due: number): Job {
  const { jobTemplate, timeZone } = cron.spec;
  const { namespace } = cron.metadata;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(cron, due),
      ...(namespace === undefined ? {} : { namespace }),
      ...(jobTemplate.metadata?.labels === undefined ? {} : { labels: jobTemplate.metadata.labels }),
      annotations: {
        ...jobTemplate.metadata?.annotations,
        'batch.kubernetes.io/cronjob-scheduled-timestamp': localTime(due, timeZone),
      },
      ownerReferences: [controllerReference(cron)],
    },
    spec: jobTemplate.spec,
  };
}
