import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { WorkQueue } from './work-queue.ts';

test('keys of a higher rank come first, each once, in the order of their coming', async () => {
  const done: string[] = [];
  const clock = new ManualClock();
  const rank = (key: string): number => (key.startsWith('vip') ? 1 : 0);
  const stop = new AbortController();
  const queue = new WorkQueue(
    (key) => {
      done.push(key);
      return Promise.resolve();
    },
    { clock, rank, onError: (key) => assert.fail(key) },
    stop.signal,
  );
  for (const key of ['a', 'b', 'vip-1', 'a', 'vip-2']) queue.add(key);
  await clock.advance(1);
  assert.deepEqual(done, ['vip-1', 'vip-2', 'a', 'b']);
});

test('a key that failed comes back after a pause that doubles', async () => {
  const clock = new ManualClock();
  const tries: number[] = [];
  const stop = new AbortController();
  const queue = new WorkQueue(
    () => {
      tries.push(clock.now());
      return tries.length < 4 ? Promise.reject(new Error('no')) : Promise.resolve();
    },
    { clock, onError: () => undefined },
    stop.signal,
  );
  queue.add('a');
  for (let step = 0; step < 20; step++) await clock.advance(50);
  assert.deepEqual(
    tries.slice(1).map((time, index) => time - (tries[index] ?? 0)),
    [50, 100, 200],
  );
});
