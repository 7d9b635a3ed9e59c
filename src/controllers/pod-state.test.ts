import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { sortForDeletion } from './pod-state.ts';

interface Traits {
  node?: string;
  phase?: string;
  ready?: string;
  cost?: string;
  restarts?: number;
  created?: string;
}

function pod(
  name: string,
  { node = 'n1', phase = 'Running', ready = 'r1', cost, restarts = 0, created = '1' }: Traits,
): Pod {
  return {
    metadata: {
      name,
      creationTimestamp: created,
      ...(cost === undefined ? {} : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
    },
    spec: { nodeName: node, containers: [] },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready === '' ? 'False' : 'True', lastTransitionTime: ready }],
      containerStatuses: [{ restartCount: restarts }],
    },
  } as unknown as Pod;
}

const PAIRS: readonly (readonly [name: string, first: Traits, second: Traits])[] = [
  ['without a node', { node: '' }, {}],
  ['pending', { phase: 'Pending' }, { phase: 'Unknown' }],
  ['unknown', { phase: 'Unknown' }, { phase: 'Running' }],
  ['not ready', { ready: '' }, {}],
  ['cheaper', { cost: '-5' }, { cost: '3' }],
  ['cheaper though ready for longer', { cost: '1', ready: 'r1' }, { cost: '2', ready: 'r2' }],
  ['ready for a shorter time', { ready: 'r2' }, { ready: 'r1' }],
  ['restarted more often', { restarts: 3 }, { restarts: 1 }],
  ['younger', { created: '2' }, { created: '1' }],
];
for (const [name, first, second] of PAIRS) {
  test(`of two Pods the one goes first that is ${name}`, () => {
    const pods = [pod('b', second), pod('a', first)];
    assert.deepEqual(
      sortForDeletion(pods, pods).map(({ metadata }) => metadata.name),
      ['a', 'b'],
    );
  });
}

test('Pods go first from nodes with more of their kind, those of sibling sets counted', () => {
  const own = [pod('lonely', { node: 'n2', created: '2' }), pod('crowded', { node: 'n1' })];
  const sibling = pod('sibling', { node: 'n1' });
  const order = sortForDeletion(own, [...own, sibling]).map(({ metadata }) => metadata.name);
  assert.deepEqual(order, ['crowded', 'lonely']);
});
