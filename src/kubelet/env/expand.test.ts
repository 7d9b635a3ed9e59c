import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { expand } from './expand.ts';

const RUNS = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };
const values = new Map([
  ['VAR_A', 'A'],
  ['VAR_B', 'B'],
  ['VAR_REF', '$(VAR_A)'],
  ['VAR_EMPTY', ''],
]);
const lookup = (name: string): string | undefined => values.get(name);

const cases: [input: string, expected: string][] = [
  ['plain', 'plain'],
  ['$(VAR_A)', 'A'],
  ['___$(VAR_A)$(VAR_B)___', '___AB___'],
  ['$(VAR_REF)', '$(VAR_A)'],
  ['$(MISSING)', '$(MISSING)'],
  ['$(VAR_EMPTY)x', 'x'],
  ['$$(VAR_A)', '$(VAR_A)'],
  ['$$$(VAR_A)', '$A'],
  ['$$$$(VAR_A)', '$$(VAR_A)'],
  ['$VAR_A', '$VAR_A'],
  ['$(VAR_A', '$(VAR_A'],
  ['${VAR_A}', '${VAR_A}'],
  ['a$', 'a$'],
  ['$', '$'],
  ['$$', '$'],
  ['$()', '$()'],
  ['\n$(VAR_A)\n', '\nA\n'],
];
for (const [input, expected] of cases) {
  test(`${JSON.stringify(input)} becomes ${JSON.stringify(expected)}`, () => {
    assert.equal(expand(input, lookup), expected);
  });
}

test('text without a dollar sign is never changed, and doubled dollar signs protect anything', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      if (!text.includes('$')) assert.equal(expand(text, lookup), text);
      assert.equal(expand(text.replaceAll('$', '$$$$'), lookup), text);
    }),
    RUNS,
  );
});
