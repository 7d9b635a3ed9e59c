import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { answer, login, V1 } from '../../../test/support/plugin-scripts.ts';
import { anyJson, jsonOf, member, objectOf } from '../../../test/support/json-text.ts';
import { CredentialError } from '../credential-error.ts';
import { decodeProviderResponse, encodeProviderRequest } from './provider-protocol.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };

test('9.9 the request has the version of the configuration; only v1 carries service accounts', () => {
  const request = {
    image: 'docker.io/library/busybox',
    serviceAccountToken: 'a<b',
    serviceAccountAnnotations: new Map([
      ['z', '1'],
      ['__proto__', '2'],
    ]),
  };
  assert.equal(
    encodeProviderRequest(V1, request),
    `{"kind":"CredentialProviderRequest","apiVersion":"${V1}","image":"docker.io/library/busybox","serviceAccountToken":"a\\u003cb","serviceAccountAnnotations":{"__proto__":"2","z":"1"}}\n`,
  );
  for (const version of ['v1alpha1', 'v1beta1']) {
    const apiVersion = `credentialprovider.kubelet.k8s.io/${version}`;
    assert.equal(
      encodeProviderRequest(apiVersion, request),
      `{"kind":"CredentialProviderRequest","apiVersion":"${apiVersion}","image":"docker.io/library/busybox"}\n`,
    );
  }
});

const refused: [name: string, stdout: string, message: string][] = [
  [
    'an unknown field',
    answer().replace('"kind"', '"extra":1,"kind"'),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'an unknown field of a credential',
    answer({ auth: { 'r.io': { ...login, token: 'S3CRET' } as never } }),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'a field twice',
    answer().replace('{', '{"auth":{},'),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'a password that is no text',
    answer({ auth: { 'r.io': { username: 'u', password: 5 as never } } }),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'a bad duration',
    answer({ cacheDuration: 'S3CRET' }),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'another kind',
    answer().replace('ProviderResponse', 'ProviderRequest'),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'another version',
    answer({ apiVersion: 'credentialprovider.kubelet.k8s.io/v1beta1' }),
    `apiVersion from credential plugin response did not match expected apiVersion:${V1}, actual apiVersion:credentialprovider.kubelet.k8s.io/v1beta1`,
  ],
  ['no JSON', 'S3CRET', 'error reading GVK from response: answer is no JSON'],
];
for (const [name, stdout, message] of refused) {
  test(`9.10 an answer is decoded strictly and refused without being quoted: ${name}`, () => {
    assert.throws(() => decodeProviderResponse(V1, stdout), { code: 'PROVIDER_FAILED', message });
  });
}

test('hostile answers are read or refused, never quoted, never pollute a prototype', () => {
  const secret = 'S3CRET-VALUE';
  const leaf = fc.oneof(anyJson, jsonOf(secret));
  const credential = objectOf([member(['username', 'password', '__proto__'], leaf)]);
  const auth = objectOf([member(['r.io', '__proto__', secret], fc.oneof(leaf, credential))]);
  const response = objectOf(
    [member(['cacheKeyType', 'cacheDuration'], leaf), member(['auth'], fc.oneof(auth, leaf))],
    [
      member(['kind'], jsonOf('CredentialProviderResponse', secret, 1)),
      member(['apiVersion'], jsonOf(V1, secret, null)),
    ],
  );
  fc.assert(
    fc.property(response, fc.nat(300), (whole, cut) => {
      for (const text of [whole, whole.slice(0, cut)]) {
        try {
          decodeProviderResponse(V1, text);
        } catch (error) {
          assert.ok(error instanceof CredentialError);
          assert.ok(!error.message.includes(secret));
        }
      }
      assert.equal('username' in {}, false);
    }),
    runs,
  );
});
