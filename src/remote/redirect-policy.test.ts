import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInsideHost, mayFollowForOthers } from './redirect-policy.ts';

const inside = [
  'localhost',
  'db',
  'vault.svc',
  'metadata.google.internal',
  '127.0.0.1',
  '127.8.8.8',
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '169.254.169.254',
  '172.31.255.255',
  '192.168.1.1',
  '[::1]',
  '[::]',
  '[fd00::1]',
  '[fe80::1]',
  '[::ffff:10.0.0.1]',
];
const outside = ['registry-1.docker.io', 'cdn.example.', '8.8.8.8', '172.32.0.1', '[2606:4700::1111]'];

for (const host of inside) {
  test(`a redirect from outside to ${host} is not followed for others`, () => {
    const target = new URL(`https://${host}/x`);
    assert.ok(isInsideHost(target.hostname));
    assert.ok(!mayFollowForOthers(new URL('https://registry.example/'), target));
    assert.ok(mayFollowForOthers(new URL('https://10.9.9.9/'), target));
  });
}

for (const host of outside) {
  test(`a redirect to ${host} is followed, but never from TLS into the clear`, () => {
    assert.ok(mayFollowForOthers(new URL('https://registry.example/'), new URL(`https://${host}/x`)));
    assert.ok(!mayFollowForOthers(new URL('https://registry.example/'), new URL(`http://${host}/x`)));
    assert.ok(mayFollowForOthers(new URL('http://registry.example/'), new URL(`http://${host}/x`)));
  });
}
