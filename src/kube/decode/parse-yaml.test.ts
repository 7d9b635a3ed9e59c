import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';

import { parseYaml, parseYamlStream, YamlError } from './parse-yaml.ts';

for (const [text, value] of [
  ['a: y', { a: true }],
  ['a: "y"', { a: 'y' }],
  ['a: off', { a: false }],
  ['a: 0777', { a: 0o777 }],
  ['a: 8080:80', { a: '8080:80' }],
  ['a: 2026-01-01', { a: '2026-01-01' }],
  ['a: ~', { a: null }],
  ['1: x', { 1: 'x' }],
  ['', null],
  ['x: &a {b: 1, c: 2}\nz: {<<: *a, c: 3}', { x: { b: 1, c: 2 }, z: { b: 1, c: 3 } }],
] as const) {
  test(`${JSON.stringify(text)} is read by the rules of YAML 1.1`, () => {
    assert.deepEqual(parseYaml(text).value, value);
  });
}

for (const [text, message] of [
  ['a: [b', "yaml: line 1: did not find expected ',' or ']'"],
  ['a: [', 'yaml: line 1: did not find expected node content'],
  ['a: {b', "yaml: line 1: did not find expected ',' or '}'"],
  ['a: b: c', 'yaml: line 1: mapping values are not allowed in this context'],
  ['\ta: 1', 'yaml: line 1: found character that cannot start any token'],
] as const) {
  test(`${JSON.stringify(text)} is refused in the words of Go's parser`, () => {
    assert.throws(() => parseYaml(text), { message });
  });
}

test('a repeated key is reported with its line, and the last value wins', () => {
  assert.deepEqual(parseYaml('a: 1\nb:\n  c: 1\n  c: 2\n'), {
    value: { a: 1, b: { c: 2 } },
    duplicates: ['line 4: key "c" already set in map'],
  });
});

test('a stream gives each document that holds something', () => {
  const values = parseYamlStream('---\na: 1\n---\n# nothing\n---\nb: 2\n').map(({ value }) => value);
  assert.deepEqual(values, [{ a: 1 }, { b: 2 }]);
});

test('aliases that multiply are refused before they fill the memory', () => {
  const levels = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh'].map((pair) => pair.split(''))) {
    levels.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(',')}]`);
  }
  assert.throws(() => parseYaml(levels.join('\n')), YamlError);
});

test('an alias is the last node before it that has its name, in values, keys and merges', () => {
  const text = ['a: &x 1', 'b: [*x, &x two, *x]', '*x : &y {k: *x}', 'd: {<<: *y, e: &x 5}', 'f: *x'].join(
    '\n',
  );
  assert.deepEqual(parseYaml(text).value, {
    a: 1,
    b: [1, 'two', 'two'],
    two: { k: 'two' },
    d: { k: 'two', e: 5 },
    f: 5,
  });
});

test('an alias of itself is refused', () => {
  assert.throws(() => parseYaml('a: &a [*a]'), YamlError);
});

test('__proto__ is an ordinary key', () => {
  const { value } = parseYaml('__proto__: {polluted: true}');
  assert.deepEqual(Object.keys(value as object), ['__proto__']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('JSON is YAML: what is printed as JSON is read as the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const plain = JSON.parse(JSON.stringify(value)) as unknown;
      // YAML 1.1 has a meaning of its own for this key, quoted or not.
      fc.pre(!JSON.stringify(plain).includes('"<<"'));
      assert.deepEqual(
        parseYaml(stringify(plain, { version: '1.1', aliasDuplicateObjects: false })).value,
        plain,
      );
    }),
    // A case prints a document as YAML and reads it, each of which takes longer than all the rest.
    { numRuns: Math.min(20_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});
