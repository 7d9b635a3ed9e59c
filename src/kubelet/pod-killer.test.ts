import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { Container, Pod } from '../kube/pod.ts';
import { runtimeOf, statusOf } from './_container-fixture.ts';
import { HookRunner } from './lifecycle-hooks.ts';
import { graceOf, PodKiller } from './pod-killer.ts';

const rows: [name: string, deletion: number | undefined, specification: number | undefined, grace: number][] =
  [
    ['the specification’s', undefined, 5, 5],
    ['the usual one when nothing is said', undefined, undefined, 30],
    ['the deletion’s before the specification’s', 3, 5, 3],
    ['the specification’s when the deletion gives none', 0, 5, 5],
    ['one second when neither gives any', 0, 0, 1],
  ];
for (const [name, deletion, specification, grace] of rows) {
  test(`the time that a Pod has to end is ${name}`, () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'p',
        ...(deletion === undefined ? {} : { deletionGracePeriodSeconds: deletion }),
      },
      spec: {
        containers: [],
        ...(specification === undefined ? {} : { terminationGracePeriodSeconds: specification }),
      },
    };
    assert.equal(graceOf(pod), grace);
  });
}

/** Ends a Pod whose containers take a second each to end and whose hooks take as long as they say. */
async function kill(containers: Container[], initContainers: Container[], grace: number): Promise<string[]> {
  const clock = new ManualClock(0);
  const said: string[] = [];
  const { signal } = new AbortController();
  const runtime = runtimeOf({
    execSync: async (id, [seconds = '0', exitCode = '0']) => {
      said.push(`hook of ${id} at ${clock.now() / 1000} s`);
      await clock.sleep(Number(seconds) * 1000, signal);
      return { stdout: Buffer.from(''), stderr: Buffer.from(''), exitCode: Number(exitCode) };
    },
    stopContainer: async (id, timeoutMs) => {
      said.push(`stop ${id} within ${timeoutMs / 1000} s`);
      await clock.sleep(1000, signal);
    },
    stopPodSandbox: (id) => Promise.resolve(void said.push(`stop ${id}`)),
  });
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'd', uid: 'u' },
    spec: { containers, initContainers },
  };
  const config = { name: 'p', uid: 'u', namespace: 'd', attempt: 0, hostname: 'p', logDirectory: '' };
  const names = [...initContainers, ...containers].map(({ name }) => name);
  const running = {
    sandboxes: [
      {
        id: 'box',
        config: { ...config, labels: {}, annotations: {} },
        state: 'ready' as const,
        createdAt: 1,
      },
    ],
    containers: new Map(names.map((name) => [name, [statusOf(name)]])),
  };
  const killer = new PodKiller({
    runtime,
    recorder: { event: (_, type, reason, message) => void said.push(`${type} ${reason} ${message}`) },
    hooks: new HookRunner({ runtime, clock, address: '127.0.0.1' }),
    clock,
  });
  const over = new AbortController();
  const done = killer.killPod(pod, running, grace, signal).finally(() => over.abort());
  while (!over.signal.aborted) await clock.advance(500);
  await done;
  return said;
}

const named = (name: string, hook?: string[]): Container => ({
  name,
  image: 'i',
  ...(hook === undefined ? {} : { lifecycle: { preStop: { exec: { command: hook } } } }),
});
const killing = (name: string): string => `Normal Killing Stopping container ${name}`;

test('a preStop hook runs before the stop signal and takes of the grace, of which two seconds are always left', async () => {
  for (const [seconds, left] of [
    ['3', '7'],
    ['9', '2'],
  ] as const) {
    assert.deepEqual(await kill([named('a', [seconds])], [], 10), [
      killing('a'),
      'hook of id-a at 0 s',
      `stop id-a within ${left} s`,
      'stop box',
    ]);
  }
});

test('a preStop hook that fails is told, and the container ends all the same', async () => {
  assert.deepEqual(await kill([named('a', ['1', '1'])], [], 10), [
    killing('a'),
    'hook of id-a at 0 s',
    'Warning FailedPreStopHook PreStopHook failed',
    'stop id-a within 9 s',
    'stop box',
  ]);
});

test('sidecars end after the others, the last first, each with what is left of the grace', async () => {
  const sidecars = ['first', 'second'].map((name) => ({ ...named(name), restartPolicy: 'Always' as const }));
  assert.deepEqual(await kill([named('a'), named('b')], sidecars, 10), [
    killing('a'),
    'stop id-a within 10 s',
    killing('b'),
    'stop id-b within 10 s',
    killing('second'),
    'stop id-second within 9 s',
    killing('first'),
    'stop id-first within 8 s',
    'stop box',
  ]);
});
