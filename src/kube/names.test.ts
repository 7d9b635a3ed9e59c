import assert from 'node:assert/strict';
import { test } from 'node:test';

import { generateName, newUid, randomSuffix } from './names.ts';
import { controllerOf, controllerReference, isControlledBy } from './owner-reference.ts';
import { subdomainFaults } from './validate/name-rules.ts';

test('a generated name ends in five harmless characters and stays a label', () => {
  assert.match(generateName('gen-'), /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  const long = generateName('x'.repeat(100));
  assert.equal(long.length, 63);
  assert.deepEqual(subdomainFaults(long), []);
});

test('suffixes and uids differ', () => {
  const made = new Set(Array.from({ length: 100 }, () => randomSuffix(8) + newUid()));
  assert.equal(made.size, 100);
});

test('an object knows who controls it, by uid', () => {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'r', uid: 'u1' } };
  const owned = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ownerReferences: [controllerReference(owner)] },
  };
  assert.equal(controllerOf(owned)?.name, 'r');
  assert.equal(isControlledBy(owned, owner), true);
  assert.equal(isControlledBy(owned, { ...owner, metadata: { name: 'r', uid: 'u2' } }), false);
});
