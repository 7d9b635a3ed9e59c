import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '../kube/pod.ts';
import type { Taint } from '../kube/scheduling/taints.ts';
import { chooseNode } from './scheduling-choice.ts';
import type { Node } from './scheduling-fit.ts';

const ZONE = 'zone';
const node = (name: string, zone: string | undefined, taints: Taint[] = []): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { host: name, ...(zone === undefined ? {} : { [ZONE]: zone }) } },
  spec: { taints },
});
const pod = (app: string, spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: app, namespace: 'demo', labels: { app } },
  spec: { containers: [], ...spec },
});
const term = (app: string, topologyKey = ZONE): object => ({
  topologyKey,
  labelSelector: { matchLabels: { app } },
});
const wish = (kind: 'podAffinity' | 'podAntiAffinity', app: string): Partial<PodSpec> => ({
  affinity: {
    [kind]: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, podAffinityTerm: term(app) }],
    },
  },
});
const spread = {
  topologySpreadConstraints: [{ ...term('web'), maxSkew: 1, whenUnsatisfiable: 'ScheduleAnyway' }],
};
const RELUCTANT = { key: 'old', effect: 'PreferNoSchedule' };

const CHOICES: readonly (readonly [
  name: string,
  wanting: Pod,
  nodes: readonly Node[],
  present: Record<string, Pod[]>,
  chosen: string,
])[] = [
  ['a node that is welcome', pod('a'), [node('n1', 'x', [RELUCTANT]), node('n2', 'x')], {}, 'n2'],
  [
    'any node when it bears the taint',
    pod('a', { tolerations: [{ key: 'old', operator: 'Exists' }] }),
    [node('n1', 'x', [RELUCTANT]), node('n2', 'x')],
    {},
    'n1',
  ],
  [
    'the zone of those it wishes for',
    pod('a', wish('podAffinity', 'db')),
    [node('n1', 'x'), node('n2', 'y'), node('n3', 'y')],
    { n2: [pod('db')] },
    'n3',
  ],
  [
    'another zone than that of those it avoids',
    pod('a', wish('podAntiAffinity', 'db')),
    [node('n1', 'x'), node('n2', 'x'), node('n3', 'y')],
    { n1: [pod('db')], n3: [pod('c'), pod('c')] },
    'n3',
  ],
  [
    'the zone of one that wishes for it',
    pod('a'),
    [node('n1', 'x'), node('n2', 'y')],
    { n2: [pod('b', wish('podAffinity', 'a'))] },
    'n2',
  ],
  [
    'the emptier zone, though its node is fuller',
    pod('web', spread),
    [node('n1', 'x'), node('n2', 'x'), node('n3', 'y')],
    { n1: [pod('web')], n3: [pod('c'), pod('c')] },
    'n3',
  ],
  [
    'a node of a zone before one of none',
    pod('web', spread),
    [node('n1', undefined), node('n2', 'x')],
    { n2: [pod('c')] },
    'n2',
  ],
  [
    'the emptier node where it wishes for nothing',
    pod('a'),
    [node('n1', 'x'), node('n2', 'x')],
    { n1: [pod('b')] },
    'n2',
  ],
];
for (const [name, wanting, nodes, present, chosen] of CHOICES) {
  test(`a Pod goes to ${name}`, () => {
    const around = { nodes, placed: new Map(Object.entries(present)), labelsOfNamespace: () => ({}) };
    assert.equal(chooseNode(wanting, nodes, around)?.metadata.name, chosen);
  });
}

test('a Pod goes where it was promised, whatever it wishes', () => {
  const nodes = [node('n1', 'x', [RELUCTANT]), node('n2', 'x')];
  const around = { nodes, placed: new Map(), labelsOfNamespace: () => ({}) };
  const promised: Pod = { ...pod('a'), status: { nominatedNodeName: 'n1' } };
  assert.equal(chooseNode(promised, nodes, around)?.metadata.name, 'n1');
});
