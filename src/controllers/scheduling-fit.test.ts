import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '../kube/pod.ts';
import { preference } from '../kube/scheduling/node-selection.ts';
import { podRequests } from '../kube/scheduling/pod-requests.ts';
import type { Taint } from '../kube/scheduling/taints.ts';
import { fitPod, type Node } from './scheduling-fit.ts';

const node = (name: string, labels: Record<string, string> = {}, taints: Taint[] = [], cpu = '2'): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels },
  spec: { taints },
  status: { allocatable: { cpu, memory: '1Gi', pods: '3' } },
});
const pod = (spec: Partial<PodSpec> = {}, name = 'p'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'a' }], ...spec },
});
const asking = (cpu: string): Pod => pod({ containers: [{ name: 'a', resources: { requests: { cpu } } }] });
const affinity = (...matchExpressions: object[]): Partial<PodSpec> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] },
    },
  },
});
const AMD = { 'kubernetes.io/arch': 'amd64' };
const NOT_MATCHED = "node(s) didn't match Pod's node affinity/selector";

interface Row {
  readonly name: string;
  readonly pod: Pod;
  readonly node: Node;
  readonly present?: Pod[];
  /** Empty: it fits. */
  readonly why: readonly string[];
}

const rows: readonly Row[] = [
  { name: 'nothing is asked', pod: pod(), node: node('n'), why: [] },
  { name: 'nodeSelector matches', pod: pod({ nodeSelector: AMD }), node: node('n', AMD), why: [] },
  { name: 'nodeSelector differs', pod: pod({ nodeSelector: AMD }), node: node('n'), why: [NOT_MATCHED] },
  {
    name: 'affinity In matches one of several architectures',
    pod: pod(affinity({ key: 'kubernetes.io/arch', operator: 'In', values: ['amd64', 'arm64'] })),
    node: node('n', AMD),
    why: [],
  },
  {
    name: 'affinity NotIn holds where the label is absent',
    pod: pod(affinity({ key: 'zone', operator: 'NotIn', values: ['a'] })),
    node: node('n'),
    why: [],
  },
  {
    name: 'affinity Gt compares integers',
    pod: pod(affinity({ key: 'cores', operator: 'Gt', values: ['9'] })),
    node: node('n', { cores: '10' }),
    why: [],
  },
  {
    name: 'affinity Gt of a word never holds',
    pod: pod(affinity({ key: 'cores', operator: 'Gt', values: ['9'] })),
    node: node('n', { cores: 'many' }),
    why: [NOT_MATCHED],
  },
  {
    name: 'a term without requirements matches nothing',
    pod: pod(affinity()),
    node: node('n'),
    why: [NOT_MATCHED],
  },
  {
    name: 'a taint keeps Pods away',
    pod: pod(),
    node: node('n', {}, [{ key: 'gpu', value: 'x', effect: 'NoSchedule' }]),
    why: ['node(s) had untolerated taint(s)'],
  },
  {
    name: 'a toleration by value',
    pod: pod({ tolerations: [{ key: 'gpu', value: 'x', effect: 'NoSchedule' }] }),
    node: node('n', {}, [{ key: 'gpu', value: 'x', effect: 'NoSchedule' }]),
    why: [],
  },
  {
    name: 'a toleration of everything',
    pod: pod({ tolerations: [{ operator: 'Exists' }] }),
    node: node('n', {}, [{ key: 'gpu', effect: 'NoExecute' }]),
    why: [],
  },
  {
    name: 'PreferNoSchedule does not keep away',
    pod: pod(),
    node: node('n', {}, [{ key: 'gpu', effect: 'PreferNoSchedule' }]),
    why: [],
  },
  { name: 'requests that just fit', pod: asking('500m'), node: node('n'), present: [asking('1.5')], why: [] },
  {
    name: 'requests beyond what is left',
    pod: asking('501m'),
    node: node('n'),
    present: [asking('1.5')],
    why: ['Insufficient cpu'],
  },
  {
    name: 'a resource that the node does not have',
    pod: pod({ containers: [{ name: 'a', resources: { limits: { 'example.com/gpu': '1' } } }] }),
    node: node('n'),
    why: ['Insufficient example.com/gpu'],
  },
  {
    name: 'too many Pods',
    pod: pod(),
    node: node('n'),
    present: [pod(), pod(), pod()],
    why: ['Too many pods'],
  },
  {
    name: 'a host port that is taken',
    pod: pod({ containers: [{ name: 'a', ports: [{ containerPort: 1, hostPort: 80 }] }] }),
    node: node('n'),
    present: [pod({ containers: [{ name: 'a', ports: [{ containerPort: 2, hostPort: 80 }] }] })],
    why: ["node(s) didn't have free ports for the requested pod ports"],
  },
  {
    name: 'the same host port at another address',
    pod: pod({
      containers: [{ name: 'a', ports: [{ containerPort: 1, hostPort: 80, hostIP: '10.0.0.1' }] }],
    }),
    node: node('n'),
    present: [
      pod({ containers: [{ name: 'a', ports: [{ containerPort: 2, hostPort: 80, hostIP: '10.0.0.2' }] }] }),
    ],
    why: [],
  },
  {
    name: 'a host port that another has at every address',
    pod: pod({
      containers: [{ name: 'a', ports: [{ containerPort: 1, hostPort: 80, hostIP: '10.0.0.1' }] }],
    }),
    node: node('n'),
    present: [pod({ containers: [{ name: 'a', ports: [{ containerPort: 2, hostPort: 80 }] }] })],
    why: ["node(s) didn't have free ports for the requested pod ports"],
  },
  {
    name: 'a node that none of the terms names',
    pod: pod({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['other'] }] },
            ],
          },
        },
      },
    }),
    node: node('n', {}, [{ key: 'gpu', effect: 'NoSchedule' }]),
    why: ["node(s) didn't satisfy plugin(s) [NodeAffinity]"],
  },
  {
    name: 'a node that was cordoned',
    pod: pod(),
    node: { ...node('n'), spec: { unschedulable: true } },
    why: ['node(s) were unschedulable'],
  },
];

for (const row of rows) {
  test(`fitPod: ${row.name}`, () => {
    const fit = fitPod(row.pod, row.node, row.present ?? []);
    assert.deepEqual(fit.fits ? [] : fit.reasons, row.why);
  });
}

test('init containers count by the largest, sidecars beside everything after them', () => {
  const container = (name: string, cpu: string, rest: object = {}): object => ({
    name,
    resources: { requests: { cpu } },
    ...rest,
  });
  const spec = {
    containers: [container('a', '1'), container('b', '1')],
    initContainers: [
      container('i', '3'),
      container('s', '500m', { restartPolicy: 'Always' }),
      container('j', '1'),
    ],
  } as unknown as PodSpec;
  assert.equal(podRequests(pod(spec)).get('cpu'), 3);
  assert.equal(
    podRequests(pod({ ...spec, initContainers: spec.initContainers?.slice(1) ?? [] })).get('cpu'),
    2.5,
  );
});

test('preferences add up', () => {
  const preferred = [
    { weight: 10, preference: { matchExpressions: [{ key: 'a', operator: 'Exists' }] } },
    { weight: 5, preference: { matchExpressions: [{ key: 'b', operator: 'Exists' }] } },
  ];
  const spec = pod({
    affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } },
  }).spec;
  assert.equal(preference(spec, node('n', { a: '1', b: '1' })), 15);
  assert.equal(preference(spec, node('n', { b: '1' })), 5);
});

test('others leaving does not help a Pod that asks for more than a node has', () => {
  const helpless = (fit: ReturnType<typeof fitPod>): unknown => !fit.fits && fit.helpless;
  assert.equal(helpless(fitPod(asking('3'), node('n'), [])), true);
  assert.equal(helpless(fitPod(asking('1'), node('n'), [asking('1.5')])), false);
});
