import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { formatTime } from '../kube/time.ts';
import { endOf, FailureRows, pauseAfter } from './job-backoff.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const at = (second: number): string => formatTime(START + second * 1000);

function pod(metadata: object, status: object = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ...metadata },
    spec: { containers: [] },
    status,
  };
}
const ended = (second: number): Pod =>
  pod({}, { containerStatuses: [{ state: { terminated: { finishedAt: at(second) } } }] });

test('after failures in a row the next Pod waits twice as long each time, up to ten minutes', () => {
  const row = (count: number): number => pauseAfter({ count, last: START }, START);
  assert.deepEqual([0, 1, 2, 3, 7, 50].map(row), [0, 10_000, 20_000, 40_000, 600_000, 600_000]);
  assert.equal(pauseAfter({ count: 1, last: START }, START + 9_000), 1_000);
  assert.equal(pauseAfter({ count: 1, last: START }, START + 60_000), 0);
});

test('failures are counted on until a Pod succeeds; those after that one begin a new row', () => {
  const rows = new FailureRows();
  rows.set('j', rows.after('j', [], [ended(1), ended(2)]));
  assert.deepEqual(rows.after('j', [], []), { count: 2, last: START + 2_000 });
  assert.deepEqual(rows.after('j', [], [ended(5)]), { count: 3, last: START + 5_000 });
  assert.deepEqual(rows.after('j', [ended(4)], [ended(3), ended(5)]), { count: 1, last: START + 5_000 });
  assert.equal(rows.after('j', [ended(9)], []).count, 0);
  assert.equal(rows.after('other', [], []).count, 0);
  rows.forget('j');
  assert.equal(rows.after('j', [], []).count, 0);
});

test('a Pod ended when its containers did, or was no more ready, or was told to go, or never was', () => {
  assert.equal(endOf(ended(7)), START + 7_000);
  const running = { containerStatuses: [{ state: { running: {} } }] };
  const unready = { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: at(4) }] };
  const deleted = { deletionTimestamp: at(30), deletionGracePeriodSeconds: 30, creationTimestamp: at(-5) };
  assert.equal(endOf(pod(deleted, { ...running, ...unready })), START + 4_000);
  assert.equal(endOf(pod(deleted, running)), START);
  assert.equal(endOf(pod({ creationTimestamp: at(-5) })), START - 5_000);
});
