import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { completedIndexes, formatIndexes, freeIndexes, indexedName } from './job-index.ts';

test('indexes are printed as ranges and read back', () => {
  assert.equal(formatIndexes(new Set([0, 1, 2, 5, 7, 8])), '0-2,5,7,8');
  assert.equal(formatIndexes(new Set()), '');
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(50)), (indexes) => {
      const set = new Set(indexes);
      assert.deepEqual(
        [...completedIndexes(formatIndexes(set))].sort((a, b) => a - b),
        indexes.sort((a, b) => a - b),
      );
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) },
  );
});

test('free indexes are the lowest that nobody has', () => {
  const pod = (index: string): Parameters<typeof freeIndexes>[1][number] => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', annotations: { 'batch.kubernetes.io/job-completion-index': index } },
    spec: { containers: [] },
  });
  assert.deepEqual(freeIndexes(6, [pod('1')], new Set([0, 3]), 2), [2, 4]);
});

test('the Pod of an index is called by it, however long the name of the Job', () => {
  assert.equal(indexedName('work', 12), 'work-12-');
  const long = indexedName('j'.repeat(63), 7);
  assert.equal(long, `${'j'.repeat(55)}-7-`);
  assert.equal(long.length, 58);
});
