import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { authOf, dray, login, type PullSecret } from '../support/dray-registry.ts';
import { runDray } from '../support/run-dray.ts';
import { pushImage, serveRegistry } from '../support/serve-registry.ts';
import { startTestApi } from '../support/test-api.ts';

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-cli-registry-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('users are added, changed and removed on a registry that another process serves', async (t) => {
  const served = await serveRegistry(t, { auth: 'required' });
  assert.equal(
    await dray(served.directory, ['user', 'create', 'alice', '--password-stdin'], 'correct-horse\n'),
    'alice\n',
  );
  assert.equal(await login(served, 'alice', 'correct-horse'), 200);
  const made = (await dray(served.directory, ['user', 'password', 'alice'])).trim();
  assert.ok(made.length >= 20);
  assert.equal(await login(served, 'alice', made), 200);
  assert.equal(await dray(served.directory, ['user', 'list', '-o', 'name']), 'alice\n');
  await dray(served.directory, ['user', 'remove', 'alice']);
  assert.equal(await login(served, 'alice', made), 401);
});

test('D10 F5 robot create prints a pull secret that is good, and rotate overlaps old and new', async (t) => {
  const served = await serveRegistry(t, { auth: 'required' });
  await dray(served.directory, ['project', 'create', 'team-a']);
  const server = 'registry.example:5000';
  const args = ['-o', 'secret', '-n', 'team-a', '--server', server];
  const first = parse(
    await dray(served.directory, ['robot', 'create', '--project', 'team-a', '--pull', ...args]),
  ) as PullSecret;
  assert.equal(first.kind, 'Secret');
  assert.equal(first.type, 'kubernetes.io/dockerconfigjson');
  assert.deepEqual(first.metadata, { name: 'robot.team-a.pull', namespace: 'team-a' });
  const old = authOf(first, server);
  assert.equal(await login(served, old.username, old.password), 200);
  const second = parse(
    await dray(served.directory, ['robot', 'rotate', 'robot.team-a.pull', ...args]),
  ) as PullSecret;
  const fresh = authOf(second, server);
  assert.notEqual(fresh.password, old.password);
  assert.equal(await login(served, fresh.username, fresh.password), 200);
  assert.equal(await login(served, old.username, old.password), 200);
  const third = await dray(served.directory, ['robot', 'rotate', old.username, '--overlap-hours', '0']);
  assert.equal(await login(served, fresh.username, fresh.password), 401);
  assert.equal(await login(served, old.username, third.split('\n')[1] ?? ''), 200);
});

test('D10 D7 robot create --kubeconfig applies the secret and links the ServiceAccount beside what is linked', async (t) => {
  const served = await serveRegistry(t, { auth: 'required' });
  const api = await startTestApi();
  t.after(() => api.close());
  const created = async (path: string, body: object): Promise<void> => {
    const answer = await api.send('POST', path, { body });
    assert.equal(answer.code, 201, answer.text);
  };
  await created('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'team-a' },
  });
  await created('/api/v1/namespaces/team-a/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'builder' },
    imagePullSecrets: [{ name: 'other' }],
  });
  await dray(served.directory, ['project', 'create', 'team-a']);
  const cluster = ['--kubeconfig', api.kubeconfig, '-n', 'team-a', '--service-account', 'builder'];
  const args = ['robot', 'create', '--project', 'team-a', '--server', 'localhost:5000', ...cluster];
  assert.equal(await dray(served.directory, args), 'robot.team-a.pull\n');
  const secret = await api.send('GET', '/api/v1/namespaces/team-a/secrets/robot.team-a.pull');
  const auth = authOf(secret.json<PullSecret>(), 'localhost:5000');
  assert.equal(await login(served, auth.username, auth.password), 200);
  const account = await api.send('GET', '/api/v1/namespaces/team-a/serviceaccounts/builder');
  const linked = account.json<{ imagePullSecrets: { name: string }[] }>().imagePullSecrets;
  assert.deepEqual(linked.map(({ name }) => name).sort(), ['other', 'robot.team-a.pull']);
});

test('a robot whose secret cannot be handed over is not there', async (t) => {
  const served = await serveRegistry(t, { auth: 'required' });
  await dray(served.directory, ['project', 'create', 'team-a']);
  const missing = join(served.directory, 'no-kubeconfig');
  const args = ['robot', 'create', '--project', 'team-a', '--server', 'r', '--kubeconfig', missing];
  const outcome = await runDray(['registry', ...args, '--directory', served.directory]);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /no-kubeconfig/);
  assert.deepEqual(await served.registry.robots.list(), []);
});

test('retain, gc, scrub and backup work on a registry that serves', async (t) => {
  const served = await serveRegistry(t);
  await dray(served.directory, ['project', 'create', 'team-a']);
  const rules = 'retention:\n  - { tags: "b-*", keepNewest: 1 }\n';
  await dray(served.directory, ['project', 'policy', 'team-a', '-'], rules);
  for (const tag of ['b-1', 'b-2']) await pushImage(served, 'team-a/app', tag, [tag]);
  const listed = await dray(served.directory, ['retain', '--dry-run', '-o', 'json']);
  assert.deepEqual(
    (JSON.parse(listed) as { name: string }[]).map(({ name }) => name),
    ['b-1'],
  );
  await dray(served.directory, ['retain', '--no-cluster']);
  assert.equal((await served.send('HEAD', '/v2/team-a/app/manifests/b-1')).status, 404);
  assert.equal((await served.send('HEAD', '/v2/team-a/app/manifests/b-2')).status, 200);
  assert.match(await dray(served.directory, ['gc', '--dry-run']), /^would be removed: \d+ blobs/);
  const target = await temporary(t);
  assert.match(await dray(served.directory, ['backup', join(target, 'copy')]), /^\d+ blobs/);
  assert.match(await dray(join(target, 'copy'), ['scrub']), / 0 damaged/);
  const digest = await served.pushBlob('team-a/app', 'to be damaged');
  await writeFile(join(served.directory, 'content/blobs/sha256', digest.slice(7)), 'else');
  const scrubbed = await runDray(['registry', 'scrub', '--directory', served.directory]);
  assert.equal(scrubbed.code, 1);
  assert.ok(scrubbed.stdout.startsWith(`${digest}: damaged`), scrubbed.stdout);
});

test('check-config says everything that is wrong, and exits with 1', async (t) => {
  const file = join(await temporary(t), 'registry.yaml');
  await writeFile(file, 'directory: data\nlisten: { host: 0.0.0.0 }\n');
  const warned = await runDray(['registry', 'check-config', file]);
  assert.equal(warned.code, 0);
  assert.match(warned.stdout, /^warning: tls: /);
  await writeFile(file, 'directory: data\nlisten: { port: 70000 }\nhtpasswd: { files: x }\n');
  const wrong = await runDray(['registry', 'check-config', file, '-o', 'json']);
  assert.equal(wrong.code, 1);
  const findings = JSON.parse(wrong.stdout) as { at: string }[];
  assert.deepEqual([...new Set(findings.map(({ at }) => at))].sort(), [
    'htpasswd',
    'htpasswd.file',
    'listen.port',
  ]);
});

const MISUSES: [name: string, args: string[], message: RegExp][] = [
  ['an unknown role', ['project', 'grant', 'p', 'a', 'king'], /unknown role "king"/],
  ['a missing project', ['robot', 'create'], /--project/],
  ['a format that is none', ['gc', '-o', 'xml'], /unknown output format "xml"/],
  ['two kinds of rights', ['robot', 'create', '--project', 'p', '--push', '--role', 'guest'], /exclude/],
  ['a port that is none', ['serve', '--port', '99999'], /is no port/],
  ['no registry there', ['user', 'list'], /there is no registry in/],
];
for (const [name, args, message] of MISUSES) {
  test(`bad usage exits with 2 and says so: ${name}`, async (t) => {
    const directory = join(await temporary(t), 'none');
    const outcome = await runDray(['registry', ...args, '--directory', directory]);
    assert.equal(outcome.code, 2, outcome.stderr);
    assert.match(outcome.stderr, message);
    await assert.rejects(readFile(join(directory, 'registry.db')), { code: 'ENOENT' });
  });
}
