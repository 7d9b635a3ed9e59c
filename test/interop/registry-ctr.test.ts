import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { serveCached } from '../support/cached-registry.ts';
import { startContainerd } from '../support/containerd.ts';
import { buildImage, clientDirectory } from '../support/registry-clients.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

const skip = skipWithout('containerd', 'ctr', 'buildah') || skipUnlessRoot();

describe("containerd's ctr", { skip }, () => {
  test('pulls with a password, pushes to another repository by mount, and pulls that', async (t) => {
    const client = await clientDirectory(t);
    const ctr = await startContainerd(t, client);
    const served = await serveRegistry(t, { auth: 'required' });
    const { host } = served;
    await served.registry.admin.addUser('alice', 'correct-horse');
    await served.registry.admin.createProject('team-a');
    await served.registry.admin.grantRole('team-a', 'alice', 'developer');
    const image = await buildImage(client, 'four', 'four');
    const pushed = ['push', '--tls-verify=false', '--creds', 'alice:correct-horse', image];
    await client.must('buildah', ...client.storage, ...pushed, `docker://${host}/team-a/app:v1`);

    const options = ['--plain-http', '--user', 'alice:correct-horse'];
    const pull = ['images', 'pull', '--snapshotter', 'native'];
    const denied = await client.run('ctr', ...ctr, ...pull, '--plain-http', `${host}/team-a/app:v1`);
    assert.notEqual(denied.code, 0);
    assert.match(denied.stderr, /authorization failed|insufficient_scope/);
    await client.must('ctr', ...ctr, ...pull, ...options, `${host}/team-a/app:v1`);
    await client.must('ctr', ...ctr, 'images', 'tag', `${host}/team-a/app:v1`, `${host}/team-a/other:v2`);
    await client.must('ctr', ...ctr, 'images', 'push', ...options, `${host}/team-a/other:v2`);
    await client.must('ctr', ...ctr, 'images', 'rm', `${host}/team-a/other:v2`);
    await client.must('ctr', ...ctr, ...pull, ...options, `${host}/team-a/other:v2`);
  });

  test('pulls docker.io through a hosts.toml that names our cache, with a login of ours, also when docker.io is gone', async (t) => {
    const client = await clientDirectory(t);
    const ctr = await startContainerd(t, client);
    const made = await serveCached(t, { cache: { auth: 'required' } });
    const { cache, upstream } = made;
    await cache.registry.admin.addUser('alice', 'correct-horse');
    await cache.registry.admin.createProject('hub');
    await cache.registry.admin.grantRole('hub', 'alice', 'guest');
    const image = await buildImage(client, 'five', 'five');
    const target = `docker://${upstream.host}/library/five:v1`;
    await client.must('buildah', ...client.storage, 'push', '--tls-verify=false', image, target);
    const hosts = join(client.path, 'hosts');
    await mkdir(join(hosts, 'docker.io'), { recursive: true });
    const toml = `server = "http://127.0.0.1:1"\n[host."${cache.registry.url}"]\ncapabilities = ["pull", "resolve"]\n`;
    await writeFile(join(hosts, 'docker.io', 'hosts.toml'), toml);
    const pull = ['images', 'pull', '--snapshotter', 'native', '--hosts-dir', hosts];
    const name = 'docker.io/library/five:v1';

    const nobody = await client.run('ctr', ...ctr, ...pull, name);
    assert.notEqual(nobody.code, 0);
    assert.equal(made.seen.length, 0);
    await client.must('ctr', ...ctr, ...pull, '--user', 'alice:correct-horse', name);
    assert.ok(made.seen.some((line) => line.startsWith('GET /v2/library/five/blobs/')));
    await client.must('ctr', ...ctr, 'images', 'rm', '--sync', name);
    made.seen.length = 0;
    made.meddle = (_message, response) => {
      response.writeHead(503).end();
      return true;
    };
    await client.must('ctr', ...ctr, ...pull, '--user', 'alice:correct-horse', name);
    assert.equal(made.seen.length, 0);
  });

  test('pulls its platform of an index, and all of them when asked', async (t) => {
    const client = await clientDirectory(t);
    const ctr = await startContainerd(t, client);
    const served = await serveRegistry(t);
    const amd64 = await buildImage(client, 'amd', 'amd', 'amd64');
    const arm64 = await buildImage(client, 'arm', 'arm', 'arm64');
    await client.must('buildah', ...client.storage, 'manifest', 'create', 'both', amd64, arm64);
    const target = `docker://${served.host}/team-a/both:v1`;
    const push = ['manifest', 'push', '--all', '--tls-verify=false', 'both', target];
    await client.must('buildah', ...client.storage, ...push);
    const name = `${served.host}/team-a/both:v1`;
    const pull = ['images', 'pull', '--snapshotter', 'native', '--plain-http'];
    await client.must('ctr', ...ctr, ...pull, '--platform', 'linux/arm64', name);
    await client.must('ctr', ...ctr, ...pull, '--all-platforms', name);
    const check = await client.must(
      'ctr',
      ...ctr,
      'images',
      'check',
      '--snapshotter',
      'native',
      `name==${name}`,
    );
    assert.match(check.stdout, /complete/);
  });
});
