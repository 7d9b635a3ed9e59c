import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { placePods, updatePods, type Scene, type UpdateStrategy } from './daemon-set-plan.ts';

/** `new`, `old`, with `!` not ready, with `-` on its way out, `failed`, `done`; the name is `STATE@NODE.NUMBER`. */
function podOf(state: string, node: string, number: number): Pod {
  const isOld = state.startsWith('old');
  const phase = { failed: 'Failed', done: 'Succeeded' }[state] ?? 'Running';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${state}@${node}.${number}`,
      labels: { 'controller-revision-hash': isOld ? 'h1' : 'h2' },
      creationTimestamp: `2026-01-01T00:00:0${number}Z`,
      ...(state.endsWith('-') ? { deletionTimestamp: '2026-01-01T00:01:00Z' } : {}),
    },
    spec: { nodeName: node, containers: [] },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: state.includes('!') ? 'False' : 'True' }],
    },
  } as Pod;
}

/** @param state what is on each node: `old | old! | new new!` */
function scene(state: string, strategy: UpdateStrategy['rollingUpdate'], type = 'RollingUpdate'): Scene {
  const places = state.split('|').map((place) => place.trim());
  const names = places.map((_, index) => `n${index + 1}`);
  return {
    template: { containers: [] },
    strategy: { type, ...(strategy === undefined ? {} : { rollingUpdate: strategy }) },
    hash: 'h2',
    nodes: names.map((name) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } })),
    byNode: new Map(
      places.flatMap((place, index) => {
        const states = place === '' ? [] : place.split(' ');
        const name = names[index] ?? '';
        return states.length === 0
          ? []
          : [[name, states.map((one, number) => podOf(one, name, number))] as const];
      }),
    ),
    isAvailable: (pod) => pod.status?.conditions?.[0]?.status === 'True',
  };
}

const named = (pods: readonly Pod[]): string => pods.map(({ metadata }) => metadata.name).join(' ');

const PLACES: readonly (readonly [string, UpdateStrategy['rollingUpdate'], remove: string, fill: string])[] =
  [
    ['| new | old', {}, '', 'n1'],
    ['new new | old', {}, 'new@n1.1', ''],
    ['new- |', {}, '', 'n2'],
    ['old new! | new', { maxSurge: 1, maxUnavailable: 0 }, '', ''],
    ['old new | new', { maxSurge: 1, maxUnavailable: 0 }, 'old@n1.0', ''],
    ['old! new! | new', { maxSurge: 1, maxUnavailable: 0 }, 'old!@n1.0', ''],
    ['old old new! | new', { maxSurge: 1, maxUnavailable: 0 }, 'old@n1.1', ''],
  ];
for (const [state, strategy, remove, fill] of PLACES) {
  test(`one Pod a node: ${state} with ${JSON.stringify(strategy)}`, () => {
    const steps = placePods(scene(state, strategy));
    assert.deepEqual([named(steps.remove), steps.fill.join(' ')], [remove, fill]);
  });
}

test('Pods that have ended are told apart from those that are too many', () => {
  const { ended, remove } = placePods(scene('failed | done | new', {}));
  assert.deepEqual(
    ended.map(({ pod, node }) => `${pod.metadata.name} ${node}`),
    ['failed@n1.0 n1', 'done@n2.0 n2'],
  );
  assert.deepEqual(remove, []);
});

const UPDATES: readonly (readonly [string, UpdateStrategy['rollingUpdate'], remove: string, fill: string])[] =
  [
    ['old | old | old', {}, 'old@n1.0', ''],
    ['old | old | old', { maxUnavailable: 2 }, 'old@n1.0 old@n2.0', ''],
    ['old | old | old', { maxUnavailable: '34%' }, 'old@n1.0 old@n2.0', ''],
    ['new! | old | old', {}, '', ''],
    ['new | old | old', {}, 'old@n2.0', ''],
    ['old | old! | old', {}, 'old!@n2.0', ''],
    ['old! | old! | old', { maxUnavailable: 1 }, 'old!@n1.0 old!@n2.0', ''],
    ['old- | old | old', {}, '', ''],
    [' | old | old', {}, '', ''],
    ['old | old | old', { maxUnavailable: 0, maxSurge: 1 }, '', 'n1'],
    ['old | old! | old', { maxUnavailable: 0, maxSurge: 1 }, '', 'n2 n1'],
    ['old new! | old | old', { maxUnavailable: 0, maxSurge: 1 }, '', ''],
    ['old new | old | old', { maxUnavailable: 0, maxSurge: 1 }, 'old@n1.0', 'n2'],
    ['old | old | old', { maxUnavailable: 0, maxSurge: '100%' }, '', 'n1 n2 n3'],
  ];
for (const [state, strategy, remove, fill] of UPDATES) {
  test(`rolling on: ${state} with ${JSON.stringify(strategy)}`, () => {
    const steps = updatePods(scene(state, strategy));
    assert.deepEqual([named(steps.remove), steps.fill.join(' ')], [remove, fill]);
  });
}

test('a rolling update comes to its end and never has too few Pods', () => {
  for (const strategy of [{ maxUnavailable: 1 }, { maxUnavailable: 0, maxSurge: 1 }]) {
    const state = [['old'], ['old'], ['old'], ['old']];
    for (let round = 0; round < 40 && state.some((place) => place.join(' ') !== 'new'); round++) {
      const now = scene(state.map((place) => place.join(' ')).join('|'), strategy);
      const placing = placePods(now);
      // The update waits until what was placed and removed is seen.
      const isCalm = placing.remove.length + placing.fill.length === 0;
      const steps = isCalm ? [updatePods(now)] : [placing];
      for (const { metadata } of steps.flatMap(({ remove }) => remove)) {
        const [, place = '1', number = '0'] = /n(\d)\.(\d)/.exec(metadata.name) ?? [];
        state[Number(place) - 1]?.splice(Number(number), 1);
      }
      for (const node of new Set(steps.flatMap(({ fill }) => fill)))
        state[Number(node.slice(1)) - 1]?.push('new');
      const served = state.filter((place) => place.length > 0).length;
      assert.ok(served >= 4 - strategy.maxUnavailable, JSON.stringify(state));
    }
    assert.deepEqual(state, [['new'], ['new'], ['new'], ['new']]);
  }
});
