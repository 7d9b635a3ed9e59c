import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createObject, statusOf } from '../fixtures/create-object.ts';
import type { JsonObject } from '../json/json-object.ts';
import { validateEphemeralUpdate, validatePodUpdate } from './pod.ts';

interface Container {
  [field: string]: unknown;
}

const podOf = (spec: object): never =>
  createObject({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec }) as never;
const container = (more: object = {}): Container => ({ name: 'a', image: 'x:1', ...more });
const messageOf = (spec: object): string =>
  (statusOf(() => podOf(spec)) as { message: string }).message.replace('Pod "p" is invalid: ', '');

const findings: [string, object, string][] = [
  [
    '1.18 an image is required',
    { containers: [container({ image: '' })] },
    'spec.containers[0].image: Required value',
  ],
  [
    '1.18 an image may not begin or end with white space',
    { containers: [container({ image: 'x:1 ' })] },
    'spec.containers[0].image: Invalid value: "x:1 ": must not have leading or trailing whitespace',
  ],
  [
    '2.6 a pull policy is one of three',
    { containers: [container({ imagePullPolicy: 'always' })] },
    'spec.containers[0].imagePullPolicy: Unsupported value: "always": supported values: "Always", "IfNotPresent", "Never"',
  ],
  [
    '2.7 an image volume of a Pod needs a reference',
    { containers: [container()], volumes: [{ name: 'v', image: {} }] },
    'spec.volumes[0].image.reference: Required value',
  ],
  [
    'a volume has one source',
    { containers: [container()], volumes: [{ name: 'v', emptyDir: {}, secret: { secretName: 's' } }] },
    'spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type',
  ],
  [
    'a mount names a volume',
    { containers: [container({ volumeMounts: [{ name: 'v', mountPath: '/x' }] })] },
    'spec.containers[0].volumeMounts[0].name: Not found: "v"',
  ],
  [
    'an environment variable has a value or a source',
    {
      containers: [
        container({
          env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
        }),
      ],
    },
    'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
  ],
  [
    'a request stays below its limit',
    { containers: [container({ resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } })] },
    'spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi',
  ],
  [
    'a port is a port',
    { containers: [container({ ports: [{ containerPort: 70000 }] })] },
    'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
  ],
  [
    'a port of the host is taken once',
    {
      containers: [
        container({ ports: [{ containerPort: 1, hostPort: 9 }] }),
        { name: 'b', image: 'x', ports: [{ containerPort: 2, hostPort: 9 }] },
      ],
    },
    'spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//9"',
  ],
  [
    'a probe says how',
    { containers: [container({ livenessProbe: {} })] },
    'spec.containers[0].livenessProbe: Required value: must specify a handler type',
  ],
  [
    'a toleration of seconds evicts',
    { containers: [container()], tolerations: [{ key: 'a', operator: 'Exists', tolerationSeconds: 3 }] },
    'spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
  ],
  [
    'a node selector is a label',
    { containers: [container()], nodeSelector: { 'a b': 'c' } },
    'spec.nodeSelector: Invalid value: "a b": name part must consist of',
  ],
  [
    'an ephemeral container is not made with the Pod',
    { containers: [container()], ephemeralContainers: [{ name: 'd', image: 'x' }] },
    'spec.ephemeralContainers: Forbidden: cannot be set on create',
  ],
  [
    'an init container is not watched',
    {
      containers: [container()],
      initContainers: [{ name: 'i', image: 'x', readinessProbe: { exec: { command: ['x'] } } }],
    },
    'spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
  ],
];

for (const [name, spec, message] of findings) {
  test(name, () => {
    const got = messageOf(spec);
    assert.ok(got.startsWith(message), got);
  });
}

test('2.7 an image volume of a template needs no reference', () => {
  createObject({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: {
        metadata: { labels: { a: 'b' } },
        spec: { containers: [container()], volumes: [{ name: 'v', image: {} }] },
      },
    },
  });
});

test('1.18 a template may have an image with white space: the Pod will be refused', () => {
  createObject({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [container({ image: '  x' })] } },
    },
  });
});

const changed = (change: (spec: Record<string, never[]> & JsonObject) => void): string[] => {
  const old = podOf({ containers: [container()], tolerations: [{ key: 'a', operator: 'Exists' }] });
  const pod = structuredClone(old) as { spec: Record<string, never[]> };
  change(pod.spec);
  return validatePodUpdate(pod, old).map(({ field, message }) => `${field}: ${message}`);
};

test('2.4 the image of a running Pod may change', () => {
  assert.deepEqual(
    changed((spec) => Object.assign(spec['containers']?.[0] ?? {}, { image: 'x:2' })),
    [],
  );
});

test('a toleration may be added, not taken away', () => {
  assert.deepEqual(
    changed((spec) => spec['tolerations']?.push({ key: 'b', operator: 'Exists' } as never)),
    [],
  );
  assert.deepEqual(
    changed((spec) => {
      spec['tolerations'] = [];
    }),
    ['spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds'],
  );
});

test('a deadline may be set and shortened', () => {
  assert.deepEqual(
    changed((spec) => Object.assign(spec, { activeDeadlineSeconds: 5 })),
    [],
  );
});

test('anything else of a Pod stays', () => {
  const [error] = changed((spec) =>
    Object.assign(spec['containers']?.[0] ?? {}, { imagePullPolicy: 'Always' }),
  );
  assert.ok(
    error?.startsWith(
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`',
    ),
  );
});

test('an ephemeral container may be added, not changed or removed', () => {
  const old = podOf({ containers: [container()] }) as { spec: JsonObject };
  const one = structuredClone(old);
  const ephemeral = {
    name: 'd',
    image: 'x',
    imagePullPolicy: 'Always',
    terminationMessagePolicy: 'File',
  };
  one.spec['ephemeralContainers'] = [ephemeral];
  assert.deepEqual(validateEphemeralUpdate(one as never, old as never), []);
  assert.equal(validateEphemeralUpdate(old as never, one as never).length, 1);
  const other = structuredClone(one);
  other.spec['ephemeralContainers'] = [{ ...ephemeral, image: 'y' }];
  assert.equal(validateEphemeralUpdate(other as never, one as never).length, 1);
});
