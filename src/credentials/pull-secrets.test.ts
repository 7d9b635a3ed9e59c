import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MalformedSecretError,
  retrievePullSecrets,
  secretEntries,
  whyUnusable,
  type PullSecret,
} from './pull-secrets.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const entries = { 'r.io': { username: 'u', password: 'p' } };

function secret(type: string | undefined, data?: Record<string, string>): PullSecret {
  return {
    metadata: { name: 'reg', namespace: 'team-a', uid: 'uid-1' },
    ...(type !== undefined && { type }),
    ...(data !== undefined && { data }),
  };
}
const JSON_TYPE = 'kubernetes.io/dockerconfigjson';
const CFG_TYPE = 'kubernetes.io/dockercfg';

test('6.19 both types are read from their own key', () => {
  const source = { kind: 'secret', namespace: 'team-a', name: 'reg', uid: 'uid-1' };
  for (const usable of [
    secret(JSON_TYPE, { '.dockerconfigjson': base64(JSON.stringify({ auths: entries })) }),
    secret(CFG_TYPE, { '.dockercfg': base64(JSON.stringify(entries)) }),
  ]) {
    const found = secretEntries(usable);
    assert.deepEqual(
      found?.map(({ key, username, password, source }) => ({ key, username, password, source })),
      [{ key: 'r.io', username: 'u', password: 'p', source }],
    );
    assert.equal(whyUnusable(usable), undefined);
  }
});

const unusable: [name: string, secret: PullSecret][] = [
  ['Opaque with the right key', secret('Opaque', { '.dockerconfigjson': base64('{"auths":{}}') })],
  ['no type', secret(undefined, { '.dockerconfigjson': base64('{"auths":{}}') })],
  ['the key of the other type', secret(CFG_TYPE, { '.dockerconfigjson': base64('{}') })],
  ['an empty value', secret(JSON_TYPE, { '.dockerconfigjson': '' })],
  ['no data', secret(JSON_TYPE)],
  ['a type that is a name of Object', secret('constructor', { '.dockerconfigjson': base64('{}') })],
];
for (const [name, ignored] of unusable) {
  test(`6.19 a secret is silently ignored: ${name}`, () => {
    assert.equal(secretEntries(ignored), undefined);
    assert.match(whyUnusable(ignored) ?? '', /ignored$/);
  });
}

const malformed: [name: string, value: string, message: string][] = [
  ['value not base64', '!!!notbase64', 'illegal base64 data at input byte 0'],
  ['not JSON', base64('hello'), "invalid character 'h' looking for beginning of value"],
  ['auth not base64', base64('{"auths":{"h":{"auth":"!!!"}}}'), 'illegal base64 data at input byte 0'],
  [
    'auth without colon',
    base64(JSON.stringify({ auths: { h: { auth: base64('S3CRET') } } })),
    'unable to parse auth field, must be formatted as base64(username:password)',
  ],
];
for (const [name, value, message] of malformed) {
  test(`6.19 a malformed secret fails with the text that the kubelet shows (4.12): ${name}`, () => {
    assert.throws(
      () => secretEntries(secret(JSON_TYPE, { '.dockerconfigjson': value })),
      (error) =>
        error instanceof MalformedSecretError &&
        error.code === 'MALFORMED_SECRET' &&
        error.message === message &&
        error.secret === 'reg' &&
        error.namespace === 'team-a',
    );
  });
}

test('a secret whose value was replaced is read anew', () => {
  const data = { '.dockercfg': base64(JSON.stringify(entries)) };
  const changing = secret(CFG_TYPE, data);
  assert.equal(secretEntries(changing)?.[0]?.username, 'u');
  data['.dockercfg'] = base64(JSON.stringify({ 'r.io': { username: 'v' } }));
  assert.equal(secretEntries(changing)?.[0]?.username, 'v');
});

test('6.20 secrets come from the namespace of the Pod, in order; empty names are skipped', async () => {
  const asked: string[] = [];
  const result = await retrievePullSecrets(
    'team-a',
    [{ name: 'b' }, { name: '' }, {}, { name: 'a' }],
    async (namespace, name) => {
      asked.push(`${namespace}/${name}`);
      return secret(JSON_TYPE);
    },
  );
  assert.deepEqual(asked, ['team-a/b', 'team-a/a']);
  assert.equal(result.secrets.length, 2);
  assert.equal(result.warning, undefined);
});

test('6.20 secrets that cannot be read are skipped and reported in one warning', async () => {
  const result = await retrievePullSecrets(
    'team-a',
    [{ name: 'x' }, { name: 'ok' }, { name: 'y' }],
    async (_, name) => {
      if (name === 'x') throw new Error('secrets "x" not found');
      return name === 'y' ? undefined : secret(JSON_TYPE);
    },
  );
  assert.equal(result.secrets.length, 1);
  assert.deepEqual(result.missing, ['x', 'y']);
  assert.deepEqual(result.warning, {
    reason: 'FailedToRetrieveImagePullSecret',
    message:
      'Unable to retrieve some image pull secrets (x, y); attempting to pull the image may not succeed.',
  });
  assert.deepEqual(
    result.trace.map((step) => step.source),
    ['Secret team-a/x', 'Secret team-a/y'],
  );
});
