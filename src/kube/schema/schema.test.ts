import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { resources } from '../resources.ts';
import { closureOf, findKindStruct, findStruct, structNameIn, type StructSchema } from './schema.ts';

function allStructs(): StructSchema[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => /^[a-z]+-v\d+\.json$/.test(file))
    .flatMap((file) => {
      const names = Object.keys(JSON.parse(readFileSync(`${import.meta.dirname}/${file}`, 'utf8')) as object);
      return names.map((name) => `${file.replace('.json', '').replace('-', '.')}.${name}`);
    })
    .map((name) => {
      const struct = findStruct(name);
      assert.ok(struct !== undefined, name);
      return struct;
    });
}

test('every struct that a field refers to exists', () => {
  for (const struct of allStructs()) {
    for (const field of struct.fields.values()) {
      const name = structNameIn(field.type);
      assert.ok(name === undefined || findStruct(name) !== undefined, `${struct.name}.${field.name}`);
    }
  }
});

test('merge keys and list map keys are fields of the items', () => {
  for (const struct of allStructs()) {
    for (const field of struct.fields.values()) {
      const items = findStruct(structNameIn(field.type) ?? '');
      for (const key of [
        ...(field.listMapKeys ?? []),
        ...(field.patchMergeKey === undefined ? [] : [field.patchMergeKey]),
      ]) {
        assert.ok(items?.fields.has(key), `${struct.name}.${field.name} by ${key}`);
      }
    }
  }
});

test('every stored kind has a struct and a list', () => {
  for (const { group, version, kind, verbs } of resources) {
    assert.ok(findKindStruct(group, version, kind) !== undefined, kind);
    if (verbs.includes('list'))
      assert.ok(findKindStruct(group, version, `${kind}List`) !== undefined, `${kind}List`);
  }
});

test('every described field exists', () => {
  const texts = JSON.parse(readFileSync(`${import.meta.dirname}/descriptions.json`, 'utf8')) as Record<
    string,
    object
  >;
  for (const [name, fields] of Object.entries(texts)) {
    if (name === '*') continue;
    const struct = findStruct(name);
    assert.ok(struct !== undefined, name);
    for (const field of Object.keys(fields))
      assert.ok(field === '' || struct.fields.has(field), `${name}.${field}`);
  }
});

test('a Deployment refers to what a Pod has, and not to a Pod', () => {
  const deployment = findKindStruct('apps', 'v1', 'Deployment');
  assert.ok(deployment !== undefined);
  const names = closureOf([deployment]).map(({ name }) => name);
  assert.ok(names.includes('core.v1.Container'));
  assert.ok(!names.includes('core.v1.Pod'));
});

test('what nobody declared is absent', () => {
  assert.equal(findKindStruct('example.com', 'v1', 'Thing'), undefined);
  assert.equal(findKindStruct('', 'v9', 'Pod'), undefined);
  assert.equal(findKindStruct('', 'v1', 'constructor'), undefined);
});
