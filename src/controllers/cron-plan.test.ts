import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueTime, isTooLate, localTime, mailTime } from './cron-plan.ts';
import { parseCron } from './cron-schedule.ts';

const at = (text: string): number => Date.parse(text);

const DUE: readonly (readonly [
  name: string,
  schedule: string,
  since: string,
  deadline: number | undefined,
  now: string,
  due: string | undefined,
  missed: number,
])[] = [
  ['not yet', '*/5 * * * *', '2026-01-01T00:01:00Z', undefined, '2026-01-01T00:04:59Z', undefined, 0],
  [
    'just now',
    '*/5 * * * *',
    '2026-01-01T00:01:00Z',
    undefined,
    '2026-01-01T00:05:00Z',
    '2026-01-01T00:05:00Z',
    1,
  ],
  [
    'the last of several',
    '*/5 * * * *',
    '2026-01-01T00:01:00Z',
    undefined,
    '2026-01-01T00:16:00Z',
    '2026-01-01T00:15:00Z',
    3,
  ],
  [
    'a deadline forgets the older ones',
    '*/5 * * * *',
    '2026-01-01T00:00:00Z',
    60,
    '2026-01-01T00:16:00Z',
    undefined,
    0,
  ],
  [
    'a deadline that still holds',
    '*/5 * * * *',
    '2026-01-01T00:00:00Z',
    90,
    '2026-01-01T00:16:00Z',
    '2026-01-01T00:15:00Z',
    1,
  ],
  [
    'years of minutes',
    '* * * * *',
    '2020-01-01T00:00:00Z',
    undefined,
    '2026-01-01T00:00:30Z',
    '2026-01-01T00:00:00Z',
    3_156_480,
  ],
  [
    'an uneven schedule',
    '0 8-10 * * 1',
    '2026-01-05T07:00:00Z',
    undefined,
    '2026-01-11T12:00:00Z',
    '2026-01-05T10:00:00Z',
    149,
  ],
];

for (const [name, schedule, since, deadline, now, due, missed] of DUE) {
  test(`the time that is due: ${name}`, () => {
    const found = dueTime(parseCron(schedule), at(since), deadline, at(now));
    assert.equal(
      found.due === undefined ? undefined : new Date(found.due).toISOString(),
      due?.replace('Z', '.000Z'),
    );
    assert.equal(found.missed, missed);
  });
}

test('a time is too late once its deadline has passed', () => {
  assert.equal(isTooLate(0, 10, 10_000), false);
  assert.equal(isTooLate(0, 10, 10_001), true);
  assert.equal(isTooLate(0, undefined, 1e12), false);
});

test('times are printed as mail does, and by the clocks of a zone', () => {
  const summer = at('2026-07-01T10:00:00Z');
  assert.equal(mailTime(summer), 'Wed, 01 Jul 2026 10:00:00 +0000');
  assert.equal(localTime(summer, undefined), '2026-07-01T10:00:00Z');
  assert.equal(localTime(summer, 'Etc/UTC'), '2026-07-01T10:00:00Z');
  assert.equal(localTime(summer, 'Europe/Berlin'), '2026-07-01T12:00:00+02:00');
  assert.equal(localTime(at('2026-01-01T00:30:00Z'), 'Asia/Kolkata'), '2026-01-01T06:00:00+05:30');
  assert.equal(localTime(at('2026-01-01T00:30:00Z'), 'America/New_York'), '2025-12-31T19:30:00-05:00');
});
