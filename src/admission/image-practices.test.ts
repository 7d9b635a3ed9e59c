import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Pod, PodSpec } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { betterTag } from './better-tag.ts';
import { findImagePractices, type PracticeContext, type PracticeId } from './image-practices.ts';
import { findSecretPractices, ROTATION_AGE } from './secret-practices.ts';

const SHA256 = `sha256:${'a'.repeat(64)}`;

function pod(
  image: string,
  spec: Partial<PodSpec> = {},
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never',
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {
      containers: [{ name: 'a', image, ...(imagePullPolicy === undefined ? {} : { imagePullPolicy }) }],
      ...spec,
    },
  };
}

function ids(object: Pod, context: PracticeContext = {}): PracticeId[] {
  return findImagePractices(object, context).map(({ id }) => id);
}

test('a versioned image of a named registry with a fitting policy is fine', () => {
  assert.deepEqual(ids(pod('r.example/app:1.2.3')), []);
  assert.deepEqual(ids(pod(`r.example/app@${SHA256}`, {}, 'IfNotPresent')), []);
});

test('A5 latest is warned about, and a better tag is named when the tags are known', () => {
  const tags = (repository: string): { name: string }[] =>
    repository === 'r.example/app'
      ? ['latest', '1.2', '1.10.0', '1.9.9', '2.0.0-rc.1'].map((name) => ({ name }))
      : [];
  for (const image of ['r.example/app', 'r.example/app:latest']) {
    assert.deepEqual(findImagePractices(pod(image), { tags }), [
      {
        id: 'moving-tag',
        severity: 'warning',
        path: 'spec.containers[0].image',
        says: `"${image}" names whatever is latest: it cannot be told which version runs, nor rolled back`,
        fix: 'write "r.example/app:1.10.0"',
      },
    ]);
  }
  assert.equal(
    findImagePractices(pod('r.example/other'), { tags })[0]?.fix,
    'name a version, or pin the image by digest',
  );
});

test('the better tag is the most exact finished version, of the same bytes where they are known', () => {
  const names = (...tags: string[]): { name: string }[] => tags.map((name) => ({ name }));
  assert.equal(betterTag(names('1', '1.25', '1.25.3', '1.25.3-alpine', 'stable')), '1.25.3');
  assert.equal(betterTag(names('v2', 'v10')), 'v10');
  assert.equal(betterTag(names('3.0.0-beta', '2.9')), '2.9');
  assert.equal(betterTag(names('latest', 'stable', 'a1b2c3d')), undefined);
  assert.equal(
    betterTag(
      [
        { name: '2.0', digest: 'd2' },
        { name: '1.0', digest: 'd1' },
      ],
      'd1',
    ),
    '1.0',
  );
  assert.equal(betterTag([{ name: '2.0', digest: 'd2' }], 'elsewhere'), '2.0');
});

test('F5 policies that do not fit are found', () => {
  assert.deepEqual(ids(pod('r.example/app:latest', {}, 'IfNotPresent')), [
    'moving-tag',
    'moving-tag-not-pulled',
  ]);
  assert.deepEqual(ids(pod(`r.example/app@${SHA256}`, {}, 'Always')), ['digest-always-pulled']);
  assert.deepEqual(ids(pod(`r.example/app:1@${SHA256}`)), ['tag-beside-digest']);
  assert.deepEqual(ids(pod('r.example/app:1', {}, 'Never')), ['never-pulled']);
});

test('names without a registry and names that are none are found', () => {
  assert.equal(findImagePractices(pod('busybox:1'))[0]?.fix, 'write "docker.io/library/busybox:1"');
  assert.deepEqual(ids(pod('docker.io/library/busybox:1')), []);
  const [invalid] = findImagePractices(pod('r.example/App:1'));
  assert.equal(invalid?.id, 'invalid-name');
  assert.equal(invalid.fix, 'write "r.example/app:1"');
});

test('F5 secrets belong to the account, once, with a name, and must not be missing', () => {
  const account = (...names: string[]): ServiceAccount => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
    imagePullSecrets: names.map((name) => ({ name })),
  });
  const isPrivate = (domain: string): boolean => domain === 'r.example';
  const image = 'r.example/app:1';
  assert.deepEqual(ids(pod(image), { isPrivate }), ['no-pull-secret']);
  assert.deepEqual(ids(pod(image), { isPrivate, serviceAccount: account('reg') }), []);
  assert.deepEqual(ids(pod(image, { imagePullSecrets: [{ name: 'reg' }] }), { isPrivate }), [
    'pull-secret-per-pod',
  ]);
  assert.deepEqual(
    ids(pod(image, { imagePullSecrets: [{ name: 'reg' }] }), { serviceAccount: account('reg') }),
    [],
  );
  assert.deepEqual(
    ids(pod(image, { imagePullSecrets: [{ name: 'reg' }, { name: 'reg' }, {}] }), {
      serviceAccount: account('reg'),
    }),
    ['duplicate-pull-secret', 'empty-pull-secret'],
  );
});

test('workloads are looked at through their template, volumes too', () => {
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: {
      template: {
        spec: {
          containers: [{ name: 'a', image: 'r.example/a:1' }],
          volumes: [{ name: 'v', image: { reference: 'r.example/v' } }],
        },
      },
    },
  };
  assert.deepEqual(
    findImagePractices(deployment).map(({ id, path }) => [id, path]),
    [['moving-tag', 'spec.template.spec.volumes[0].image.reference']],
  );
});

test('F5 old, shared and plain credentials are found without telling them', () => {
  const now = 10 * ROTATION_AGE;
  const secret = (namespace: string, createdAt: number, registry = 'r.example', hash = 'h1') => ({
    namespace,
    name: 'reg',
    createdAt,
    credentials: [{ registry, hash }],
  });
  const found = findSecretPractices(
    [
      secret('a', now),
      secret('b', now),
      secret('c', now - ROTATION_AGE - 1, 'r.example', 'h2'),
      secret('d', now, 'http://plain'),
    ],
    now,
  );
  assert.deepEqual(
    found.map(({ id, source, says }) => [id, source, says]),
    [
      ['shared-credential', 'Secret a/reg', 'the credential for r.example is also used in b'],
      ['shared-credential', 'Secret b/reg', 'the credential for r.example is also used in a'],
      ['old-credential', 'Secret c/reg', 'made 90 days ago'],
      [
        'plain-registry-key',
        'Secret d/reg',
        'the credential for http://plain is meant for a registry without TLS',
      ],
    ],
  );
  assert.doesNotMatch(JSON.stringify(found), /h1|h2/);
});
