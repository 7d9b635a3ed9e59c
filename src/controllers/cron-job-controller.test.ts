import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';
import { ManualClock } from '../base/manual-clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { formatTime } from '../kube/time.ts';
import { ControllerContext } from './controller-context.ts';
import { startCronJobController } from './cron-job-controller.ts';
import { EventRecorder } from './event-recorder.ts';
import type { Job } from './job-verdict.ts';
import { CRON_JOBS, EVENTS, JOBS } from './resource-types.ts';

/* The controller alone, with a clock of its own; Jobs end when the test says so. */

const MINUTE = 60_000;
/** Objects are made at the time of the API server; ours begins at the next full minute, ten minutes later. */
const clock = new ManualClock(Math.floor(Date.now() / MINUTE) * MINUTE + 10 * MINUTE);
const stop = new AbortController();
const { signal } = stop;
let api: TestApi;

before(async () => {
  api = await startTestApi();
  const events = new EventRecorder(api.client, clock, signal, (error) => assert.fail(String(error)));
  const context = new ControllerContext({ client: api.client, clock, events, signal, logger: undefined });
  startCronJobController(context);
  await context.synced();
});
after(async () => {
  stop.abort();
  await api.close();
});

type Cron = KubeObject & {
  status?: { active?: { name: string }[]; lastScheduleTime?: string; lastSuccessfulTime?: string };
};

async function makeCron(name: string, more: object): Promise<void> {
  const podSpec = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'x:1' }] };
  const spec = { schedule: '* * * * *', ...more, jobTemplate: { spec: { template: { spec: podSpec } } } };
  const metadata = { name, namespace: 'default' };
  await api.client.create(
    CRON_JOBS,
    { apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec } as KubeObject,
    signal,
  );
}

const cronOf = (name: string): Promise<Cron> =>
  api.client.get<Cron>(CRON_JOBS, { namespace: 'default', name }, signal);

async function jobsOf(name: string): Promise<Job[]> {
  const { items } = await api.client.list<Job>(JOBS, { namespace: 'default' }, signal);
  return items.filter(({ metadata }) => metadata.name.startsWith(`${name}-`));
}

async function wordsOf(name: string): Promise<string[]> {
  type Event = KubeObject & { involvedObject: { name: string }; reason: string; message: string };
  const { items } = await api.client.list<Event>(EVENTS, { namespace: 'default' }, signal);
  return items
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ reason, message }) => `${reason}: ${message}`);
}

/** Lets time run until something holds, second by second; between two seconds the network may answer. */
async function timeUntil<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let second = 0; second < 600; second++) {
    const found = await look();
    if (found !== undefined) return found;
    await clock.advance(1000);
  }
  return assert.fail(`never: ${what}`);
}

const untilTold = (name: string, words: string | RegExp): Promise<string> =>
  timeUntil(String(words), async () =>
    (await wordsOf(name)).find((told) => (typeof words === 'string' ? told === words : words.test(told))),
  );

async function end(job: Job, type: 'Complete' | 'Failed'): Promise<void> {
  const time = formatTime(clock.now());
  const condition = (of: string): object => ({
    type: of,
    status: 'True',
    lastProbeTime: time,
    lastTransitionTime: time,
  });
  const target = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  const status = {
    startTime: job.status?.startTime ?? time,
    ...(type === 'Complete' ? { completionTime: time } : {}),
    conditions: [condition(target), condition(type)],
    uncountedTerminatedPods: {},
  };
  const { namespace = '', name } = job.metadata;
  await api.client.patch(JOBS, { namespace, name }, { status }, 'merge', signal, { subresource: 'status' });
}

test('a CronJob makes a Job for each time, tells of its end, and keeps as many as it wants', async () => {
  await makeCron('tick', { successfulJobsHistoryLimit: 1, timeZone: 'Europe/Berlin' });
  const ended: string[] = [];
  for (let round = 0; round < 3; round++) {
    const job = await timeUntil('a new Job', async () =>
      (await jobsOf('tick')).find(({ metadata }) => !ended.includes(metadata.name)),
    );
    const due = Number(job.metadata.name.slice('tick-'.length)) * MINUTE;
    const stamp = job.metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'] ?? '';
    assert.equal(Date.parse(stamp), due);
    assert.match(stamp, /\+0[12]:00$/, 'by the clocks of the zone');
    const { status } = await timeUntil('the status', async () => {
      const cron = await cronOf('tick');
      return cron.status?.active === undefined ? undefined : cron;
    });
    assert.deepEqual(
      status?.active?.map(({ name }) => name),
      [job.metadata.name],
    );
    assert.equal(status?.lastScheduleTime, formatTime(due));
    await end(job, 'Complete');
    ended.push(job.metadata.name);
    await untilTold('tick', `SawCompletedJob: Saw completed job: ${job.metadata.name}, condition: Complete`);
  }
  await untilTold('tick', `SuccessfulDelete: Deleted job ${ended[0] ?? ''}`);
  const left = await timeUntil('old Jobs go', async () => {
    const jobs = (await jobsOf('tick')).map(({ metadata }) => metadata.name);
    return ended.slice(0, 2).some((name) => jobs.includes(name)) ? undefined : jobs;
  });
  assert.ok(left.includes(ended[2] ?? ''));
  assert.notEqual((await cronOf('tick')).status?.lastSuccessfulTime, undefined);
  await api.client.delete(CRON_JOBS, { namespace: 'default', name: 'tick' }, signal);
});

test('while a Job runs, Forbid waits and Replace takes it away', async () => {
  await makeCron('forbid', { concurrencyPolicy: 'Forbid' });
  await untilTold(
    'forbid',
    'JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid',
  );
  assert.equal((await jobsOf('forbid')).length, 1);
  await makeCron('replace', { concurrencyPolicy: 'Replace' });
  const [first] = await timeUntil('a Job', async () => {
    const jobs = await jobsOf('replace');
    return jobs.length === 0 ? undefined : jobs;
  });
  await untilTold('replace', `SuccessfulDelete: Deleted job ${first?.metadata.name ?? ''}`);
  const { status } = await timeUntil('the next Job', async () => {
    const cron = await cronOf('replace');
    return cron.status?.active?.[0]?.name === first?.metadata.name ? undefined : cron;
  });
  assert.equal(status?.active?.length, 1);
  for (const name of ['forbid', 'replace']) {
    await api.client.delete(CRON_JOBS, { namespace: 'default', name }, signal);
  }
});

test('a Job that somebody deletes is missed, one that somebody makes is told of, a suspended one makes none', async () => {
  await makeCron('odd', { schedule: '0 0 1 1 *', suspend: true });
  const cron = await cronOf('odd');
  const spec = { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'x:1' }] } } };
  const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name: 'odd', uid: cron.metadata.uid ?? '' };
  const metadata = {
    name: 'odd-own',
    namespace: 'default',
    ownerReferences: [{ ...owner, controller: true }],
  };
  await api.client.create(
    JOBS,
    { apiVersion: 'batch/v1', kind: 'Job', metadata, spec } as KubeObject,
    signal,
  );
  await untilTold('odd', 'UnexpectedJob: Saw a job that the controller did not create or forgot: odd-own');
  const active = [{ kind: 'Job', namespace: 'default', name: 'odd-gone', uid: 'u', apiVersion: 'batch/v1' }];
  await api.client.patch(
    CRON_JOBS,
    { namespace: 'default', name: 'odd' },
    { status: { active } },
    'merge',
    signal,
    { subresource: 'status' },
  );
  await untilTold('odd', 'MissingJob: Active job went missing: odd-gone');
  assert.equal((await jobsOf('odd')).length, 1);
});

test('a time whose deadline has passed is not made up for', async () => {
  await makeCron('late', { schedule: '* * * * *', suspend: true, startingDeadlineSeconds: 10 });
  await clock.advance(5 * MINUTE + 30_000);
  await api.client.patch(
    CRON_JOBS,
    { namespace: 'default', name: 'late' },
    { spec: { suspend: false } },
    'merge',
    signal,
  );
  const [job] = await timeUntil('the next Job', async () => {
    const jobs = await jobsOf('late');
    return jobs.length === 0 ? undefined : jobs;
  });
  const due = Number(job?.metadata.name.slice('late-'.length)) * MINUTE;
  assert.ok(clock.now() - due < MINUTE, 'the newest time only');
});
