import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { formatLabelSelector, labelSelectorOf, parseLabelSelector } from './label-selector.ts';
import { SelectorError } from './selector-error.ts';

const labels = { app: 'web', tier: 'front', weight: '7', empty: '' };

for (const [text, matches] of [
  ['', true],
  ['app=web', true],
  ['app==web,tier!=back', true],
  ['app!=web', false],
  ['missing!=x', true],
  ['app in (web, api)', true],
  ['app in (api)', false],
  ['app notin (api,)', true],
  ['missing notin (x)', true],
  ['tier', true],
  ['!tier', false],
  ['!missing', true],
  ['empty=', true],
  ['empty in (,x)', true],
  ['weight>6', true],
  ['weight<7', false],
  ['missing>1', false],
  ['in=x', false],
  ['notin', false],
] as const) {
  test(`${JSON.stringify(text)} ${matches ? 'selects' : 'leaves out'} the labels`, () => {
    assert.equal(parseLabelSelector(text).matches(labels), matches);
  });
}

for (const [text, message] of [
  ['a==b==c', "found '==', expected: ',' or 'end of string'"],
  ['!!', "unable to parse requirement: found '!', expected: identifier"],
  ['a in b', "unable to parse requirement: found 'b' expected: '('"],
  ['a,', "found '', expected: identifier after ','"],
  ['=a', "found '=', expected: !, identifier, or 'end of string'"],
  ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  [
    'a in ()',
    "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
  ],
  [
    'a>x',
    "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
  ],
  [
    'a=-b-',
    "unable to parse requirement: values[0][a]: Invalid value: \"-b-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
  ],
] as const) {
  test(`${JSON.stringify(text)} is refused with the API's text`, () => {
    assert.throws(
      () => parseLabelSelector(text),
      (error) => error instanceof SelectorError && error.message === message,
    );
  });
}

// Few, so that what is selected by is often there.
const word = fc.constantFrom('a', 'b', 'app', 'tier', 'x9', 'inn');
const requirement = fc.oneof(
  word,
  word.map((key) => `!${key}`),
  fc.tuple(word, fc.constantFrom('=', '!='), word).map((parts) => parts.join('')),
  fc
    .tuple(word, fc.constantFrom('in', 'notin'), fc.array(word, { minLength: 1, maxLength: 4 }))
    .map(([key, operator, values]) => `${key} ${operator} (${values.join(',')})`),
);

test('what a selector prints selects the same', () => {
  fc.assert(
    fc.property(
      fc.array(requirement, { maxLength: 5 }),
      fc.array(fc.tuple(word, word)),
      (requirements, pairs) => {
        const someLabels = Object.fromEntries(pairs);
        const selector = parseLabelSelector(requirements.join(','));
        const again = parseLabelSelector(selector.toString());
        assert.equal(again.toString(), selector.toString());
        assert.equal(again.matches(someLabels), selector.matches(someLabels));
      },
    ),
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
});

test('any text is read or refused with a SelectorError, in time that grows with its length', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab=!,()<> in'.split('')) }), (text) => {
      try {
        parseLabelSelector(text);
      } catch (error) {
        assert.ok(error instanceof SelectorError);
      }
    }),
    { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) },
  );
  assert.throws(() => parseLabelSelector('a='.repeat(100_000)), SelectorError);
});

test('an absent selector in an object selects nothing, an empty one everything', () => {
  assert.equal(labelSelectorOf(undefined).matches(labels), false);
  assert.equal(labelSelectorOf({}).matches(labels), true);
  assert.equal(
    labelSelectorOf({ matchExpressions: [{ key: 'app', operator: 'In', values: ['web'] }] }).matches(labels),
    true,
  );
});

test("an object's selector is printed as tables show it", () => {
  const matchExpressions = [{ key: 'tier', operator: 'NotIn', values: ['b', 'a'] }];
  assert.equal(
    formatLabelSelector({ matchLabels: { app: 'd' }, matchExpressions }),
    'app=d,tier notin (a,b)',
  );
  assert.equal(formatLabelSelector(undefined), '<none>');
});
