import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StructuralSchema } from './structural-schema.ts';
import { validateSchema } from './validate-schema.ts';
import { validateRules, type ValidationRule } from './validation-rules.ts';

const texts = (errors: readonly { type: string; field: string; message: string }[]): string[] =>
  errors.map(({ type, field, message }) => `${type} ${field}: ${message}`);

function schemaWith(spec: object, rules: readonly ValidationRule[] = []): StructuralSchema {
  return {
    type: 'object',
    properties: { spec: { type: 'object', ...spec, 'x-kubernetes-validations': rules } },
  };
}

const SPEC = {
  properties: {
    min: { type: 'integer' },
    max: { type: 'integer' },
    ratio: { type: 'number' },
    namespace: { type: 'string' },
    'a-b': { type: 'string' },
    until: { type: 'string', format: 'date-time' },
    wait: { type: 'string', format: 'duration' },
    port: { 'x-kubernetes-int-or-string': true },
    names: { type: 'object', additionalProperties: { type: 'string' } },
  },
};

const value = {
  spec: {
    min: 3,
    max: 2,
    ratio: 2,
    namespace: 'n',
    'a-b': 'x',
    until: '2026-01-01T00:00:00Z',
    wait: '90s',
    port: 80,
    names: { a: 'b' },
  },
};

const holds = [
  'self.min > self.max',
  'self.ratio == 2.0 && self.ratio / 4.0 == 0.5',
  'self.__namespace__ == "n" && self.a__dash__b == "x"',
  'self.until > timestamp("2025-01-01T00:00:00Z") && self.wait > duration("1m")',
  'type(self.port) == int ? self.port == 80 : self.port == "80"',
  'self.names.all(k, k == "a")',
  '!has(self.nothing)',
];

test('rules see values as the schema types them', () => {
  for (const rule of holds)
    assert.deepEqual(validateRules(value, undefined, schemaWith(SPEC, [{ rule }]), []), [], rule);
});

const refused: readonly (readonly [ValidationRule, string])[] = [
  [
    { rule: ' self.min <= self.max ' },
    'FieldValueInvalid spec: Invalid value: "object": failed rule: self.min <= self.max',
  ],
  [{ rule: 'false', message: 'no' }, 'FieldValueInvalid spec: Invalid value: "object": no'],
  [
    { rule: 'false', message: 'no', messageExpression: '"min is " + string(self.min)' },
    'FieldValueInvalid spec: Invalid value: "object": min is 3',
  ],
  [
    { rule: 'false', message: 'no', messageExpression: 'self.none' },
    'FieldValueInvalid spec: Invalid value: "object": no',
  ],
  [
    { rule: 'false', message: 'no', reason: 'FieldValueForbidden', fieldPath: '.min' },
    'FieldValueForbidden spec.min: Forbidden: no',
  ],
  [
    { rule: 'false', message: 'no', reason: 'FieldValueRequired', fieldPath: ".names['x.y']" },
    'FieldValueRequired spec.names[x.y]: Required value: no',
  ],
  [{ rule: 'false', reason: 'FieldValueDuplicate' }, 'FieldValueDuplicate spec: Duplicate value: "object"'],
  [
    { rule: 'self.none == 1' },
    'FieldValueInvalid spec: Invalid value: "object": no such key: none evaluating rule: failed rule: self.none == 1',
  ],
  [
    { rule: 'self.min + self.namespace == 1' },
    'FieldValueInvalid spec: Invalid value: "object": no such key: namespace evaluating rule: failed rule: self.min + self.namespace == 1',
  ],
];

test('a rule that fails says so at its place, with its reason', () => {
  for (const [rule, expected] of refused) {
    assert.deepEqual(texts(validateRules(value, undefined, schemaWith(SPEC, [rule]), [])), [expected]);
  }
});

test('a rule about the value before is asked only when there is one, and an unchanged value is not held against anybody', () => {
  const immutable = schemaWith(SPEC, [{ rule: 'self.min == oldSelf.min', message: 'min stays' }]);
  assert.deepEqual(validateRules(value, undefined, immutable, []), []);
  assert.deepEqual(validateRules(value, value, immutable, []), []);
  const changed = { spec: { ...value.spec, min: 4 } };
  assert.deepEqual(texts(validateRules(changed, value, immutable, [])), [
    'FieldValueInvalid spec: Invalid value: "object": min stays',
  ]);
  const broken = schemaWith(SPEC, [{ rule: 'self.min <= self.max' }]);
  assert.deepEqual(validateRules(value, value, broken, []), []);
  const created = schemaWith(SPEC, [
    { rule: 'oldSelf.hasValue() || self.min < 3', optionalOldSelf: true, message: 'begin small' },
  ]);
  assert.equal(validateRules(value, undefined, created, []).length, 1);
  assert.deepEqual(validateRules(changed, value, created, []), []);
});

test('items of keyed lists and values of maps are told which they were', () => {
  const part = { type: 'object', properties: { id: { type: 'string' }, n: { type: 'integer' } } };
  const grows = [{ rule: 'self.n >= oldSelf.n', message: 'n grows' }];
  const schema = schemaWith({
    properties: {
      parts: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['id'],
        items: { ...part, 'x-kubernetes-validations': grows },
      },
      map: { type: 'object', additionalProperties: { ...part, 'x-kubernetes-validations': grows } },
    },
  });
  const before = {
    spec: {
      parts: [
        { id: 'a', n: 1 },
        { id: 'b', n: 2 },
      ],
      map: { x: { n: 5 } },
    },
  };
  const after = {
    spec: {
      parts: [
        { id: 'b', n: 1 },
        { id: 'a', n: 1 },
        { id: 'c', n: 0 },
      ],
      map: { x: { n: 4 } },
    },
  };
  assert.deepEqual(texts(validateRules(after, before, schema, [])), [
    'FieldValueInvalid spec.parts[0]: Invalid value: "object": n grows',
    'FieldValueInvalid spec.map[x]: Invalid value: "object": n grows',
  ]);
});

test('rules are not asked about an object that is broken otherwise, nor for ever', () => {
  const schema = schemaWith(SPEC, [{ rule: 'false' }]);
  const found = [{ type: 'FieldValueRequired' as const, field: 'spec.x', message: 'Required value' }];
  assert.match(
    texts(validateRules(value, undefined, schema, found)).join(),
    /some validation rules were not checked/,
  );
  const wide = { spec: { list: Array.from({ length: 1000 }, (_, index) => index) } };
  const list = { properties: { list: { type: 'array', items: { type: 'integer' } } } };
  const rule = 'self.list.all(a, self.list.all(b, self.list.all(c, a + b + c >= 0)))';
  assert.match(
    texts(validateRules(wide, undefined, schemaWith(list, [{ rule }, { rule }]), [])).join(),
    /^FieldValueInvalid spec: Invalid value: "object": no further validation rules will be run due to call cost exceeds limit/,
  );
});

test('rules of a definition must compile, give a boolean, and compare only what can be compared', () => {
  const check = (rule: Partial<ValidationRule>, below: object = {}): string[] =>
    texts(
      validateSchema(
        {
          type: 'object',
          properties: { spec: { ...SPEC, type: 'object', 'x-kubernetes-validations': [rule], ...below } },
        },
        'schema',
      ),
    );
  const at = 'schema.properties[spec].x-kubernetes-validations[0]';
  assert.deepEqual(check({ rule: 'self.min > 1' }), []);
  assert.deepEqual(check({ rule: '' }), [
    `FieldValueRequired ${at}.rule: Required value: rule is not specified`,
  ]);
  assert.match(
    check({ rule: 'self.min > ' }).join(),
    /compilation failed: ERROR: <input>:1:12: Syntax error/,
  );
  assert.match(check({ rule: '1' }).join(), /cel expression must evaluate to a bool/);
  assert.match(
    check({ rule: 'true', messageExpression: '1' }).join(),
    /messageExpression must evaluate to a string/,
  );
  assert.deepEqual(check({ rule: 'true', reason: 'Because' }), [
    `FieldValueNotSupported ${at}.reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
  ]);
  const items = { type: 'object', 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] };
  const inList = { properties: { list: { type: 'array', items } } };
  assert.match(
    check({ rule: 'true' }, inList).join(),
    /oldSelf cannot be used on the uncorrelatable portion of the schema/,
  );
});
