import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describe } from './descriptions.ts';

const read = <T>(name: string): Record<string, T> =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as Record<string, T>;

const fields = new Map<string, string[]>(
  readdirSync(new URL('.', import.meta.url))
    .filter((name) => /-v\d\w*\.json$/.test(name))
    .flatMap((name) => {
      const file = name.slice(0, -'.json'.length).replace('-', '.');
      const structs = Object.entries(read<{ f: object }>(name));
      return structs.map(([struct, { f }]): [string, string[]] => [`${file}.${struct}`, Object.keys(f)]);
    }),
);

test('every kind, part and field has words of its own for kubectl explain', () => {
  assert.ok(fields.size > 300);
  for (const [struct, names] of fields) {
    for (const name of ['', ...names]) {
      assert.match(describe(struct, name) ?? '', /\S.*\.$/, `${struct} ${name}`);
    }
  }
});

test('nothing is described that is not there', () => {
  const { '*': shared, ...own } = read<Record<string, string>>('descriptions.json');
  const known = new Set([...fields.values()].flat());
  assert.deepEqual(
    Object.keys(shared ?? {}).filter((name) => !known.has(name)),
    [],
  );
  for (const [struct, texts] of Object.entries(own)) {
    const names = new Set(['', ...(fields.get(struct) ?? [])]);
    assert.deepEqual(
      Object.keys(texts).filter((name) => !names.has(name)),
      [],
      struct,
    );
  }
});
