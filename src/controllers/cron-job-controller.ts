import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf, controllerReference } from '../kube/owner-reference.ts';
import { formatTime, parseTime } from '../kube/time.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CronError, parseCron, type CronSchedule } from './cron-schedule.ts';
import { isDone, type Job } from './job-verdict.ts';
import { CRON_JOBS, JOBS } from './resource-types.ts';

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
  status?: {
    active?: object[];
    lastScheduleTime?: string;
    lastSuccessfulTime?: string;
  };
}

const COMPONENT = 'cronjob-controller';
/** Looking back over more missed times than this says that a clock jumped; then only the last one counts. */
const MISSED_LIMIT = 100;
/** Timers do not fire after longer than this (2^31 ms); the key is then looked at again in between. */
const LONGEST_TIMER = 24 * 3600_000;

/** Makes a Job at each time of a schedule. */
export function startCronJobController(context: ControllerContext): void {
  const crons = context.informer<CronJob>(CRON_JOBS);
  const jobs = context.informer<Job>(JOBS);

  const queue = context.queue('sync cron job', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const cron = crons.get(namespace, name);
    if (cron === undefined || cron.metadata.deletionTimestamp !== undefined) return;
    const owned = jobs.values().filter((job) => controllerOf(job)?.uid === cron.metadata.uid);
    await forgetOld(cron, owned, signal);
    let lastSchedule = cron.status?.lastScheduleTime;
    let running = owned.filter((job) => !isDone(job));
    const schedule = readSchedule(cron);
    if (schedule !== undefined && cron.spec.suspend !== true) {
      const now = context.clock.now();
      const due = lastDue(cron, schedule, now);
      if (due !== undefined) {
        const outcome = await start(cron, due, running, signal);
        running = outcome.running;
        if (outcome.scheduled) lastSchedule = formatTime(due);
      }
      const next = schedule.next(now);
      if (next !== undefined) queue.addAfter(key, Math.min(next - now + 50, LONGEST_TIMER));
    }
    await writeStatus(cron, owned, running, lastSchedule, signal);
  });

  function readSchedule(cron: CronJob): CronSchedule | undefined {
    try {
      return parseCron(cron.spec.schedule, cron.spec.timeZone);
    } catch (error) {
      if (!(error instanceof CronError)) throw error;
      context.events.record(COMPONENT, cron, {
        type: 'Warning',
        reason: error.code === 'BAD_TIME_ZONE' ? 'UnknownTimeZone' : 'UnparseableSchedule',
        message: `unparseable schedule: "${cron.spec.schedule}" : ${error.message}`,
      });
      return undefined;
    }
  }

  function lastDue(cron: CronJob, schedule: CronSchedule, now: number): number | undefined {
    const since =
      parseTime(cron.status?.lastScheduleTime ?? '') ??
      parseTime(cron.metadata.creationTimestamp ?? '') ??
      now;
    const deadline = cron.spec.startingDeadlineSeconds;
    const from = deadline === undefined ? since : Math.max(since, now - deadline * 1000);
    let due: number | undefined;
    let missed = 0;
    for (let time = schedule.next(from); time !== undefined && time <= now; time = schedule.next(time)) {
      due = time;
      missed++;
      if (missed === MISSED_LIMIT) {
        context.events.record(COMPONENT, cron, {
          type: 'Warning',
          reason: 'TooManyMissedTimes',
          message:
            'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
        });
        // Skip to the last time before now instead of walking through years.
        time = Math.max(time, now - 3600_000);
      }
    }
    return due;
  }

  async function start(
    cron: CronJob,
    due: number,
    running: Job[],
    signal: AbortSignal,
  ): Promise<{ running: Job[]; scheduled: boolean }> {
    const { namespace = '', name } = cron.metadata;
    if (cron.spec.concurrencyPolicy === 'Forbid' && running.length > 0) {
      context.events.record(COMPONENT, cron, {
        type: 'Normal',
        reason: 'JobAlreadyActive',
        message: 'Not starting job because prior execution is running and concurrency policy is Forbid',
      });
      return { running, scheduled: false };
    }
    let left = running;
    if (cron.spec.concurrencyPolicy === 'Replace') {
      for (const job of running) {
        await unless(
          ['NotFound'],
          context.client.delete(JOBS, { namespace, name: job.metadata.name }, signal, {
            propagationPolicy: 'Background',
          }),
        );
        context.events.record(COMPONENT, cron, {
          type: 'Normal',
          reason: 'SuccessfulDelete',
          message: `Deleted job ${job.metadata.name}`,
        });
      }
      left = [];
    }
    const { jobTemplate } = cron.spec;
    const job: Job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        // One name for each scheduled minute: a second attempt finds the first one's Job.
        name: `${name}-${Math.floor(due / 60_000)}`,
        namespace,
        ...(jobTemplate.metadata?.labels === undefined ? {} : { labels: jobTemplate.metadata.labels }),
        annotations: {
          ...jobTemplate.metadata?.annotations,
          'batch.kubernetes.io/cronjob-scheduled-timestamp': formatTime(due),
        },
        ownerReferences: [controllerReference(cron)],
      },
      spec: jobTemplate.spec,
    };
    try {
      const created = await context.client.create(JOBS, job, signal);
      context.events.record(COMPONENT, cron, {
        type: 'Normal',
        reason: 'SuccessfulCreate',
        message: `Created job ${created.metadata.name}`,
      });
      return { running: [...left, created], scheduled: true };
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) return { running: left, scheduled: true };
      context.events.record(COMPONENT, cron, {
        type: 'Warning',
        reason: 'FailedCreate',
        message: `Error creating job: ${messageOf(error)}`,
      });
      throw error;
    }
  }

  async function forgetOld(cron: CronJob, owned: readonly Job[], signal: AbortSignal): Promise<void> {
    const ended = (type: string): Job[] =>
      owned
        .filter((job) => job.status?.conditions?.some((c) => c.type === type && c.status === 'True'))
        .sort((a, b) => ((a.status?.startTime ?? '') < (b.status?.startTime ?? '') ? -1 : 1));
    const surplus = [
      ...ended('Complete').slice(0, -(cron.spec.successfulJobsHistoryLimit ?? 3) || undefined),
      ...ended('Failed').slice(0, -(cron.spec.failedJobsHistoryLimit ?? 1) || undefined),
    ];
    for (const job of surplus) {
      const { name, namespace = '' } = job.metadata;
      await unless(
        ['NotFound'],
        context.client.delete(JOBS, { namespace, name }, signal, { propagationPolicy: 'Background' }),
      );
    }
  }

  async function writeStatus(
    cron: CronJob,
    owned: readonly Job[],
    running: readonly Job[],
    lastSchedule: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const active = running.map((job) => ({
      kind: 'Job',
      namespace: job.metadata.namespace,
      name: job.metadata.name,
      uid: job.metadata.uid,
      apiVersion: 'batch/v1',
      resourceVersion: job.metadata.resourceVersion,
    }));
    const successes = owned.map((job) => job.status?.completionTime ?? '').sort();
    const last = successes.at(-1) || cron.status?.lastSuccessfulTime;
    const status = {
      ...(active.length === 0 ? {} : { active }),
      ...(lastSchedule === undefined ? {} : { lastScheduleTime: lastSchedule }),
      ...(last === undefined ? {} : { lastSuccessfulTime: last }),
    };
    if (isDeepStrictEqual(status, cron.status ?? {})) return;
    await unless(['NotFound'], context.client.update(CRON_JOBS, { ...cron, status }, signal, 'status'));
  }

  crons.onChange(({ object, type }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
  });
  jobs.onChange(({ object }) => {
    const controller = controllerOf(object);
    if (controller?.kind === 'CronJob') queue.add(`${object.metadata.namespace ?? ''}/${controller.name}`);
  });
}
