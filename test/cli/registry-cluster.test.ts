import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { authOf, dray, login, type PullSecret } from '../support/dray-registry.ts';
import { runDray } from '../support/run-dray.ts';
import { pushImage, serveRegistry } from '../support/serve-registry.ts';
import { startTestApi } from '../support/test-api.ts';

test('administrators are made and unmade, projects opened and closed, repositories removed, and all of it is in the audit log', async (t) => {
  const served = await serveRegistry(t, { auth: 'required' });
  const { directory } = served;
  await dray(directory, ['user', 'create', 'alice', '--password-stdin'], 'correct-horse\n');
  const put = async (): Promise<number> => {
    const body = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}';
    const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
    const options = { body, headers, basic: 'alice:correct-horse' };
    return (await served.send('PUT', '/v2/team-a/app/manifests/v1', options)).status;
  };
  assert.equal(await put(), 403);
  await dray(directory, ['user', 'admin', 'alice']);
  assert.equal(await put(), 201);
  await dray(directory, ['user', 'admin', 'alice', '--off']);
  assert.equal(await put(), 403);

  await dray(directory, ['project', 'create', 'team-a']);
  const token = async (): Promise<number> => {
    const issued = await served.send('GET', '/token?scope=repository:team-a/app:pull');
    const { token: bearer } = (await issued.json()) as { token: string };
    return (await served.send('GET', '/v2/team-a/app/manifests/v1', { bearer })).status;
  };
  assert.equal(await token(), 401);
  await dray(directory, ['project', 'public', 'team-a']);
  assert.equal(await token(), 200);
  await dray(directory, ['project', 'private', 'team-a']);
  assert.equal(await token(), 401);

  assert.equal(await dray(directory, ['repository', 'list', '-o', 'name']), 'team-a/app\n');
  assert.equal(await dray(directory, ['repository', 'remove', 'team-a/app']), 'team-a/app\n');
  assert.equal(await dray(directory, ['repository', 'list', '-o', 'name']), '');
  const missing = await runDray(['registry', 'repository', 'remove', 'team-a/app', '--directory', directory]);
  assert.equal(missing.code, 1);

  const local = await dray(directory, ['audit', '--account', 'local', '-o', 'json']);
  const actions = (JSON.parse(local) as { action: string; target: string }[]).map(
    ({ action, target }) => `${action} ${target}`,
  );
  assert.deepEqual(actions, [
    'repository.delete team-a/app',
    'project.private team-a',
    'project.public team-a',
    'project.create team-a',
    'user.admin alice off',
    'user.admin alice on',
    'user.create alice',
  ]);
  const denied = await dray(directory, ['audit', '--outcome', 'denied', '--since', '1h', '--limit', '5']);
  assert.match(denied, /alice +127\.0\.0\.1 +manifest\.push +team-a\/app:v1 +denied/);
  const bad = await runDray(['registry', 'audit', '--since', 'yesterday', '--directory', directory]);
  assert.equal(bad.code, 2);
});

test('retain asks the cluster what it uses, and goes without one only when told to', async (t) => {
  const served = await serveRegistry(t);
  const { directory } = served;
  const api = await startTestApi();
  t.after(() => api.close());
  await dray(directory, ['project', 'create', 'team-a']);
  await dray(
    directory,
    ['project', 'policy', 'team-a', '-'],
    'retention:\n  - { tags: "b-*", keepNewest: 1 }\n',
  );
  for (const tag of ['b-1', 'b-2', 'b-3', 'b-4']) await pushImage(served, 'team-a/app', tag, [tag]);
  const pinned = (await served.send('HEAD', '/v2/team-a/app/manifests/b-2')).headers.get(
    'docker-content-digest',
  );
  const containers = [
    { name: 'a', image: 'localhost:5000/team-a/app:b-1' },
    { name: 'b', image: `registry.example/team-a/app@${pinned}` },
  ];
  const answer = await api.send('POST', '/apis/apps/v1/namespaces/default/deployments', {
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers } },
      },
    },
  });
  assert.equal(answer.code, 201, answer.text);

  const forgotten = await runDray(['registry', 'retain', '--directory', directory]);
  assert.equal(forgotten.code, 2);
  assert.match(forgotten.stderr, /--kubeconfig FILE, or say --no-cluster/);
  const gone = await runDray([
    'registry',
    'retain',
    '--directory',
    directory,
    '--kubeconfig',
    join(directory, 'none'),
  ]);
  assert.equal(gone.code, 1);
  assert.equal((await served.send('HEAD', '/v2/team-a/app/manifests/b-3')).status, 200);

  const cluster = ['--kubeconfig', api.kubeconfig, '--context', 'test'];
  const names = (text: string): string[] => (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
  const preview = await dray(directory, ['retain', ...cluster, '--dry-run', '-o', 'json']);
  assert.deepEqual(names(preview), ['b-3']);
  assert.deepEqual(names(await dray(directory, ['retain', ...cluster, '-o', 'json'])), ['b-3']);
  const config = join(directory, 'registry.yaml');
  await writeFile(
    config,
    JSON.stringify({ directory, maintenance: { clusters: [{ kubeconfig: api.kubeconfig }] } }),
  );
  const configured = await runDray(['registry', 'retain', '--config', config, '-o', 'json']);
  assert.deepEqual(names(configured.stdout), []);
  assert.deepEqual(names(await dray(directory, ['retain', '--no-cluster', '-o', 'json'])), ['b-1', 'b-2']);
});

test('robot rotate --kubeconfig exchanges the secret in the cluster while the old one stays good', async (t) => {
  const served = await serveRegistry(t, { auth: 'required' });
  const api = await startTestApi();
  t.after(() => api.close());
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  const created = await api.send('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
  assert.equal(created.code, 201, created.text);
  await dray(served.directory, ['project', 'create', 'team-a']);
  const args = ['--server', 'localhost:5000', '--kubeconfig', api.kubeconfig, '--context', 'test'];
  await dray(served.directory, ['robot', 'create', '--project', 'team-a', ...args]);
  const auth = async (): Promise<{ username: string; password: string }> => {
    const secret = await api.send('GET', '/api/v1/namespaces/default/secrets/robot.team-a.pull');
    return authOf(secret.json<PullSecret>(), 'localhost:5000');
  };
  const old = await auth();
  await dray(served.directory, ['robot', 'rotate', old.username, ...args]);
  const fresh = await auth();
  assert.notEqual(fresh.password, old.password);
  assert.equal(await login(served, fresh.username, fresh.password), 200);
  assert.equal(await login(served, old.username, old.password), 200);
  const linked = await api.send('GET', '/api/v1/namespaces/default/serviceaccounts/default');
  assert.deepEqual(linked.json<{ imagePullSecrets: { name: string }[] }>().imagePullSecrets, [
    { name: 'robot.team-a.pull' },
  ]);
});
