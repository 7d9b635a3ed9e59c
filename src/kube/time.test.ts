import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { formatMicroTime, formatTime, humanDuration, parseTime } from './time.ts';

test('times are printed to the second and to the microsecond', () => {
  const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
  assert.equal(formatTime(ms), '2026-01-02T03:04:05Z');
  assert.equal(formatMicroTime(ms + 0.007), '2026-01-02T03:04:05.006007Z');
});

test('what is printed is read back', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }), (date) => {
      assert.equal(parseTime(formatMicroTime(date.getTime())), date.getTime());
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) },
  );
});

test('offsets are taken off', () => {
  assert.equal(parseTime('2026-01-01T01:00:00+01:00'), Date.UTC(2026, 0, 1));
});

for (const text of [
  '',
  'soon',
  '2026-01-01',
  '2026-13-01T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01 00:00:00Z',
]) {
  test(`${JSON.stringify(text)} is no time`, () => {
    assert.equal(parseTime(text), undefined);
  });
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
for (const [ms, text] of [
  [-5 * second, '<invalid>'],
  [-1 * second, '0s'],
  [0, '0s'],
  [119 * second, '119s'],
  [120 * second, '2m'],
  [3 * minute + 12 * second, '3m12s'],
  [10 * minute + 5 * second, '10m'],
  [179 * minute, '179m'],
  [3 * hour, '3h'],
  [4 * hour + 5 * minute, '4h5m'],
  [8 * hour + 5 * minute, '8h'],
  [47 * hour, '47h'],
  [2 * day + 3 * hour, '2d3h'],
  [8 * day + 3 * hour, '8d'],
  [729 * day, '729d'],
  [730 * day + 3 * day, '2y3d'],
  [9 * 365 * day, '9y'],
] as const) {
  test(`${ms} ms is printed as ${text}`, () => {
    assert.equal(humanDuration(ms), text);
  });
}
