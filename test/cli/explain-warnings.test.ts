import assert from 'node:assert/strict';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import type { ObjectExplanation } from '../../src/doctor/explain-object.ts';
import { writeKubeconfig } from '../../src/daemon/kubeconfig.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { findKind } from '../../src/kube/resources.ts';
import { pushImage, serveRegistry } from '../support/serve-registry.ts';
import { runDray, type Outcome } from '../support/run-dray.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';

const PASSWORD = 'very-secret-password';
const directory = mkdtempSync(join(tmpdir(), 'drayage-explain-'));
after(() => rmSync(directory, { recursive: true, force: true }));

async function explain(
  input: string,
  ...args: string[]
): Promise<Outcome & { objects: ObjectExplanation[] }> {
  const outcome = await runDray(['explain', '-f', '-', '--no-node-files', '-o', 'json', ...args], { input });
  return {
    ...outcome,
    objects: outcome.stdout === '' ? [] : (JSON.parse(outcome.stdout) as ObjectExplanation[]),
  };
}

const secret = (name: string, registry: string, namespace = 'default'): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: {
      '.dockerconfigjson': JSON.stringify({ auths: { [registry]: { username: 'u', password: PASSWORD } } }),
    },
  });
const pod = (image: string, more: object = {}, container: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web' },
    spec: { containers: [{ name: 'a', image, ...container }], ...more },
  });
const ids = (warnings: readonly { id: string }[] | undefined): string[] =>
  (warnings ?? []).map(({ id }) => id);

test('A5 latest is warned about, and the newest version that the files know is suggested', async () => {
  const { code, objects } = await explain(
    [pod('r.example/app'), pod('r.example/app:v1.9.0'), pod('r.example/app:v1.10.2')].join('\n---\n'),
  );
  assert.equal(code, 0, 'a warning is no failure');
  const [warning] = objects[0]?.images[0]?.warnings ?? [];
  assert.deepEqual(
    [warning?.id, warning?.severity, warning?.about, warning?.fix],
    ['moving-tag', 'warning', 'spec.containers[0].image', 'write "r.example/app:v1.10.2"'],
  );
  assert.deepEqual(ids(objects[1]?.images[0]?.warnings), []);
});

test('A5 with --ask-registries the better tag comes from the registry', async (t) => {
  const served = await serveRegistry(t);
  for (const tag of ['latest', '1.4.2', '2.0.0-rc.1', '1.5']) await pushImage(served, 'team/app', tag);
  const image = `${served.host}/team/app`;
  const outcome = await runDray(['explain', '--no-node-files', '--ask-registries', image]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, new RegExp(`write "${image}:1\\.5" {2}\\[moving-tag\\]`));
  const away = await runDray(['explain', '--no-node-files', '--ask-registries', 'localhost:1/team/app']);
  assert.equal(away.code, 0, 'a registry that is away costs the suggestion only');
  assert.match(away.stderr, /^dray: no better tag is known: /);
  assert.match(away.stdout, /\[moving-tag\]/);
});

const PRACTICES: readonly { name: string; documents: string[]; image?: string[]; object?: string[] }[] = [
  {
    name: 'a policy that does not fit',
    documents: [pod('r.example/app:latest', {}, { imagePullPolicy: 'IfNotPresent' })],
    image: ['moving-tag', 'moving-tag-not-pulled'],
  },
  {
    name: 'a name without registry',
    documents: [pod('busybox:1')],
    image: ['short-name'],
  },
  {
    name: 'a pull secret of the Pod where the account would do',
    documents: [pod('r.example/app:1', { imagePullSecrets: [{ name: 'reg' }] }), secret('reg', 'r.example')],
    object: ['pull-secret-per-pod'],
  },
  {
    name: 'a secret that fits and that nobody names',
    documents: [pod('r.example/app:1'), secret('reg', 'r.example')],
    image: ['unnamed-pull-secret'],
  },
  {
    name: 'a login for every registry of a domain',
    documents: [
      pod('a.r.example/app:1', { imagePullSecrets: [{ name: 'reg' }] }),
      secret('reg', '*.r.example'),
    ],
    object: ['pull-secret-per-pod', 'wildcard-key'],
  },
  {
    name: 'a login for a registry without TLS',
    documents: [
      pod('r.example/app:1', { imagePullSecrets: [{ name: 'reg' }] }),
      secret('reg', 'http://r.example'),
    ],
    object: ['pull-secret-per-pod', 'plain-registry-key'],
  },
  {
    name: 'one login for several namespaces',
    documents: [
      pod('r.example/app:1', { imagePullSecrets: [{ name: 'reg' }] }),
      secret('reg', 'r.example'),
      secret('reg', 'r.example', 'team-b'),
    ],
    object: ['pull-secret-per-pod', 'shared-credential'],
  },
];
for (const { name, documents, image = [], object = [] } of PRACTICES) {
  test(`F5 ${name} is found: ${[...image, ...object].join(', ')}`, async () => {
    const { objects, stdout } = await explain(documents.join('\n---\n'));
    assert.deepEqual(ids(objects[0]?.images[0]?.warnings), image);
    assert.deepEqual(ids(objects[0]?.warnings), object);
    assert.ok(!stdout.includes(PASSWORD));
  });
}

test('F5 a registry that the node asks without TLS, or without checking it, is named', async () => {
  const home = join(directory, 'home');
  const write = (host: string, text: string): void => {
    mkdirSync(join(home, '.docker', 'certs.d', host), { recursive: true });
    writeFileSync(join(home, '.docker', 'certs.d', host, 'hosts.toml'), text);
  };
  write('plain.example', 'server = "http://plain.example"\n');
  write('blind.example', '[host."https://mirror.example"]\nskip_verify = true\n');
  write('broken.example', 'ca = "missing.crt"\n');
  const env = { HOME: home, DRAYAGE_ROOT: join(directory, 'root') };
  const plain = await runDray(['explain', 'plain.example/app:1'], { env });
  assert.match(plain.stdout, /it is asked without TLS: .* \[plain-registry\]/);
  const blind = await runDray(['explain', 'blind.example/app:1'], { env });
  assert.match(
    blind.stdout,
    /certificate of its mirror mirror\.example is not checked: .* \[unverified-registry\]/,
  );
  const broken = await runDray(['explain', 'broken.example/app:1'], { env });
  assert.equal(broken.code, 1, '16.11 an authority that cannot be read fails every pull');
  assert.match(broken.stdout, /problem {6}.*missing\.crt/);
});

test('A2 a name that is none is shown with carets under what is wrong, and with what is probably meant', async () => {
  const outcome = await runDray(['explain', '--no-node-files', 'registry.example/Team/app:v1']);
  assert.equal(outcome.code, 1);
  const lines = outcome.stdout.split('\n');
  const shown = lines.findIndex((line) => line.trim() === 'registry.example/Team/app:v1');
  const caret = lines[shown + 1] ?? '';
  assert.equal(caret.indexOf('^') - (lines[shown] ?? '').indexOf('registry'), 'registry.example/'.length);
  assert.match(caret, /\^ a repository is written in lower case$/);
  assert.doesNotMatch(outcome.stdout, /warning/, 'once is enough');
  assert.match(outcome.stdout, /perhaps registry\.example\/team\/app:v1 is meant/);
});

test('D8 several files, several documents and whole directories are explained, as YAML too', async () => {
  const files = join(directory, 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'a.yaml'), `${pod('r.example/a:1')}\n---\n${pod('r.example/b:1')}\n`);
  writeFileSync(join(files, 'c.json'), pod('r.example/c:1'));
  writeFileSync(join(files, 'notes.txt'), 'not a manifest');
  const extra = join(directory, 'extra.yaml');
  writeFileSync(extra, pod('r.example/d:1'));
  const outcome = await runDray(['explain', '--no-node-files', '-o', 'yaml', '-f', files, '-f', extra]);
  const objects = parseYaml(outcome.stdout) as ObjectExplanation[];
  assert.deepEqual(
    objects.map((object) => object.images[0]?.image),
    ['a', 'b', 'c', 'd'].map((name) => `r.example/${name}:1`),
  );
});

test('every rule that explain cites has a paragraph in docs/behaviour', async () => {
  const documented = new Set<string>();
  const pages = new URL('../../docs/behaviour/', import.meta.url);
  for (const page of globSync('[0-9]*.md', { cwd: pages })) {
    for (const [, rule = ''] of readFileSync(new URL(page, pages), 'utf8').matchAll(/^\*\*(\d+\.\d+)\*\*/gm))
      documented.add(rule);
  }
  const outcomes = [
    await explain(
      [
        pod('r.example/app', { imagePullSecrets: [{ name: 'reg' }, { name: 'gone' }, {}] }),
        pod('busybox:1', {}, { imagePullPolicy: 'Never' }),
        pod('r.example/App', {}),
        secret('reg', 'https://index.docker.io/v1/'),
      ].join('\n---\n'),
    ),
    await explain(pod('busybox:1'), '--enable-admission-plugins', 'AlwaysPullImages'),
    await explain(pod('busybox:1'), '--image-pull-credentials-verification-policy', 'AlwaysVerify'),
    await explain(pod('busybox:1'), '--image-pull-credentials-verification-policy', 'NeverVerify'),
  ];
  const cited = new Set<string>();
  for (const { stdout } of outcomes)
    for (const [, rule = ''] of stdout.matchAll(/"rule": "([\d.]+)"/g)) cited.add(rule);
  assert.ok(cited.size >= 10, [...cited].join(' '));
  assert.deepEqual(
    [...cited].filter((rule) => !documented.has(rule)),
    [],
  );
});

async function create(api: TestApi, object: KubeObject): Promise<void> {
  const type = findKind(object.apiVersion, object.kind);
  assert.ok(type !== undefined);
  await api.client.create(type, object, AbortSignal.timeout(10_000));
}

/** A cluster with a Deployment, its account and its pull secret. */
async function cluster(t: { after(close: () => Promise<void>): void }): Promise<TestApi> {
  const api = await startTestApi();
  t.after(() => api.close());
  const config = { auths: { 'r.example': { username: 'u', password: PASSWORD } } };
  for (const namespace of ['team-a'])
    await create(api, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await create(api, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'reg', namespace: 'team-a' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify(config)).toString('base64') },
  } as KubeObject);
  await create(api, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'builder', namespace: 'team-a' },
    imagePullSecrets: [{ name: 'reg' }],
  } as KubeObject);
  const labels = { app: 'web' };
  await create(api, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'team-a' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { serviceAccountName: 'builder', containers: [{ name: 'a', image: 'r.example/app:1' }] },
      },
    },
  } as KubeObject);
  return api;
}

test('D7 8.3 an object of a cluster is explained with its account and its secrets, and no value is printed', async (t) => {
  const api = await cluster(t);
  const outcome = await runDray([
    'explain',
    'deploy/web',
    '-n',
    'team-a',
    '--kubeconfig',
    api.kubeconfig,
    '--no-node-files',
    '-o',
    'json',
  ]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const [object] = JSON.parse(outcome.stdout) as ObjectExplanation[];
  assert.deepEqual([object?.kind, object?.imagePullSecrets], ['Deployment', ['reg']]);
  assert.deepEqual(object?.images[0]?.candidates, [{ source: 'Secret team-a/reg', key: 'r.example' }]);
  assert.ok(!outcome.stdout.includes(PASSWORD));
  const gone = await runDray(['explain', 'deploy/gone', '-n', 'team-a', '--kubeconfig', api.kubeconfig]);
  assert.equal(gone.code, 2);
  assert.match(gone.stderr, /there is no deployment "gone" in namespace "team-a"/);
});

test('D7 a secret that whoever asks may not read is a problem that says so, and everything else is explained', async (t) => {
  const api = await cluster(t);
  const rule = (resources: string[]): object => ({ apiGroups: ['', 'apps'], resources, verbs: ['get'] });
  await create(api, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'looker', namespace: 'team-a' },
    rules: [rule(['deployments', 'serviceaccounts'])],
  } as KubeObject);
  await create(api, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'looker', namespace: 'team-a' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'looker' },
    subjects: [{ kind: 'User', name: 'jane', apiGroup: 'rbac.authorization.k8s.io' }],
  } as KubeObject);
  const kubeconfig = join(api.directory, 'jane.kubeconfig');
  const user = await api.certificate('jane');
  await writeKubeconfig(kubeconfig, { name: 'jane', server: api.server.url, ca: api.pki.ca.cert, user });
  const args = ['-n', 'team-a', '--kubeconfig', kubeconfig, '--no-node-files'];
  const outcome = await runDray(['explain', 'deploy/web', ...args]);
  assert.equal(outcome.code, 1);
  assert.equal(outcome.stderr, '');
  assert.match(
    outcome.stdout,
    /problem {6}Secret team-a\/reg may not be read by you \(.*forbidden.*\): whether it holds a login for this image is not known/,
  );
  assert.match(outcome.stdout, /means {8}r\.example\/app:1/);
  const image = await runDray(['explain', 'r.example/app:1', ...args]);
  assert.equal(image.code, 0, image.stdout + image.stderr);
});
