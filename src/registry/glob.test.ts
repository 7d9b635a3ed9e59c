import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { globMatcher } from './glob.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_000);

test('a pattern matches what the same regular expression matches', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (glob, subject) => {
      const source = glob.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
      assert.equal(globMatcher(glob)(subject), new RegExp(`^${source}$`).test(subject));
    }),
    { numRuns: RUNS },
  );
});

// One that went back at each star would not end.
test('a pattern made to be slow comes to its end', () => {
  assert.equal(globMatcher(`${'*a'.repeat(100)}b`)('a'.repeat(5_000)), false);
});

test('a pattern longer than any name is refused', () => {
  assert.throws(() => globMatcher('a'.repeat(513)), RangeError);
});
