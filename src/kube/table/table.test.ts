import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readRecorded } from '../fixtures/recorded.ts';
import type { KubeObject } from '../object.ts';
import { summarizePod } from './pod-status.ts';
import { toPartialMetadataList, toTable } from './table.ts';

interface Case {
  kind: string;
  columns: { name: string }[];
  samples: { object: KubeObject; cells: unknown[]; conditions?: unknown }[];
}

/** Ages were measured by another clock. */
const TIMED = /^(Age|Last Seen|First Seen|Restarts|Last Schedule)$/;

for (const { kind, columns, samples } of readRecorded<Case>('tables')) {
  test(`recorded: a table of ${kind}s has the same columns`, () => {
    const { columnDefinitions } = toTable({ kind }, [], { now: 0 });
    assert.deepEqual(
      columnDefinitions?.map((column) => {
        const { description, ...rest } = column as { description: string };
        assert.notEqual(description, '');
        return rest;
      }),
      columns,
    );
  });
  for (const { object, cells, conditions } of samples) {
    test(`recorded: ${kind} ${object.metadata.name} has the same cells`, () => {
      const [row] = toTable({ kind }, [object], { now: Date.now() }).rows;
      const timeless = (list: readonly unknown[]): unknown[] =>
        list.filter((_cell, index) => !TIMED.test(columns[index]?.name ?? ''));
      assert.deepEqual(timeless(row?.cells ?? []), timeless(cells));
      assert.deepEqual(row?.conditions, conditions);
    });
  }
}

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { containers: [{ name: 'a' }] },
  status: {},
} as KubeObject;
const now = Date.UTC(2026, 0, 1, 1, 30);

test('rows carry metadata, the whole object or nothing', () => {
  const objectOf = (includeObject: 'None' | 'Metadata' | 'Object'): unknown =>
    toTable({ kind: 'Pod' }, [pod], { now, includeObject }).rows[0]?.object;
  assert.equal(objectOf('None'), null);
  assert.deepEqual(objectOf('Metadata'), {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: pod.metadata,
  });
  assert.equal(objectOf('Object'), pod);
});

test('later events of a watch have no columns', () => {
  assert.equal(toTable({ kind: 'Pod' }, [pod], { now, noHeaders: true }).columnDefinitions, null);
});

test('ages count from the given time', () => {
  assert.equal(toTable({ kind: 'Pod' }, [pod], { now }).rows[0]?.cells[4], '90m');
});

test('a kind without columns of its own shows its creation time', () => {
  const table = toTable({ kind: 'Widget' }, [pod], { now });
  assert.deepEqual(table.rows[0]?.cells, ['p', '2026-01-01T00:00:00Z']);
});

test("a list of metadata keeps the list's own metadata", () => {
  assert.partialDeepStrictEqual(toPartialMetadataList([pod], { resourceVersion: '7' }), {
    kind: 'PartialObjectMetadataList',
    metadata: { resourceVersion: '7' },
    items: [{ kind: 'PartialObjectMetadata' }],
  });
});

const printed: [string, KubeObject, string][] = [
  [
    'a scale',
    { apiVersion: 'autoscaling/v1', kind: 'Scale', spec: { replicas: 3 }, status: { replicas: 2 } },
    'x 3 2 90m',
  ],
  [
    'an Ingress',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      spec: {
        ingressClassName: 'nginx',
        rules: [{ host: 'a.b' }, { host: 'c.d' }, {}],
        tls: [{ hosts: ['a.b'] }],
      },
      status: { loadBalancer: { ingress: [{ ip: '10.0.0.1' }, { hostname: 'lb' }] } },
    },
    'x nginx a.b,c.d 10.0.0.1,lb 80, 443 90m',
  ],
  [
    'an Ingress for every host',
    { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', spec: { defaultBackend: {} } },
    'x <none> *  80 90m',
  ],
  [
    'an Ingress of many hosts',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      spec: { rules: ['a', 'b', 'c', 'd', 'e'].map((host) => ({ host })) },
    },
    'x <none> a,b,c + 2 more...  80 90m',
  ],
  [
    'an IngressClass with parameters',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IngressClass',
      spec: { controller: 'a.b/c', parameters: { apiGroup: 'g.io', kind: 'Config', name: 'n' } },
    },
    'x a.b/c Config.g.io/n 90m',
  ],
  [
    'an IngressClass without',
    { apiVersion: 'networking.k8s.io/v1', kind: 'IngressClass', spec: { controller: 'a.b/c' } },
    'x a.b/c <none> 90m',
  ],
  [
    'a NetworkPolicy',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      spec: { podSelector: { matchLabels: { app: 'web' } } },
    },
    'x app=web 90m',
  ],
  [
    'a NetworkPolicy for all Pods',
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', spec: { podSelector: {} } },
    'x <none> 90m',
  ],
].map(([name, object, line]) => [
  name as string,
  { metadata: { name: 'x', creationTimestamp: '2026-01-01T00:00:00Z' }, ...(object as object) } as KubeObject,
  line as string,
]);
for (const [name, object, line] of printed) {
  test(`${name} is printed as ${line}`, () => {
    assert.equal(toTable({ kind: object.kind }, [object], { now }).rows[0]?.cells.join(' '), line);
  });
}

const running = { state: { running: {} }, ready: true };
const waiting = (reason: string): object => ({ state: { waiting: { reason } }, ready: false });
const ended = (more: object): object => ({ state: { terminated: { exitCode: 1, ...more } }, ready: false });
const summaries: [string, object, object, string][] = [
  [
    'one of two back-offs',
    { containerStatuses: [waiting('ImagePullBackOff'), running] },
    {},
    '1/2 ImagePullBackOff',
  ],
  ['an exit without reason', { containerStatuses: [ended({ exitCode: 3 })] }, {}, '0/1 ExitCode:3'],
  ['a signal', { containerStatuses: [ended({ signal: 9 })] }, {}, '0/1 Signal:9'],
  ['an error', { containerStatuses: [ended({ reason: 'Error' })] }, {}, '0/1 Error'],
  [
    'a Pod that goes',
    { phase: 'Running', containerStatuses: [running] },
    { deletionTimestamp: 't' },
    '1/1 Terminating',
  ],
  [
    'a Pod that goes and has ended',
    { phase: 'Succeeded', containerStatuses: [ended({ exitCode: 0, reason: 'Completed' })] },
    { deletionTimestamp: 't' },
    '0/1 Completed',
  ],
  [
    'a Pod that goes and was killed',
    { phase: 'Failed', containerStatuses: [ended({ exitCode: 137, reason: 'Error' })] },
    { deletionTimestamp: 't' },
    '0/1 Error',
  ],
  [
    'a Pod that goes on a lost node',
    { phase: 'Running', reason: 'NodeLost', containerStatuses: [running] },
    { deletionTimestamp: 't' },
    '1/1 Unknown',
  ],
  ['an evicted Pod', { phase: 'Failed', reason: 'Evicted' }, {}, '0/1 Evicted'],
  [
    'finished beside running',
    {
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [ended({ exitCode: 0, reason: 'Completed' }), running],
    },
    {},
    '1/2 NotReady',
  ],
  [
    'a gate',
    { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
    {},
    '0/1 SchedulingGated',
  ],
];
for (const [name, status, metadata, expected] of summaries) {
  test(`${name} reads ${expected}`, () => {
    const statuses = (status as { containerStatuses?: unknown[] }).containerStatuses ?? [{}];
    const summary = summarizePod({ metadata, spec: { containers: statuses }, status }, now);
    assert.equal(`${summary.ready} ${summary.status}`, expected);
  });
}

test('init containers come first, sidecars count', () => {
  const spec = {
    containers: [{ name: 'a' }],
    initContainers: [{ name: 'i' }, { name: 's', restartPolicy: 'Always' }, { name: 'j' }],
  };
  const done = { state: { terminated: { exitCode: 0 } } };
  const sidecar = { name: 's', started: true, ready: true, state: { running: {} } };
  const at = (last: object): string => {
    const status = { initContainerStatuses: [{ name: 'i', ...done }, sidecar, { name: 'j', ...last }] };
    const summary = summarizePod({ metadata: {}, spec, status }, now);
    return `${summary.ready} ${summary.status}`;
  };
  assert.equal(at({ state: { running: {} } }), '1/2 Init:2/3');
  assert.equal(at({ state: { waiting: { reason: 'ErrImagePull' } } }), '1/2 Init:ErrImagePull');
  assert.equal(at({ state: { terminated: { exitCode: 2 } } }), '1/2 Init:ExitCode:2');
});

test('restarts tell when the last one was', () => {
  const status = {
    containerStatuses: [
      { ...running, restartCount: 3, lastState: { terminated: { finishedAt: '2026-01-01T01:25:00Z' } } },
    ],
  };
  assert.equal(
    summarizePod({ metadata: {}, spec: { containers: [{}] }, status }, now).restarts,
    '3 (5m ago)',
  );
});
