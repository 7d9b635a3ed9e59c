import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createFrom, createObject, resourceAt, statusOf } from '../fixtures/create-object.ts';
import { readRecorded } from '../fixtures/recorded.ts';
import { maxSecretBytes, validateSecret, validateSecretUpdate } from './secret.ts';

interface Case {
  name: string;
  body: object;
  code: number;
  answer?: object;
  data?: object;
}

const secrets = resourceAt('/api/v1/namespaces/demo/secrets');

// Rules 7.2 and 7.3, and what decoding says before them, for both types of registry secret.
for (const { name, body, code, answer, data } of readRecorded<Case>('registry-secrets')) {
  if (code === 201) {
    test(`7.3 recorded: ${name} is stored with the same data`, () => {
      const { object } = createFrom(body, secrets);
      assert.deepEqual((object as { data?: object }).data, data);
    });
  } else {
    test(`7.3 recorded: ${name} is refused with the same Status`, () => {
      assert.deepEqual(
        statusOf(() => createFrom(body, secrets)),
        answer,
      );
    });
  }
}

const secret = (parts: object): Record<string, unknown> =>
  createObject({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, ...parts }) as never;

test('7.1 the type is Opaque when nobody says otherwise', () => {
  assert.equal(secret({})['type'], 'Opaque');
});

test('7.1 stringData becomes data and wins over it', () => {
  assert.deepEqual(secret({ data: { a: 'eA==', b: 'eA==' }, stringData: { a: 'y' } })['data'], {
    a: 'eQ==',
    b: 'eA==',
  });
});

for (const [key, fault] of [
  ['a b', 'a valid config key must consist of'],
  ['..', "must not be '..'"],
  ['..a', "must not start with '..'"],
  ['k'.repeat(254), 'must be no more than 253 characters'],
] as const) {
  test(`7.1 ${key.slice(0, 10)} is no key`, () => {
    const [error] = validateSecret({ type: 'Opaque', data: { [key]: 'eA==' } });
    assert.equal(error?.field, `data[${key}]`);
    assert.ok(error?.message.includes(fault), error?.message);
  });
}

test('7.1 data may be one mebibyte, not a byte more', () => {
  const data = (bytes: number): object => ({
    type: 'Opaque',
    data: { a: Buffer.alloc(bytes - 1).toString('base64'), b: 'eA==' },
  });
  assert.deepEqual(validateSecret(data(maxSecretBytes) as never), []);
  assert.deepEqual(validateSecret(data(maxSecretBytes + 1) as never), [
    { type: 'FieldValueTooLong', field: 'data', message: 'Too long: may not be more than 1048576 bytes' },
  ]);
});

for (const [type, field] of [
  ['kubernetes.io/dockerconfigjson', 'data[.dockerconfigjson]'],
  ['kubernetes.io/dockercfg', 'data[.dockercfg]'],
  ['kubernetes.io/ssh-auth', 'data[ssh-privatekey]'],
  ['kubernetes.io/tls', 'data[tls.crt]'],
  ['kubernetes.io/basic-auth', 'data[username]'],
  ['kubernetes.io/service-account-token', 'metadata.annotations[kubernetes.io/service-account.name]'],
] as const) {
  test(`7.2 a secret of type ${type} needs ${field}`, () => {
    const [error] = validateSecret({ type, metadata: {}, data: {} });
    assert.deepEqual(error, { type: 'FieldValueRequired', field, message: 'Required value' });
  });
}

test('7.3 what a registry secret holds never reaches the error', () => {
  const data = { '.dockerconfigjson': Buffer.from('{"auths":{"hunter2').toString('base64') };
  const [error] = validateSecret({ type: 'kubernetes.io/dockerconfigjson', data });
  assert.equal(error?.message, 'Invalid value: "<secret contents redacted>": unexpected end of JSON input');
});

test('7.4 the type may not change', () => {
  const errors = validateSecretUpdate({ type: 'example.com/b' }, { type: 'example.com/a' });
  assert.deepEqual(errors, [
    {
      type: 'FieldValueInvalid',
      field: 'type',
      message: 'Invalid value: "example.com/b": field is immutable',
    },
  ]);
});

test('7.4 an immutable secret keeps its data and stays immutable', () => {
  const frozen = 'Forbidden: field is immutable when `immutable` is set';
  const old = { type: 'Opaque', immutable: true, data: { a: 'eA==' } };
  assert.deepEqual(
    validateSecretUpdate({ type: 'Opaque', data: {} }, old).map(
      ({ field, message }) => `${field}: ${message}`,
    ),
    [`immutable: ${frozen}`, `data: ${frozen}`],
  );
  assert.deepEqual(validateSecretUpdate({ ...old }, old), []);
});
