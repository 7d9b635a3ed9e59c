import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { RuntimeError } from '../../runtime/runtime-error.ts';
import { runtimeOf } from '../_container-fixture.ts';
import { runtimeWatch } from './runtime-watch.ts';

test('a runtime that has said nothing for more than thirty seconds is down, until it says something', async () => {
  const clock = new ManualClock(0);
  let there = true;
  const version = { runtimeName: 'r', runtimeVersion: '1' };
  const down = runtimeWatch(
    runtimeOf({
      version: () =>
        there ? Promise.resolve(version) : Promise.reject(new RuntimeError('UNAVAILABLE', 'gone')),
    }),
    clock,
  );
  const look = (): Promise<string | undefined> => down(new AbortController().signal);
  assert.equal(await look(), undefined);
  there = false;
  await clock.advance(30_000);
  assert.equal(await look(), undefined);
  await clock.advance(1);
  assert.equal(await look(), 'container runtime is down');
  there = true;
  assert.equal(await look(), undefined);
});
