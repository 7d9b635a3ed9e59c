import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '../kube/pod.ts';
import type { Node } from './scheduling-fit.ts';
import { neighbourJudges } from './scheduling-neighbours.ts';

const node = (name: string, zone?: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { host: name, ...(zone === undefined ? {} : { zone }) } },
});
const pod = (app: string, spec: Partial<PodSpec> = {}, namespace = 'demo'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: app, namespace, labels: { app } },
  spec: { containers: [{ name: 'a' }], ...spec },
});
const app = (name: string): object => ({ labelSelector: { matchLabels: { app: name } } });
const rule = (kind: string, term: object): Partial<PodSpec> => ({
  affinity: {
    [kind]: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', ...term }] },
  },
});
const spread = (more: object = {}): Partial<PodSpec> => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', ...app('web'), ...more },
  ],
});

const NODES = [node('a1', 'a'), node('a2', 'a'), node('b1', 'b'), node('none')];
const NEAR = "node(s) didn't match pod affinity rules";
const AWAY = "node(s) didn't match pod anti-affinity rules";
const UNWELCOME = "node(s) didn't satisfy existing pods anti-affinity rules";
const SPREAD = "node(s) didn't match pod topology spread constraints";
const NO_ZONE = `${SPREAD} (missing required label)`;

interface Row {
  readonly name: string;
  readonly pod: Pod;
  readonly present: Record<string, Pod[]>;
  /** For `a1 a2 b1 none`: why not, or nothing. */
  readonly why: readonly (string | undefined)[];
}

const rows: readonly Row[] = [
  { name: 'a Pod without wishes goes anywhere', pod: pod('web'), present: {}, why: [] },
  {
    name: 'a Pod goes where the one is that it wants to be near',
    pod: pod('web', rule('podAffinity', app('db'))),
    present: { a1: [pod('db')] },
    why: [undefined, undefined, NEAR, NEAR],
  },
  {
    name: 'Pods of other namespaces are not meant',
    pod: pod('web', rule('podAffinity', app('db'))),
    present: { a1: [pod('db', {}, 'other')] },
    why: [NEAR, NEAR, NEAR, NEAR],
  },
  {
    name: 'unless the term says so, by name or by label',
    pod: pod('web', rule('podAffinity', { ...app('db'), namespaceSelector: { matchLabels: { team: 'x' } } })),
    present: { b1: [pod('db', {}, 'other')] },
    why: [NEAR, NEAR, undefined, NEAR],
  },
  {
    name: 'the first of a group that wants to be together goes where there is a topology',
    pod: pod('web', rule('podAffinity', app('web'))),
    present: {},
    why: [undefined, undefined, undefined, NEAR],
  },
  {
    name: 'a Pod stays away from a whole topology',
    pod: pod('web', rule('podAntiAffinity', app('db'))),
    present: { a1: [pod('db')] },
    why: [AWAY, AWAY],
  },
  {
    name: 'a Pod that is there keeps others away',
    pod: pod('web'),
    present: { b1: [pod('db', rule('podAntiAffinity', app('web')))] },
    why: [undefined, undefined, UNWELCOME],
  },
  {
    name: 'Pods spread: the fuller zone is not taken, and a node without zone never',
    pod: pod('web', spread()),
    present: { a1: [pod('web')] },
    why: [SPREAD, SPREAD, undefined, NO_ZONE],
  },
  {
    name: 'a larger skew is borne',
    pod: pod('web', spread({ maxSkew: 2 })),
    present: { a1: [pod('web')] },
    why: [undefined, undefined, undefined, NO_ZONE],
  },
  {
    name: 'with fewer domains than wanted the emptiest counts as empty',
    pod: pod('web', spread({ minDomains: 3 })),
    present: { a1: [pod('web')], b1: [pod('web')] },
    why: [SPREAD, SPREAD, SPREAD, NO_ZONE],
  },
  {
    name: 'nodes that the Pod cannot take do not count',
    pod: pod('web', { ...spread(), nodeSelector: { host: 'a1' } }),
    present: { a1: [pod('web')] },
    why: [undefined, undefined, undefined, NO_ZONE],
  },
  {
    name: 'only Pods of the same revision count where its label is a key',
    pod: {
      ...pod('web', spread({ matchLabelKeys: ['rev'] })),
      metadata: { name: 'w', namespace: 'demo', labels: { app: 'web', rev: '2' } },
    },
    present: { a1: [pod('web')] },
    why: [undefined, undefined, undefined, NO_ZONE],
  },
  {
    name: 'a wish that may be passed over keeps no Pod away',
    pod: pod('web', spread({ whenUnsatisfiable: 'ScheduleAnyway' })),
    present: { a1: [pod('web')] },
    why: [],
  },
];

for (const row of rows) {
  test(`neighbourJudges: ${row.name}`, () => {
    const judges = neighbourJudges(row.pod, {
      nodes: NODES,
      placed: new Map(Object.entries(row.present)),
      labelsOfNamespace: (name) => (name === 'other' ? { team: 'x' } : {}),
    });
    const why = NODES.map(
      (each) => judges.map((judge) => judge(each)).find((misfit) => misfit !== undefined)?.reasons[0],
    );
    assert.deepEqual(
      why,
      [0, 1, 2, 3].map((index) => row.why[index]),
    );
  });
}
