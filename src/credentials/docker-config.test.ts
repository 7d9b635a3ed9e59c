import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { anyJson, jsonOf, member, objectOf } from '../../test/support/json-text.ts';
import { CredentialError } from './credential-error.ts';
import {
  decodeAuthField,
  encodeAuthField,
  encodeDockerConfigJson,
  parseDockerConfigJson,
  parseDockercfg,
} from './docker-config.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const one = (entry: unknown): string => JSON.stringify({ auths: { h: entry } });
const entryOf = (text: string) => parseDockerConfigJson(text).get('h');

test('6.4 config.json holds its entries under auths, .dockercfg at the top', () => {
  const entry = { username: 'u', password: 'p', email: 'e' };
  assert.deepEqual([...parseDockerConfigJson(one(entry))], [['h', entry]]);
  assert.deepEqual([...parseDockercfg(JSON.stringify({ h: entry }))], [['h', entry]]);
  assert.deepEqual([...parseDockerConfigJson('{"HttpHeaders":{"a":"b"},"proxies":7}')], []);
});

test('6.5 field names match case-insensitively, unknown fields are ignored and null is nothing', () => {
  assert.deepEqual(entryOf('{"AUTHS":{"h":{"USERNAME":"u","Password":"p","x":[1],"email":null}}}'), {
    username: 'u',
    password: 'p',
    email: '',
  });
  assert.deepEqual(entryOf('{"auths":{"h":null}}'), { username: '', password: '', email: '' });
  assert.equal(parseDockerConfigJson('null').size, 0);
  assert.equal(parseDockerConfigJson('{"auths":null}').size, 0);
  assert.equal(parseDockerConfigJson('{"auths":{"a":{}},"Auths":null,"auths":{"b":{}}}').has('a'), false);
  assert.equal(parseDockercfg('null').size, 0);
});

test('6.6 tokens, helpers and serveraddress are ignored: the entry stays, without a credential', () => {
  const text = one({ identitytoken: 't', registrytoken: 'r', serveraddress: 's', credsStore: 'c' });
  assert.deepEqual(entryOf(text), { username: '', password: '', email: '' });
  assert.equal(parseDockerConfigJson('{"credsStore":"x","credHelpers":{"h":"y"}}').size, 0);
});

test('6.7 auth overrides username and password and is split at the first colon', () => {
  assert.deepEqual(entryOf(one({ username: 'x', password: 'y', auth: base64('ada:sm:ash') })), {
    username: 'ada',
    password: 'sm:ash',
    email: '',
  });
});

test('6.7 auth may lack padding and may hold line ends, but no space', () => {
  assert.deepEqual(decodeAuthField('YTpi'), { username: 'a', password: 'b' });
  assert.deepEqual(decodeAuthField('YWE6YmI'), { username: 'aa', password: 'bb' });
  assert.deepEqual(decodeAuthField('YWE6\nYmI=\n'), { username: 'aa', password: 'bb' });
  assert.throws(() => decodeAuthField('YTpi '), { message: 'illegal base64 data at input byte 4' });
});

test('6.7 auth without a colon has its own error', () => {
  assert.throws(() => decodeAuthField(base64('nocolon')), {
    code: 'BAD_AUTH_FIELD',
    message: 'unable to parse auth field, must be formatted as base64(username:password)',
  });
});

const mistyped: [text: string, message: string][] = [
  ['[]', 'json: cannot unmarshal array into Go value of type credentialprovider.DockerConfigJSON'],
  [
    '{"auths":[]}',
    'json: cannot unmarshal array into Go struct field DockerConfigJSON.auths of type credentialprovider.DockerConfig',
  ],
  [
    '{"auths":{"h":"x"}}',
    'json: cannot unmarshal string into Go struct field DockerConfigJSON.auths of type credentialprovider.dockerConfigEntryWithAuth',
  ],
  [
    '{"auths":{"h":{"username":5}}}',
    'json: cannot unmarshal number into Go struct field DockerConfigJSON.auths.username of type string',
  ],
  [
    '{"auths":{"h":{"auth":true}}}',
    'json: cannot unmarshal bool into Go struct field DockerConfigJSON.auths.auth of type string',
  ],
  [
    '{"HttpHeaders":{"a":1}}',
    'json: cannot unmarshal number into Go struct field DockerConfigJSON.HttpHeaders of type string',
  ],
  [
    '{"HttpHeaders":1}',
    'json: cannot unmarshal number into Go struct field DockerConfigJSON.HttpHeaders of type map[string]string',
  ],
];
for (const [text, message] of mistyped) {
  test(`6.8 a value of the wrong type fails the whole file: ${text}`, () => {
    assert.throws(() => parseDockerConfigJson(text), { code: 'BAD_JSON', message });
  });
}

test('6.8 a value of the wrong type in .dockercfg names the types of that form', () => {
  assert.throws(() => parseDockercfg('[]'), {
    message: 'json: cannot unmarshal array into Go value of type credentialprovider.DockerConfig',
  });
  assert.throws(() => parseDockercfg('{"h":5}'), {
    message:
      'json: cannot unmarshal number into Go value of type credentialprovider.dockerConfigEntryWithAuth',
  });
  assert.throws(() => parseDockercfg('{"h":{"password":[]}}'), {
    message:
      'json: cannot unmarshal array into Go struct field dockerConfigEntryWithAuth.password of type string',
  });
});

test('6.8 one bad entry fails all: the good one beside it is not used', () => {
  assert.throws(
    () => parseDockerConfigJson(JSON.stringify({ auths: { a: { username: 'u' }, b: { auth: '!' } } })),
    {
      code: 'BAD_BASE64',
    },
  );
});

test('6.9 encoding writes username, password, email and padded auth in this order', () => {
  const config = new Map([['https://index.docker.io/v1/', { username: 'u', password: 'p', email: 'a@b.c' }]]);
  assert.equal(
    encodeDockerConfigJson(config),
    '{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p","email":"a@b.c","auth":"dTpw"}}}',
  );
});

test('6.9 what was encoded is read back unchanged, whatever the names', () => {
  const text = fc.string({ unit: 'grapheme' });
  const key = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', '1', 'https://index.docker.io/v1/'));
  const user = text.filter((name) => !name.includes(':'));
  const entries = fc.uniqueArray(
    fc.tuple(key, fc.record({ username: user, password: text, email: text }, { noNullPrototype: true })),
    {
      selector: ([name]) => name,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(entries, (list) => {
      assert.deepEqual([...parseDockerConfigJson(encodeDockerConfigJson(new Map(list)))], list);
    }),
    runs,
  );
});

test('any auth that was encoded is decoded', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: 'grapheme' }), (user, password) => {
      const username = user.replaceAll(':', '');
      assert.deepEqual(decodeAuthField(encodeAuthField(username, password)), { username, password });
    }),
    runs,
  );
});

test('hostile files are read or refused, never quoting a value, never touching a prototype', () => {
  const secret = 'S3CRET-VALUE';
  const leaf = fc.oneof(anyJson, jsonOf(secret, `${secret}:${secret}`, base64(secret), `!${secret}`));
  const fields = ['username', 'PASSWORD', 'auth', 'email', '__proto__', 'constructor', 'x'];
  const entry = fc.oneof(objectOf([member(fields, leaf)]), leaf);
  const entries = objectOf([member(['h', '__proto__', 'a/b', ''], entry)]);
  const file = objectOf([member(['auths'], fc.oneof(entries, leaf)), member(['HttpHeaders'], leaf)]);
  fc.assert(
    fc.property(file, fc.nat(400), (whole, cut) => {
      for (const text of [whole, whole.slice(0, cut)]) {
        for (const parse of [parseDockerConfigJson, parseDockercfg]) {
          try {
            parse(text);
          } catch (error) {
            assert.ok(error instanceof CredentialError, String(error));
            assert.ok(!error.message.includes(secret) && !error.message.includes(base64(secret)));
          }
        }
      }
      assert.equal(Object.hasOwn(Object.prototype, 'username'), false);
    }),
    runs,
  );
});
