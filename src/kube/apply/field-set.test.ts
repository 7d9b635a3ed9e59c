import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { FieldSet, formatFieldPath, type Path } from './field-set.ts';

const element = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:"1"');
const paths = fc.array(fc.array(element, { minLength: 1, maxLength: 4 }), { maxLength: 8 });
const numRuns = Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000));

function setOf(list: readonly Path[]): FieldSet {
  const set = new FieldSet();
  for (const path of list) set.add(path);
  return set;
}

const texts = (set: FieldSet): Set<string> => new Set(set.paths().map((path) => path.join('/')));

test('what is written is read back', () => {
  fc.assert(
    fc.property(paths, (list) => {
      const set = setOf(list);
      assert.deepEqual(texts(FieldSet.fromFields(set.toFields())), texts(set));
    }),
    { numRuns },
  );
});

test('union, difference and intersection are those of sets', () => {
  fc.assert(
    fc.property(paths, paths, (left, right) => {
      const [a, b] = [setOf(left), setOf(right)];
      assert.deepEqual(texts(a.union(b)), texts(a).union(texts(b)));
      assert.deepEqual(texts(a.difference(b)), texts(a).difference(texts(b)));
      assert.deepEqual(texts(a.intersection(b)), texts(a).intersection(texts(b)));
    }),
    { numRuns },
  );
});

test('a place with children keeps itself by a dot', () => {
  const set = setOf([['f:labels'], ['f:labels', 'f:x']]);
  assert.deepEqual(set.toFields(), { 'f:labels': { '.': {}, 'f:x': {} } });
});

test('without leaves out a place and all below it', () => {
  const set = setOf([['f:status', 'f:phase'], ['f:spec']]);
  assert.deepEqual(set.without([['f:status']]).toFields(), { 'f:spec': {} });
});

test('what is no field set is read as an empty one', () => {
  for (const fields of [undefined, null, 5, [], { nonsense: {} }]) {
    assert.equal(FieldSet.fromFields(fields).isEmpty, true);
  }
});

test('paths are printed as conflicts name them', () => {
  assert.equal(
    formatFieldPath(['f:spec', 'f:ports', 'k:{"containerPort":80,"protocol":"TCP"}', 'f:name']),
    '.spec.ports[containerPort=80,protocol="TCP"].name',
  );
  assert.equal(formatFieldPath(['f:metadata', 'f:finalizers', 'v:"a/b"']), '.metadata.finalizers[="a/b"]');
});
