import assert from 'node:assert/strict';
import { test } from 'node:test';

import { updateManagedFields } from '../apply/managed-fields.ts';
import { createObject, defaultOptions } from '../fixtures/create-object.ts';
import { readRecorded } from '../fixtures/recorded.ts';
import type { KubeObject } from '../object.ts';
import { setDefaults } from './set-defaults.ts';

interface Case {
  name: string;
  request: { apiVersion: string; kind: string };
  answer: KubeObject & { spec?: Record<string, unknown> & { containers?: Record<string, unknown>[] } };
}

const uid = '7e3b6b9c-6d8e-4a57-9d8e-6f2d3c1b0a99';

/** What admission adds is not ours: service account, tolerations, priority, protection of claims. */
function withoutAdmission({ answer }: Case): KubeObject {
  const copy = structuredClone(answer);
  if (copy.kind === 'PersistentVolumeClaim') delete copy.metadata.finalizers;
  if (copy.kind !== 'Pod') return copy;
  for (const field of [
    'volumes',
    'tolerations',
    'priority',
    'preemptionPolicy',
    'serviceAccount',
    'serviceAccountName',
  ]) {
    delete copy.spec?.[field];
  }
  for (const container of copy.spec?.containers ?? []) delete container['volumeMounts'];
  return copy;
}

for (const recorded of readRecorded<Case>('defaulted')) {
  test(`recorded: a minimal ${recorded.name} gets the same defaults and first status`, () => {
    const object = createObject(recorded.request);
    const expected = withoutAdmission(recorded);
    const recordedUid = expected.metadata.uid ?? '';
    const { managedFields: _managed, ...metadata } = expected.metadata;
    const text = JSON.stringify({ ...expected, metadata }).replaceAll(recordedUid, uid);
    const { resourceVersion, creationTimestamp } = metadata;
    assert.deepEqual(
      { ...object, metadata: { ...object.metadata, resourceVersion, creationTimestamp } },
      JSON.parse(text),
    );
  });

  test(`recorded: the creator of a minimal ${recorded.name} owns the same fields`, () => {
    const object = createObject(recorded.request);
    const entries = updateManagedFields(undefined, object, {
      manager: 'unknown',
      time: '2026-01-01T00:00:00Z',
    });
    assert.deepEqual(entries, recorded.answer.metadata.managedFields ?? []);
  });
}

const podWith = (spec: object): Record<string, never> => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec };
  setDefaults(pod, defaultOptions);
  return spec as Record<string, never>;
};

test('2.1 containers of all lists and image volumes get a pull policy', () => {
  const spec = {
    containers: [{ name: 'a', image: 'a' }],
    initContainers: [{ name: 'b', image: 'b:1' }],
    ephemeralContainers: [{ name: 'c', image: 'c:latest' }],
    volumes: [{ name: 'v', image: { reference: 'v:2' } }],
  };
  assert.partialDeepStrictEqual(podWith(spec), {
    containers: [{ imagePullPolicy: 'Always' }],
    initContainers: [{ imagePullPolicy: 'IfNotPresent' }],
    ephemeralContainers: [{ imagePullPolicy: 'Always' }],
    volumes: [{ image: { pullPolicy: 'IfNotPresent' } }],
  });
});

test('2.1 a policy that is given stays', () => {
  const spec = { containers: [{ name: 'a', image: 'a', imagePullPolicy: 'Never' }] };
  assert.partialDeepStrictEqual(podWith(spec), { containers: [{ imagePullPolicy: 'Never' }] });
});

test('requests follow limits, host ports follow ports on the host network, empty volumes are empty directories', () => {
  const spec = {
    hostNetwork: true,
    containers: [
      { name: 'a', image: 'a', ports: [{ containerPort: 80 }], resources: { limits: { cpu: '1' } } },
    ],
    volumes: [
      { name: 'v' },
      { name: 'h', hostPath: { path: '/x' } },
      { name: 's', secret: { secretName: 's' } },
    ],
  };
  assert.partialDeepStrictEqual(podWith(spec), {
    containers: [
      {
        ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
        resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
      },
    ],
    volumes: [
      { name: 'v', emptyDir: {} },
      { name: 'h', hostPath: { path: '/x', type: '' } },
      { name: 's', secret: { secretName: 's', defaultMode: 420 } },
    ],
  });
});

test('sources of volumes say what they leave out, in a Pod and in a volume of its own', () => {
  const sources: Record<string, [object, object]> = {
    hostPath: [{ path: '/x' }, { path: '/x', type: '' }],
    iscsi: [{ lun: 0 }, { lun: 0, iscsiInterface: 'default' }],
    rbd: [
      { image: 'i', user: 'me' },
      { image: 'i', user: 'me', pool: 'rbd', keyring: '/etc/ceph/keyring' },
    ],
    scaleIO: [{ volumeName: 'v' }, { volumeName: 'v', storageMode: 'ThinProvisioned', fsType: 'xfs' }],
    azureDisk: [
      { diskName: 'd', fsType: '' },
      { diskName: 'd', fsType: '', cachingMode: 'ReadWrite', kind: 'Shared', readOnly: false },
    ],
  };
  for (const [name, [said, completed]] of Object.entries(sources)) {
    const pod = podWith({ volumes: [{ name: 'v', [name]: structuredClone(said) }] });
    assert.deepEqual(pod['volumes'], [{ name: 'v', [name]: completed }]);
    const volume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'v' },
      spec: { [name]: structuredClone(said) },
    };
    setDefaults(volume, defaultOptions);
    assert.deepEqual(volume.spec[name], completed);
  }
});

test('probes get their usual times', () => {
  const spec = { containers: [{ name: 'a', image: 'a', livenessProbe: { httpGet: { port: 80 } } }] };
  assert.partialDeepStrictEqual(podWith(spec), {
    containers: [
      {
        livenessProbe: {
          httpGet: { port: 80, path: '/', scheme: 'HTTP' },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
      },
    ],
  });
});

test('a claim template of a StatefulSet is a whole claim', () => {
  const set = createObject({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 's' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }] } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    },
  });
  assert.partialDeepStrictEqual(set, {
    spec: {
      volumeClaimTemplates: [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          spec: { volumeMode: 'Filesystem' },
          status: { phase: 'Pending' },
        },
      ],
    },
  });
});
