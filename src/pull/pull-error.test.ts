import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContentError } from '../content/content-error.ts';
import { ManifestError } from '../oci/manifest-error.ts';
import { HostConfigError } from '../remote/hosts/host-config-error.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { asPullError, PullError, type PullErrorCode } from './pull-error.ts';

const ROWS: readonly { name: string; thrown: unknown; code: PullErrorCode; message: string }[] = [
  {
    name: 'not found',
    thrown: new RemoteError('NOT_FOUND', 'r/a:1: not found'),
    code: 'NOT_FOUND',
    message: 'rpc error: code = NotFound desc = p: r/a:1: not found',
  },
  {
    name: 'a manifest that is too large',
    thrown: new RemoteError('TOO_LARGE', 'rejecting: not found'),
    code: 'TOO_LARGE',
    message: 'rpc error: code = NotFound desc = p: rejecting: not found',
  },
  {
    name: 'a wrong digest',
    thrown: new RemoteError('DIGEST_MISMATCH', 'x: failed precondition'),
    code: 'DIGEST_MISMATCH',
    message: 'rpc error: code = FailedPrecondition desc = p: x: failed precondition',
  },
  {
    name: 'a form that is no longer read',
    thrown: new RemoteError('UNSUPPORTED', 'x: not implemented'),
    code: 'UNSUPPORTED',
    message: 'rpc error: code = Unimplemented desc = p: x: not implemented',
  },
  {
    name: 'a refused credential',
    thrown: new RemoteError('UNAUTHORIZED', 'authorization failed'),
    code: 'UNAUTHORIZED',
    message: 'p: authorization failed',
  },
  {
    name: 'a refusal that says not found',
    thrown: new RemoteError('DENIED', '403 Forbidden\ndenied: not found'),
    code: 'DENIED',
    message: 'p: 403 Forbidden\ndenied: not found',
  },
  {
    name: 'no platform',
    thrown: new ManifestError('NO_PLATFORM', 'no match for platform in manifest d: not found'),
    code: 'NO_MATCHING_PLATFORM',
    message: 'rpc error: code = NotFound desc = p: no match for platform in manifest d: not found',
  },
  {
    name: 'a broken manifest',
    thrown: new ManifestError('BAD_JSON', 'x'),
    code: 'BAD_IMAGE',
    message: 'p: x',
  },
  { name: 'a full disk', thrown: new ContentError('NO_SPACE', 'x'), code: 'NO_SPACE', message: 'p: x' },
  { name: 'a damaged store', thrown: new ContentError('DAMAGED', 'x'), code: 'STORE', message: 'p: x' },
  {
    name: 'a certificate that cannot be used',
    thrown: new HostConfigError('UNREADABLE', 'x'),
    code: 'HOST_CONFIG',
    message: 'p: x',
  },
  {
    name: 'an abort',
    thrown: AbortSignal.abort().reason,
    code: 'CANCELED',
    message: 'rpc error: code = Canceled desc = p: context canceled',
  },
  { name: 'anything else', thrown: 'odd', code: 'STORE', message: 'p: odd' },
];
for (const { name, thrown, code, message } of ROWS) {
  test(`12.8 the kubelet sees the status of ${name} in front of its text, unless that is Unknown`, () => {
    const error = asPullError(thrown, 'p');
    assert.equal(error.code, code);
    assert.equal(error.message, message);
    assert.equal(error.description, message.replace(/^rpc error: code = \w+ desc = /, ''));
  });
}

test('an error wrapped twice keeps its cause, its answers and one status', () => {
  const answers = [{ host: 'm.example', answer: 'x: not found' }];
  const inner = asPullError(
    new RemoteError('NOT_FOUND', 'x: not found', { answers, retryAfterMs: 5 }),
    'inner',
  );
  const outer = asPullError(inner, 'outer');
  assert.ok(outer instanceof PullError);
  assert.equal(outer.message, 'rpc error: code = NotFound desc = outer: inner: x: not found');
  assert.deepEqual(outer.answers, answers);
  assert.equal(outer.retryAfterMs, 5);
  assert.ok(outer.cause instanceof RemoteError);
});
