import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CredentialError } from './credential-error.ts';
import { parseGoJson, sameFieldName, type JsonNode } from './go-json.ts';

const runs = { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) };

function plain(node: JsonNode): unknown {
  if (node.kind === 'null') return null;
  if (node.kind === 'number') return Number(node.text);
  if (node.kind === 'array') return node.items.map(plain);
  if (node.kind !== 'object') return node.value;
  const object: Record<string, unknown> = {};
  for (const [key, value] of node.members) {
    Object.defineProperty(object, key, {
      value: plain(value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}

test('every JSON text that JavaScript prints is read as the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      // Not compared with JSON.parse: that of V8 13.6 once in a while takes the key "\"" for another escaped one.
      assert.equal(JSON.stringify(plain(parseGoJson(text)), null, indent), text);
    }),
    runs,
  );
});

test('what JSON.parse accepts is accepted and the rest refused with one of the texts of Go', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '\\',
    '\\u12',
    '1',
    '-',
    '.5',
    'e+',
    'tru',
    'true',
    'null',
    ' ',
    '\n',
    'é',
    '\u0000',
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
      const text = tokens.join('');
      let accepted = true;
      try {
        JSON.parse(text);
      } catch {
        accepted = false;
      }
      try {
        parseGoJson(text);
        assert.ok(accepted, `accepted ${JSON.stringify(text)}`);
      } catch (error) {
        if (!(error instanceof CredentialError)) throw error;
        assert.ok(!accepted, `refused ${JSON.stringify(text)}`);
        assert.match(
          error.message,
          /^(unexpected end of JSON input|invalid character '.+' (looking|after|in) .+)$/,
        );
      }
    }),
    runs,
  );
});

// The first four were recorded from Kubernetes 1.36.2.
const refused: [text: string, message: string][] = [
  ['hello', "invalid character 'h' looking for beginning of value"],
  ['{"auths": {"h": {"auth": "dTpw"}', 'unexpected end of JSON input'],
  ['', 'unexpected end of JSON input'],
  ['{} x', "invalid character 'x' after top-level value"],
  ['{bad', "invalid character 'b' looking for beginning of object key string"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['"a\nb"', String.raw`invalid character '\n' in string literal`],
  [String.raw`"\x"`, "invalid character 'x' in string escape code"],
  [String.raw`"\u12g4"`, String.raw`invalid character 'g' in \u hexadecimal character escape`],
  ['-a', "invalid character 'a' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ['01', "invalid character '1' after top-level value"],
  ['trve', "invalid character 'v' in literal true (expecting 'u')"],
  ["'a'", String.raw`invalid character '\'' looking for beginning of value`],
  ['é', "invalid character 'Ã' looking for beginning of value"],
  ['[1', 'unexpected end of JSON input'],
];
for (const [text, message] of refused) {
  test(`6.8 the text of Go for ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseGoJson(text), { name: 'CredentialError', code: 'BAD_JSON', message });
  });
}

test('nesting is accepted up to the depth of Go and neither crashes beyond it', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  assert.equal(parseGoJson(nested(10_000)).kind, 'array');
  assert.throws(() => parseGoJson(nested(10_001)), { message: 'exceeded max depth' });
  assert.throws(() => parseGoJson('{"a":'.repeat(200_000)), { message: 'exceeded max depth' });
});

test('lone surrogates and broken UTF-8 become replacement characters', () => {
  assert.deepEqual(parseGoJson(String.raw`"a\ud800b"`), { kind: 'string', value: 'a\ufffdb' });
  assert.deepEqual(parseGoJson(Buffer.from([0x22, 0xff, 0x22])), { kind: 'string', value: '\ufffd' });
});

test('6.5 field names match as Go folds them', () => {
  for (const key of ['password', 'PASSWORD', 'PassWord', 'pa\u017fsword'])
    assert.ok(sameFieldName(key, 'password'), key);
  for (const key of ['pässword', 'pass-word', 'passwor', '']) assert.ok(!sameFieldName(key, 'password'), key);
});
