import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readContentRange, readRange } from './byte-range.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_000);

test('a range never reaches outside of the content', () => {
  const header = fc.oneof(
    fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
    fc.nat().map((n) => `bytes=-${n}`),
    fc.nat().map((n) => `bytes=${n}-`),
    fc.string(),
  );
  fc.assert(
    fc.property(header, fc.nat(), (text, size) => {
      const range = readRange(text, size);
      if (range.kind !== 'part') return;
      assert.ok(range.length > 0);
      assert.ok(range.offset >= 0 && range.offset + range.length <= size);
    }),
    { numRuns: RUNS },
  );
});

test('of nothing a range is all there is', () => {
  for (const text of ['bytes=0-', 'bytes=-1', 'bytes=0-0'])
    assert.deepEqual(readRange(text, 0), { kind: 'whole' }, text);
});

test('the range of a chunk is read in every form that clients use', () => {
  for (const text of ['3-7', 'bytes=3-7', 'bytes 3-7', 'bytes 3-7/20', '3-7/*']) {
    assert.deepEqual(readContentRange(text), { first: 3, last: 7 }, text);
  }
  for (const text of ['', '7-3', '-3', '3-', 'a-b', 'bytes', '3-7,9-10', '1e3-2e3']) {
    assert.equal(readContentRange(text), undefined, text);
  }
});
