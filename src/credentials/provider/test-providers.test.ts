import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { testProviders } from './test-providers.ts';

const signal = new AbortController().signal;
const V1 = 'credentialprovider.kubelet.k8s.io/v1';

async function setup(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-test-providers-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const binDirectory = join(directory, 'bin');
  await mkdir(binDirectory);
  const provider = async (name: string, matchImages: string, script: string): Promise<string> => {
    await writeFile(join(binDirectory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return `- {name: ${name}, matchImages: ["${matchImages}"], defaultCacheDuration: 10m, apiVersion: ${V1}}\n`;
  };
  const answer = `{"kind":"CredentialProviderResponse","apiVersion":"${V1}","cacheKeyType":"Registry","auth":{"docker.io":{"username":"HIDDEN-USER","password":"HIDDEN-PASSWORD"},"r.io":{}}}`;
  const providers = [
    await provider('good', 'docker.io', `echo 'fetched token=HIDDEN-TOKEN' >&2; echo '${answer}'`),
    await provider('bad', 'docker.io', 'echo "no role" >&2; exit 4'),
    await provider('other', 'quay.io', 'exit 0'),
  ];
  const configPath = join(directory, 'config.yaml');
  await writeFile(
    configPath,
    `apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n${providers.join('')}`,
  );
  return { binDirectory, configPath, clock: new ManualClock(0) };
}

test('each provider is told with match, exit, error output, cache key and expiry, without any credential', async (t) => {
  const report = await testProviders('busybox:1.36', await setup(t), signal);
  assert.equal(report.image, 'docker.io/library/busybox');
  assert.deepEqual(
    report.providers.map(({ trace: _trace, ...result }) => result),
    [
      {
        provider: 'good',
        matched: 'docker.io',
        exit: 'exit status 0',
        stderr: 'fetched token=[redacted]\n',
        error: undefined,
        keys: ['docker.io', 'r.io'],
        cache: { type: 'Registry', key: 'docker.io', expiresAt: '1970-01-01T00:10:00.000Z' },
      },
      {
        provider: 'bad',
        matched: 'docker.io',
        exit: 'exit status 4',
        stderr: 'no role\n',
        error:
          'error execing credential provider plugin bad for image docker.io/library/busybox: exit status 4: no role\n',
        keys: [],
        cache: undefined,
      },
      {
        provider: 'other',
        matched: undefined,
        exit: undefined,
        stderr: undefined,
        error: undefined,
        keys: [],
        cache: undefined,
      },
    ],
  );
  assert.deepEqual(report.candidates, [{ key: 'docker.io', source: 'credential provider good' }]);
  assert.ok(!JSON.stringify(report).includes('HIDDEN'));
});

test('a name that is none is refused before anything runs', async (t) => {
  await assert.rejects(testProviders('team/UPPER', await setup(t), signal), { code: 'UPPERCASE' });
});
