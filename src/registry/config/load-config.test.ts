import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadRegistryConfig } from './load-config.ts';

async function file(t: TestContext, files: Record<string, string> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-config-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return join(directory, 'registry.yaml');
}

test('the shortest configuration has defaults for the rest', async (t) => {
  const path = await file(t);
  const { options, findings } = await loadRegistryConfig({ directory: 'data' }, path);
  assert.deepEqual(findings, []);
  assert.equal(options?.directory, join(path, '..', 'data'));
  assert.deepEqual([options?.host, options?.port, options?.auth], ['127.0.0.1', 5000, 'required']);
});

test('secrets come from files, which are named from where the configuration is', async (t) => {
  const path = await file(t, { pw: 'hub-password\n', hook: 's3cret' });
  const { options } = await loadRegistryConfig(
    {
      directory: '/data',
      upstreams: [
        { prefix: 'hub', registry: 'docker.io', username: 'me', passwordFile: 'pw', recheckSeconds: 5 },
      ],
      webhooks: [{ name: 'ci', url: 'http://127.0.0.1/hook', secretFile: 'hook' }],
      maintenance: { delayHours: 2 },
    },
    path,
  );
  assert.deepEqual(options?.upstreams, [
    {
      prefix: 'hub',
      registry: 'docker.io',
      credential: { username: 'me', password: 'hub-password' },
      recheckMs: 5000,
    },
  ]);
  assert.equal(options?.webhooks?.[0]?.secret, 's3cret');
  assert.equal(options?.maintenance?.delayMs, 7_200_000);
});

const wrong: readonly [name: string, value: unknown, at: string, message: RegExp][] = [
  ['no object', 'x', '', /expected object/],
  ['no directory', {}, 'directory', /expected string/],
  ['a field that nobody knows', { directory: '/d', tsl: {} }, '', /tsl/],
  ['a port that is none', { directory: '/d', listen: { port: 70_000 } }, 'listen.port', /65535|<=/],
  ['a file that is not there', { directory: '/d', htpasswd: { file: 'none' } }, 'htpasswd.file', /ENOENT/],
  [
    'a user without a password',
    { directory: '/d', upstreams: [{ prefix: 'a', registry: 'r', username: 'u' }] },
    'upstreams.0',
    /belong together/,
  ],
  [
    'a prefix twice',
    {
      directory: '/d',
      upstreams: [
        { prefix: 'a', registry: 'r' },
        { prefix: 'a', registry: 's' },
      ],
    },
    'upstreams.1',
    /there twice/,
  ],
  [
    'an issuer without keys',
    {
      directory: '/d',
      tokenIssuers: [
        { issuer: 'i', audience: 'a', rules: [{ namespace: '*', project: 'p', role: 'guest' }] },
      ],
    },
    'tokenIssuers.0',
    /keysFile or keysUrl/,
  ],
  [
    'a certificate that is none',
    { directory: '/d', tls: { certFile: 'x', keyFile: 'x' } },
    'tls',
    /cannot be used/,
  ],
];
for (const [name, value, at, message] of wrong) {
  test(`a configuration with ${name} is refused and says where`, async (t) => {
    const path = await file(t, { x: 'not a certificate' });
    const { options, findings } = await loadRegistryConfig(value, path);
    assert.equal(options, undefined);
    const found = findings.find((finding) => finding.at === at);
    assert.match(found?.message ?? '', message);
  });
}

test('what is right but dangerous is a warning', async (t) => {
  const value = { directory: '/d', auth: 'none', listen: { host: '0.0.0.0' } };
  const { options, findings } = await loadRegistryConfig(value, await file(t));
  assert.ok(options);
  assert.deepEqual(
    findings.map(({ level, at }) => `${level} ${at}`),
    ['warning auth', 'warning tls'],
  );
});
