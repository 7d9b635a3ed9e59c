import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editDistance, nearest } from './nearest.ts';

test('edits are counted, a swap of neighbours as one', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('pusl', 'puls'), 1);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('same', 'same'), 0);
});

test('a mistyped name finds its neighbours, nearest first, and a strange one finds none', () => {
  const names = ['up', 'pull', 'push', 'login', 'logout', 'explain'];
  assert.deepEqual(nearest('pul', names), ['pull']);
  assert.deepEqual(nearest('logn', names), ['login']);
  assert.deepEqual(nearest('LOGIN', names), ['login']);
  assert.deepEqual(nearest('xyzzy', names), []);
  assert.deepEqual(nearest('a'.repeat(300), names), []);
});

test('the distance is the same both ways and never more than the longer text', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      assert.equal(editDistance(a, b), editDistance(b, a));
      assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) },
  );
});
