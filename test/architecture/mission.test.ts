import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/* Every behaviour that the project is for has a test that names it, and a row in docs/what-it-does.md that leads there. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = 'docs/what-it-does.md';
/** How many behaviours each part has. */
const PARTS = { A: 5, B: 8, C: 4, D: 12, E: 2, F: 5, G: 1 } as const;
const IDS = Object.entries(PARTS).flatMap(([part, count]) =>
  Array.from({ length: count }, (_, index) => `${part}${index + 1}`),
);

/** The ids with which names of tests begin, and the files of these tests. */
const named = new Map<string, Set<string>>();
for (const file of globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT })) {
  const text = readFileSync(join(ROOT, file), 'utf8');
  for (const [, ids] of text.matchAll(/\btest\(\s*['"`]((?:[A-G]\d{1,2}[ :])+)/g))
    for (const id of (ids ?? '').match(/[A-G]\d{1,2}/g) ?? [])
      named.set(id, (named.get(id) ?? new Set()).add(file));
}

interface Row {
  readonly behaviour: string;
  readonly see: string;
  readonly tests: readonly string[];
}
const rows = new Map<string, Row>();
const page = readFileSync(join(ROOT, PAGE), 'utf8');
const links = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, path]) =>
    join(dirname(PAGE), path ?? '').replace(/\/$/, ''),
  );
for (const line of page.split('\n')) {
  const [, id = '', behaviour = '', see = '', tests = ''] = line.split('|').map((cell) => cell.trim());
  if (/^[A-G]\d+$/.test(id)) rows.set(id, { behaviour, see, tests: links(tests) });
}

test('every behaviour is named by a test', () => {
  assert.deepEqual(
    IDS.filter((id) => !named.has(id)),
    [],
  );
});

test('the page has a row for every behaviour, in order, and none for anything else', () => {
  assert.deepEqual([...rows.keys()], IDS);
  for (const [id, { behaviour, see }] of rows) {
    assert.ok(behaviour.length > 20, id);
    assert.ok(see !== '', id);
  }
});

test('each row leads to tests that name its behaviour', () => {
  for (const [id, { tests }] of rows) {
    assert.ok(tests.length > 0, id);
    for (const file of tests) assert.ok(named.get(id)?.has(file), `${file} has no test named ${id}`);
  }
});

test('every file that the page names exists', () => {
  const spoken = [...page.matchAll(/examples\/[\w./-]+/g)].map(([path]) => path);
  for (const path of [...links(page), ...spoken]) assert.ok(existsSync(join(ROOT, path)), path);
});
