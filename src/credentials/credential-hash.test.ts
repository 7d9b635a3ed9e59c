import { test } from 'node:test';
import assert from 'node:assert/strict';
import { credentialHash, goJsonString } from './credential-hash.ts';

test('3.40 a credential hashes as the kubelet hashes it', () => {
  assert.equal(
    credentialHash({ username: 'ada', password: 'smash', email: 'ada@example.com' }),
    '353258b53f5e9a57b059eab3f05312fc35bbeb874f08ce101e7bf0bf46977423',
  );
  // Recorded from Kubernetes 1.36.2.
  assert.equal(
    credentialHash({ username: 'u', password: 'p', email: '' }),
    'edbd57ca9372e64eb1c9070ecf3a049ac553596b0529acf034c7a71d4e618e88',
  );
});

test('3.40 every field counts, in its own place', () => {
  const fields = [
    'username',
    'password',
    'auth',
    'email',
    'serverAddress',
    'identityToken',
    'registryToken',
  ] as const;
  const hashes = fields.map((field) => credentialHash({ [field]: 'x' }));
  assert.equal(new Set(hashes).size, fields.length);
  assert.equal(
    credentialHash({ password: 'p', username: 'u' }),
    credentialHash({ username: 'u', password: 'p' }),
  );
});

test('3.40 text is escaped as Go escapes it', () => {
  assert.equal(
    goJsonString('a<b>&\u2028\u2029"\\\n\u0001é'),
    '"a\\u003cb\\u003e\\u0026\\u2028\\u2029\\"\\\\\\n\\u0001é"',
  );
});
