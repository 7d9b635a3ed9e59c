import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOutput } from './_output.ts';

test('YAML says each time what is in it twice', () => {
  const policy = { retention: [] };
  const output = { data: [{ policy }, { policy }], names: [], table: [] };
  assert.equal(formatOutput(output, 'yaml'), '- policy:\n    retention: []\n- policy:\n    retention: []\n');
});
