import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AllowlistError, ImageAllowlist } from './image-allowlist.ts';
import {
  NO_CREDENTIALS,
  type PulledRecord,
  type RecordedCredentials,
  type RecordedSecret,
} from './pull-record.ts';
import { decideVerification, matchCredentials, type VerificationInput } from './verification-decision.ts';
import {
  requiresVerification,
  VERIFICATION_POLICIES,
  type VerificationPolicy,
} from './verification-policy.ts';

const FUZZ = { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) };

function secret(name: string, credentialHash = 'h', uid = `u-${name}`): RecordedSecret {
  return { uid, namespace: 'ns', name, credentialHash };
}

function record(mapping: Record<string, Partial<RecordedCredentials>>): PulledRecord {
  return {
    imageRef: 'sha256:1',
    lastUpdatedTime: '2025-01-01T00:00:00Z',
    credentialMapping: new Map(
      Object.entries(mapping).map(([name, credentials]) => [name, { ...NO_CREDENTIALS, ...credentials }]),
    ),
  };
}

function decide(input: Partial<VerificationInput>): unknown {
  const { result } = decideVerification({
    image: 'r.example/a:1',
    imageRef: 'sha256:1',
    policy: 'NeverVerifyPreloadedImages',
    allowlist: new ImageAllowlist([]),
    record: undefined,
    intent: false,
    ...input,
  });
  return 'compareWith' in result ? 'compare' : `${result.pull ? 'pull' : 'no pull'}: ${result.why}`;
}

const OPEN = record({ 'r.example/a': { nodePodsAccessible: true } });
const SECRETS = record({ 'r.example/a': { kubernetesSecrets: [secret('s')] } });

const STEPS: Record<string, [input: Partial<VerificationInput>, expected: string]> = {
  'step 1: an absent image is pulled': [{ imageRef: '' }, 'pull: absent'],
  'step 2: an unreadable record means pull, even under NeverVerify': [
    { record: 'unreadable', policy: 'NeverVerify' },
    'pull: error',
  ],
  'step 3: an unreadable intent means pull': [{ intent: 'unreadable', policy: 'NeverVerify' }, 'pull: error'],
  'step 3: with a record the intent does not matter': [
    { record: OPEN, intent: 'unreadable' },
    'no pull: record',
  ],
  'step 3: an intent alone makes the image one of the kubelet': [{ intent: true }, 'pull: must-authenticate'],
  'step 4: a preloaded image is free': [{}, 'no pull: policy'],
  'step 5: without a record there is nothing to compare': [
    { policy: 'AlwaysVerify' },
    'pull: must-authenticate',
  ],
  'step 6: a name that cannot be read': [{ record: OPEN, image: 'r.example/A' }, 'pull: must-authenticate'],
  'step 6: a name that the record does not know': [
    { record: OPEN, image: 'other:1' },
    'pull: must-authenticate',
  ],
  'step 6: ubuntu and docker.io/library/ubuntu are two names': [
    { record: record({ ubuntu: { nodePodsAccessible: true } }), image: 'docker.io/library/ubuntu' },
    'pull: must-authenticate',
  ],
  'step 6: tag and digest do not matter': [{ record: OPEN, image: 'r.example/a:other' }, 'no pull: record'],
  'step 7: open to the node': [{ record: OPEN }, 'no pull: record'],
  'step 8: nobody is recorded': [{ record: record({ 'r.example/a': {} }) }, 'pull: must-authenticate'],
  'step 9: secrets are compared': [{ record: SECRETS }, 'compare'],
};

for (const [name, [input, expected]] of Object.entries(STEPS)) {
  test(`3.12 ${name}`, () => assert.equal(decide(input), expected));
}

const KNOWN: RecordedCredentials = { ...NO_CREDENTIALS, kubernetesSecrets: [secret('s')] };
const many = (n: number): RecordedCredentials => ({
  ...NO_CREDENTIALS,
  kubernetesSecrets: [...Array.from({ length: n - 1 }, (_, i) => secret(`x${i}`, `h${i}`)), secret('s')],
});

test('3.12 step 10: the same hash is a match; a new secret that holds it is learned while there is room', () => {
  const match = (known: RecordedCredentials, shown: RecordedSecret): unknown =>
    matchCredentials(known, { secrets: [shown], serviceAccount: undefined }).result;
  assert.deepEqual(match(KNOWN, secret('s')), { pull: false });
  assert.deepEqual(match(KNOWN, secret('t')), { pull: false, learn: secret('t') });
  assert.deepEqual(match(many(99), secret('t')), { pull: false, learn: secret('t') });
  assert.deepEqual(match(many(100), secret('t')), { pull: false });
});

test('3.12 step 10: a changed secret is trusted and its hash learned, but no longer in a full record', () => {
  const match = (known: RecordedCredentials): unknown =>
    matchCredentials(known, { secrets: [secret('s', 'changed')], serviceAccount: undefined }).result;
  assert.deepEqual(match(KNOWN), { pull: false, learn: secret('s', 'changed') });
  assert.deepEqual(match(many(99)), { pull: false, learn: secret('s', 'changed') });
  assert.deepEqual(match(many(100)), { pull: true });
});

test('3.12 step 10: empty hashes never match, and a secret made anew has another uid', () => {
  const known = { ...NO_CREDENTIALS, kubernetesSecrets: [secret('s', '')] };
  assert.deepEqual(
    matchCredentials(known, { secrets: [secret('t', '')], serviceAccount: undefined }).result,
    { pull: true },
  );
  assert.deepEqual(
    matchCredentials(KNOWN, { secrets: [secret('s', 'other', 'new-uid')], serviceAccount: undefined }).result,
    { pull: true },
  );
});

test('3.12 steps 11 and 12: the recorded service account may, every other must pull', () => {
  const account = { uid: 'u', namespace: 'ns', name: 'robot' };
  const known = { ...NO_CREDENTIALS, kubernetesServiceAccounts: [account] };
  assert.deepEqual(matchCredentials(known, { secrets: [], serviceAccount: account }).result, { pull: false });
  for (const field of ['uid', 'namespace', 'name'] as const) {
    const other = { ...account, [field]: 'x' };
    assert.deepEqual(matchCredentials(known, { secrets: [], serviceAccount: other }).result, { pull: true });
  }
  assert.deepEqual(matchCredentials(known, { secrets: [secret('s')], serviceAccount: undefined }).result, {
    pull: true,
  });
});

test('D4 3.14 3.15 the four policies', () => {
  const allowlist = new ImageAllowlist(['r.example/ok/*']);
  const table: [VerificationPolicy, image: string, pulled: boolean, must: boolean][] = [
    ['NeverVerify', 'a', true, false],
    ['NeverVerify', 'a', false, false],
    ['NeverVerifyPreloadedImages', 'a', true, true],
    ['NeverVerifyPreloadedImages', 'a', false, false],
    ['NeverVerifyAllowlistedImages', 'a', true, true],
    ['NeverVerifyAllowlistedImages', 'a', false, true],
    ['NeverVerifyAllowlistedImages', 'r.example/ok/a', true, false],
    ['NeverVerifyAllowlistedImages', 'r.example/ok/a', false, false],
    ['AlwaysVerify', 'r.example/ok/a', true, true],
    ['AlwaysVerify', 'r.example/ok/a', false, true],
  ];
  assert.deepEqual([...new Set(table.map(([policy]) => policy))], VERIFICATION_POLICIES);
  for (const [policy, image, pulled, must] of table)
    assert.equal(
      requiresVerification(policy, allowlist, image, pulled),
      must,
      `${policy} ${image} ${pulled}`,
    );
});

test('3.16 an allow-list has exact names and prefixes that end in a slash and an asterisk', () => {
  const list = new ImageAllowlist(['r.example/a', 'localhost:5000/*', 'r.example/team/*', 'ubuntu']);
  for (const image of [
    'r.example/a',
    'r.example/a:1',
    `r.example/a@sha256:${'0'.repeat(64)}`,
    'localhost:5000/x/y/z:1',
    'r.example/team/a',
    'ubuntu:22.04',
  ])
    assert.ok(list.matches(image), image);
  for (const image of [
    'r.example/ab',
    'r.example/a/b',
    'r.example/team',
    'r.example/teams/a',
    'localhost:5001/x',
  ])
    assert.ok(!list.matches(image), image);
});

test('3.16 patterns are refused in the kubelet’s words', () => {
  const table: Record<string, string> = {
    ' a': 'leading/trailing spaces are not allowed:  a',
    'a\t': 'leading/trailing spaces are not allowed: a\t',
    '': 'the supplied pattern is too short: ',
    '*': "not a valid wildcard pattern, only patterns ending with '/*' are allowed: *",
    'a*': "not a valid wildcard pattern, only patterns ending with '/*' are allowed: a*",
    'a/*/b': "not a valid wildcard pattern, only patterns ending with '/*' are allowed: a/*/b",
    '*.io/*': "not a valid wildcard pattern, only patterns ending with '/*' are allowed: *.io/*",
    '/*': 'at least registry hostname is required',
    'a/': 'failed to parse as an image name: invalid reference format',
    'a/B': 'failed to parse as an image name: repository name must be lowercase',
    'a:1': 'neither tag nor digest is accepted in an image reference: a:1',
    [`a@sha256:${'0'.repeat(64)}`]: `neither tag nor digest is accepted in an image reference: a@sha256:${'0'.repeat(64)}`,
  };
  for (const [pattern, message] of Object.entries(table))
    assert.throws(
      () => new ImageAllowlist([pattern]),
      { name: 'AllowlistError', message },
      JSON.stringify(pattern),
    );
});

test('3.17 matching compares text: docker.io/library/ubuntu is not ubuntu, and what is no name is compared as it is', () => {
  assert.equal(new ImageAllowlist(['docker.io/library/ubuntu']).matches('ubuntu'), false);
  assert.equal(new ImageAllowlist(['a.b/*']).matches('a.b/NOT A NAME:1'), true);
});

test('3.16 any pattern is taken or refused with a code, and what it takes it matches', () => {
  const patterns = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc
      .array(fc.constantFrom('a', '/', '*', '/*', '.', ':', '@', ' ', 'B', '5'), { maxLength: 8 })
      .map((p) => p.join('')),
  );
  fc.assert(
    fc.property(patterns, (pattern) => {
      let list: ImageAllowlist;
      try {
        list = new ImageAllowlist([pattern]);
      } catch (error) {
        assert.ok(error instanceof AllowlistError);
        return;
      }
      assert.ok(
        list.matches(pattern.endsWith('/*') ? `${pattern.slice(0, -1)}x` : `${pattern}:tag`),
        pattern,
      );
    }),
    FUZZ,
  );
});
