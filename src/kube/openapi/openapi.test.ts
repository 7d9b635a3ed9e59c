import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { readRecorded } from '../fixtures/recorded.ts';
import { resources } from '../resources.ts';
import { openApiV2Json, openApiV2Protobuf } from './openapi-v2.ts';
import { openApiV3, openApiV3Hash, openApiV3Index } from './openapi-v3.ts';

interface Document {
  paths: Record<string, Record<string, { operationId?: string; parameters?: { name: string }[] }>>;
  components: { schemas: Record<string, Definition> };
  definitions: Record<string, Definition>;
}

interface Definition {
  properties?: Record<string, Record<string, unknown>>;
  required?: string[];
  'x-kubernetes-group-version-kind'?: object[];
}

const parse = (bytes: Uint8Array | undefined): Document =>
  JSON.parse(Buffer.from(bytes ?? []).toString()) as Document;

function references(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found;
  for (const [key, entry] of Object.entries(value)) {
    if (key === '$ref' && typeof entry === 'string') found.add(entry);
    else references(entry, found);
  }
  return found;
}

/** What a piece of a document says beside words. The order of keys is no part of it, nor are media types that nobody is answered in. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, entry]) => !(key === 'description' && typeof entry === 'string'))
      .filter(([key]) => !key.startsWith('application/vnd.kubernetes.protobuf'))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, bare(entry)]),
  );
}

function digests(pieces: object): Record<string, string> {
  const digest = (piece: unknown): string =>
    createHash('sha256')
      .update(JSON.stringify(bare(piece)))
      .digest('hex')
      .slice(0, 12);
  return Object.fromEntries(Object.entries(pieces).map(([name, piece]) => [name, digest(piece)]));
}

interface RecordedDocument {
  document: string;
  paths: Record<string, string>;
  schemas: Record<string, string>;
}

for (const { document, paths, schemas } of readRecorded<RecordedDocument>('openapi')) {
  test(`recorded: paths and schemas of ${document} have the form that a real server's have`, () => {
    const ours = parse(openApiV3(document));
    assert.deepEqual(digests(ours.components.schemas), schemas);
    assert.deepEqual(digests(ours.paths), paths);
  });
}

test('there are documents for what has no resources', () => {
  const idAt = (document: string, path: string): string | undefined =>
    parse(openApiV3(document)).paths[path]?.['get']?.operationId;
  assert.equal(idAt('api', '/api/'), 'getCoreAPIVersions');
  assert.equal(idAt('apis', '/apis/'), 'getAPIVersions');
  assert.equal(idAt('apis/apps', '/apis/apps/'), 'getAppsAPIGroup');
  assert.equal(
    idAt('apis/rbac.authorization.k8s.io', '/apis/rbac.authorization.k8s.io/'),
    'getRbacAuthorizationAPIGroup',
  );
  assert.equal(idAt('version', '/version/'), 'getCodeVersion');
  assert.equal(idAt('openid/v1/jwks', '/openid/v1/jwks/'), 'getServiceAccountIssuerOpenIDKeyset');
  assert.equal(openApiV3('apis/nosuch.example'), undefined);
});

test('every operation has a name of its own, in all documents together', () => {
  const { paths } = openApiV3Index() as { paths: object };
  const ids = Object.keys(paths).flatMap((document) =>
    Object.values(parse(openApiV3(document)).paths).flatMap((item) =>
      Object.values(item).flatMap(({ operationId }) => operationId ?? []),
    ),
  );
  assert.ok(ids.length > resources.length * 5);
  assert.deepEqual(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
  );
});

test('the index names a document for each group, by its hash', () => {
  const { paths } = openApiV3Index() as { paths: Record<string, { serverRelativeURL: string }> };
  assert.ok(Object.keys(paths).includes('apis/apps/v1'));
  for (const [path, { serverRelativeURL }] of Object.entries(paths)) {
    assert.equal(serverRelativeURL, `/openapi/v3/${path}?hash=${openApiV3Hash(path) ?? ''}`);
    assert.match(serverRelativeURL, /hash=[0-9A-F]{128}$/);
    const document = parse(openApiV3(path));
    for (const reference of references(document)) {
      const name = reference.replace('#/components/schemas/', '');
      assert.ok(document.components.schemas[name] !== undefined, reference);
    }
  }
});

test('what is not served has no document', () => {
  assert.equal(openApiV3('apis/nosuch.example/v1'), undefined);
  assert.equal(openApiV3Hash('apis/nosuch.example/v1'), undefined);
});

test('a field says how it is merged', () => {
  const { schemas } = parse(openApiV3('api/v1')).components;
  const containers = schemas['io.k8s.api.core.v1.PodSpec']?.properties?.['containers'];
  assert.partialDeepStrictEqual(containers, {
    type: 'array',
    items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
    'x-kubernetes-list-map-keys': ['name'],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  });
});

test('operations carry the names and parameters that kubectl looks for', () => {
  const { paths } = parse(openApiV3('api/v1'));
  const patch = paths['/api/v1/namespaces/{namespace}/pods/{name}']?.['patch'];
  assert.equal(patch?.operationId, 'patchCoreV1NamespacedPod');
  assert.deepEqual(
    patch?.parameters?.map(({ name }) => name),
    ['dryRun', 'fieldManager', 'fieldValidation', 'force'],
  );
  assert.equal(paths['/api/v1/pods']?.['get']?.operationId, 'listCoreV1PodForAllNamespaces');
});

test('every reference of the v2 document is defined', () => {
  const document = parse(openApiV2Json());
  for (const reference of references(document)) {
    assert.ok(document.definitions[reference.replace('#/definitions/', '')] !== undefined, reference);
  }
});

/** Reads one protobuf message into its fields; nested messages stay bytes. */
function readMessage(bytes: Uint8Array): Map<number, (Uint8Array | number)[]> {
  const fields = new Map<number, (Uint8Array | number)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    let value: Uint8Array | number = varint();
    if (tag % 8 === 2) {
      const length: number = value;
      value = bytes.subarray(at, at + length);
      at += length;
    }
    const field = Math.floor(tag / 8);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

const message = (
  fields: Map<number, (Uint8Array | number)[]>,
  field: number,
  index = 0,
): Map<number, (Uint8Array | number)[]> => readMessage(fields.get(field)?.[index] as Uint8Array);
const text = (fields: Map<number, (Uint8Array | number)[]>, field: number): string =>
  Buffer.from(fields.get(field)?.[0] as Uint8Array).toString();

test('the protobuf form holds the same definitions and paths', () => {
  const json = parse(openApiV2Json());
  const document = readMessage(openApiV2Protobuf());
  assert.equal(text(document, 1), '2.0');
  const definitions = message(document, 9).get(1) ?? [];
  const names = definitions.map((entry) => text(readMessage(entry as Uint8Array), 1));
  assert.deepEqual(names, Object.keys(json.definitions));
  const paths = (message(document, 8).get(2) ?? []).map((entry) => text(readMessage(entry as Uint8Array), 1));
  assert.deepEqual(paths, Object.keys(json.paths));
});

test('the protobuf form says kinds and merge keys as vendor extensions', () => {
  const definitions = message(readMessage(openApiV2Protobuf()), 9);
  const named = (name: string): Map<number, (Uint8Array | number)[]> => {
    for (const entry of definitions.get(1) ?? []) {
      const fields = readMessage(entry as Uint8Array);
      if (text(fields, 1) === name) return message(fields, 2);
    }
    throw new Error(`Cannot find definition "${name}"`);
  };
  const extensions = (schema: Map<number, (Uint8Array | number)[]>): Record<string, unknown> =>
    Object.fromEntries(
      (schema.get(31) ?? []).map((entry) => {
        const extension = readMessage(entry as Uint8Array);
        return [text(extension, 1), JSON.parse(text(message(extension, 2), 2))];
      }),
    );
  assert.deepEqual(extensions(named('io.k8s.api.core.v1.Pod')), {
    'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Pod' }],
  });
  const properties = message(named('io.k8s.api.core.v1.PodSpec'), 25);
  const containers = (properties.get(1) ?? [])
    .map((entry) => readMessage(entry as Uint8Array))
    .find((fields) => text(fields, 1) === 'containers');
  assert.ok(containers !== undefined);
  assert.partialDeepStrictEqual(extensions(message(containers, 2)), {
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  });
});
