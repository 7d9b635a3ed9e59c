import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { JsonError, parseJson } from './parse-json.ts';

const numRuns = Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000));

test('what JSON.stringify prints is parsed to the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }),
    { numRuns },
  );
});

test('any text is parsed as JSON.parse does, or refused as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:truefalsn01.-eE\\u \n'.split('')) }), (text) => {
      let expected: unknown;
      let refused = false;
      try {
        expected = JSON.parse(text);
      } catch {
        refused = true;
      }
      if (refused) assert.throws(() => parseJson(text), JsonError);
      else assert.deepEqual(parseJson(text), expected);
    }),
    { numRuns },
  );
});

for (const [text, message] of [
  ['', 'unexpected end of JSON input'],
  ['{', 'unexpected end of JSON input'],
  ['hello', "invalid character 'h' looking for beginning of value"],
  ['{}x', "invalid character 'x' after top-level value"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['[1 2]', "invalid character '2' after array element"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['trux', "invalid character 'x' in literal true (expecting 'e')"],
  ['-', 'unexpected end of JSON input'],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ["'", "invalid character '\\'' looking for beginning of value"],
] as const) {
  test(`${JSON.stringify(text)} is refused in the words of Go`, () => {
    assert.throws(() => parseJson(text), { message });
  });
}

test('repeated keys are reported with their path, and the last value wins', () => {
  const found: string[] = [];
  const value = parseJson('{"a":[{"b":1,"b":2}],"a":3}', { onDuplicate: (path) => found.push(path) });
  assert.deepEqual(found, ['a[0].b', 'a']);
  assert.deepEqual(value, { a: 3 });
});

test('__proto__ is an ordinary key and leaves every prototype alone', () => {
  const value = parseJson('{"__proto__":{"polluted":true},"constructor":1}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('nesting beyond the limit is refused instead of exhausting the stack', () => {
  assert.throws(() => parseJson('['.repeat(1_000_000)), { code: 'TOO_DEEP', message: 'exceeded max depth' });
  assert.throws(() => parseJson('{"a":'.repeat(100_000)), { code: 'TOO_DEEP' });
});
