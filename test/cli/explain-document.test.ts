import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runDray } from '../support/run-dray.ts';

const page = readFileSync(new URL('../../docs/explain.md', import.meta.url), 'utf8');

test('docs/explain.md shows what the program says', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-explain-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [, manifest = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
  writeFileSync(join(directory, 'web.yaml'), manifest);
  const sessions = [...page.matchAll(/```console\n\$ dray (.*)\n([\s\S]*?)```/g)];
  assert.equal(sessions.length, 2);
  for (const [, args = '', output] of sessions) {
    const { stdout } = await runDray(args.split(' '), { cwd: directory });
    assert.equal(stdout, output, args);
  }
});

test('docs/explain.md lists every warning that there is', () => {
  const sources = ['admission/image-practices', 'admission/secret-practices', 'doctor/explain-warnings'].map(
    (file) => readFileSync(new URL(`../../src/${file}.ts`, import.meta.url), 'utf8'),
  );
  const table = page.slice(page.indexOf('## Warnings and notices'));
  const ids = sources.flatMap((text) => {
    const calls = text.matchAll(/\badd\(\s*'([a-z-]+)'|\bid: '([a-z-]+)'/g);
    return [...calls].map(([, added, written]) => added ?? written ?? '');
  });
  assert.ok(ids.length > 10);
  // Told as the diagnosis of the name, and never asked of a registry, respectively.
  const elsewhere = new Set(['invalid-name', 'no-pull-secret']);
  assert.deepEqual(
    [...new Set(ids)].filter((id) => !elsewhere.has(id) && !table.includes(`\`${id}\``)),
    [],
  );
});
