import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate, printTemplate } from './_json-path-output.ts';
import { UsageError } from './exit.ts';
import { formatOutput, outputFormat } from './_output.ts';

test('YAML says each time what is in it twice', () => {
  const policy = { retention: [] };
  const output = { data: [{ policy }, { policy }], names: [], table: [] };
  assert.equal(formatOutput(output, 'yaml'), '- policy:\n    retention: []\n- policy:\n    retention: []\n');
});

const pods = {
  items: [
    { name: 'a', labels: { 'x.y': '1' }, ports: [80, 81], isOn: true },
    { name: 'b', ports: [] },
  ],
};

for (const [template, expected] of [
  ['{.items[*].name}', 'a b'],
  ['.items[0].name', 'a'],
  ['{$.items[-1:].name}', 'b'],
  ['{.items[0:1].name} {.items[:].name} {.items[::2].name}', 'a a b a'],
  ['{..name}', 'a b'],
  ['{.items[0:1:0].name}', undefined],
  ['{.items[-1].name}', 'b'],
  ['name: {.items[0].name}, ports {.items[0].ports}', 'name: a, ports [80,81]'],
  ['{range .items[*]}{.name}{"\\t"}{.ports[0]}{"\\n"}{end}', 'a\t80\nb\t\n'],
  ['{range .items[*]}{range .ports[*]}<{@}>{end};{end}', '<80><81>;;'],
  ['{.items[?(@.name=="b")].name}', 'b'],
  ["{.items[0].labels['x.y']}", '1'],
  ['{.items[*].isOn}', 'true'],
  ['{.nothing}', ''],
  ["{'}'}", '}'],
  ['{range .items[*]}', undefined],
  ['{end}', undefined],
  ['{.items', undefined],
  ['{}', undefined],
] as const) {
  test(`the template ${template} is ${expected === undefined ? 'refused' : 'printed as kubectl does'}`, () => {
    const parts = parseTemplate(template);
    assert.equal(parts === undefined ? undefined : printTemplate(pods, parts), expected);
  });
}

test('wide has further columns, and a template is judged before anything is done', () => {
  const table = [['NAME'], ['a']];
  const output = { data: [{ name: 'a' }], names: [], table, wide: [['SIZE'], ['1']] };
  assert.equal(formatOutput(output, 'table'), 'NAME\na\n');
  assert.equal(formatOutput(output, 'wide'), 'NAME  SIZE\na     1\n');
  assert.equal(formatOutput(output, outputFormat('jsonpath={[*].name}')), 'a');
  for (const wrong of ['jsonpath={', 'jsonpath=TEMPLATE}{', 'xml'])
    assert.throws(() => outputFormat(wrong), UsageError);
  assert.throws(() => outputFormat('wide', ['json', 'yaml']), UsageError);
});
