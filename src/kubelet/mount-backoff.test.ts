import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { MountBackoff } from './mount-backoff.ts';

test('volumes that cannot be set up are tried again after half a second, doubling to two minutes and two seconds', () => {
  const backoff = new MountBackoff(new ManualClock(0));
  const pauses = Array.from({ length: 10 }, () => backoff.fail('u'));
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 122_000, 122_000]);
  assert.equal(backoff.fail('other'), 500);
  backoff.forget('u');
  assert.equal(backoff.fail('u'), 500);
});
