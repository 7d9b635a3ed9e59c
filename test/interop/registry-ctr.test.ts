import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
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
});
