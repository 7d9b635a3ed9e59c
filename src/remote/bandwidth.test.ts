import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { createBandwidth } from './bandwidth.ts';

const never = new AbortController().signal;
const START = 1_000_000;

/** Lets those who take come to where they wait, then moves time on. */
async function advance(clock: ManualClock, ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(ms);
}

test('bytes taken are due at the rate asked for, whoever takes them', async () => {
  const clock = new ManualClock(START);
  const bandwidth = createBandwidth(10_000, clock);
  const done: [string, number][] = [];
  const take = async (name: string, bytes: number): Promise<void> => {
    await bandwidth.take(bytes, never);
    done.push([name, clock.now() - START]);
  };
  const both = Promise.all([take('a', 10_000), take('b', 5_000)]);
  await advance(clock, 2_000);
  await both;
  // A tenth of a second's worth may come at once.
  assert.deepEqual(done, [
    ['a', 900],
    ['b', 1_400],
  ]);
  await advance(clock, 60_000);
  const after = take('c', 2_000);
  await advance(clock, 1_000);
  await after;
  assert.deepEqual(done.at(-1), ['c', 62_100], 'a long pause saves nothing up');
});

test('a limit inside another keeps to both', async () => {
  const clock = new ManualClock(START);
  const shared = createBandwidth(10_000, clock);
  const own = shared.within(2_000);
  assert.equal(shared.within(undefined), shared);
  let at = 0;
  const slow = own.take(2_000, never).then(() => (at = clock.now() - START));
  await advance(clock, 5_000);
  await slow;
  assert.ok(at >= 900 && at <= 1_100, `${at} ms`);
});

test('who waits can leave, and nobody waits without a limit', async () => {
  const clock = new ManualClock(START);
  const bandwidth = createBandwidth(1_024, clock);
  const leaving = new AbortController();
  const waiting = bandwidth.take(1_000_000, leaving.signal);
  leaving.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  const none = createBandwidth(undefined, clock);
  assert.equal(none.limited, false);
  await none.take(1e12, never);
  assert.equal(none.within(2_048).limited, true);
  assert.throws(() => createBandwidth(1_000, clock), /the least is 1024/);
});

test('a clock that is set back makes nobody wait for the old time', async () => {
  const clock = new ManualClock(START);
  const bandwidth = createBandwidth(10_000, clock);
  const first = bandwidth.take(1_000, never);
  await advance(clock, 100);
  await first;
  clock.set(START - 500_000);
  let done = false;
  const second = bandwidth.take(1_000, never).then(() => (done = true));
  await advance(clock, 300);
  await second;
  assert.ok(done);
});
