import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { fitPod, type Node } from './scheduling-fit.ts';
import { findVictims, type Budget, type Push } from './scheduling-preemption.ts';

const node = (name: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: { allocatable: { cpu: '4', pods: '110' } },
});

function pod(name: string, cpu: number, priority: number, more: object = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', uid: name, labels: { app: name } },
    spec: {
      priority,
      containers: [{ name: 'a', resources: { requests: { cpu: String(cpu) } } }],
      ...more,
    },
    status: { startTime: '2026-01-01T00:00:00Z' },
  };
}

/** @param present node → Pods there */
function push(wanting: Pod, present: Record<string, Pod[]>, budgets: Budget[] = []): Push {
  const nodes = Object.keys(present).map(node);
  const placed = new Map(Object.entries(present));
  const on = ({ metadata }: Node): Pod[] => present[metadata.name] ?? [];
  return findVictims(wanting, {
    fits: nodes.map((each) => ({ node: each, fit: fitPod(wanting, each, on(each)) })),
    placed,
    budgets,
    fitWithout: (each, gone) =>
      fitPod(
        wanting,
        each,
        on(each).filter((other) => !gone.has(other)),
      ),
  });
}
const named = (found: Push): string =>
  found.node === undefined
    ? found.words
    : `${found.node}: ${found.victims.map(({ metadata }) => metadata.name).join(' ')}`;
const budget = (app: string, disruptionsAllowed: number): Budget => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: app, namespace: 'demo' },
  spec: { selector: { matchLabels: { app } } },
  status: { disruptionsAllowed },
});
const NOBODY = 'no new claims to deallocate, preemption: ';

test('as few lower Pods as possible go, and those of the least worth', () => {
  const three = { n1: [pod('low', 1, 1), pod('lower', 1, 0), pod('lowest', 2, -1)] };
  assert.equal(named(push(pod('p', 2, 5), three)), 'n1: lowest');
  assert.equal(named(push(pod('p', 3, 5), three)), 'n1: lower lowest');
});

const NODES: readonly (readonly [string, Record<string, Pod[]>, Budget[], string])[] = [
  ['the lowest of the highest victims', { n1: [pod('a', 4, 3)], n2: [pod('b', 4, 2)] }, [], 'n2: b'],
  ['the fewest victims', { n1: [pod('a', 2, 2), pod('b', 2, 2)], n2: [pod('c', 4, 2)] }, [], 'n2: c'],
  [
    'the least sum of priorities',
    { n1: [pod('a', 2, 2), pod('b', 2, 1)], n2: [pod('c', 2, 2), pod('d', 2, 0)] },
    [],
    'n2: c d',
  ],
  ['no budget broken', { n1: [pod('a', 4, 0)], n2: [pod('b', 4, 3)] }, [budget('a', 0)], 'n2: b'],
  [
    'the Pod that began last',
    {
      n1: [pod('a', 4, 0)],
      n2: [{ ...pod('b', 4, 0), status: { startTime: '2026-01-02T00:00:00Z' } }],
    },
    [],
    'n2: b',
  ],
];
for (const [name, present, budgets, expected] of NODES) {
  test(`the node is chosen by ${name}`, () => {
    assert.equal(named(push(pod('p', 4, 5), present, budgets)), expected);
  });
}

test('a Pod that a budget protects stays while another one does', () => {
  const present = { n1: [pod('kept', 2, 0), pod('free', 2, 1)] };
  assert.equal(named(push(pod('p', 2, 5), present)), 'n1: kept');
  assert.equal(named(push(pod('p', 2, 5), present, [budget('kept', 0)])), 'n1: free');
});

test('why nobody goes is said node by node', () => {
  const full = { n1: [pod('a', 3, 5)], n2: [pod('b', 1, 0), pod('c', 3, 9)] };
  assert.equal(
    named(push(pod('p', 2, 5), full)),
    `${NOBODY}0/2 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod.`,
  );
  assert.equal(
    named(push(pod('p', 9, 5), full)),
    `${NOBODY}0/2 nodes are available: 2 Preemption is not helpful for scheduling.`,
  );
});

test('a Pod that may not push, or for which somebody is already leaving, waits', () => {
  const leaving = {
    ...pod('a', 4, 0),
    metadata: { ...pod('a', 4, 0).metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    status: {
      conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' } as const],
    },
  };
  const promised = { ...pod('p', 4, 5), status: { nominatedNodeName: 'n1' } };
  assert.equal(
    named(push(promised, { n1: [leaving], n2: [pod('b', 4, 0)] })),
    `${NOBODY}not eligible due to terminating pod on the nominated node.`,
  );
  assert.equal(
    named(push(pod('p', 4, 5, { preemptionPolicy: 'Never' }), { n1: [pod('b', 4, 0)] })),
    `${NOBODY}not eligible due to preemptionPolicy=Never.`,
  );
});
