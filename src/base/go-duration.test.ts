import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatGoDuration, parseGoDuration } from './go-duration.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1000);

const READ: readonly (readonly [string, number])[] = [
  ['0', 0],
  ['0s', 0],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['-1.5s', -1500],
  ['+2m', 120_000],
  ['.5s', 500],
  ['1us', 0.001],
  ['1µs', 0.001],
  ['100ns', 0.0001],
];

for (const [text, milliseconds] of READ) {
  test(`a Go duration ${text} is ${milliseconds} ms`, () =>
    assert.equal(parseGoDuration(text), milliseconds));
}

const REFUSED: readonly (readonly [string, string])[] = [
  ['', 'time: invalid duration ""'],
  ['5', 'time: missing unit in duration "5"'],
  ['5x', 'time: unknown unit "x" in duration "5x"'],
  ['m5', 'time: invalid duration "m5"'],
  ['5constructor', 'time: unknown unit "constructor" in duration "5constructor"'],
  ['9999999h', 'time: invalid duration "9999999h"'],
];

for (const [text, message] of REFUSED) {
  test(`a Go duration ${JSON.stringify(text)} is refused in Go's words`, () =>
    assert.throws(() => parseGoDuration(text), { message, code: 'BAD_DURATION' }));
}

const PRINTED: readonly (readonly [number, string])[] = [
  [0, '0s'],
  [0.0001, '100ns'],
  [0.0015, '1.5µs'],
  [350, '350ms'],
  [1234, '1.234s'],
  [123_500, '2m3.5s'],
  [3_600_000, '1h0m0s'],
  [-90_000, '-1m30s'],
];

for (const [milliseconds, text] of PRINTED) {
  test(`${milliseconds} ms print as ${text}`, () => assert.equal(formatGoDuration(milliseconds), text));
}

test('what is printed reads back as the same duration', () => {
  fc.assert(
    fc.property(fc.integer({ min: -9e9, max: 9e9 }), (milliseconds) => {
      assert.equal(parseGoDuration(formatGoDuration(milliseconds)), milliseconds);
    }),
    { numRuns: RUNS },
  );
});

test('any text is a duration or a coded error', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.equal(typeof parseGoDuration(text), 'number');
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'BAD_DURATION');
      }
    }),
    { numRuns: RUNS },
  );
});
