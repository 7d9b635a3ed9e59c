import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactHeaders, redactUrl } from './redact.ts';

test('a URL loses user and password', () => {
  assert.equal(redactUrl('https://user:hunter2@registry.example/v2/'), 'https://registry.example/v2/');
});

test('a signed download URL keeps its path and loses its signature', () => {
  const redacted = redactUrl('https://cdn.example/blob?X-Amz-Signature=abc&X-Amz-Credential=def&part=1');
  assert.equal(
    redacted,
    'https://cdn.example/blob?X-Amz-Signature=redacted&X-Amz-Credential=redacted&part=1',
  );
});

test('what is not a URL still loses its user part', () => {
  assert.equal(redactUrl('registry//bob:pw@host/x'), 'registry//[redacted]@host/x');
});

test('headers with credentials are replaced whatever their case', () => {
  assert.deepEqual(redactHeaders({ Authorization: 'Basic eDp5', Accept: '*/*' }), {
    Authorization: '[redacted]',
    Accept: '*/*',
  });
});
