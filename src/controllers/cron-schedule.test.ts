import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CronError, parseCron } from './cron-schedule.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1000);
const at = (text: string): number => Date.parse(text);
const next = (schedule: string, from: string, zone?: string): string | undefined => {
  const time = parseCron(schedule, zone).next(at(from));
  return time === undefined ? undefined : new Date(time).toISOString();
};

const rows: readonly (readonly [
  name: string,
  schedule: string,
  from: string,
  expected: string,
  zone?: string,
])[] = [
  ['every minute', '* * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00.000Z'],
  ['a time today', '30 4 * * *', '2026-01-01T00:00:00Z', '2026-01-01T04:30:00.000Z'],
  ['a time that is over today', '30 4 * * *', '2026-01-01T04:30:00Z', '2026-01-02T04:30:00.000Z'],
  ['steps', '*/15 * * * *', '2026-01-01T00:16:00Z', '2026-01-01T00:30:00.000Z'],
  ['a list and a range', '0 1-2,5 * * *', '2026-01-01T02:00:00Z', '2026-01-01T05:00:00.000Z'],
  ['names', '0 0 * feb mon', '2026-01-01T00:00:00Z', '2026-02-02T00:00:00.000Z'],
  ['Sunday as 7', '0 0 * * 7', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00.000Z'],
  ['either day when both are given', '0 0 13 * fri', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00.000Z'],
  ['a leap day', '0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
  ['a macro', '@monthly', '2026-01-15T00:00:00Z', '2026-02-01T00:00:00.000Z'],
  ['a time zone', '0 9 * * *', '2026-01-01T00:00:00Z', '2026-01-01T08:00:00.000Z', 'Europe/Berlin'],
  ['a time zone in summer', '0 9 * * *', '2026-07-01T00:00:00Z', '2026-07-01T07:00:00.000Z', 'Europe/Berlin'],
];

for (const [name, schedule, from, expected, zone] of rows) {
  test(`cron: ${name}`, () => assert.equal(next(schedule, from, zone), expected));
}

test('@every counts from the time given', () => {
  assert.equal(next('@every 1h', '2026-01-01T00:00:10Z'), '2026-01-01T01:00:10.000Z');
});

test('a day that never comes is not waited for', () => {
  assert.equal(next('0 0 31 2 *', '2026-01-01T00:00:00Z'), undefined);
});

for (const bad of [
  '',
  '* * * *',
  '60 * * * *',
  '* 24 * * *',
  '*/0 * * * *',
  '5-1 * * * *',
  'x * * * *',
  '* * 0 * *',
]) {
  test(`cron refuses ${JSON.stringify(bad)}`, () => {
    assert.throws(
      () => parseCron(bad),
      (error) => error instanceof CronError && error.code === 'BAD_SCHEDULE',
    );
  });
}

test('cron refuses an unknown time zone', () => {
  assert.throws(
    () => parseCron('* * * * *', 'Mars/Base'),
    (error) => error instanceof CronError && error.code === 'BAD_TIME_ZONE',
  );
});

const minute = fc.integer({ min: 0, max: 59 });
const hour = fc.integer({ min: 0, max: 23 });
const start = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2030-01-01T00:00:00Z') });

test('the next time is later, at a full minute, and matches', () => {
  fc.assert(
    fc.property(minute, hour, start, (m, h, from) => {
      const time = parseCron(`${m} ${h} * * *`).next(from) ?? 0;
      const date = new Date(time);
      assert.ok(time > from && time - from <= 24 * 3600_000);
      assert.equal(date.getUTCMinutes(), m);
      assert.equal(date.getUTCHours(), h);
      assert.equal(time % 60_000, 0);
    }),
    { numRuns: RUNS },
  );
});

test('a zone that keeps universal time has its times', () => {
  const day = fc.oneof(fc.constant('*'), fc.integer({ min: 1, max: 31 }).map(String));
  const weekday = fc.oneof(fc.constant('*'), fc.integer({ min: 0, max: 7 }).map(String));
  fc.assert(
    fc.property(minute, hour, day, weekday, start, (m, h, d, w, from) => {
      const schedule = `${m} ${h} ${d} * ${w}`;
      assert.equal(parseCron(schedule, 'Africa/Abidjan').next(from), parseCron(schedule).next(from));
    }),
    // Each makes a calendar.
    { numRuns: Math.min(RUNS, 1_000) },
  );
});
