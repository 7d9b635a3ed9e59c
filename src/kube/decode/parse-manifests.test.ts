import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManifestError, parseManifests } from './parse-manifests.ts';

test('documents and lists become objects in their order', () => {
  const objects = parseManifests(
    'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n' +
      '- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: c}\n',
  );
  assert.deepEqual(
    objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`),
    ['Pod/a', 'Pod/b', 'Secret/c'],
  );
});

test('JSON is read too', () => {
  assert.equal(parseManifests('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}')[0]?.kind, 'Pod');
});

for (const [text, message] of [
  ['kind: Pod', "Cannot read document 1: Object 'apiVersion' is missing"],
  ['apiVersion: v1', "Cannot read document 1: Object 'Kind' is missing"],
  ['- 1', 'Cannot read document 1: it is not an object'],
  ['apiVersion: v1\nkind: Pod\nkind: Pod', 'Cannot read document 1: line 3: key "kind" already set in map'],
] as const) {
  test(`${JSON.stringify(text)} is no manifest`, () => {
    assert.throws(
      () => parseManifests(text),
      (error) => error instanceof ManifestError && error.message === message,
    );
  });
}
