import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createObject, statusOf } from '../fixtures/create-object.ts';
import type { KubeObject } from '../object.ts';
import { findKind } from '../resources.ts';
import { validateCreate, validateUpdate, warningsOf } from './validate-object.ts';

const object = (apiVersion: string, kind: string, parts: object, metadata: object = {}): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name: 'x', namespace: 'demo', ...metadata },
  ...parts,
});
const texts = (subject: KubeObject): string[] => {
  const resource = findKind(subject.apiVersion, subject.kind);
  assert.ok(resource !== undefined);
  if (!resource.namespaced) delete subject.metadata.namespace;
  return validateCreate(subject, resource).map(({ field, message }) => `${field}: ${message}`);
};

const findings: [string, KubeObject, string[]][] = [
  [
    'a ConfigMap key twice',
    object('v1', 'ConfigMap', { data: { a: '1' }, binaryData: { a: 'eA==' } }),
    ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
  ],
  [
    'a claim that asks for nothing',
    object('v1', 'PersistentVolumeClaim', { spec: {} }),
    [
      'spec.accessModes: Required value: at least 1 access mode is required',
      'spec.resources[storage]: Required value',
    ],
  ],
  [
    'a taint without effect',
    object('v1', 'Node', { spec: { taints: [{ key: 'a' }] } }),
    ['metadata.taints[0].effect: Required value'],
  ],
  [
    'an event of another namespace',
    object('v1', 'Event', { involvedObject: { namespace: 'other' } }),
    ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
  ],
  [
    'a rule without verbs',
    object('rbac.authorization.k8s.io/v1', 'Role', { rules: [{ apiGroups: [''], resources: ['pods'] }] }),
    ['rules[0].verbs: Required value: verbs must contain at least one value'],
  ],
  [
    'a binding to nothing',
    object('rbac.authorization.k8s.io/v1', 'RoleBinding', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: '' },
    }),
    ['roleRef.name: Required value'],
  ],
  [
    'a lease of no time',
    object('coordination.k8s.io/v1', 'Lease', { spec: { leaseDurationSeconds: 0 } }),
    ['spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'],
  ],
  [
    'a namespace with a dot',
    object('v1', 'Namespace', {}, { name: 'a.b' }),
    [
      "metadata.name: Invalid value: \"a.b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ],
  ],
  [
    'an owner that says nothing',
    object(
      'v1',
      'ServiceAccount',
      {},
      { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '' }] },
    ),
    ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
  ],
  [
    'an event as owner',
    object(
      'v1',
      'ServiceAccount',
      {},
      { ownerReferences: [{ apiVersion: 'v1', kind: 'Event', name: 'e', uid: 'u' }] },
    ),
    [
      'metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}: ' +
        '/v1, Kind=Event is disallowed from being an owner',
    ],
  ],
  [
    'a finalizer of nobody',
    object('v1', 'ServiceAccount', {}, { finalizers: ['mine'] }),
    [
      'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
    ],
  ],
];

for (const [name, subject, expected] of findings) {
  test(`${name} is found`, () => {
    assert.deepEqual(texts(subject), expected);
  });
}

test('a role may have a name that is no DNS name', () => {
  const role = object('rbac.authorization.k8s.io/v1', 'ClusterRole', { rules: [] }, { name: 'system:node' });
  assert.deepEqual(texts(role), []);
});

test('annotations may be 256 KiB together', () => {
  const account = (bytes: number): KubeObject =>
    object('v1', 'ServiceAccount', {}, { annotations: { a: 'x'.repeat(bytes - 1) } });
  assert.deepEqual(texts(account(262_144)), []);
  assert.deepEqual(texts(account(262_145)), [
    'metadata.annotations: Too long: may not be more than 262144 bytes',
  ]);
});

const deployment = (spec: object): KubeObject =>
  createObject({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
      ...spec,
    },
  });

test('a roll-out that may neither add nor remove is refused', () => {
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '0%' } };
  const { message } = statusOf(() => deployment({ strategy })) as { message: string };
  assert.ok(message.endsWith('Invalid value: 0: may not be 0 when `maxSurge` is 0'), message);
});

test('status may be written without looking at the spec', () => {
  const resource = findKind('apps/v1', 'Deployment');
  assert.ok(resource !== undefined);
  const old = deployment({});
  const broken = { ...structuredClone(old), spec: {} };
  assert.deepEqual(validateUpdate(broken, old, resource, 'status'), []);
  assert.notDeepEqual(validateUpdate(broken, old, resource), []);
});

test('a finalizer may not come while the object goes', () => {
  const resource = findKind('v1', 'ServiceAccount');
  assert.ok(resource !== undefined);
  const old = object(
    'v1',
    'ServiceAccount',
    {},
    { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a/b'] },
  );
  const now = structuredClone(old);
  now.metadata.finalizers = ['a/b', 'c/d'];
  assert.match(
    validateUpdate(now, old, resource)[0]?.message ?? '',
    /no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"c\/d"\}/,
  );
});

test('2.8 pull secrets without a name, or with the same, are warned about', () => {
  const resource = findKind('v1', 'Pod');
  assert.ok(resource !== undefined);
  const pod = object('v1', 'Pod', {
    spec: { containers: [], imagePullSecrets: [{}, { name: 'x' }, { name: 'x' }] },
  });
  assert.deepEqual(warningsOf(pod, resource), [
    'spec.imagePullSecrets[2].name: duplicate name "x"',
    'spec.imagePullSecrets[0].name: invalid empty name ""',
  ]);
});

test('a cron schedule and its zone are checked', () => {
  const cronJob = (schedule: string, timeZone?: string): object => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'c' },
    spec: {
      schedule,
      timeZone,
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'x' }] } } },
      },
    },
  });
  createObject(cronJob('*/5 0-6 1,15 jan MON', 'Europe/Berlin') as never);
  for (const [bad, zone, text] of [
    ['* * * *', undefined, 'expected exactly 5 fields, found 4: [* * * *]'],
    ['60 * * * *', undefined, 'end of range (60) above maximum (59): 60'],
    ['@never', undefined, 'unrecognized descriptor: @never'],
    ['@daily', 'Nowhere/Town', 'unknown time zone Nowhere/Town'],
  ] as const) {
    const { message } = statusOf(() => createObject(cronJob(bad, zone) as never)) as { message: string };
    assert.ok(message.endsWith(text), message);
  }
});
