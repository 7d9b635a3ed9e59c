import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileInflate, INFLATE_BINARY } from '../../scripts/compile-wasm.ts';

test('the binary that is checked in is what its source compiles to', async () => {
  const compiled = Buffer.from(await compileInflate());
  assert.ok(compiled.equals(readFileSync(INFLATE_BINARY)), 'run npm run wasm');
});
