import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { awsServices } from '../../../test/support/aws-services.ts';
import { anyJson, jsonOf, member, objectOf } from '../../../test/support/json-text.ts';
import { publishedPlugin } from '../../../test/support/published-plugin.ts';
import { findCandidates } from '../candidates.ts';
import { CredentialError } from '../credential-error.ts';
import { decodeProviderResponse } from '../provider/provider-protocol.ts';
import { startCredentialProviders } from '../provider/start-credential-providers.ts';
import { patternMatches } from '../registry-pattern.ts';
import { parseEcrHost } from './ecr.ts';
import { readPluginRequest } from './plugin-io.ts';
import { cloudPluginFor } from './plugin-names.ts';
import { runCloudPlugin } from './run-cloud-plugin.ts';

const runs = { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) };
const V1 = 'credentialprovider.kubelet.k8s.io/v1';
const ask = (image: string, apiVersion = V1): string =>
  JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image });

/** A program of one line, as the command line makes it. */
const program = (plugin: string): string[] => [
  '--input-type=module',
  '-e',
  `import { runCloudPlugin } from ${JSON.stringify(new URL('run-cloud-plugin.ts', import.meta.url).href)};
process.exitCode = await runCloudPlugin('${plugin}', { arguments: process.argv.slice(1), environment: process.env, stdin: process.stdin,
  stdout: (text) => process.stdout.write(text), stderr: (text) => process.stderr.write(text), signal: new AbortController().signal });`,
  '--',
];

async function run(
  plugin: 'ecr' | 'gcr' | 'acr',
  args: string[],
  stdin: string,
  environment: Record<string, string> = {},
) {
  let stdout = '';
  let stderr = '';
  const code = await runCloudPlugin(plugin, {
    arguments: args,
    environment,
    stdin: (async function* () {
      yield stdin;
    })(),
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    signal: new AbortController().signal,
  });
  return { code, stdout, stderr };
}

test('the program is known under the names that clusters configure', () => {
  assert.equal(cloudPluginFor('ecr-credential-provider'), 'ecr');
  assert.equal(cloudPluginFor('auth-provider-gcp'), 'gcr');
  assert.equal(cloudPluginFor('acr-credential-provider.exe'), 'acr');
  assert.equal(cloudPluginFor('dray'), undefined);
});

test('a plug-in answers what the kubelet reads, as a process of its own', async (t) => {
  const aws = await awsServices(t);
  aws.identities.set('AKIANODE', { secret: 'node-secret' });
  const authorizationToken = Buffer.from('AWS:p').toString('base64');
  aws.authorization = { authorizationData: [{ authorizationToken, expiresAt: Date.now() / 1000 + 43_200 }] };
  const image = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/app';
  const env = {
    PATH: process.env['PATH'],
    HOME: tmpdir(),
    AWS_ENDPOINT_URL_ECR: aws.url,
    AWS_ACCESS_KEY_ID: 'AKIANODE',
    AWS_SECRET_ACCESS_KEY: 'node-secret',
  };
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
    (resolve) => {
      const child = execFile(process.execPath, program('ecr'), { env }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout: out, stderr: err });
      });
      child.stdin?.end(ask(image));
    },
  );
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const response = decodeProviderResponse(V1, stdout);
  assert.equal(response.cacheKeyType, 'Registry');
  assert.deepEqual([...response.auth.keys()], [image.split('/')[0]]);
});

/** Patterns in the paragraph of a rule on the page about clouds. */
async function documentedPatterns(rule: string): Promise<string[]> {
  const page = new URL('../../../docs/behaviour/10-cloud-providers.md', import.meta.url);
  const paragraph =
    (await readFile(page, 'utf8')).split('\n').find((line) => line.startsWith(`**${rule}**`)) ?? '';
  return [...paragraph.matchAll(/`(\*[^`]+)`/g)].map((match) => match[1] ?? '');
}

test('10.1 the patterns to configure for ECR match its hosts, and those alone', async () => {
  const patterns = await documentedPatterns('10.1');
  const matches = (image: string): boolean => patterns.some((pattern) => patternMatches(pattern, image));
  for (const end of [
    'ecr.eu-central-1.amazonaws.com',
    'ecr.cn-north-1.amazonaws.com.cn',
    'ecr-fips.us-gov-west-1.amazonaws.com',
    'ecr.us-iso-east-1.c2s.ic.gov',
    'ecr.us-isob-east-1.sc2s.sgov.gov',
  ]) {
    const host = `123456789012.dkr.${end}`;
    assert.ok(matches(`${host}/app`), host);
    assert.notEqual(parseEcrHost(host), undefined, host);
  }
  assert.ok(!matches('public.ecr.aws/app') && !matches('dkr.ecr.eu-central-1.amazonaws.com/app'));
});

test('10.14 the patterns to configure for ACR match its hosts', async () => {
  const patterns = await documentedPatterns('10.14');
  assert.equal(patterns.length, 4);
  for (const end of ['io', 'cn', 'de', 'us']) {
    assert.ok(
      patterns.some((pattern) => patternMatches(pattern, `team.azurecr.${end}/app`)),
      end,
    );
  }
});

test('a node runs the plug-in under the name that its configuration has and pulls with the answer', async (t) => {
  const aws = await awsServices(t);
  aws.identities.set('AKIANODE', { secret: 'node-secret' });
  const authorizationToken = Buffer.from('AWS:from-ecr').toString('base64');
  aws.authorization = { authorizationData: [{ authorizationToken, expiresAt: Date.now() / 1000 + 43_200 }] };
  const binDirectory = await mkdtemp(join(tmpdir(), 'drayage-node-'));
  t.after(() => rm(binDirectory, { recursive: true, force: true }));
  const script = await publishedPlugin(join(binDirectory, 'package'), 'ecr');
  const start = `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`;
  await writeFile(join(binDirectory, 'ecr-credential-provider'), start, { mode: 0o755 });
  const configPath = join(binDirectory, 'config.yaml');
  const keys =
    '[{name: AWS_ACCESS_KEY_ID, value: AKIANODE}, {name: AWS_SECRET_ACCESS_KEY, value: node-secret}]';
  await writeFile(
    configPath,
    `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com"]
  defaultCacheDuration: 12h
  apiVersion: ${V1}
  env: ${keys}
`,
  );
  const environment = { HOME: binDirectory, AWS_ENDPOINT_URL: aws.url };
  const providers = await startCredentialProviders({ configPath, binDirectory, environment });
  t.after(() => providers.close());
  const image = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app';
  for (let pull = 0; pull < 2; pull++) {
    const { result } = await findCandidates({ image, secrets: [], providers }, t.signal);
    assert.deepEqual(
      result.map(({ username, password, source }) => ({ username, password, source })),
      [
        {
          username: 'AWS',
          password: 'from-ecr',
          source: { kind: 'provider', provider: 'ecr-credential-provider' },
        },
      ],
    );
  }
  assert.equal(aws.log.length, 1, 'the second pull uses the kept answer');
});

test('a service principal of ACR answers without a network, in the version that was asked', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'drayage-acr-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'azure.json'), '{"aadClientId":"c","aadClientSecret":"s"}');
  for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
    const apiVersion = `credentialprovider.kubelet.k8s.io/${version}`;
    const { code, stdout } = await run(
      'acr',
      ['-v', '4', join(home, 'azure.json')],
      ask('team.azurecr.io/app', apiVersion),
    );
    assert.equal(code, 0);
    const response = decodeProviderResponse(apiVersion, stdout);
    assert.equal(response.cacheDurationMs, 3_600_000);
    assert.deepEqual(response.auth.get('*.azurecr.io'), { username: 'c', password: 's', email: '' });
  }
});

test('10.7 the flags of auth-provider-gcp are taken, its command name included', async () => {
  const gcr = (...args: string[]) =>
    run('gcr', args, ask('gcr.io/p/app'), { GCE_METADATA_HOST: '127.0.0.1:1' });
  for (const args of [
    [],
    ['get-credentials'],
    ['get-credentials', '--authFlow', 'gcr'],
    ['--authFlow=dockercfg-url', '--v=3'],
  ]) {
    const { code, stdout, stderr } = await gcr(...args);
    assert.equal(code, 0, stderr);
    assert.equal(decodeProviderResponse(V1, stdout).auth.size, 0);
    assert.match(stderr, /^Cannot GET "http:\/\/127\.0\.0\.1:1\//);
  }
  assert.match((await gcr('--authFlow=other')).stderr, /^invalid value "other" for authFlow/);
});

const refused: [
  name: string,
  plugin: 'ecr' | 'gcr' | 'acr',
  args: string[],
  stdin: string,
  stderr: RegExp,
][] = [
  ['an unknown flag', 'ecr', ['--what'], ask('x'), /^unknown flag: --what\n$/],
  ['an argument too many', 'ecr', ['get'], ask('x'), /^unknown argument "get"\n$/],
  ['a flag without value', 'acr', ['--config'], ask('x'), /^flag needs an argument: --config\n$/],
  ['no configuration', 'acr', [], ask('x'), /^the path of azure\.json is missing\n$/],
  ['no request', 'ecr', [], '', /^Cannot read the plugin request: it is no JSON\n$/],
  [
    'a request of another kind',
    'ecr',
    [],
    '{"kind":"Pod"}',
    /^Cannot read the plugin request: kind is "Pod"/,
  ],
];
for (const [name, plugin, args, stdin, stderr] of refused) {
  test(`10.6 exit code 1 and a reason: ${name}`, async () => {
    const result = await run(plugin, args, stdin);
    assert.equal(result.code, 1);
    assert.equal(result.stdout, '');
    assert.match(result.stderr, stderr);
  });
}

test('any request is read or refused without quoting its token', () => {
  const leaf = fc.oneof(anyJson, jsonOf('S3CRET'));
  const annotations = objectOf([member(['a', '__proto__'], leaf)]);
  const request = objectOf(
    [
      member(['image'], fc.oneof(jsonOf('r.io/a', ''), anyJson)),
      member(['serviceAccountToken'], leaf),
      member(['serviceAccountAnnotations'], fc.oneof(leaf, annotations)),
    ],
    [
      member(['kind', 'x'], jsonOf('CredentialProviderRequest', 'x')),
      member(['apiVersion', 'x'], jsonOf(V1, 'v1', '')),
    ],
  );
  fc.assert(
    fc.property(request, fc.nat(200), (whole, cut) => {
      for (const text of [whole, whole.slice(0, cut)]) {
        try {
          readPluginRequest(text, ['v1']);
        } catch (error) {
          assert.ok(error instanceof CredentialError);
          assert.ok(!error.message.includes('S3CRET'));
        }
      }
    }),
    runs,
  );
});

test('a plug-in answers with few files read: the kubelet waits for its start at every pull', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'drayage-start-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'azure.json'), '{"aadClientId":"c","aadClientSecret":"s"}');
  const counter = `import { registerHooks } from 'node:module';
let loaded = 0;
registerHooks({ load: (url, context, next) => { if (!url.startsWith('node:')) loaded++; return next(url, context); } });
process.on('exit', () => process.stderr.write('loaded ' + loaded));`;
  const script = await publishedPlugin(home, 'acr');
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(counter)}`, script, join(home, 'azure.json')],
    { input: ask('team.azurecr.io/app'), encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  const loaded = Number(/loaded (\d+)$/.exec(stderr)?.[1]);
  assert.ok(loaded > 1 && loaded <= 40, `${loaded} files`);
});
