import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  isQuantity,
  quantityValue,
} from './quantity.ts';

for (const [given, canonical] of [
  ['0', '0'],
  ['1', '1'],
  [2, '2'],
  ['0.1', '100m'],
  ['0.5', '500m'],
  ['1.5', '1500m'],
  ['1000', '1k'],
  ['100000m', '100'],
  ['1024Mi', '1Gi'],
  ['1025Mi', '1025Mi'],
  ['1.5Gi', '1536Mi'],
  ['512', '512'],
  ['1e3', '1e3'],
  ['1E3', '1e3'],
  ['12e6', '12e6'],
  ['1E', '1E'],
  ['-1Ki', '-1Ki'],
  ['+5', '5'],
  ['.5', '500m'],
  ['5.', '5'],
  ['1n', '1n'],
  ['0.0000000001', '1n'],
  ['100Ki', '100Ki'],
  ['0Gi', '0'],
] as const) {
  test(`${given} is stored as ${canonical}`, () => {
    assert.equal(canonicalQuantity(given), canonical);
  });
}

for (const text of ['', 'x', '1x', '1 Gi', '1GiB', '--1', '1.2.3', 'Gi', '1e', '.']) {
  test(`${JSON.stringify(text)} is no quantity`, () => {
    assert.equal(isQuantity(text), false);
  });
}

test("a bad quantity is refused in the API's words", () => {
  assert.throws(() => canonicalQuantity('a b'), {
    message: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  });
  assert.throws(() => canonicalQuantity('1x'), { message: "unable to parse quantity's suffix" });
});

test('quantities compare across formats', () => {
  assert.equal(compareQuantities('1Gi', '1073741824'), 0);
  assert.ok(compareQuantities('1Gi', '1G') > 0);
  assert.ok(compareQuantities('999m', '1') < 0);
  assert.equal(quantityValue('1500m'), 1.5);
});

test('a sum has the format of its first part', () => {
  assert.equal(addQuantities('1Gi', '1024Mi', '512Mi'), '2560Mi');
  assert.equal(addQuantities('250m', '1'), '1250m');
  assert.equal(addQuantities(), '0');
});

test('a canonical quantity is as much as before, and its own canonical form unless it lost a binary suffix', () => {
  const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'e-3');
  const number = fc.tuple(fc.integer({ min: -100_000, max: 100_000 }), fc.integer({ min: 0, max: 999 }));
  fc.assert(
    fc.property(number, suffix, ([whole, fraction], unit) => {
      const text = `${whole}.${fraction}${unit}`;
      const canonical = canonicalQuantity(text);
      assert.equal(compareQuantities(canonical, text), 0);
      // A binary amount that no power of 1024 divides is printed plainly, and a plain number is read as decimal.
      if (!unit.endsWith('i') || canonical.endsWith('i'))
        assert.equal(canonicalQuantity(canonical), canonical);
    }),
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});

test('a number of absurd length or power is refused or capped at once', () => {
  assert.equal(isQuantity('9'.repeat(1_000_000)), false);
  assert.equal(isQuantity('1e999999999'), true);
});
