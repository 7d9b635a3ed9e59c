import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inFieldOrder, withOrderedMetadata } from './field-order.ts';
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

test('what is in order stays the same object, and maps keep their keys', () => {
  const map = { kind: 'ConfigMap', metadata: { name: 'c' }, data: { z: '1', a: '2' } };
  assert.equal(inFieldOrder(map, structOf('core.v1.ConfigMap')), map);
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
