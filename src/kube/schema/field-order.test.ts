import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inFieldOrder, inKeyOrder, withOrderedMetadata } from './field-order.ts';
import { findStruct, structOf } from './schema.ts';

const keys = (value: object): string => Object.keys(value).join(' ');

test('fields come in the order of their struct, in lists too', () => {
  const pod = inFieldOrder(
    {
      status: {},
      spec: { restartPolicy: 'Always', containers: [{ tty: true, image: 'x', name: 'a' }] },
      metadata: { uid: '1', namespace: 'demo', name: 'p' },
      apiVersion: 'v1',
      kind: 'Pod',
    },
    structOf('core.v1.Pod'),
  );
  assert.equal(keys(pod), 'kind apiVersion metadata spec status');
  assert.equal(keys(pod.metadata), 'name namespace uid');
  assert.equal(keys(pod.spec), 'containers restartPolicy');
  assert.equal(keys(pod.spec.containers[0] ?? {}), 'name image tty');
});

test('what is in order stays the same object', () => {
  const map = { kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: '2', z: '1' } };
  assert.equal(inFieldOrder(map, structOf('core.v1.ConfigMap')), map);
});

test('the keys of maps are sorted', () => {
  const map = { metadata: { labels: { z: '1', a: '2' } }, data: { b: '1', a: '2' } };
  const sorted = inFieldOrder(map, structOf('core.v1.ConfigMap'));
  assert.equal(keys(sorted.data), 'a b');
  assert.equal(keys(sorted.metadata.labels), 'a z');
});

test('everything in an object of a kind without structs is sorted, lists keep their order', () => {
  const object = { kind: 'Foo', spec: { z: [{ y: 1, x: 2 }, 0], a: {} }, apiVersion: 'e.com/v1' };
  assert.equal(
    JSON.stringify(inKeyOrder(object)),
    '{"apiVersion":"e.com/v1","kind":"Foo","spec":{"a":{},"z":[{"x":2,"y":1},0]}}',
  );
});

test('fields that a struct does not have come last', () => {
  const map = { zzz: 1, data: {}, metadata: {} };
  assert.equal(keys(inFieldOrder(map, structOf('core.v1.ConfigMap'))), 'metadata data zzz');
});

test('metadata of a kind without a struct is ordered too', () => {
  const object = { spec: {}, metadata: { resourceVersion: '1', name: 'x' } };
  assert.equal(keys(withOrderedMetadata(object).metadata), 'name resourceVersion');
});

test('every order is of a struct that exists, and names each field once', () => {
  const text = readFileSync(new URL('./field-order.json', import.meta.url), 'utf8');
  for (const [name, order] of Object.entries(JSON.parse(text) as Record<string, string>)) {
    const fields = order.split(' ');
    assert.ok(findStruct(name) !== undefined, name);
    assert.equal(new Set(fields).size, fields.length, name);
  }
});
