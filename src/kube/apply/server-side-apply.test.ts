import assert from 'node:assert/strict';
import { test } from 'node:test';

import { setDefaults } from '../default/set-defaults.ts';
import { createObject, defaultOptions, resourceAt, statusOf } from '../fixtures/create-object.ts';
import { readRecorded } from '../fixtures/recorded.ts';
import type { KubeObject } from '../object.ts';
import type { PatchMediaType } from '../patch/patch-media-type.ts';
import { patchObject } from '../patch/patch-object.ts';
import { findKind } from '../resources.ts';
import { StatusError } from '../status.ts';
import { managerOf, updateManagedFields, type ManagedFieldsEntry } from './managed-fields.ts';
import { serverSideApply } from './server-side-apply.ts';

interface Step {
  name: string;
  query: string;
  contentType: PatchMediaType | 'application/apply-patch+yaml';
  body: unknown;
  code: number;
  answer?: object;
  managedFields?: ManagedFieldsEntry[];
  podSpec?: object;
}

const deployments = findKind('apps/v1', 'Deployment');
assert.ok(deployments !== undefined);
const configMaps = findKind('v1', 'ConfigMap');
assert.ok(configMaps !== undefined);

type Deployment = KubeObject & { spec: { template: { spec: object } } };

function take(current: Deployment | undefined, { query, contentType, body }: Step, time: string): Deployment {
  const parameters = new URLSearchParams(query);
  const by = { manager: parameters.get('fieldManager') ?? '', time };
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const common = { resource: deployments as never, fieldValidation: 'Strict' } as const;
  if (contentType === 'application/apply-patch+yaml') {
    const force = parameters.get('force') === 'true';
    const { object } = serverSideApply(current, bytes, { ...common, by, force });
    setDefaults(object, defaultOptions);
    return object;
  }
  assert.ok(current !== undefined);
  const { object } = patchObject(current, bytes, { ...common, mediaType: contentType });
  setDefaults(object, defaultOptions);
  object.metadata.managedFields = updateManagedFields(current, object, by);
  return object;
}

// The steps build on each other, so they are replayed up to each one.
const steps = readRecorded<Step>('server-side-apply');
const outcomes: (Deployment | StatusError)[] = [];
let current: Deployment | undefined;
for (const [index, step] of steps.entries()) {
  try {
    const outcome = take(current, step, `2026-01-01T00:00:${String(index).padStart(2, '0')}Z`);
    outcomes.push(outcome);
    if (!step.query.includes('dryRun')) current = outcome;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    outcomes.push(error);
  }
}

for (const [index, { name, answer, managedFields, podSpec }] of steps.entries()) {
  test(`recorded: ${name}`, () => {
    const outcome = outcomes[index];
    if (outcome instanceof StatusError) {
      assert.deepEqual(outcome.status, answer);
      return;
    }
    const byName = (a: ManagedFieldsEntry, b: ManagedFieldsEntry): number =>
      (a.manager ?? '') < (b.manager ?? '') ? -1 : 1;
    const owned = ((outcome?.metadata.managedFields ?? []) as ManagedFieldsEntry[]).map(
      ({ time: _time, ...rest }) => rest,
    );
    assert.deepEqual(owned.toSorted(byName), managedFields?.toSorted(byName));
    assert.deepEqual(outcome?.spec.template.spec, podSpec);
  });
}

const configMap = createObject({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'ap1' },
  data: { a: '1' },
});
const apply = (live: KubeObject | undefined, body: unknown, manager: string, force = false): KubeObject =>
  serverSideApply(live, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), {
    resource: configMaps,
    by: { manager, time: '2026-01-01T00:00:00Z' },
    force,
    fieldValidation: 'Strict',
  }).object;
const config = (data: object, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'ap1', ...metadata },
  data,
});

interface RejectedApply {
  name: string;
  path: string;
  body: unknown;
  answer: object;
}

for (const { name, path, body, answer } of readRecorded<RejectedApply>('rejected-applies')) {
  test(`recorded: ${name} is refused with the same Status`, () => {
    const owned = apply(undefined, config({ a: '1' }), 'one');
    const resource = resourceAt(path);
    const got = statusOf(() =>
      serverSideApply(
        resource.kind === 'ConfigMap' ? owned : undefined,
        Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
        {
          resource,
          by: { manager: 'two', time: '2026-01-01T00:00:00Z' },
          force: false,
          fieldValidation: 'Strict',
        },
      ),
    );
    assert.deepEqual(got, answer);
  });
}

test('an object that nobody manages yet is given to before-first-apply', () => {
  const live = structuredClone(configMap);
  delete live.metadata.managedFields;
  const { message } = statusOf(() => apply(live, config({ a: '2' }), 'one')) as { message: string };
  assert.equal(message, 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a');
});

test('applying what is there already changes neither object nor times', () => {
  const first = apply(undefined, config({ a: '1' }), 'one');
  const again = serverSideApply(first, Buffer.from(JSON.stringify(config({ a: '1' }))), {
    resource: configMaps,
    by: { manager: 'one', time: '2027-07-07T00:00:00Z' },
    force: false,
    fieldValidation: 'Strict',
  }).object;
  assert.deepEqual(again, first);
});

test('two managers may want the same; the field stays until both let go', () => {
  const one = apply(undefined, config({ a: '1', b: '1' }), 'one');
  const two = apply(one, config({ a: '1' }), 'two');
  const less = apply(two, config({}), 'one') as KubeObject & { data?: object };
  assert.deepEqual(less.data, { a: '1' });
  const none = apply(less, config({}), 'two') as KubeObject & { data?: object };
  assert.equal(none.data, undefined);
});

test('a subresource is a manager of its own', () => {
  const before = structuredClone(configMap);
  before.metadata.managedFields = updateManagedFields(undefined, before, { manager: 'm', time: 't1' });
  const after = structuredClone(before);
  after.metadata.labels = { x: 'y' };
  const entries = updateManagedFields(before, after, { manager: 'm', time: 't2', subresource: 'status' });
  assert.deepEqual(
    entries.map(({ manager, subresource }) => [manager, subresource]),
    [
      ['m', undefined],
      ['m', 'status'],
    ],
  );
});

test('an update that changes nothing leaves the entries as they are', () => {
  const before = structuredClone(configMap);
  before.metadata.managedFields = updateManagedFields(undefined, before, { manager: 'm', time: 't1' });
  assert.deepEqual(
    updateManagedFields(before, structuredClone(before), { manager: 'x', time: 't2' }),
    before.metadata.managedFields,
  );
});

test('a client may clear the entries by sending one empty entry', () => {
  const before = structuredClone(configMap);
  before.metadata.managedFields = updateManagedFields(undefined, before, { manager: 'm', time: 't1' });
  const after = structuredClone(before);
  after.metadata.managedFields = [{}];
  assert.deepEqual(updateManagedFields(before, after, { manager: 'x', time: 't2' }), []);
});

test('the manager of a request is the first word of its user agent', () => {
  assert.equal(managerOf('kubectl/v1.36.2 (linux/amd64) kubernetes/abc'), 'kubectl');
  assert.equal(managerOf(undefined), 'unknown');
  assert.equal(managerOf('x'.repeat(200)).length, 128);
});

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const applied = (value: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', namespace: 'demo' },
  data: { a: value },
});

function applyMap(current: KubeObject | undefined, config: object, manager: string): KubeObject {
  const by = { manager, time: '2026-01-01T00:00:09Z' };
  const options = { resource: configMaps as never, by, force: false, fieldValidation: 'Strict' } as const;
  return serverSideApply(current, Buffer.from(JSON.stringify(config)), options).object;
}

/** A map as `kubectl apply` of the client's side leaves it. */
function appliedByClient(value: string): KubeObject {
  const map = applied(value) as KubeObject;
  map.metadata.annotations = { [LAST_APPLIED]: `${JSON.stringify(applied(value))}\n` };
  const by = { manager: 'kubectl-client-side-apply', time: '2026-01-01T00:00:01Z' };
  map.metadata.managedFields = updateManagedFields(undefined, map, by);
  return map;
}

test('kubectl may change on the server what it applied on its own side, and the annotation follows', () => {
  const map = applyMap(appliedByClient('1'), applied('2'), 'kubectl');
  assert.deepEqual((map as unknown as { data: object }).data, { a: '2' });
  assert.equal(
    map.metadata.annotations?.[LAST_APPLIED],
    '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"c","namespace":"demo"}}\n',
  );
});

test('another manager may not, nor may kubectl when the value is no longer what it applied', () => {
  const conflict =
    /: Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: \.data\.a$/;
  assert.throws(() => applyMap(appliedByClient('1'), applied('2'), 'ci'), conflict);
  const changed = { ...appliedByClient('1'), data: { a: '3' } } as KubeObject;
  assert.throws(() => applyMap(changed, applied('2'), 'kubectl'), conflict);
});

test('an apply that changes nothing has no time', () => {
  const map = applyMap(appliedByClient('1'), applied('1'), 'ci');
  const entries = map.metadata.managedFields as ManagedFieldsEntry[];
  assert.deepEqual(
    entries.map(({ manager, time }) => [manager, time]),
    [
      ['ci', undefined],
      ['kubectl-client-side-apply', '2026-01-01T00:00:01Z'],
    ],
  );
});

test('a client says itself who owns what, but not through a subresource', () => {
  const map = appliedByClient('1');
  const own = [{ ...(map.metadata.managedFields as ManagedFieldsEntry[])[0], manager: 'taken-over' }];
  const sent = { ...map, metadata: { ...map.metadata, managedFields: own } } as KubeObject;
  const by = { manager: 'kubectl', time: '2026-01-01T00:00:09Z' };
  const managers = (entries: ManagedFieldsEntry[]): unknown[] => entries.map(({ manager }) => manager);
  assert.deepEqual(managers(updateManagedFields(map, sent, by)), ['taken-over']);
  const status = { ...by, subresource: 'status' };
  assert.deepEqual(managers(updateManagedFields(map, sent, status)), ['kubectl-client-side-apply']);
});
