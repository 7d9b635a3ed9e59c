import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DockerConfigEntry } from './docker-config.ts';
import { explainLookup, isDefaultRegistry, keyringEntries, lookup, type KeyringEntry } from './keyring.ts';

const BUSYBOX = 'docker.io/library/busybox';

/** One entry for each key; the user is named for the key. */
function ring(...keys: string[]): KeyringEntry[] {
  return keys.flatMap((key, index) => {
    const entry: DockerConfigEntry = { username: `${key}#${index}`, password: 'pw', email: '' };
    return keyringEntries(new Map([[key, entry]]), { kind: 'node-file', path: `/${index}` });
  });
}
const users = (keys: string[], image: string): string[] =>
  lookup(ring(...keys), image).map((c) => c.username);

test('6.14 candidates come by key in descending byte order, whatever the order of the entries', () => {
  const keys = ['*.io', 'r.io', 'r.io/team', '*.*', 'r.io/team/app', 'r.*'];
  assert.deepEqual(
    lookup(ring(...keys), 'r.io/team/app').map((c) => c.key),
    ['r.io/team/app', 'r.io/team', 'r.io', 'r.*', '*.io', '*.*'],
  );
});

test('6.14 credentials of one key keep the order in which they were added', () => {
  assert.deepEqual(users(['r.io', 'a.io', 'https://r.io/v1/', 'http://r.io'], 'r.io/app'), [
    'r.io#0',
    'https://r.io/v1/#2',
    'http://r.io#3',
  ]);
});

test('6.14 bytes decide, not UTF-16 units', () => {
  const keys = ['r.io/\u{1f6a2}', 'r.io/\uffee'].map((key) => key.normalize());
  const entries = ring(...keys).map((entry) => ({ ...entry, pattern: ring('r.io')[0]?.pattern }));
  assert.deepEqual(
    lookup(entries, 'r.io/x').map((c) => c.key),
    keys,
  );
});

test('6.15 Docker Hub falls back to index.docker.io only when nothing else matches', () => {
  assert.deepEqual(users(['https://index.docker.io/v1/', 'quay.io'], BUSYBOX), [
    'https://index.docker.io/v1/#0',
  ]);
  assert.deepEqual(users(['index.docker.io', 'docker.io'], BUSYBOX), ['docker.io#1']);
  assert.deepEqual(users(['index.docker.io'], 'quay.io/app'), []);
  assert.deepEqual(users(['https://index.docker.io/v1'], BUSYBOX), []);
});

const names: [image: string, isDefault: boolean][] = [
  ['busybox', true],
  ['library/busybox', true],
  [BUSYBOX, true],
  ['index.docker.io/library/busybox', true],
  ['quay.io/app', false],
  ['localhost:5000/app', false],
  ['localhost/app', true],
  ['/app', false],
];
for (const [image, isDefault] of names) {
  test(`6.15 ${image} ${isDefault ? 'belongs' : 'does not belong'} to the default registry`, () => {
    assert.equal(isDefaultRegistry(image), isDefault);
  });
}

test('6.16 of the ways to write Docker Hub, registry-1.docker.io never matches', () => {
  assert.deepEqual(users(['docker.io'], BUSYBOX), ['docker.io#0']);
  assert.deepEqual(users(['registry-1.docker.io'], BUSYBOX), []);
  assert.deepEqual(users(['https://docker.io/v1/'], BUSYBOX), ['https://docker.io/v1/#0']);
});

test('6.11 the repository is compared as normalised: a familiar name matches no entry of its registry', () => {
  assert.deepEqual(users(['docker.io/library'], BUSYBOX), ['docker.io/library#0']);
  assert.deepEqual(users(['docker.io/library'], 'busybox'), []);
  assert.deepEqual(users(['docker.io/library/busybox:1'], BUSYBOX), []);
});

test('6.12 an empty port is no port, and an address in brackets is a host', () => {
  assert.deepEqual(users(['r.io:'], 'r.io/app'), ['r.io:#0']);
  assert.deepEqual(users(['[fd00::1]:5000'], '[fd00::1]:5000/app'), ['[fd00::1]:5000#0']);
});

test('6.10 an entry whose key is no URL is skipped and the others stay', () => {
  assert.deepEqual(users(['r.io:port', 'r.io'], 'r.io/app'), ['r.io#1']);
});

test('every entry is explained: what matched, and the first part that kept the others from it', () => {
  const entries = ring('r.io', 'r.io:5000', '*.r.io', 'r.io/other', 's.io', 'r.io/%25zz', 'user:hidden@r.io');
  assert.deepEqual(
    explainLookup(entries, 'r.io/app').map((step) => `${step.rule} ${step.says}`),
    [
      '6.12 key "r.io" matches',
      '6.12 key "r.io:5000" does not match: port 5000 is not (none)',
      `6.12 key "*.r.io" does not match: host has 3 labels, the image's has 2`,
      '6.12 key "r.io/other" does not match: image path "/app" does not begin with "/other"',
      '6.12 key "s.io" does not match: host label "s" does not match "r"',
      '6.12 key "r.io/%zz" is no URL: it never matches',
      '6.12 key "r.io" matches',
    ],
  );
});

test('the fallback is explained as such', () => {
  assert.deepEqual(
    explainLookup(ring('index.docker.io', 'quay.io'), BUSYBOX).map((step) => step.rule),
    ['6.15', '6.12'],
  );
  assert.deepEqual(
    explainLookup(ring('index.docker.io', 'docker.io'), BUSYBOX).map((step) => step.rule),
    ['6.12', '6.12'],
  );
});
