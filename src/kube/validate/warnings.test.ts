import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warningsFor } from './warnings.ts';

const pod = (spec: object, annotations: Record<string, string> = {}): Record<string, unknown> => ({
  metadata: { name: 'p', annotations },
  spec: { containers: [{ name: 'a', image: 'x' }], ...spec },
});
const ports = (...list: object[]): object => ({ containers: [{ name: 'a', ports: list }] });
const udp = { containerPort: 80, protocol: 'UDP' };

const rows: readonly (readonly [string, Record<string, unknown>, string[]])[] = [
  [
    'an old node label',
    pod({ nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }),
    ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
  [
    'an annotation for seccomp',
    pod({}, { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' }),
    [
      'metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead',
    ],
  ],
  [
    'a spread that finds nothing',
    pod({ topologySpreadConstraints: [{ topologyKey: 'a' }] }),
    ['spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod'],
  ],
  [
    'a port of one address and of all',
    pod(ports({ ...udp, hostPort: 80, hostIP: '10.0.0.1' }, { ...udp, hostPort: 80 })),
    ['spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]'],
  ],
  [
    'a port with and without the host',
    pod(ports({ ...udp, hostPort: 80 }, udp)),
    ['spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]'],
  ],
  [
    'an address without a port',
    pod(ports({ ...udp, hostIP: '10.0.0.1' })),
    [
      'spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:UDP HostIP:10.0.0.1}',
    ],
  ],
  [
    'a variable set to itself',
    pod({
      containers: [
        {
          name: 'a',
          env: [
            { name: 'A', value: '1' },
            { name: 'A', value: '$(A)' },
          ],
        },
      ],
    }),
    ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
  ],
  [
    'a variable built from itself',
    pod({
      containers: [
        {
          name: 'a',
          env: [
            { name: 'A', value: '1' },
            { name: 'A', value: '$(A):2' },
          ],
        },
      ],
    }),
    [],
  ],
  [
    'a volume that nothing fills any more',
    pod({ volumes: [{ name: 'v', gitRepo: { repository: 'r' } }] }),
    ['spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+'],
  ],
  [
    'parts of bytes',
    pod({ containers: [{ name: 'a', resources: { limits: { 'ephemeral-storage': '1500m' } } }] }),
    [
      'spec.containers[0].resources.limits[ephemeral-storage]: fractional byte value "1500m" is invalid, must be an integer',
    ],
  ],
];

for (const [name, object, expected] of rows) {
  test(`${name} is warned of as Kubernetes does`, () =>
    assert.deepEqual(warningsFor(object, 'Pod'), expected));
}

test('a template is warned of at its path, and again only when it changed', () => {
  const deployment = (generation: number): Record<string, unknown> => ({
    metadata: { name: 'd', generation },
    spec: { template: { spec: { terminationGracePeriodSeconds: -1 } } },
  });
  const text =
    'spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1';
  assert.deepEqual(warningsFor(deployment(1), 'Deployment'), [text]);
  assert.deepEqual(warningsFor(deployment(1), 'Deployment', deployment(1)), []);
  assert.deepEqual(warningsFor(deployment(2), 'Deployment', deployment(1)), [text]);
});

test('a volume that is to be emptied for others is warned of', () => {
  const volume = { metadata: { name: 'v' }, spec: { persistentVolumeReclaimPolicy: 'Recycle' } };
  assert.deepEqual(warningsFor(volume, 'PersistentVolume'), [
    'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
  ]);
});
