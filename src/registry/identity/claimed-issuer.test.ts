import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimedIssuer } from './claimed-issuer.ts';

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('the issuer that a token claims is read without verifying it', () => {
  assert.deepEqual(claimedIssuer(`${part({ alg: 'none' })}.${part({ iss: 'cluster' })}.sig`), {
    issuer: 'cluster',
  });
});

test('a token without an issuer of text has none', () => {
  for (const claims of [{}, { iss: 7 }, { iss: null }]) {
    assert.deepEqual(claimedIssuer(`e30.${part(claims)}.sig`), { issuer: undefined });
  }
  assert.deepEqual(claimedIssuer(`e30.${part({ ['__proto__']: { iss: 'x' } })}.s`), { issuer: undefined });
});

test('what is no token is unreadable', () => {
  const texts = [
    '',
    'secret',
    'a.b',
    'a.b.c.d',
    'a..c',
    `e30.${part([1])}.s`,
    `e30.${part(null)}.s`,
    'e30.!!!.s',
  ];
  for (const text of texts) assert.equal(claimedIssuer(text), 'unreadable', text);
});
