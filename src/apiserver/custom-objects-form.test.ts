import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const FREE = '/apis/example.com/v1/namespaces/default/frees';

let api: TestApi;

before(async () => {
  api = await startTestApi();
  const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const openAPIV3Schema = {
    type: 'object',
    properties: { spec: { ...free, properties: { size: { type: 'integer' } } } },
  };
  const made = await api.send('POST', CRDS, {
    body: {
      metadata: { name: 'frees.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'frees', kind: 'Free' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
      },
    },
  });
  assert.equal(made.code, 201, made.text);
});
after(() => api.close());

const free = (spec: object): object => ({
  kind: 'Free',
  apiVersion: 'example.com/v1',
  metadata: { name: 'one' },
  spec,
});
const apply = (manager: string, spec: object): ReturnType<TestApi['send']> =>
  api.send('PATCH', `${FREE}/one?fieldManager=${manager}`, {
    body: free(spec),
    contentType: 'application/apply-patch+yaml',
  });

interface Owned {
  metadata: { managedFields: { manager: string; fieldsV1: object }[] };
  spec: object;
}

test('objects inside unknown fields are owned key by key, lists as one thing', async () => {
  const made = await apply('first', { size: 1, free: { b: [{ x: 1 }], a: 'text', none: {} } });
  assert.equal(made.code, 201, made.text);
  assert.deepEqual(made.json<Owned>().metadata.managedFields[0]?.fieldsV1, {
    'f:spec': {
      'f:free': { '.': {}, 'f:a': {}, 'f:b': {}, 'f:none': {} },
      'f:size': {},
    },
  });
  const conflict = await apply('second', { free: { a: 'other', c: 1 } });
  assert.equal(
    conflict.json()['message'],
    'Apply failed with 1 conflict: conflict with "first": .spec.free.a',
  );
  const shared = await apply('second', { free: { c: 1 } });
  assert.deepEqual(shared.json<Owned>().spec, {
    free: { a: 'text', b: [{ x: 1 }], c: 1, none: {} },
    size: 1,
  });
  const given = await apply('second', {});
  assert.deepEqual(given.json<Owned>().spec, { free: { a: 'text', b: [{ x: 1 }], none: {} }, size: 1 });
});

test('custom objects and their lists are printed with sorted keys, items with their kind', async () => {
  const order = (text: string): string[] => Object.keys(JSON.parse(text) as object);
  const one = await api.send('GET', `${FREE}/one`);
  assert.deepEqual(order(one.text), ['apiVersion', 'kind', 'metadata', 'spec']);
  const { metadata } = one.json<{ metadata: object }>();
  assert.deepEqual(Object.keys(metadata), Object.keys(metadata).toSorted());
  for (const path of [FREE, `${FREE}?fieldSelector=metadata.name%3Done`]) {
    const list = await api.send('GET', path);
    assert.deepEqual(order(list.text), ['apiVersion', 'items', 'kind', 'metadata']);
    const { items, ...head } = list.json<{ items: object[]; metadata: { resourceVersion: string } }>();
    assert.deepEqual(items[0], one.json());
    const { resourceVersion } = head.metadata;
    assert.deepEqual(head, {
      apiVersion: 'example.com/v1',
      kind: 'FreeList',
      metadata: { continue: '', resourceVersion },
    });
  }
});

test('the metadata of a custom object alone has the order of its struct', async () => {
  const accept = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
  const { metadata } = (await api.send('GET', `${FREE}/one`, { accept })).json<{ metadata: object }>();
  assert.deepEqual(Object.keys(metadata).slice(0, 3), ['name', 'namespace', 'uid']);
});

test('a patch cannot make a custom object one of another kind', async () => {
  const answer = await api.send('PATCH', `${FREE}/one`, {
    body: { kind: 'Other', apiVersion: 'example.com/v2' },
    contentType: 'application/merge-patch+json',
  });
  assert.equal(answer.code, 422);
  assert.equal(
    answer.json()['message'],
    'Free.example.com "one" is invalid: [apiVersion: Invalid value: "example.com/v2": must be example.com/v1, ' +
      'kind: Invalid value: "Other": must be Free]',
  );
});

test('an update of a custom object says which state it goes by', async () => {
  const answer = await api.send('PUT', `${FREE}/one`, { body: free({}) });
  assert.equal(
    answer.json()['message'],
    'frees.example.com "one" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
  );
});
