import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findByPath, parseJsonPath } from './json-path.ts';

const object = {
  spec: { size: 3, 'a.b': 1, list: [{ n: 1 }, { n: 2 }] },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Old', status: 'False' },
    ],
  },
};

const FOUND: readonly (readonly [string, unknown[]])[] = [
  ['.spec.size', [3]],
  ['.spec.nothing', []],
  [".spec['a.b']", [1]],
  ['.spec.list[1].n', [2]],
  ['.spec.list[-1].n', [2]],
  ['.spec.list[*].n', [1, 2]],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  ['.status.conditions[?(@.type!="Ready")].status', ['False']],
  ['.__proto__.constructor', []],
];
for (const [path, found] of FOUND) {
  test(`${path} leads to ${JSON.stringify(found)}`, () => {
    const steps = parseJsonPath(path);
    assert.ok(steps !== undefined);
    assert.deepEqual(findByPath(object, steps), found);
  });
}

test('what is no path is told apart', () => {
  for (const path of ['spec', '.spec[', '.spec..x', '.a b'])
    assert.equal(parseJsonPath(path), undefined, path);
});
