import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newSetSize, rollingLimits, scaleInProportion, shrinkOldSets, sizeOf } from './deployment-plan.ts';
import type { Deployment, ReplicaSet } from './workloads.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1000);
const deployment = (
  replicas: number,
  maxSurge: number | string = '25%',
  maxUnavailable: number | string = '25%',
): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: {
    replicas,
    selector: {},
    template: { spec: { containers: [] } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
  },
});
const set = (name: string, replicas: number, availableReplicas = replicas): ReplicaSet => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name, creationTimestamp: `2026-01-01T00:00:0${name.length}Z` },
  spec: { replicas, selector: {}, template: { spec: { containers: [] } } },
  status: { replicas, availableReplicas },
});
const plan = (scalings: readonly { set: ReplicaSet; replicas: number }[]): object =>
  Object.fromEntries(scalings.map((scaling) => [scaling.set.metadata.name, scaling.replicas]));

test('percentages round up for surge and down for what may be missing', () => {
  assert.deepEqual(rollingLimits(deployment(3)), { surge: 1, unavailable: 0 });
  assert.deepEqual(rollingLimits(deployment(10)), { surge: 3, unavailable: 2 });
  assert.deepEqual(rollingLimits(deployment(3, 0, '10%')), { surge: 0, unavailable: 1 });
});

test('the new set grows by the surge only', () => {
  const [old, fresh] = [set('a', 3), set('bb', 0)];
  assert.equal(newSetSize(deployment(3), [old, fresh], fresh), 1);
  assert.equal(newSetSize(deployment(3), [set('a', 3), set('bb', 1)], set('bb', 1)), 1);
  assert.equal(newSetSize(deployment(3), [set('a', 2), set('bb', 1)], set('bb', 1)), 2);
});

test('old sets shrink only by what is available beyond the minimum', () => {
  assert.deepEqual(plan(shrinkOldSets(deployment(3), [set('a', 3)], set('bb', 1, 0))), {});
  assert.deepEqual(plan(shrinkOldSets(deployment(3), [set('a', 3)], set('bb', 1, 1))), { a: 2 });
});

test('Pods of old sets that do not work go first', () => {
  assert.deepEqual(plan(shrinkOldSets(deployment(10), [set('a', 10, 8)], set('bb', 3, 0))), { a: 8 });
});

const PROPORTIONS: readonly (readonly [
  wanted: Deployment,
  maximum: number,
  sizes: readonly number[],
  expected: readonly number[],
])[] = [
  [deployment(15, 3, 2), 13, [8, 5], [11, 7]],
  [deployment(20, 0, 5), 10, [5, 5], [10, 10]],
  [deployment(4, 0, 5), 10, [5, 5], [2, 2]],
  [deployment(5, 0, 5), 10, [5, 5], [2, 3]],
  [deployment(0, 0, 5), 10, [6, 4], [0, 0]],
  [deployment(11, 0, 1), 10, [5, 3, 2], [6, 3, 2]],
  [deployment(10, 0, 1), 10, [6, 4], [6, 4]],
];
for (const [wanted, maximum, sizes, expected] of PROPORTIONS) {
  test(`of ${maximum} Pods in sets of ${sizes.join(' and ')}, ${wanted.spec.replicas} become ${expected.join(' and ')}`, () => {
    const sets = sizes.map((size, index) => set('s'.repeat(index + 1), size));
    for (const { metadata } of sets)
      metadata.annotations = { 'deployment.kubernetes.io/max-replicas': String(maximum) };
    const scaled = scaleInProportion(wanted, sets);
    const result = sets.map(
      (each) => scaled.find((scaling) => scaling.set === each)?.replicas ?? sizeOf(each),
    );
    assert.deepEqual(result, expected);
  });
}

test('a roll-out never has too many Pods, nor too few that work, and comes to its end', () => {
  const limit = fc.oneof(
    fc.integer({ min: 0, max: 5 }),
    fc.integer({ min: 0, max: 100 }).map((n) => `${n}%`),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), limit, limit, (replicas, surge, unavailable) => {
      const target = deployment(replicas, surge, unavailable);
      const limits = rollingLimits(target);
      let old = set('a', replicas);
      let fresh = set('bb', 0);
      for (let step = 0; step < 200; step++) {
        const size = newSetSize(target, [old, fresh], fresh);
        const [shrunk] = shrinkOldSets(target, [old], fresh);
        if (size !== sizeOf(fresh)) fresh = set('bb', size);
        else if (shrunk !== undefined) old = set('a', shrunk.replicas);
        else break;
        const total = sizeOf(old) + sizeOf(fresh);
        assert.ok(total <= replicas + limits.surge, `${total} Pods`);
        assert.ok(total >= replicas - limits.unavailable, `${total} Pods`);
      }
      assert.equal(sizeOf(old), 0);
      assert.equal(sizeOf(fresh), replicas);
    }),
    { numRuns: RUNS },
  );
});
