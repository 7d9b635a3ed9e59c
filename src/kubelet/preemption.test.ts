import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { isCritical, mayPreempt } from './critical-pods.ts';
import { podsToPreempt, type Need } from './preemption.ts';
import { CONFIG_SOURCE } from './static-pods/static-pod-marks.ts';

const CRITICAL = 2_000_000_000;

function pod(
  name: string,
  requests: Record<string, string>,
  more: { limits?: boolean; priority?: number } = {},
): Pod {
  const resources = { requests, ...(more.limits === true ? { limits: requests } : {}) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: name },
    spec: {
      containers: [{ name: 'a', resources }],
      ...(more.priority === undefined ? {} : { priority: more.priority }),
    },
  };
}

const critical = pod('critical', {}, { priority: CRITICAL });
const cpu = (amount: number): Need => ({ resource: 'cpu', amount });
const memory = (amount: number): Need => ({ resource: 'memory', amount });
const PODS: Need = { resource: 'pods', amount: 1 };

for (const { what, present, needs, goes } of [
  {
    what: 'the one that covers it, of those the one that asks for least',
    present: [pod('big', { cpu: '3' }), pod('small', { cpu: '1' }), pod('fits', { cpu: '2' })],
    needs: [cpu(2000)],
    goes: ['fits'],
  },
  {
    what: 'several where one is not enough, the nearest first',
    present: [pod('x', { cpu: '1' }), pod('y', { cpu: '2' }), pod('z', { cpu: '500m' })],
    needs: [cpu(2500)],
    goes: ['y', 'z'],
  },
  {
    what: 'those that promise least first: a guaranteed one stays while others are enough',
    present: [pod('g', { cpu: '2', memory: '1Gi' }, { limits: true }), pod('b', { cpu: '2' })],
    needs: [cpu(1000)],
    goes: ['b'],
  },
  {
    what: 'a guaranteed one where the others are not enough, and then no more of the others than needed',
    present: [
      pod('g', { cpu: '2', memory: '1Gi' }, { limits: true }),
      pod('b1', { cpu: '1' }),
      pod('b2', { cpu: '1' }),
    ],
    needs: [cpu(3000)],
    goes: ['b2', 'g'],
  },
  {
    what: 'any best-effort one for a place',
    present: [pod('b', { cpu: '1' }), pod('e', {})],
    needs: [PODS],
    goes: ['e'],
  },
  {
    what: 'what is nearest in several resources together',
    present: [pod('c', { cpu: '1' }), pod('m', { memory: '1Gi' }), pod('both', { cpu: '1', memory: '1Gi' })],
    needs: [cpu(1000), memory(2 ** 30)],
    goes: ['both'],
  },
  {
    what: 'nobody as critical: the others are not enough',
    present: [pod('x', { cpu: '1' }), pod('other', { cpu: '4' }, { priority: CRITICAL })],
    needs: [cpu(2000), memory(5)],
    goes: 'preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 1000), (res: memory, q: 5), ]',
  },
]) {
  test(`room is made for a critical Pod by ending ${what}`, () => {
    const chosen = podsToPreempt(critical, present, needs);
    assert.deepEqual(
      typeof chosen === 'string' ? chosen : chosen.map(({ metadata }) => metadata.name).toSorted(),
      goes,
    );
  });
}

test('static Pods, mirrors and those of the highest priorities are critical; among these the higher priority goes before', () => {
  const from = (source: string): Pod => ({
    ...pod('s', {}),
    metadata: { name: 's', annotations: { [CONFIG_SOURCE]: source } },
  });
  assert.deepEqual(
    [from('file'), from('api'), pod('p', {}), pod('p', {}, { priority: CRITICAL - 1 }), critical].map(
      isCritical,
    ),
    [true, false, false, false, true],
  );
  assert.equal(mayPreempt(critical, pod('p', {})), true);
  assert.equal(mayPreempt(critical, critical), false);
  assert.equal(mayPreempt(pod('q', {}, { priority: CRITICAL + 1 }), critical), true);
  assert.equal(mayPreempt(from('file'), critical), false);
});
