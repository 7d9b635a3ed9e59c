import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { canonicalBase64 } from './base64.ts';

for (const [text, offset] of [
  ['!!!notbase64', 0],
  ['eyJhIjoi__77In0=', 8],
  ['YQ', 0],
  ['YWJjZA', 4],
  ['YQ=', 3],
  ['YQ=x', 2],
  ['YQ==YQ==', 4],
  ['=', 0],
] as const) {
  test(`${JSON.stringify(text)} is refused at byte ${offset}`, () => {
    assert.throws(() => canonicalBase64(text), { message: `illegal base64 data at input byte ${offset}` });
  });
}

test('line breaks are skipped', () => {
  assert.equal(canonicalBase64('YW\nJj\r\n'), 'YWJj');
});

test('any bytes survive', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = Buffer.from(bytes).toString('base64');
      assert.equal(canonicalBase64(text), text);
    }),
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});
