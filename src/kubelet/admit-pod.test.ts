import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '../kube/pod.ts';
import { refusalsOf, type AdmittingNode } from './admit-pod.ts';
import { CONFIG_SOURCE } from './static-pods/static-pod-marks.ts';

const NODE: AdmittingNode = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } },
  status: { allocatable: { cpu: '2', memory: '1Gi', pods: '3', 'ephemeral-storage': '1000' } },
};

function pod(name: string, spec: Partial<PodSpec> = {}, annotations: Record<string, string> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations },
    spec: { containers: [{ name: 'a' }], ...spec },
  };
}

const asking = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: 'a', resources: { requests } }],
});
const onPort = (hostPort: number): Partial<PodSpec> => ({
  containers: [{ name: 'a', ports: [{ containerPort: 80, hostPort }] }],
});
const elsewhere = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [
        { matchExpressions: [{ key: 'kubernetes.io/arch', operator: 'In', values: ['arm64'] }] },
      ],
    },
  },
};
const full = [pod('x'), pod('y'), pod('z')];

const CASES: readonly (readonly [string, Pod, readonly Pod[], string | undefined])[] = [
  ['nothing is asked', pod('p'), [pod('x')], undefined],
  [
    'the node is full',
    pod('p'),
    full,
    "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
  ],
  [
    'the node is full for its own Pods too: room is made elsewhere',
    pod('p', {}, { [CONFIG_SOURCE]: 'file' }),
    full,
    "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
  ],
  [
    'more processor than there is, in thousandths',
    pod('p', asking({ cpu: '3' })),
    [],
    "OutOfcpu: Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000",
  ],
  [
    'processor that others have taken',
    pod('p', asking({ cpu: '1500m' })),
    [pod('x', asking({ cpu: '600m' }))],
    "OutOfcpu: Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000",
  ],
  [
    'more memory than there is, in bytes',
    pod('p', asking({ memory: '2Gi' })),
    [],
    "OutOfmemory: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824",
  ],
  [
    'more disk than there is',
    pod('p', asking({ 'ephemeral-storage': '1k' })),
    [pod('x', asking({ 'ephemeral-storage': '1' }))],
    "OutOfephemeral-storage: Node didn't have enough resource: ephemeral-storage, requested: 1000, used: 1, capacity: 1000",
  ],
  ['a resource that no node has', pod('p', asking({ 'example.com/gpu': '1' })), [], undefined],
  ['exactly what is left', pod('p', asking({ cpu: '2', memory: '1Gi' })), [], undefined],
  [
    'a label that the node has not',
    pod('p', { nodeSelector: { disk: 'ssd' } }),
    [],
    "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  ],
  [
    'an affinity that the node does not meet',
    pod('p', { affinity: elsewhere }),
    [],
    "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  ],
  [
    'a port that is taken',
    pod('p', onPort(80)),
    [pod('x', onPort(80))],
    "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  ],
  ['another port', pod('p', onPort(80)), [pod('x', onPort(81))], undefined],
  [
    'a selector for another system',
    pod('p', { nodeSelector: { 'kubernetes.io/os': 'windows' } }),
    [],
    "PodOSSelectorNodeLabelDoesNotMatch: Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
  ],
  [
    'a Pod of another system',
    pod('p', { os: { name: 'windows' } }),
    [],
    "PodOSNotSupported: Failed to admit pod as the OS field doesn't match node OS",
  ],
];

for (const [name, subject, present, expected] of CASES) {
  test(`a Pod that was bound here is judged: ${name}`, () => {
    const [refusal] = refusalsOf(subject, present, NODE);
    assert.equal(refusal === undefined ? undefined : `${refusal.reason}: ${refusal.message}`, expected);
  });
}

const TAINTED: AdmittingNode = {
  ...NODE,
  spec: {
    taints: [
      { key: 'maintenance', effect: 'NoExecute' },
      { key: 'gpu', effect: 'NoSchedule' },
    ],
  },
};

for (const [name, subject, expected] of [
  ['none', pod('p'), ["Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"]],
  ['for it', pod('p', { tolerations: [{ key: 'maintenance', operator: 'Exists' }] }), []],
  ['none, and is a Pod of the node’s own', pod('p', {}, { [CONFIG_SOURCE]: 'file' }), []],
] as const) {
  test(`a taint that ends Pods keeps them out as well, one that only keeps the scheduler away does not: toleration ${name}`, () => {
    assert.deepEqual(
      refusalsOf(subject, [], TAINTED).map(({ message }) => message),
      expected,
    );
  });
}

test('all that is against a Pod is told in order, with what is lacking', () => {
  const subject = pod('p', { ...asking({ cpu: '3', memory: '2Gi' }), nodeSelector: { disk: 'ssd' } });
  assert.deepEqual(
    refusalsOf(subject, full, TAINTED).map(({ reason, lacks }) => [reason, lacks?.amount]),
    [
      ['OutOfpods', 1],
      ['OutOfcpu', 1000],
      ['OutOfmemory', 2 ** 30],
      ['NodeAffinity', undefined],
      ['TaintToleration', undefined],
    ],
  );
});
