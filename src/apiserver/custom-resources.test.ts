import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 9 },
        color: { type: 'string', enum: ['red', 'green'], default: 'red' },
        name: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['id'],
          items: {
            type: 'object',
            required: ['id'],
            properties: { id: { type: 'string' }, n: { type: 'integer' } },
          },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        port: { 'x-kubernetes-int-or-string': true },
      },
    },
    status: { type: 'object', properties: { size: { type: 'integer' }, ready: { type: 'boolean' } } },
  },
};

const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: schema },
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' },
        },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'boolean', jsonPath: '.status.ready' },
        ],
      },
      {
        name: 'v1beta1',
        served: true,
        storage: false,
        deprecated: true,
        schema: { openAPIV3Schema: schema },
      },
    ],
  },
};

const widget = (name: string, spec: object): object => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec,
});

let api: TestApi;
before(async () => {
  api = await startTestApi();
  const answer = await api.send('POST', CRDS, { body: definition });
  assert.equal(answer.code, 201, answer.text);
  await established('widgets.example.com');
});
after(() => api.close());

interface Conditions {
  status: { conditions: { type: string; status: string; reason: string }[] | null };
}

async function established(name: string): Promise<RawAnswer> {
  const path = `${CRDS}?fieldSelector=metadata.name%3D${name}&watch=true&timeoutSeconds=1`;
  const current = await api.send('GET', `${CRDS}/${name}`);
  if ((current.json<Conditions>().status.conditions ?? []).length > 0) return current;
  await api.send('GET', path);
  return api.send('GET', `${CRDS}/${name}`);
}

const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;

test('a definition is accepted and appears in discovery', async () => {
  const { status } = (await established('widgets.example.com')).json<Conditions>();
  assert.deepEqual(
    (status.conditions ?? []).map(({ type, status: is, reason }) => [type, is, reason]),
    [
      ['NamesAccepted', 'True', 'NoConflicts'],
      ['Established', 'True', 'InitialNamesAccepted'],
    ],
  );
  const list = (await api.send('GET', '/apis/example.com/v1')).json<{ resources: { name: string }[] }>();
  assert.deepEqual(
    list.resources.map(({ name }) => name),
    ['widgets', 'widgets/status', 'widgets/scale'],
  );
  const group = (await api.send('GET', '/apis/example.com')).json<{ preferredVersion: object }>();
  assert.deepEqual(group.preferredVersion, { groupVersion: 'example.com/v1', version: 'v1' });
});

test('its schema is part of both OpenAPI documents', async () => {
  const v3 = (await api.send('GET', '/openapi/v3/apis/example.com/v1')).json<{
    components: { schemas: Record<string, { properties: Record<string, unknown> }> };
  }>();
  assert.deepEqual(
    v3.components.schemas['com.example.v1.Widget']?.properties['status'],
    schema.properties.status,
  );
  const v2 = (await api.send('GET', '/openapi/v2')).json<{ definitions: Record<string, unknown> }>();
  assert.ok('com.example.v1.Widget' in v2.definitions && 'com.example.v1.WidgetList' in v2.definitions);
  const index = (await api.send('GET', '/openapi/v3')).json<{ paths: Record<string, unknown> }>();
  assert.ok('apis/example.com/v1' in index.paths);
});

test('a custom object is pruned, defaulted, counted and warned about', async () => {
  const body = widget('pruned', { size: 2, bogus: 1, free: { any: [1] }, port: '80' });
  const answer = await api.send('POST', WIDGETS, { body });
  assert.equal(answer.code, 201, answer.text);
  const made = answer.json<{ spec: object; metadata: { generation: number } }>();
  assert.deepEqual(made.spec, { size: 2, free: { any: [1] }, port: '80', color: 'red' });
  assert.equal(made.metadata.generation, 1);
  assert.match(String(answer.headers['warning']), /unknown field \\"spec\.bogus\\"/);
  const strict = await api.send('POST', `${WIDGETS}?fieldValidation=Strict`, { body });
  assert.equal(strict.code, 400);
  assert.equal(
    messageOf(strict),
    'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.bogus"',
  );
});

const BAD: readonly (readonly [string, object, string])[] = [
  ['a missing field', {}, 'spec.size: Required value'],
  [
    'a wrong type',
    { size: 'x' },
    'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
  ],
  [
    'too small',
    { size: 0 },
    'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
  ],
  [
    'too large',
    { size: 10 },
    'spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9',
  ],
  [
    'not of the set',
    { size: 1, color: 'blue' },
    'spec.color: Unsupported value: "blue": supported values: "red", "green"',
  ],
  [
    'not of the pattern',
    { size: 1, name: 'A' },
    'spec.name: Invalid value: "A": spec.name in body should match \'^[a-z]+$\'',
  ],
  ['too long', { size: 1, name: 'abcdef' }, 'spec.name: Too long: may not be more than 5 bytes'],
  [
    'a repeated key',
    { size: 1, parts: [{ id: 'a' }, { id: 'a' }] },
    'spec.parts[1]: Duplicate value: {"id":"a"}',
  ],
];
for (const [name, spec, text] of BAD) {
  test(`a custom object is refused for ${name}`, async () => {
    const answer = await api.send('POST', WIDGETS, { body: widget('bad', spec) });
    assert.equal(answer.code, 422, answer.text);
    assert.equal(messageOf(answer), `Widget.example.com "bad" is invalid: ${text}`);
  });
}

test('status has a path of its own and does not count as a new generation', async () => {
  await api.send('POST', WIDGETS, { body: { ...widget('split', { size: 1 }), status: { size: 5 } } });
  const path = `${WIDGETS}/split`;
  const merge = 'application/merge-patch+json';
  const set = await api.send('PATCH', `${path}/status`, {
    body: { spec: { size: 7 }, status: { size: 3, ready: true } },
    contentType: merge,
  });
  const after = set.json<{ spec: object; status: object; metadata: { generation: number } }>();
  assert.deepEqual(
    [after.spec, after.status],
    [
      { size: 1, color: 'red' },
      { size: 3, ready: true },
    ],
  );
  assert.equal(after.metadata.generation, 1);
  const grown = await api.send('PATCH', path, { body: { spec: { size: 2 } }, contentType: merge });
  assert.equal(grown.json<{ metadata: { generation: number } }>().metadata.generation, 2);
  const strategic = await api.send('PATCH', path, {
    body: {},
    contentType: 'application/strategic-merge-patch+json',
  });
  assert.equal(strategic.code, 415);
});

test('scale reads and writes where the definition says', async () => {
  await api.send('POST', WIDGETS, { body: widget('scaled', { size: 4 }) });
  const scale = (await api.send('GET', `${WIDGETS}/scaled/scale`)).json<{ spec: object; status: object }>();
  assert.deepEqual([scale.spec, scale.status], [{ replicas: 4 }, { replicas: 0 }]);
  const patched = await api.send('PATCH', `${WIDGETS}/scaled/scale`, {
    body: { spec: { replicas: 6 } },
    contentType: 'application/merge-patch+json',
  });
  assert.equal(patched.code, 200, patched.text);
  const stored = (await api.send('GET', `${WIDGETS}/scaled`)).json<{ spec: { size: number } }>();
  assert.equal(stored.spec.size, 6);
});

test('server-side apply owns items of a keyed list and finds conflicts', async () => {
  const apply = (manager: string, n: number): Promise<RawAnswer> =>
    api.send('PATCH', `${WIDGETS}/applied?fieldManager=${manager}`, {
      body: widget('applied', { size: 1, parts: [{ id: 'a', n }] }),
      contentType: 'application/apply-patch+yaml',
    });
  assert.equal((await apply('one', 1)).code, 201);
  const clash = await apply('two', 2);
  assert.equal(clash.code, 409);
  assert.match(messageOf(clash), /conflict with "one": \.spec\.parts\[id="a"\]\.n/);
});

test('a table has the columns of the definition', async () => {
  await api.send('POST', WIDGETS, { body: widget('printed', { size: 8 }) });
  const table = (
    await api.send('GET', `${WIDGETS}?fieldSelector=metadata.name%3Dprinted`, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    })
  ).json<{ columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] }>();
  assert.deepEqual(
    table.columnDefinitions.map(({ name }) => name),
    ['Name', 'Size', 'Ready'],
  );
  assert.deepEqual(table.rows[0]?.cells, ['printed', 8, null]);
});

test('another version shows the same objects under its own name, with a warning when it is deprecated', async () => {
  await api.send('POST', WIDGETS, { body: widget('two', { size: 1 }) });
  const answer = await api.send('GET', '/apis/example.com/v1beta1/namespaces/default/widgets/two');
  assert.equal(answer.json<{ apiVersion: string }>().apiVersion, 'example.com/v1beta1');
  assert.match(String(answer.headers['warning']), /example\.com\/v1beta1 Widget is deprecated/);
});

const BAD_DEFINITIONS: readonly (readonly [string, (copy: typeof definition) => void, string])[] = [
  [
    'a name that does not fit',
    (copy) => {
      copy.metadata.name = 'x.example.com';
    },
    'metadata.name: Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group',
  ],
  [
    'two storage versions',
    (copy) => {
      for (const version of copy.spec.versions) version.storage = true;
    },
    '"Name":"v1beta1","Served":true,"Storage":true,"Deprecated":true,"DeprecationWarning":null,"Schema":null,',
  ],
];
for (const [name, change, text] of BAD_DEFINITIONS) {
  test(`a definition is refused for ${name}`, async () => {
    const copy = structuredClone(definition);
    copy.spec.names.plural = 'gadgets';
    copy.metadata.name = 'gadgets.example.com';
    change(copy);
    const answer = await api.send('POST', CRDS, { body: copy });
    assert.equal(answer.code, 422, answer.text);
    assert.ok(messageOf(answer).includes(text), messageOf(answer));
  });
}

test('a definition whose names are taken is not established', async () => {
  const copy = structuredClone(definition);
  copy.metadata.name = 'gadgets.example.com';
  copy.spec.names = { plural: 'gadgets', singular: 'gadget', kind: 'Widget', shortNames: [] };
  await api.send('POST', CRDS, { body: copy });
  const { status } = (await established('gadgets.example.com')).json<Conditions>();
  assert.deepEqual(
    (status.conditions ?? []).map(({ type, reason }) => [type, reason]),
    [
      ['NamesAccepted', 'KindConflict'],
      ['Established', 'NotAccepted'],
    ],
  );
  assert.equal((await api.send('GET', '/apis/example.com/v1/namespaces/default/gadgets')).code, 404);
  assert.equal((await api.send('DELETE', `${CRDS}/gadgets.example.com`)).code, 200);
});

test('custom objects survive a restart; a deleted definition takes them along, those with finalizers last', async () => {
  await api.send('POST', WIDGETS, { body: widget('kept', { size: 1 }) });
  await api.restart();
  assert.equal((await api.send('GET', `${WIDGETS}/kept`)).code, 200);
  await api.send('PATCH', `${WIDGETS}/kept`, {
    body: { metadata: { finalizers: ['example.com/hold'] } },
    contentType: 'application/merge-patch+json',
  });
  assert.equal((await api.send('DELETE', `${CRDS}/widgets.example.com`)).code, 200);
  const list = await api.send('GET', WIDGETS);
  assert.deepEqual(
    list.json<{ items: { metadata: { name: string } }[] }>().items.map(({ metadata }) => metadata.name),
    ['kept'],
  );
  await api.send('PATCH', `${WIDGETS}/kept`, {
    body: { metadata: { finalizers: null } },
    contentType: 'application/merge-patch+json',
  });
  assert.equal((await api.send('GET', `${CRDS}/widgets.example.com`)).code, 404);
  assert.equal((await api.send('GET', WIDGETS)).code, 404);
});
