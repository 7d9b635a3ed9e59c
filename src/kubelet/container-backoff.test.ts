import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { ContainerBackoff } from './container-backoff.ts';

test('a container starts again at once, then after 10 s, doubling to 5 min', async () => {
  const clock = new ManualClock(1_000_000);
  const backoff = new ContainerBackoff(clock);
  const pauses: number[] = [];
  assert.equal(backoff.enter('k', clock.now()), undefined);
  for (let round = 0; round < 7; round++) {
    const endedAt = clock.now();
    const pause = backoff.enter('k', endedAt);
    assert.ok(pause !== undefined);
    pauses.push(pause.pauseMs / 1000);
    assert.equal(pause.until, endedAt + pause.pauseMs);
    await clock.advance(pause.pauseMs - 1);
    assert.ok(backoff.enter('k', endedAt) !== undefined);
    await clock.advance(1);
    assert.equal(backoff.enter('k', endedAt), undefined);
  }
  assert.deepEqual(pauses, [10, 20, 40, 80, 160, 300, 300]);
});

test('a container that ran for more than ten minutes begins anew', async () => {
  const clock = new ManualClock(1_000_000);
  const backoff = new ContainerBackoff(clock);
  backoff.enter('k', clock.now());
  await clock.advance(600_001);
  assert.equal(backoff.enter('k', clock.now()), undefined);
  assert.equal(backoff.enter('k', clock.now())?.pauseMs, 10_000);
});
