import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { dockerRegistrySecret, type DockerRegistrySecretRequest } from './docker-registry-secret.ts';
import { secretEntries } from './pull-secrets.ts';

const base = { name: 'reg', username: 'u', password: 'p' };

// Payloads recorded from kubectl 1.36.2.
const payloads: [name: string, request: DockerRegistrySecretRequest, data: string][] = [
  [
    'the default server, 7.5',
    base,
    'eyJhdXRocyI6eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOnsidXNlcm5hbWUiOiJ1IiwicGFzc3dvcmQiOiJwIiwiYXV0aCI6ImRUcHcifX19',
  ],
  [
    'an own server, taken as written',
    { ...base, server: '127.0.0.1:5513' },
    'eyJhdXRocyI6eyIxMjcuMC4wLjE6NTUxMyI6eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAiLCJhdXRoIjoiZFRwdyJ9fX0=',
  ],
  [
    'an e-mail address',
    { ...base, server: '127.0.0.1:5513', email: 'a@b.c' },
    'eyJhdXRocyI6eyIxMjcuMC4wLjE6NTUxMyI6eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAiLCJlbWFpbCI6ImFAYi5jIiwiYXV0aCI6ImRUcHcifX19',
  ],
  [
    'quotes and backslashes',
    { ...base, server: '127.0.0.1:5513', password: 'p:q"r\\s' },
    'eyJhdXRocyI6eyIxMjcuMC4wLjE6NTUxMyI6eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA6cVwiclxccyIsImF1dGgiOiJkVHB3T25FaWNseHoifX19',
  ],
  [
    'a colon in the user name',
    { ...base, server: '127.0.0.1:5513', username: 'u:v' },
    'eyJhdXRocyI6eyIxMjcuMC4wLjE6NTUxMyI6eyJ1c2VybmFtZSI6InU6diIsInBhc3N3b3JkIjoicCIsImF1dGgiOiJkVHAyT25BPSJ9fX0=',
  ],
];
for (const [name, request, data] of payloads) {
  test(`D5 7.7 the payload is kubectl's: ${name}`, async () => {
    assert.deepEqual(await dockerRegistrySecret({ ...request, namespace: 'demo' }), {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'reg', namespace: 'demo' },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': data },
    });
  });
}

test('7.7 characters that matter in HTML are escaped as Go escapes them', async () => {
  const secret = await dockerRegistrySecret({ ...base, password: '<&>\u2028' });
  const text = Buffer.from(secret.data['.dockerconfigjson'] ?? '', 'base64').toString();
  assert.ok(text.includes(String.raw`"password":"\u003c\u0026\u003e\u2028"`), text);
  assert.equal(secretEntries(secret)?.[0]?.password, '<&>\u2028');
});

test("7.5 --append-hash gives kubectl's name", async () => {
  const secret = await dockerRegistrySecret({
    ...base,
    name: 'reg5',
    server: '127.0.0.1:5513',
    appendHash: true,
  });
  assert.equal(secret.metadata.name, 'reg5-94f84445kf');
});

const INCOMPLETE =
  'either --from-file or the combination of --docker-username, --docker-password and --docker-server is required';
const refused: [name: string, request: DockerRegistrySecretRequest, message: string][] = [
  ['no name', { ...base, name: '' }, 'name must be specified'],
  ['no password', { name: 'r', username: 'u' }, INCOMPLETE],
  ['no user', { name: 'r', password: 'p' }, INCOMPLETE],
  ['an empty server', { ...base, server: '' }, INCOMPLETE],
  ['nothing', { name: 'r' }, INCOMPLETE],
];
for (const [name, request, message] of refused) {
  test(`D5 7.6 ${name} is refused in kubectl's words`, async () => {
    await assert.rejects(dockerRegistrySecret(request), { code: 'BAD_SECRET_REQUEST', message });
  });
}

async function file(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-secret-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'config.json'), text);
  return join(directory, 'config.json');
}

test('7.8 a file without key is .dockerconfigjson, with key it is that, unchecked', async (t) => {
  const path = await file(t, 'not even JSON');
  const data = Buffer.from('not even JSON').toString('base64');
  assert.deepEqual((await dockerRegistrySecret({ name: 'r', fromFile: [path] })).data, {
    '.dockerconfigjson': data,
  });
  const both = await dockerRegistrySecret({
    ...base,
    fromFile: [`other=${path}`, `.dockerconfigjson=${path}`],
  });
  assert.deepEqual(Object.keys(both.data), ['.dockerconfigjson', 'other']);
});

test("7.8 what cannot be read is refused in kubectl's words", async (t) => {
  const path = await file(t, '{}');
  const cases: [source: string[], message: string | RegExp][] = [
    [[`.dockerconfigjson=${path}.none`], `error reading ${path}.none: no such file or directory`],
    [[tmpdir()], 'cannot give a key name for a directory path'],
    [[`=${path}`], `key name for file path ${path} missing`],
    [['key='], 'file path for key name key missing'],
    [['a=b=c'], "key names or file paths cannot contain '='"],
    [[path, path], 'cannot add key .dockerconfigjson, another key by that name already exists'],
    [[`a b=${path}`], /^"a b" is not valid key name for a Secret/],
  ];
  for (const [fromFile, message] of cases) {
    await assert.rejects(dockerRegistrySecret({ name: 'r', fromFile }), { message });
  }
});
