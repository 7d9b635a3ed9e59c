import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ManualClock } from '../../base/manual-clock.ts';
import { backOffKey, PullBackOff } from './pull-back-off.ts';
import { pullQueue } from './pull-queue.ts';
import { PullThrottle } from './pull-throttle.ts';

test('F1 5.1 delays are 10, 20, 40, 80, 160, 300, 300 seconds', () => {
  const backOff = new PullBackOff();
  let now = 0;
  const delays: number[] = [];
  for (let i = 0; i < 7; i++) {
    backOff.fail('k', now);
    delays.push(backOff.delayOf('k', now) / 1000);
    now += backOff.delayOf('k', now);
    assert.equal(backOff.isWaiting('k', now - 1), true);
    assert.equal(backOff.isWaiting('k', now), false);
  }
  assert.deepEqual(delays, [10, 20, 40, 80, 160, 300, 300]);
});

test('5.2 the key is the Pod’s uid and the image as written', () => {
  assert.equal(backOffKey('uid-1', 'busybox'), 'uid-1_busybox');
  const backOff = new PullBackOff();
  backOff.fail(backOffKey('uid-1', 'busybox'), 0);
  assert.equal(backOff.isWaiting(backOffKey('uid-2', 'busybox'), 1), false);
  assert.equal(backOff.isWaiting(backOffKey('uid-1', 'busybox:latest'), 1), false);
});

test('5.3 the delay runs from the last failure', () => {
  const backOff = new PullBackOff();
  backOff.fail('k', 1000);
  assert.deepEqual([backOff.isWaiting('k', 10_999), backOff.endsAt('k', 10_999)], [true, 11_000]);
  assert.deepEqual([backOff.isWaiting('k', 11_000), backOff.endsAt('k', 11_000)], [false, undefined]);
});

test('5.4 after 600 s without a failure the count begins anew', () => {
  const backOff = new PullBackOff();
  for (let i = 0; i < 6; i++) backOff.fail('k', 0);
  backOff.fail('k', 600_000);
  assert.equal(backOff.delayOf('k', 600_000), 300_000);
  assert.equal(backOff.delayOf('k', 1_200_001), 0);
  backOff.fail('k', 1_200_001);
  assert.equal(backOff.delayOf('k', 1_200_001), 10_000);
});

test('5.5 only expired entries are swept', () => {
  const backOff = new PullBackOff();
  backOff.fail('old', 0);
  backOff.fail('new', 500_000);
  assert.deepEqual(backOff.sweep(600_001), ['old']);
  assert.equal(backOff.size, 1);
  backOff.fail('new', 600_001);
  assert.equal(backOff.delayOf('new', 600_001), 20_000);
});

test('5.9 the throttle starts full, refills at its rate, holds no more than its burst and never waits', async () => {
  const clock = new ManualClock(1000);
  const throttle = new PullThrottle(5, 2, clock);
  assert.deepEqual(
    [1, 2, 3].map(() => throttle.tryAccept()),
    [true, true, false],
  );
  await clock.advance(199);
  assert.equal(throttle.tryAccept(), false);
  await clock.advance(1);
  assert.equal(throttle.tryAccept(), true);
  await clock.advance(60_000);
  assert.deepEqual(
    [1, 2, 3].map(() => throttle.tryAccept()),
    [true, true, false],
  );
  const unlimited = new PullThrottle(0, 0, clock);
  assert.ok(Array.from({ length: 100 }, () => unlimited.tryAccept()).every(Boolean));
});

test('5.10 5.11 the queue is one wide when serialized, else as wide as configured', async () => {
  const most = async (settings: Parameters<typeof pullQueue>[0]): Promise<number> => {
    const queue = pullQueue(settings);
    let running = 0;
    let seen = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        queue.run(async () => {
          seen = Math.max(seen, ++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
        }),
      ),
    );
    return seen;
  };
  assert.equal(await most({ serializeImagePulls: true, maxParallelImagePulls: 5 }), 1);
  assert.equal(await most({ serializeImagePulls: false, maxParallelImagePulls: 3 }), 3);
  assert.equal(await most({ serializeImagePulls: false, maxParallelImagePulls: undefined }), 20);
});
