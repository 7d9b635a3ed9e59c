import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

const pod = { group: '', version: 'v1', kind: 'Pod' };
const unknownKind = { group: 'example.com', version: 'v1', kind: 'Thing' };

test('a new entry of a merged list goes before those that the object has', () => {
  const before = { spec: { containers: [{ name: 'a' }] } };
  const patch = { spec: { containers: [{ name: 'b' }] } };
  assert.deepEqual(applyStrategicMergePatch(before, patch, pod), {
    spec: { containers: [{ name: 'b' }, { name: 'a' }] },
  });
});

test('an order that does not name a patched entry is refused', () => {
  const patch = { spec: { '$setElementOrder/containers': [{ name: 'b' }], containers: [{ name: 'a' }] } };
  assert.throws(() => applyStrategicMergePatch({ spec: { containers: [] } }, patch, pod), {
    message:
      /^The order in patch list:\n\[map\[name:a\]\]\n doesn't match \$setElementOrder list:\n\[map\[name:b\]\]\n$/,
  });
});

test('what a patch adds where nothing was loses its directives', () => {
  const patch = {
    spec: {
      containers: [
        { name: 'a', $retainKeys: ['name'] },
        { name: 'b', $patch: 'delete' },
      ],
    },
  };
  assert.deepEqual(applyStrategicMergePatch({}, patch, pod), { spec: { containers: [{ name: 'a' }] } });
});

test('retained keys must hold what the patch sets', () => {
  const patch = { spec: { $retainKeys: ['a'], b: 1 } };
  assert.throws(() => applyStrategicMergePatch({ spec: {} }, patch, pod), {
    message: 'invalid patch format of retainKeys',
  });
});

test('neither the object nor the patch is changed', () => {
  const before = { spec: { containers: [{ name: 'a', args: ['1'] }] } };
  const patch = {
    spec: { '$setElementOrder/containers': [{ name: 'a' }], containers: [{ name: 'a', args: ['2'] }] },
  };
  const copies = structuredClone([before, patch]);
  applyStrategicMergePatch(before, patch, pod);
  assert.deepEqual([before, patch], copies);
});

test('without schema and directives it is a merge patch of objects', () => {
  const text = fc.string({ maxLength: 3 }).filter((key) => !key.startsWith('$'));
  const few = { noNullPrototype: true, maxKeys: 5 };
  const inner = fc.dictionary(text, fc.integer(), few);
  const object = fc.dictionary(text, fc.oneof(fc.integer(), fc.string(), inner), few);
  fc.assert(
    fc.property(object, object, (before, patch) => {
      assert.deepEqual(applyStrategicMergePatch(before, patch, unknownKind), applyMergePatch(before, patch));
    }),
    // A case is two documents of many names.
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});

test('__proto__ in a patch reaches no prototype', () => {
  const patch = JSON.parse('{"metadata":{"labels":{"__proto__":{"polluted":true}}}}') as unknown;
  applyStrategicMergePatch({ metadata: { labels: {} } }, patch, pod);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});
