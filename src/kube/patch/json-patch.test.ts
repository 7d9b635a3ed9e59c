import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createPatch } from 'rfc6902';

import { applyJsonPatch, maxJsonPatchOperations } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { PatchError } from './patch-error.ts';

const repeat = (operation: object, times: number): object[] => Array.from({ length: times }, () => operation);
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 1000);
const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);

test('applying the difference of two documents to the first gives the second', () => {
  fc.assert(
    fc.property(json, json, (from, to) => {
      assert.deepEqual(applyJsonPatch(from, createPatch(from, to)), to);
    }),
    // A case is two documents and all that differs between them.
    { numRuns: Math.min(30_000, numRuns) },
  );
});

test('the document itself stays as it was', () => {
  const document = { a: [1] };
  applyJsonPatch(document, [{ op: 'add', path: '/a/-', value: 2 }]);
  assert.deepEqual(document, { a: [1] });
});

for (const [name, patch] of [
  ['an unknown operation', [{ op: 'frob', path: '/a' }]],
  ['a path without a slash', [{ op: 'add', path: 'a', value: 1 }]],
  ['an index that is no number', [{ op: 'add', path: '/list/x', value: 1 }]],
  ['a move into its own child', [{ op: 'move', from: '/o', path: '/o/p' }]],
  ['a failed test', [{ op: 'test', path: '/a', value: 2 }]],
  ['no operation at all', [5]],
] as const) {
  test(`${name} does not fit`, () => {
    assert.throws(
      () => applyJsonPatch({ a: 1, list: [1], o: { p: 1 } }, patch),
      (error) => error instanceof PatchError && error.code === 'UNPROCESSABLE',
    );
  });
}

test('a patch of ten thousand operations is taken, a longer one is not', () => {
  const operation = { op: 'test', path: '/a', value: 1 };
  applyJsonPatch({ a: 1 }, repeat(operation, maxJsonPatchOperations));
  assert.throws(() => applyJsonPatch({ a: 1 }, repeat(operation, maxJsonPatchOperations + 1)), {
    message: 'The allowed maximum operations in a JSON patch is 10000, got 10001',
  });
});

test('copies that double a document again and again are stopped', () => {
  const patch = [{ op: 'add', path: '/x', value: ['y'.repeat(1000)] }];
  const doubling = repeat({ op: 'copy', from: '/x', path: '/x/-' }, 40);
  assert.throws(() => applyJsonPatch({}, [...patch, ...doubling]), PatchError);
});

for (const path of ['/__proto__/polluted', '/constructor/prototype/polluted']) {
  test(`a patch of ${path} reaches no prototype`, () => {
    assert.throws(() => applyJsonPatch({}, [{ op: 'add', path, value: true }]), PatchError);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });
}

test('a merge patch follows RFC 7386', () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, expected] of cases) assert.deepEqual(applyMergePatch(target, patch), expected);
});

test('a merge patch with __proto__ sets an ordinary key', () => {
  const merged = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}')) as object;
  assert.deepEqual(Object.keys(merged), ['__proto__']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});
