import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';
import { Limiter } from './limiter.ts';
import { LruMap } from './lru-map.ts';
import { ManualClock } from './manual-clock.ts';
import { SingleFlight } from './single-flight.ts';

test('a manual clock wakes sleepers in order and only when their time has come', async () => {
  const clock = new ManualClock(1000);
  const woken: string[] = [];
  const signal = new AbortController().signal;
  void clock.sleep(20, signal).then(() => woken.push(`late at ${clock.now()}`));
  void clock.sleep(10, signal).then(() => woken.push(`early at ${clock.now()}`));
  await clock.advance(9);
  assert.deepEqual(woken, []);
  await clock.advance(11);
  assert.deepEqual(woken, ['early at 1010', 'late at 1020']);
});

test('an aborted sleep ends with the reason, on either clock', async () => {
  const controller = new AbortController();
  const reason = new Error('stop');
  const sleeps = [
    systemClock.sleep(60_000, controller.signal),
    new ManualClock().sleep(60_000, controller.signal),
  ];
  controller.abort(reason);
  for (const sleep of sleeps) await assert.rejects(sleep, reason);
  await assert.rejects(systemClock.sleep(60_000, controller.signal), reason);
  await assert.rejects(new ManualClock().sleep(1, controller.signal), reason);
});

test('a limiter lets no more in than its limit and serves in order', async () => {
  const limiter = new Limiter(2);
  const gates: (() => void)[] = [];
  const order: number[] = [];
  const runs = [0, 1, 2, 3].map((id) =>
    limiter.run(async () => {
      order.push(id);
      await new Promise<void>((resolve) => gates.push(resolve));
    }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([order, limiter.active, limiter.waiting], [[0, 1], 2, 2]);
  gates.shift()?.();
  await runs[0];
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, [0, 1, 2]);
  for (const _ of [1, 2, 3]) {
    gates.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(runs);
  assert.equal(limiter.active, 0);
});

test('a limiter gives the place back after a failure and forgets an aborted waiter', async () => {
  const limiter = new Limiter(1);
  await assert.rejects(
    limiter.run(() => Promise.reject(new Error('no'))),
    /no/,
  );
  let release = (): void => {};
  const first = limiter.run(() => new Promise<void>((resolve) => (release = resolve)));
  const controller = new AbortController();
  const second = limiter.run(async () => 'ran', controller.signal);
  controller.abort(new Error('gone'));
  await assert.rejects(second, /gone/);
  assert.equal(limiter.waiting, 0);
  release();
  await first;
  assert.equal(await limiter.run(async () => 'third'), 'third');
});

test('a limiter without places is refused', () => {
  assert.throws(() => new Limiter(0), RangeError);
});

test('the least recently used entry goes first, and reading counts as use', () => {
  const cache = new LruMap<string, number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  assert.equal(cache.get('a'), 1);
  assert.equal(cache.set('c', 3), 'b');
  assert.deepEqual([...cache.keys()], ['a', 'c']);
  assert.equal(cache.get('b'), undefined);
  cache.set('u', undefined as unknown as number);
  assert.equal(cache.has('u'), true);
});

test('calls with one key share one flight and its failure, and the next call starts anew', async () => {
  const flights = new SingleFlight<string, number>();
  let runs = 0;
  const run = async (): Promise<number> => {
    runs++;
    await Promise.resolve();
    if (runs === 1) throw new Error('first fails');
    return runs;
  };
  const both = [flights.do('k', run), flights.do('k', run)];
  for (const one of both) await assert.rejects(one, /first fails/);
  assert.equal(flights.has('k'), false);
  assert.equal(await flights.do('k', run), 2);
});
