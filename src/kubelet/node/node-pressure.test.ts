import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import type { Pod } from '../../kube/pod.ts';
import { silentLogger } from '../../observe/logger.ts';
import { parseEvictionThresholds, type EvictionFields } from '../images/eviction-thresholds.ts';
import { NodePressure, type NodePressureOptions } from './node-pressure.ts';

/* Rounds of eviction over a disk that is as full as the test says. */

const SIGNAL = new AbortController().signal;
const MI = 2 ** 20;
const NODE = { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'n' };

function pod(name: string, more: Partial<Pod['metadata']> = {}, spec: Partial<Pod['spec']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'd', uid: name, ...more },
    spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
  };
}

function bench(fields: EvictionFields, more: Partial<NodePressureOptions> = {}) {
  const clock = new ManualClock(0);
  const said: string[] = [];
  const disk = { available: 100 * MI };
  const pressure = new NodePressure({
    thresholds: parseEvictionThresholds(fields),
    observe: () =>
      Promise.resolve({
        observations: new Map([
          [
            'nodefs.available' as const,
            { available: disk.available, capacity: 1000 * MI, time: clock.now() },
          ],
        ]),
        layout: 'single',
      }),
    removeDeadContainers: () => Promise.resolve(void said.push('dead containers')),
    removeUnusedImages: () => Promise.resolve(void said.push('unused images')),
    pods: () => [],
    usage: () => Promise.resolve(undefined),
    evict: (victim, _message, grace) => void said.push(`evict ${victim.metadata.name} in ${grace} s`),
    recorder: { event: (_, type, reason, message) => void said.push(`${type} ${reason} ${message}`) },
    node: NODE,
    clock,
    logger: silentLogger,
    changed: () => void said.push('changed'),
    ...more,
  });
  return {
    pressure,
    disk,
    /** What a look ten seconds later says and does. */
    round: async (): Promise<string[]> => {
      await clock.advance(10_000);
      await pressure.round(SIGNAL);
      return said.splice(0);
    },
  };
}

const RECLAIM = [
  'Warning EvictionThresholdMet Attempting to reclaim ephemeral-storage',
  'dead containers',
  'unused images',
];

test('11.27 the condition stays for as long as it must after the disk was last short', async () => {
  const { pressure, disk, round } = bench(
    { evictionHard: { 'nodefs.available': '64Mi' } },
    { transitionPeriod: 30_000 },
  );
  assert.deepEqual(await round(), []);
  disk.available = 10 * MI;
  assert.deepEqual(await round(), ['changed', ...RECLAIM]);
  disk.available = 100 * MI;
  for (const held of [true, true, false]) {
    await round();
    assert.equal(pressure.has('DiskPressure'), held);
  }
});

test('11.28 to 11.30 what nobody needs goes first; Pods that are critical, ended or on their way out are spared', async () => {
  const pods = [
    pod('critical', {}, { priority: 2_000_000_000 }),
    pod('static', { annotations: { 'kubernetes.io/config.source': 'file' } }),
    pod('going', { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    { ...pod('failed'), status: { phase: 'Failed' as const } },
    { ...pod('done'), status: { phase: 'Succeeded' as const } },
    pod('one'),
  ];
  const { disk, round } = bench({ evictionHard: { 'nodefs.available': '64Mi' } }, { pods: () => pods });
  disk.available = 10 * MI;
  assert.deepEqual(await round(), ['changed', ...RECLAIM, 'evict one in 1 s']);
  pods.pop();
  assert.deepEqual(await round(), RECLAIM);
});

test('11.24 11.30 once met, a threshold is enough only with its minimum reclaim', async () => {
  const fields = {
    evictionHard: { 'nodefs.available': '64Mi' },
    evictionMinimumReclaim: { 'nodefs.available': '20Mi' },
  };
  for (const [freed, says] of [
    [70, ['evict one in 1 s']],
    [90, []],
  ] as const) {
    const made = bench(fields, {
      pods: () => [pod('one')],
      removeUnusedImages: () => {
        made.disk.available = freed * MI;
        return Promise.resolve();
      },
    });
    made.disk.available = 10 * MI;
    assert.deepEqual((await made.round()).slice(3), says, `${freed} MiB`);
  }
});

test('11.31 under pressure critical Pods are let in and others are not', async () => {
  const { pressure, disk, round } = bench({ evictionHard: { 'nodefs.available': '64Mi' } });
  assert.equal(pressure.refusal(pod('one')), undefined);
  disk.available = 10 * MI;
  await round();
  const message = 'The node had condition: [DiskPressure]. ';
  assert.deepEqual(pressure.refusal(pod('one')), { reason: 'Evicted', message });
  assert.equal(pressure.refusal(pod('critical', {}, { priority: 2_000_000_000 })), undefined);
});
