import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemoteError } from './remote-error.ts';
import { retryDelay, type Setback } from './retry-policy.ts';

const status = (code: number, retryAfterMs?: number): Setback => ({
  kind: 'status',
  status: code,
  retryAfterMs,
});
const cut: Setback = { kind: 'transport', error: new RemoteError('UNREACHABLE', 'EOF', { retryable: true }) };
const refused: Setback = { kind: 'transport', error: new RemoteError('UNREACHABLE', 'connection refused') };

const ROWS: readonly {
  name: string;
  setback: Setback;
  attempt: number;
  last: boolean;
  wait: number | undefined;
}[] = [
  { name: '429 waits half a second', setback: status(429), attempt: 1, last: true, wait: 500 },
  { name: '429 waits twice as long the next time', setback: status(429), attempt: 2, last: true, wait: 1000 },
  { name: '429 waits as long as it says', setback: status(429, 7_000), attempt: 1, last: true, wait: 7_500 },
  {
    name: '429 that asks for an hour is given up',
    setback: status(429, 3_600_000),
    attempt: 1,
    last: true,
    wait: undefined,
  },
  { name: '408 is tried again', setback: status(408), attempt: 4, last: true, wait: 4000 },
  { name: 'the fifth attempt is the last', setback: status(429), attempt: 5, last: true, wait: undefined },
  { name: '503 is tried again', setback: status(503), attempt: 1, last: true, wait: 500 },
  {
    name: '503 is given up after the third attempt',
    setback: status(503),
    attempt: 3,
    last: true,
    wait: undefined,
  },
  {
    name: '503 while another host can be asked',
    setback: status(503),
    attempt: 1,
    last: false,
    wait: undefined,
  },
  {
    name: '429 while another host can be asked',
    setback: status(429),
    attempt: 1,
    last: false,
    wait: undefined,
  },
  { name: '501 is final', setback: status(501), attempt: 1, last: true, wait: undefined },
  { name: '404 is final', setback: status(404), attempt: 1, last: true, wait: undefined },
  { name: 'a cut connection is tried again soon', setback: cut, attempt: 1, last: true, wait: 50 },
  {
    name: 'a cut connection while another host can be asked',
    setback: cut,
    attempt: 1,
    last: false,
    wait: undefined,
  },
  { name: 'a refused connection is final', setback: refused, attempt: 1, last: true, wait: undefined },
];
for (const { name, setback, attempt, last, wait } of ROWS) {
  test(`17.4 ${name}`, () => {
    assert.equal(retryDelay(setback, attempt, last, 1), wait);
  });
}

test('17.4 chance takes away up to half of the wait', () => {
  assert.equal(retryDelay(status(429), 1, true, 0), 250);
});
