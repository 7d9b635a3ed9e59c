import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { awsServices } from '../support/aws-services.ts';
import { answer, prints, V1 } from '../support/plugin-scripts.ts';
import { runDray, type Outcome } from '../support/run-dray.ts';

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
const IMAGE = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/app';
const directory = mkdtempSync(join(tmpdir(), 'drayage-plugin-cli-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const request = (image: string, apiVersion = V1): string =>
  JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image });

/** Runs the program as the kubelet runs a plug-in: by the path of a link, with nothing but its input and environment. */
function runLinked(
  name: string,
  args: string[],
  input: string,
  env: Record<string, string>,
): Promise<Outcome> {
  const link = join(directory, name);
  rmSync(link, { force: true });
  symlinkSync(DRAY, link);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [link, ...args], { env, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

test('D9 9.9 9.10 10.6 linked as ecr-credential-provider, the program speaks the protocol of the kubelet', async (t) => {
  const aws = await awsServices(t);
  aws.identities.set('AKIANODE', { secret: 'node-secret' });
  aws.authorization = {
    authorizationData: [
      {
        authorizationToken: Buffer.from('AWS:from-ecr').toString('base64'),
        expiresAt: Date.now() / 1000 + 43_200,
      },
    ],
  };
  const env = {
    HOME: directory,
    AWS_ENDPOINT_URL_ECR: aws.url,
    AWS_ACCESS_KEY_ID: 'AKIANODE',
    AWS_SECRET_ACCESS_KEY: 'node-secret',
  };
  const linked = await runLinked('ecr-credential-provider', [], request(IMAGE), env);
  assert.deepEqual([linked.code, linked.stderr], [0, '']);
  const response = JSON.parse(linked.stdout) as { kind: string; apiVersion: string; auth: object };
  assert.deepEqual([response.kind, response.apiVersion], ['CredentialProviderResponse', V1]);
  assert.deepEqual(Object.values(response.auth), [{ username: 'AWS', password: 'from-ecr' }]);
  const named = await runDray(['credential-provider', 'ecr'], { input: request(IMAGE), env });
  assert.deepEqual((JSON.parse(named.stdout) as typeof response).auth, response.auth);
});

const REFUSALS: readonly {
  name: string;
  program: string;
  args: string[];
  input: string;
  says: RegExp;
}[] = [
  {
    name: 'a request that is no JSON',
    program: 'ecr-credential-provider',
    args: [],
    input: '{"image": "secret',
    says: /^Cannot read the plugin request: it is no JSON\n$/,
  },
  {
    name: 'a version that the plug-in does not speak',
    program: 'auth-provider-gcp',
    args: ['get-credentials'],
    input: request('gcr.io/p/app', 'credentialprovider.kubelet.k8s.io/v9'),
    says: /apiVersion is "credentialprovider\.kubelet\.k8s\.io\/v9", expected /,
  },
  {
    name: 'a flag that the plug-in does not have',
    program: 'auth-provider-gcp',
    args: ['--no-such-flag'],
    input: request('gcr.io/p/app'),
    says: /^unknown flag: --no-such-flag\n$/,
  },
  {
    name: 'a missing configuration',
    program: 'acr-credential-provider',
    args: [],
    input: request('team.azurecr.io/app'),
    says: /^the path of azure\.json is missing\n$/,
  },
];
for (const { name, program, args, input, says } of REFUSALS) {
  test(`9.11 ${program} answers ${name} with exit code 1, the reason on stderr and nothing on stdout`, async () => {
    const outcome = await runLinked(program, args, input, { HOME: directory });
    assert.deepEqual([outcome.code, outcome.stdout], [1, '']);
    assert.match(outcome.stderr, says);
  });
}

/** A node's configuration with two plug-ins: one answers, one fails. */
function configure(): string[] {
  const script = (name: string, text: string): void =>
    writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  script(
    'good-plugin',
    prints(
      answer({ cacheDuration: '1h0m0s', auth: { 'r.io': { username: 'u', password: 'never-printed' } } }),
    ),
  );
  script('bad-plugin', `echo 'no login: Authorization: Bearer never-printed-either' >&2; exit 3`);
  const provider = (name: string, pattern: string): object => ({
    name,
    matchImages: [pattern],
    defaultCacheDuration: '10m',
    apiVersion: V1,
  });
  const config = {
    kind: 'CredentialProviderConfig',
    apiVersion: 'kubelet.config.k8s.io/v1',
    providers: [provider('good-plugin', 'r.io'), provider('bad-plugin', 'bad.io')],
  };
  const file = join(directory, 'providers.json');
  writeFileSync(file, JSON.stringify(config));
  return ['--image-credential-provider-config', file, '--image-credential-provider-bin-dir', directory];
}

test('9.12 9.13 test shows match, exit, cache key, expiry and candidates, and no password', async () => {
  const outcome = await runDray(['credential-provider', 'test', 'r.io/team/app:v1', ...configure()]);
  assert.deepEqual([outcome.code, outcome.stderr], [0, '']);
  assert.match(outcome.stdout, /good-plugin\n {4}match {4}r\.io\n {4}exit {5}exit status 0/);
  assert.match(outcome.stdout, /answers {2}r\.io\n {4}cache {4}by Registry r\.io, until \d{4}-\d\d-\d\dT/);
  assert.match(outcome.stdout, /bad-plugin\n {4}match {4}none: not asked/);
  assert.match(outcome.stdout, /1\. .*good-plugin.*, key "r\.io"/);
  assert.ok(!outcome.stdout.includes('never-printed'));
});

test('9.11 test shows the exit and the redacted error output of a plug-in that fails, with exit code 1', async () => {
  const outcome = await runDray(['credential-provider', 'test', 'bad.io/app', '-o', 'json', ...configure()]);
  assert.equal(outcome.code, 1);
  const { providers } = JSON.parse(outcome.stdout) as { providers: Record<string, string>[] };
  const bad = providers.find((each) => each['provider'] === 'bad-plugin');
  assert.equal(bad?.['exit'], 'exit status 3');
  assert.match(bad?.['stderr'] ?? '', /no login/);
  assert.ok(!outcome.stdout.includes('never-printed-either'));
});
