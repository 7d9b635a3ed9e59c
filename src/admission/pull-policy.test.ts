import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setDefaults } from '../kube/default/set-defaults.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod, PodSpec, PullPolicy } from '../kube/pod.ts';
import { findResource } from '../kube/resources.ts';
import { validateCreate, warningsOf } from '../kube/validate/validate-object.ts';
import { findPodSpec } from './pod-template.ts';
import { defaultPullPolicies, explainPullPolicy, pullPolicyOf } from './pull-policy.ts';

const SHA256 = `sha256:${'a'.repeat(64)}`;
const SHA512 = `sha512:${'b'.repeat(128)}`;

/** Policies as Kubernetes 1.36.2 stored them for containers and image volumes alike. */
const RECORDED: [image: string, policy: PullPolicy][] = [
  ['x', 'Always'],
  ['x:latest', 'Always'],
  ['x:1', 'IfNotPresent'],
  [`x@${SHA256}`, 'IfNotPresent'],
  [`x:latest@${SHA256}`, 'Always'],
  [`x:1@${SHA256}`, 'IfNotPresent'],
  ['127.0.0.1:5503/x', 'Always'],
  ['127.0.0.1:5503/x:latest', 'Always'],
  ['X', 'IfNotPresent'],
  ['a b', 'IfNotPresent'],
  ['x:', 'IfNotPresent'],
  ['x@', 'IfNotPresent'],
  ['x:LATEST', 'IfNotPresent'],
  ['docker.io/library/x:latest', 'Always'],
  ['x@sha256:12', 'IfNotPresent'],
  [`x@${SHA512}`, 'IfNotPresent'],
  [':1', 'IfNotPresent'],
  ['x:y:z', 'IfNotPresent'],
  ['http://x/y:1', 'IfNotPresent'],
  ['', 'IfNotPresent'],
];

for (const [image, policy] of RECORDED) {
  test(`2.2 2.3 an image ${JSON.stringify(image)} without a policy gets ${policy}`, () => {
    assert.equal(pullPolicyOf(image), policy);
    const explained = explainPullPolicy(image);
    assert.equal(explained.result, policy);
    assert.deepEqual(
      explained.trace.map((step) => step.rule),
      ['2.2'],
    );
  });
}

const SPEC: PodSpec = {
  initContainers: [{ name: 'i', image: 'i:1' }],
  containers: [{ name: 'c', image: 'c' }],
  ephemeralContainers: [{ name: 'e', image: 'e:latest' }],
  volumes: [
    { name: 'v', image: { reference: 'v' } },
    { name: 'w', image: {} },
    { name: 'd', emptyDir: {} },
  ],
};

function kinds(spec: PodSpec): KubeObject[] {
  const metadata = { name: 'x' };
  const template = { spec };
  const workload = (kind: string, apiVersion = 'apps/v1'): KubeObject =>
    ({ apiVersion, kind, metadata, spec: { template } }) as KubeObject;
  return [
    { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject,
    workload('Deployment'),
    workload('ReplicaSet'),
    workload('StatefulSet'),
    workload('DaemonSet'),
    workload('Job', 'batch/v1'),
    workload('ReplicationController', 'v1'),
    { apiVersion: 'v1', kind: 'PodTemplate', metadata, template } as KubeObject,
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata,
      spec: { jobTemplate: { spec: { template } } },
    } as KubeObject,
    workload('Rollout', 'example.org/v1'),
  ];
}

for (const object of kinds(SPEC)) {
  test(`2.1 2.5 ${object.kind}: containers of all three kinds and image volumes get a policy, and nothing else changes`, () => {
    const before = JSON.stringify(object);
    const { result, trace } = defaultPullPolicies(object);
    assert.equal(JSON.stringify(object), before);
    const spec = findPodSpec(result)?.spec;
    assert.deepEqual(
      [
        spec?.initContainers?.[0]?.imagePullPolicy,
        spec?.containers[0]?.imagePullPolicy,
        spec?.ephemeralContainers?.[0]?.imagePullPolicy,
      ],
      ['IfNotPresent', 'Always', 'Always'],
    );
    assert.deepEqual(spec?.volumes, [
      { name: 'v', image: { reference: 'v', pullPolicy: 'Always' } },
      { name: 'w', image: { pullPolicy: 'IfNotPresent' } },
      { name: 'd', emptyDir: {} },
    ]);
    assert.ok(trace.every((step) => step.source?.startsWith(findPodSpec(object)?.path.join('.') ?? '-')));
  });
}

test('2.1 the API’s defaulting and this one agree, for every kind', () => {
  for (const object of kinds(SPEC).filter(({ kind }) => kind !== 'Rollout' && kind !== 'PodTemplate')) {
    const defaulted = structuredClone(object);
    setDefaults(defaulted, { pullPolicyOf });
    const policies = (o: KubeObject): unknown[] => {
      const spec = findPodSpec(o)?.spec;
      return [
        ...[
          ...(spec?.initContainers ?? []),
          ...(spec?.containers ?? []),
          ...(spec?.ephemeralContainers ?? []),
        ].map((container) => container.imagePullPolicy),
        ...(spec?.volumes ?? []).map((volume) => volume.image?.pullPolicy),
      ];
    };
    assert.deepEqual(policies(defaulted), policies(defaultPullPolicies(object).result), object.kind);
  }
});

test('2.4 a policy that is set stays when the image changes, an empty one is none', () => {
  const [first] = kinds({ containers: [{ name: 'c', image: 'c:1' }] });
  assert.ok(first);
  const stored = defaultPullPolicies(first).result as Pod;
  const changed: Pod = {
    ...stored,
    spec: { containers: stored.spec.containers.map((c) => ({ ...c, image: 'c:latest' })) },
  };
  const again = defaultPullPolicies(changed);
  assert.equal(again.result.spec.containers[0]?.imagePullPolicy, 'IfNotPresent');
  assert.deepEqual(
    again.trace.map((step) => step.rule),
    ['2.4'],
  );
  const empty: Pod = {
    ...changed,
    spec: { containers: [{ name: 'c', image: 'c:latest', imagePullPolicy: '' as PullPolicy }] },
  };
  assert.equal(defaultPullPolicies(empty).result.spec.containers[0]?.imagePullPolicy, 'Always');
});

test('an object without a Pod description is left alone, and so is one that breaks its shape', () => {
  for (const object of [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: null },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: 'x' } },
    { apiVersion: 'v1', kind: 'constructor', metadata: { name: 'p' }, spec: { template: 1 } },
  ] as KubeObject[]) {
    assert.deepEqual(defaultPullPolicies(object), { result: object, trace: [] });
  }
  const odd = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c' }, null], initContainers: null, volumes: 3 },
  };
  assert.equal(
    defaultPullPolicies(odd as unknown as Pod).result.spec.containers[0]?.imagePullPolicy,
    'IfNotPresent',
  );
});

function problems(spec: object, kind = 'Pod'): string[] {
  const object =
    kind === 'Pod'
      ? { apiVersion: 'v1', kind, metadata: { name: 'p', namespace: 'd' }, spec }
      : {
          apiVersion: 'apps/v1',
          kind,
          metadata: { name: 'p', namespace: 'd' },
          spec: {
            selector: { matchLabels: { a: 'b' } },
            template: { metadata: { labels: { a: 'b' } }, spec },
          },
        };
  const copy = structuredClone(object) as unknown as KubeObject;
  setDefaults(copy, { pullPolicyOf });
  const resource =
    kind === 'Pod' ? findResource('', 'v1', 'pods') : findResource('apps', 'v1', 'deployments');
  assert.ok(resource);
  return validateCreate(copy, resource).map((e) => `${e.field}: ${e.message}`);
}

test('1.18 the API checks no syntax of an image: it must not be empty, nor have white space around it in a Pod', () => {
  for (const image of ['UPPER/x', 'a b', 'x:', 'x@sha256:12', 'http://x/y:1'])
    assert.deepEqual(problems({ containers: [{ name: 'a', image }] }), []);
  assert.deepEqual(problems({ containers: [{ name: 'a' }] }), ['spec.containers[0].image: Required value']);
  for (const [image, shown] of [
    ['x:latest ', '"x:latest "'],
    ['x\n', '"x\\n"'],
    [' x', '" x"'],
  ] as const) {
    assert.deepEqual(problems({ containers: [{ name: 'a', image }] }), [
      `spec.containers[0].image: Invalid value: ${shown}: must not have leading or trailing whitespace`,
    ]);
  }
  assert.deepEqual(problems({ containers: [{ name: 'a', image: '  x' }] }, 'Deployment'), []);
});

test('2.6 only the three policies are accepted', () => {
  assert.deepEqual(problems({ containers: [{ name: 'a', image: 'x', imagePullPolicy: 'Sometimes' }] }), [
    'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
  ]);
});

test('2.7 an image volume of a Pod names an image, one of a template need not', () => {
  const spec = { containers: [{ name: 'a', image: 'x' }], volumes: [{ name: 'v', image: {} }] };
  assert.deepEqual(problems(spec), ['spec.volumes[0].image.reference: Required value']);
  assert.deepEqual(problems(spec, 'Deployment'), []);
});

test('2.8 doubled and empty pull secret names are warned about, not refused', () => {
  const spec = {
    containers: [{ name: 'a', image: 'x' }],
    imagePullSecrets: [{ name: 'a' }, { name: 'a' }, { name: '' }],
  };
  assert.deepEqual(problems(spec), []);
  const resource = findResource('', 'v1', 'pods');
  assert.ok(resource);
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec } as unknown as KubeObject;
  assert.deepEqual(warningsOf(pod, resource), [
    'spec.imagePullSecrets[1].name: duplicate name "a"',
    'spec.imagePullSecrets[2].name: invalid empty name ""',
  ]);
});
