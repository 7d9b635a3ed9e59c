import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { ProgressWatch } from './progress-watch.ts';

function watched(timeoutMs: number): { clock: ManualClock; watch: ProgressWatch; end: () => Promise<void> } {
  const clock = new ManualClock(1_000);
  const watch = new ProgressWatch(clock, timeoutMs);
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  return {
    clock,
    watch,
    end: async () => {
      stop.abort();
      await running;
    },
  };
}

test('F1 17.1 an open request without a new byte for the whole limit ends the pull', async () => {
  const { clock, watch, end } = watched(300_000);
  void watch.during(() => new Promise(() => {}));
  await clock.advance(290_000);
  assert.equal(watch.signal.aborted, false);
  await clock.advance(20_000);
  assert.equal(watch.signal.aborted, true);
  await end();
});

test('17.1 a byte now and then is enough', async () => {
  const { clock, watch, end } = watched(300_000);
  void watch.during(() => new Promise(() => {}));
  for (let minute = 0; minute < 20; minute++) {
    await clock.advance(240_000);
    watch.progress();
  }
  assert.equal(watch.signal.aborted, false);
  await end();
});

test('17.1 time without an open request does not count', async () => {
  const { clock, watch, end } = watched(300_000);
  await clock.advance(3_600_000);
  void watch.during(() => new Promise(() => {}));
  await clock.advance(200_000);
  assert.equal(watch.signal.aborted, false);
  await end();
});

test('17.1 a limit of zero turns the watch off', async () => {
  const { clock, watch, end } = watched(0);
  void watch.during(() => new Promise(() => {}));
  await clock.advance(86_400_000);
  assert.equal(watch.signal.aborted, false);
  await end();
});

test('17.1 a short limit is looked at every half of it', async () => {
  const { clock, watch, end } = watched(4_000);
  void watch.during(() => new Promise(() => {}));
  await clock.advance(4_000);
  assert.equal(watch.signal.aborted, true);
  await end();
});
