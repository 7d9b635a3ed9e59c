import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentialHash } from './credential-hash.ts';
import { findCandidates, type NodeEntries, type ProviderEntries } from './candidates.ts';
import { describeSource, keyringEntries, type CandidateSource, type KeyringEntry } from './keyring.ts';
import { MalformedSecretError, secretEntries, type PullSecret } from './pull-secrets.ts';

const never = new AbortController().signal;
const IMAGE = 'r.io/team/app';

function secret(name: string, auths: Record<string, unknown>, namespace = 'team-a'): PullSecret {
  return {
    metadata: { name, namespace, uid: `uid-${name}` },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
  };
}
function entries(source: CandidateSource, ...keys: string[]): KeyringEntry[] {
  return keys.flatMap((key) =>
    keyringEntries(new Map([[key, { username: `user of ${key}`, password: 'pw', email: '' }]]), source),
  );
}
function node(...keys: string[]): NodeEntries {
  const path = '/var/lib/kubelet/config.json';
  return { read: async () => ({ path, entries: entries({ kind: 'node-file', path }, ...keys), trace: [] }) };
}
function providers(...keys: string[]): ProviderEntries {
  return {
    entriesFor: async () => ({ result: entries({ kind: 'provider', provider: 'ecr' }, ...keys), trace: [] }),
  };
}
const login = { username: 'u', password: 'p' };

test('6.17 pull secrets come first, then the node, then providers, without merging', async () => {
  const { result } = await findCandidates(
    {
      image: IMAGE,
      secrets: [secret('reg', { 'r.io': login })],
      nodeFiles: node('r.io/team', 'r.io'),
      providers: providers('r.io/team/app', 'r.io'),
    },
    never,
  );
  assert.deepEqual(
    result.map((c) => `${c.key} ${describeSource(c.source)}`),
    [
      'r.io Secret team-a/reg',
      'r.io/team /var/lib/kubelet/config.json',
      'r.io /var/lib/kubelet/config.json',
      'r.io/team/app credential provider ecr',
      'r.io credential provider ecr',
    ],
  );
});

test('6.17 each group falls back to Docker Hub by itself', async () => {
  const { result } = await findCandidates(
    {
      image: 'docker.io/library/busybox',
      secrets: [secret('hub', { 'docker.io': login, 'https://index.docker.io/v1/': login })],
      nodeFiles: node('index.docker.io'),
      providers: providers('quay.io'),
    },
    never,
  );
  assert.deepEqual(
    result.map((c) => c.key),
    ['docker.io', 'index.docker.io'],
  );
});

test('6.18 all secrets are one keyring: the more specific key first, then the order of imagePullSecrets', async () => {
  const { result } = await findCandidates(
    {
      image: IMAGE,
      secrets: [
        secret('one', { 'r.io': login }),
        secret('two', { 'r.io/team': login, '*.io': login }),
        secret('three', { 'https://r.io/v1/': login }),
      ],
    },
    never,
  );
  assert.deepEqual(
    result.map((c) => `${c.key} ${describeSource(c.source)}`),
    [
      'r.io/team Secret team-a/two',
      'r.io Secret team-a/one',
      'r.io Secret team-a/three',
      '*.io Secret team-a/two',
    ],
  );
});

test('6.19 a malformed secret fails the request although another would do', async () => {
  const broken: PullSecret = {
    metadata: { name: 'broken', namespace: 'team-a' },
    type: 'kubernetes.io/dockercfg',
    data: { '.dockercfg': 'bm90IGpzb24=' },
  };
  await assert.rejects(
    findCandidates({ image: IMAGE, secrets: [secret('good', { 'r.io': login }), broken] }, never),
    (error) =>
      error instanceof MalformedSecretError &&
      error.secret === 'broken' &&
      error.message === "invalid character 'o' in literal null (expecting 'u')",
  );
});

test('6.19 an ignored secret is named in the trace with the reason', async () => {
  const { result, trace } = await findCandidates(
    { image: IMAGE, secrets: [{ metadata: { name: 'o', namespace: 'team-a' }, type: 'Opaque', data: {} }] },
    never,
  );
  assert.deepEqual(result, []);
  assert.ok(
    trace.some((s) => s.rule === '6.19' && s.source === 'Secret team-a/o' && s.says.includes('Opaque')),
  );
  assert.ok(trace.some((s) => s.rule === '3.19'));
});

test('6.21 only the secrets of the Pod count: no account is asked for its list', async () => {
  const pod = { namespace: 'team-a', name: 'p', uid: 'u', serviceAccountName: 'builder' };
  const { result } = await findCandidates({ image: IMAGE, secrets: [], pod }, never);
  assert.deepEqual(result, []);
});

test('6.22 a candidate carries user, password and email, never a token or an auth field', async () => {
  const text = {
    ...login,
    email: 'e',
    auth: 'eDp5',
    identitytoken: 't',
    registrytoken: 'r',
    serveraddress: 's',
  };
  const { result } = await findCandidates(
    { image: IMAGE, secrets: [secret('reg', { 'r.io': text })] },
    never,
  );
  assert.deepEqual(result, [
    {
      username: 'x',
      password: 'y',
      email: 'e',
      key: 'r.io',
      source: { kind: 'secret', namespace: 'team-a', name: 'reg', uid: 'uid-reg' },
    },
  ]);
});

test('6.22 a candidate has the hash that a kubelet 1.36.2 recorded for the same secret', async () => {
  const value = '{"auths": {"127.0.0.1:5513": {"username": "u", "password": "p", "auth": "dTpw"}}}';
  const recorded: PullSecret = {
    metadata: { name: 'reg', namespace: 'private-right-secret', uid: 'x' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(value).toString('base64') },
  };
  const { result } = await findCandidates({ image: '127.0.0.1:5513/priv/right', secrets: [recorded] }, never);
  assert.deepEqual(result.map(credentialHash), [
    'edbd57ca9372e64eb1c9070ecf3a049ac553596b0529acf034c7a71d4e618e88',
  ]);
});

test('the trace names sources and keys, never a user or a password', async () => {
  const hidden = { username: 'HIDDEN-USER', password: 'HIDDEN-PASSWORD', email: 'HIDDEN-MAIL' };
  const { result, trace } = await findCandidates(
    {
      image: IMAGE,
      secrets: [secret('reg', { 'r.io': hidden, 'HIDDEN-A:HIDDEN-B@s.io': hidden })],
      explain: true,
    },
    never,
  );
  assert.equal(result.length, 1);
  assert.ok(!JSON.stringify(trace).includes('HIDDEN'));
  assert.ok(trace.some((s) => s.says.includes('key "s.io" does not match')));
});

test('candidates among 10,000 secrets and 10,000 entries of the node are found, and each secret is decoded once', async () => {
  const secrets = Array.from({ length: 10_000 }, (_, i) =>
    secret(`s${i}`, { [`r${i}.example.com/team`]: login }),
  );
  const nodeFiles = node(...Array.from({ length: 10_000 }, (_, i) => `*.n${i}.example.com`));
  const first = await findCandidates({ image: 'r9999.example.com/team/app', secrets, nodeFiles }, never);
  assert.equal(first.result.length, 1);
  const decoded = secrets.map(secretEntries);
  const second = await findCandidates({ image: 'r1.example.com/team/app', secrets, nodeFiles }, never);
  assert.equal(second.result.length, 1);
  assert.ok(secrets.every((each, i) => secretEntries(each) === decoded[i]));
});
