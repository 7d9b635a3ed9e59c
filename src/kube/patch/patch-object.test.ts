import assert from 'node:assert/strict';
import { test } from 'node:test';

import { setDefaults } from '../default/set-defaults.ts';
import { createObject, defaultOptions, resourceAt, statusOf } from '../fixtures/create-object.ts';
import { readRecorded } from '../fixtures/recorded.ts';
import type { KubeObject } from '../object.ts';
import { findKind } from '../resources.ts';
import { invalid } from '../status.ts';
import { prepareForUpdate } from '../strategy.ts';
import { validateUpdate } from '../validate/validate-object.ts';
import type { PatchMediaType } from './patch-media-type.ts';
import { patchObject } from './patch-object.ts';

interface PatchCase {
  name: string;
  before: string;
  contentType: PatchMediaType;
  patch: unknown;
  code: number;
  changes?: [string[], unknown][];
  answer?: object;
}

/** Patches as the API does: patch, decode, default, prepare, validate. */
function patched(
  current: KubeObject,
  patch: unknown,
  mediaType: PatchMediaType,
  subresource?: string,
): KubeObject {
  const resource = findKind(current.apiVersion, current.kind);
  assert.ok(resource !== undefined);
  const body = Buffer.from(typeof patch === 'string' ? patch : JSON.stringify(patch));
  const { object } = patchObject(current, body, { mediaType, resource, fieldValidation: 'Strict' });
  setDefaults(object, defaultOptions);
  prepareForUpdate(object, current, resource, subresource);
  const errors = validateUpdate(object, current, resource, subresource);
  if (errors.length > 0) throw invalid(resource, current.metadata.name, errors);
  return object;
}

function replaceAt(object: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length > 0) replaceAt(object[key] as Record<string, unknown>, rest, value);
  else if (value === null) delete object[key];
  else object[key] = value;
}

const [first, ...cases] = readRecorded<PatchCase & { bases: Record<string, KubeObject> }>('patches');
assert.ok(first !== undefined);

for (const { name, before, contentType, patch, code, changes, answer } of cases) {
  const base = first.bases[before];
  assert.ok(base !== undefined);
  if (code === 200) {
    test(`recorded: ${name}`, () => {
      const expected = structuredClone(base) as unknown as Record<string, unknown>;
      for (const [path, value] of changes ?? []) replaceAt(expected, path, value);
      const object = patched(base, patch, contentType) as unknown as Record<string, unknown>;
      const { generation: _generation, ...metadata } = object['metadata'] as Record<string, unknown>;
      const { status: _status, ...rest } = object;
      assert.deepEqual({ ...rest, metadata }, expected);
    });
  } else {
    test(`recorded: ${name} is refused with the same Status`, () => {
      assert.deepEqual(
        statusOf(() => patched(base, patch, contentType)),
        answer,
      );
    });
  }
}

const container = { name: 'a', image: '127.0.0.1:5503/test/app:1' };
const workload = (
  apiVersion: string,
  kind: string,
  name: string,
  label: string,
  more: object = {},
): KubeObject =>
  createObject({
    apiVersion,
    kind,
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: label } },
      template: { metadata: { labels: { app: label } }, spec: { containers: [container] } },
      ...more,
    },
  });

/** The volume that each recorded Pod had; the cluster's vendor puts its own certificates beside the usual three sources. */
const tokenVolume = {
  name: 'kube-api-access',
  projected: {
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
      { configMap: { name: 'vendor-ca', items: [{ key: 'vendor.crt', path: 'vendor.crt' }] } },
    ],
  },
};

const pod = (name: string, more: object = {}): KubeObject =>
  createObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      serviceAccountName: 'default',
      volumes: [tokenVolume],
      containers: [
        {
          ...container,
          volumeMounts: [
            {
              name: 'kube-api-access',
              readOnly: true,
              mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
            },
          ],
        },
      ],
      ...more,
    },
  });

/** The objects that the recorded patches were sent to. */
const targets: Record<string, KubeObject> = {
  'pods/upd': pod('upd'),
  'pods/t-running': pod('t-running', { terminationGracePeriodSeconds: 0 }),
  'configmaps/c1': createObject({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c1' },
    data: { a: '4' },
  }),
  'secrets/s1': createObject({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's1' },
    stringData: { a: 'b' },
  }),
  'secrets/s-reg': createObject({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's-reg' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': '{}' },
  }),
  'secrets/s-imm': createObject({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's-imm' },
    immutable: true,
    stringData: { a: 'b' },
  }),
  'deployments/min-deploy': workload('apps/v1', 'Deployment', 'min-deploy', 'd'),
  'statefulsets/min-sts': workload('apps/v1', 'StatefulSet', 'min-sts', 's'),
};

interface RejectedPatch {
  name: string;
  path: string;
  contentType: PatchMediaType;
  patch: unknown;
  answer: object & { message: string };
}

for (const { name, path, contentType, patch, answer } of readRecorded<RejectedPatch>('rejected-patches')) {
  const parts = path.split('?')[0]?.split('/') ?? [];
  const at = parts.indexOf('demo');
  const target = targets[`${parts[at + 1] ?? ''}/${parts[at + 2] ?? ''}`];
  assert.ok(target !== undefined, path);
  assert.equal(resourceAt(path).kind, target.kind);
  test(`recorded: ${name} is refused with the same Status`, () => {
    const got = statusOf(() => patched(target, patch, contentType, parts[at + 3])) as typeof answer;
    if (name === 'merge patch wrong type') {
      // The message shows the whole patched object, which is ours here: only its end can be the same.
      assert.ok(got.message.startsWith(' "" is invalid: patch: Invalid value: "{'), got.message);
      assert.ok(got.message.endsWith('of type map[string]string'), got.message);
      return;
    }
    assert.deepEqual(got, answer);
  });
}
