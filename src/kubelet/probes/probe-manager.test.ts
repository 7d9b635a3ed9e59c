import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import type { Container, Pod, Probe } from '../../kube/pod.ts';
import { RuntimeError } from '../../runtime/runtime-error.ts';
import { runtimeOf } from '../_container-fixture.ts';
import { ProbeManager } from './probe-manager.ts';

/* Probes by the second: what they conclude, when, and what is said. Their program answers as `answers` says. */

type Answer = 'good' | 'bad' | 'gone';
const probe = (more: Partial<Probe> = {}): Probe => ({
  exec: { command: ['look'] },
  periodSeconds: 1,
  ...more,
});

function bench(container: Partial<Container>, first: Answer = 'good', startedAt = 0) {
  const clock = new ManualClock(0);
  const said: string[] = [];
  const changed: string[] = [];
  const answers: { now: Answer; asked: number } = { now: first, asked: 0 };
  const probes = new ProbeManager({
    runtime: runtimeOf({
      execSync: () => {
        answers.asked++;
        if (answers.now === 'gone') return Promise.reject(new RuntimeError('EXEC_FAILED', 'no such program'));
        const exitCode = answers.now === 'good' ? 0 : 1;
        return Promise.resolve({ exitCode, stdout: Buffer.from('out'), stderr: Buffer.from('err') });
      },
    }),
    recorder: { event: (_, type, reason, message) => void said.push(`${type} ${reason} ${message}`) },
    clock,
    podIP: '127.0.0.1',
    changed: (uid) => changed.push(uid),
  });
  const subject: Container = { name: 'a', image: 'i', ...container };
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'd', uid: 'u' },
    spec: { containers: [subject] },
  };
  probes.watch(pod, subject, 'app', 'c', startedAt);
  return {
    probes,
    said,
    changed,
    answers,
    pass: async (seconds: number): Promise<void> => {
      for (let each = 0; each < seconds; each++) await clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('a container without probes is started and ready; one with a readiness probe is not until that has succeeded often enough', async () => {
  const none = bench({});
  assert.deepEqual([none.probes.started('c'), none.probes.ready('c')], [true, true]);
  const one = bench({ readinessProbe: probe({ successThreshold: 3 }) });
  await one.pass(0);
  assert.equal(one.probes.ready('c'), false);
  await one.pass(1);
  assert.equal(one.probes.ready('c'), false);
  await one.pass(1);
  assert.equal(one.probes.ready('c'), true);
  assert.deepEqual(one.changed, ['u']);
});

test('readiness goes after three failures in a row, each of which is told, and comes back', async () => {
  const { probes, answers, pass, said } = bench({ readinessProbe: probe() });
  await pass(0);
  assert.equal(probes.ready('c'), true);
  for (const [answer, ready] of [
    ['bad', true],
    ['bad', true],
    ['good', true],
    ['bad', true],
    ['bad', true],
    ['bad', false],
    ['bad', false],
    ['good', true],
  ] as const) {
    answers.now = answer;
    await pass(1);
    assert.equal(probes.ready('c'), ready, answer);
  }
  assert.deepEqual(said, Array(6).fill('Warning Unhealthy Readiness probe failed: outerr'));
});

test('a liveness probe that has failed often enough is not asked again: its container goes', async () => {
  const { probes, pass, said } = bench({ livenessProbe: probe({ failureThreshold: 2 }) }, 'bad');
  await pass(0);
  assert.equal(probes.unhealthy('c'), undefined);
  await pass(1);
  assert.equal(probes.unhealthy('c'), 'liveness');
  await pass(5);
  assert.deepEqual(said, Array(2).fill('Warning Unhealthy Liveness probe failed: outerr'));
});

test('a probe waits for its initial delay, which counts from the container’s start', async () => {
  const { answers, pass } = bench({ livenessProbe: probe({ initialDelaySeconds: 5 }) }, 'good', -2000);
  await pass(2);
  assert.equal(answers.asked, 0);
  await pass(1);
  assert.equal(answers.asked, 1);
});

test('nothing else is asked before the startup probe has succeeded, which then is asked no more', async () => {
  const { probes, answers, pass, said } = bench(
    {
      startupProbe: probe({ failureThreshold: 30 }),
      livenessProbe: probe({ failureThreshold: 1 }),
      readinessProbe: probe(),
    },
    'bad',
  );
  await pass(3);
  assert.deepEqual(
    [probes.started('c'), probes.ready('c'), probes.unhealthy('c')],
    [false, false, undefined],
  );
  assert.deepEqual(new Set(said), new Set(['Warning Unhealthy Startup probe failed: outerr']));
  answers.now = 'good';
  await pass(2);
  assert.deepEqual([probes.started('c'), probes.ready('c')], [true, true]);
  const { asked } = answers;
  await pass(1);
  assert.equal(answers.asked - asked, 2);
});

test('a probe that cannot be made is tried three times, told, and decides nothing', async () => {
  const { probes, answers, pass, said } = bench({ livenessProbe: probe({ failureThreshold: 1 }) }, 'gone');
  await pass(0);
  assert.equal(answers.asked, 3);
  assert.equal(probes.unhealthy('c'), undefined);
  assert.deepEqual(said, [
    'Warning Unhealthy Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = no such program',
  ]);
});

test('a container that is no longer watched is asked nothing more', async () => {
  const { probes, answers, pass } = bench({ readinessProbe: probe() });
  await pass(1);
  const { asked } = answers;
  probes.keepOnly('u', new Set());
  await pass(5);
  assert.equal(answers.asked, asked);
  assert.equal(probes.ready('c'), true);
});
