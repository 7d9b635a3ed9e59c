import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../kube/pod.ts';
import type { FilesystemLayout } from '../images/eviction-state.ts';
import type { EvictionSignal } from '../images/eviction-thresholds.ts';
import { containersMessage, rankForEviction, type EvictionUsage } from './eviction-rank.ts';

const NOTHING: EvictionUsage = {
  memory: 0,
  processes: 0,
  writable: 0,
  logs: 0,
  volumes: 0,
  containers: new Map(),
};

function pod(name: string, requests: Record<string, string> = {}, priority = 0): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { priority, containers: [{ name: 'a', resources: { requests } }] },
  };
}

type Entry = readonly [Pod, Partial<EvictionUsage> | undefined];
const MIB = 1024 * 1024;

const CASES: readonly (readonly [string, EvictionSignal, FilesystemLayout, readonly Entry[], string])[] = [
  [
    'who takes more memory than asked for goes before who does not, however much that is',
    'memory.available',
    'single',
    [
      [pod('big', { memory: '1Gi' }), { memory: 900 * MIB }],
      [pod('over', { memory: '10Mi' }), { memory: 11 * MIB }],
    ],
    'over big',
  ],
  [
    'the less important go first',
    'memory.available',
    'single',
    [
      [pod('important', {}, 100), { memory: 900 * MIB }],
      [pod('plain'), { memory: 1 * MIB }],
    ],
    'plain important',
  ],
  [
    'of equals the one that takes most beyond what it asked for',
    'memory.available',
    'single',
    [
      [pod('asked', { memory: '100Mi' }), { memory: 150 * MIB }],
      [pod('unasked'), { memory: 60 * MIB }],
    ],
    'unasked asked',
  ],
  [
    'one of which nothing is known goes before all',
    'memory.available',
    'single',
    [
      [pod('known'), { memory: 60 * MIB }],
      [pod('unknown', {}, 100), undefined],
    ],
    'unknown known',
  ],
  [
    'on one file system everything counts',
    'nodefs.available',
    'single',
    [
      [pod('logs'), { logs: 5 }],
      [pod('all'), { writable: 2, logs: 2, volumes: 2 }],
    ],
    'all logs',
  ],
  [
    'beside a disk of images and containers only logs and volumes count for the node',
    'nodefs.available',
    'dedicated',
    [
      [pod('writes'), { writable: 100, logs: 1 }],
      [pod('logs'), { logs: 5 }],
    ],
    'logs writes',
  ],
  [
    'and on that disk only what is written into root file systems',
    'imagefs.available',
    'dedicated',
    [
      [pod('logs'), { logs: 500 }],
      [pod('writes'), { writable: 1 }],
    ],
    'writes logs',
  ],
  [
    'where images alone are elsewhere, the node’s disk holds the rest',
    'nodefs.available',
    'split',
    [
      [pod('logs'), { logs: 3 }],
      [pod('writes'), { writable: 100 }],
    ],
    'writes logs',
  ],
  [
    'processes are counted, and nobody asks for them',
    'pid.available',
    'single',
    [
      [pod('few'), { processes: 2 }],
      [pod('many'), { processes: 20 }],
    ],
    'many few',
  ],
];

for (const [name, signal, layout, entries, expected] of CASES) {
  test(`11.30 who is evicted first: ${name}`, () => {
    const usage = new Map(entries.map(([each, taken]) => [each, taken && { ...NOTHING, ...taken }]));
    const ranked = rankForEviction(
      entries.map(([each]) => each),
      (each) => usage.get(each),
      signal,
      layout,
    );
    assert.equal(ranked.map(({ metadata }) => metadata.name).join(' '), expected);
  });
}

test('11.30 the message names each container that took more than it asked for', () => {
  const subject: Pod = {
    ...pod('p'),
    spec: {
      containers: [
        { name: 'a', resources: { requests: { memory: '10Mi' } } },
        { name: 'b', resources: { requests: { memory: '10Mi' } } },
        { name: 'c' },
      ],
    },
  };
  const usage: EvictionUsage = {
    ...NOTHING,
    containers: new Map([
      ['a', { memory: 20 * MIB, disk: 4096 }],
      ['b', { memory: 5 * MIB, disk: 0 }],
      ['c', { memory: 1500, disk: 512 }],
      ['debugger', { memory: 99 * MIB, disk: 0 }],
    ]),
  };
  assert.equal(
    containersMessage(subject, usage, 'memory.available'),
    'Container a was using 20Mi, request is 10Mi, has larger consumption of memory. ' +
      'Container c was using 1500, request is 0, has larger consumption of memory. ',
  );
  assert.equal(
    containersMessage(subject, usage, 'nodefs.available'),
    'Container a was using 4Ki, request is 0, has larger consumption of ephemeral-storage. ' +
      'Container c was using 512, request is 0, has larger consumption of ephemeral-storage. ',
  );
  assert.equal(containersMessage(subject, usage, 'nodefs.inodesFree'), '');
  assert.equal(containersMessage(subject, undefined, 'memory.available'), '');
});
