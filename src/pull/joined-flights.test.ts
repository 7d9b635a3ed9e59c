import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JoinedFlights } from './joined-flights.ts';

const never = new AbortController().signal;

/** Work that ends when told to, or when its signal aborts. */
function work(): {
  run: (signal: AbortSignal) => Promise<string>;
  finish: () => void;
  stopped: () => boolean;
  runs: () => number;
} {
  const { promise, resolve } = Promise.withResolvers<string>();
  let stopped = false;
  let runs = 0;
  return {
    run: async (signal) => {
      runs++;
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => {
        stopped = true;
        reject(signal.reason);
      });
      return Promise.race([promise, aborted]);
    },
    finish: () => resolve('done'),
    stopped: () => stopped,
    runs: () => runs,
  };
}

test('callers of one key share one run', async () => {
  const flights = new JoinedFlights<string, string>();
  const { run, finish, runs } = work();
  const all = [1, 2, 3].map(() => flights.join('a', run, never));
  finish();
  assert.deepEqual(await Promise.all(all), ['done', 'done', 'done']);
  assert.equal(runs(), 1);
  assert.equal(flights.has('a'), false);
});

test('a caller who leaves is told at once, and the work goes on for the others', async () => {
  const flights = new JoinedFlights<string, string>();
  const { run, finish, stopped } = work();
  const leaving = new AbortController();
  const left = flights.join('a', run, leaving.signal);
  const stayed = flights.join('a', run, never);
  leaving.abort(new Error('left'));
  await assert.rejects(left, /left/);
  assert.equal(stopped(), false);
  finish();
  assert.equal(await stayed, 'done');
});

test('when the last caller leaves, the work stops before that caller is told', async () => {
  const flights = new JoinedFlights<string, string>();
  const { run, stopped } = work();
  const leaving = new AbortController();
  const left = flights.join('a', run, leaving.signal);
  leaving.abort(new Error('left'));
  await assert.rejects(left, /left/);
  assert.equal(stopped(), true);
  assert.equal(flights.has('a'), false);
});

test('a failure reaches everybody and is not remembered', async () => {
  const flights = new JoinedFlights<string, string>();
  const fail = async (): Promise<string> => {
    throw new Error('broken');
  };
  const all = await Promise.allSettled([flights.join('a', fail, never), flights.join('a', fail, never)]);
  assert.deepEqual(
    all.map((each) => each.status),
    ['rejected', 'rejected'],
  );
  assert.equal(await flights.join('a', async () => 'fine', never), 'fine');
});

test('who comes while the only caller leaves keeps the work alive', async () => {
  const flights = new JoinedFlights<string, string>();
  const { run, finish, stopped, runs } = work();
  const leaving = new AbortController();
  const left = flights.join('a', run, leaving.signal);
  leaving.abort(new Error('left'));
  const stayed = flights.join('a', run, never);
  await assert.rejects(left, /left/);
  finish();
  assert.equal(await stayed, 'done');
  assert.deepEqual([stopped(), runs()], [false, 1]);
});

test('who comes after the last one left starts anew', async () => {
  const flights = new JoinedFlights<string, string>();
  const { run, finish, runs } = work();
  const leaving = new AbortController();
  const left = flights.join('a', run, leaving.signal);
  leaving.abort(new Error('left'));
  await assert.rejects(left, /left/);
  finish();
  assert.equal(await flights.join('a', run, never), 'done');
  assert.equal(runs(), 2);
});
