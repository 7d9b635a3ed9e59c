import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage, clientDirectory } from '../support/registry-clients.ts';
import { errorCodes, serveRegistry } from '../support/serve-registry.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

const skip = skipWithout('buildah', 'podman', 'skopeo') || skipUnlessRoot();
const PLAIN = '--tls-verify=false';

describe('buildah and podman', { skip }, () => {
  test('A1 D2 log in, push, build upon, copy with mount, pull by digest and by architecture, and delete', async (t) => {
    const client = await clientDirectory(t);
    const served = await serveRegistry(t, { auth: 'required' });
    const { host } = served;
    const { admin } = served.registry;
    await admin.addUser('alice', 'correct-horse');
    for (const project of ['team-a', 'team-b']) {
      await admin.createProject(project);
      await admin.grantRole(project, 'alice', 'maintainer');
    }
    const buildah = (...args: string[]): Promise<{ stdout: string }> =>
      client.must('buildah', ...client.storage, ...args);
    await buildah('login', PLAIN, '-u', 'alice', '-p', 'correct-horse', host);
    const image = await buildImage(client, 'six', 'six');
    await buildah('push', PLAIN, image, `docker://${host}/team-a/app:v1`);

    const { stdout: container } = await buildah('from', PLAIN, `${host}/team-a/app:v1`);
    await buildah('config', '--label', 'more=yes', container.trim());
    await buildah('commit', '--rm', container.trim(), 'localhost/upon');
    await buildah('push', PLAIN, 'localhost/upon', `docker://${host}/team-b/upon:v1`);
    const mounts = await admin.listAudit({ account: 'alice' });
    assert.ok(
      mounts.some(({ action, target }) => action === 'blob.mount' && target.startsWith('team-b/upon@')),
      'the layer below was mounted',
    );

    const arm = await buildImage(client, 'seven', 'seven', 'arm64');
    await buildah('manifest', 'create', 'both', image, arm);
    await buildah('manifest', 'push', '--all', PLAIN, 'both', `docker://${host}/team-a/both:v1`);
    const podman = ['--events-backend', 'file', '--cgroup-manager', 'cgroupfs', ...client.storage];
    await client.must('podman', ...podman, 'pull', PLAIN, '--arch', 'arm64', `${host}/team-a/both:v1`);
    const format = ['--format', '{{.Architecture}}'];
    const { stdout: arch } = await client.must(
      'podman',
      ...podman,
      'inspect',
      ...format,
      `${host}/team-a/both:v1`,
    );
    assert.equal(arch.trim(), 'arm64');
    const digest = (
      await served.send('HEAD', '/v2/team-a/app/manifests/v1', { basic: 'alice:correct-horse' })
    ).headers.get('docker-content-digest');
    await client.must('podman', ...podman, 'pull', PLAIN, `${host}/team-a/app@${digest}`);
    const tags = await client.must('podman', ...podman, 'search', PLAIN, '--list-tags', `${host}/team-a/app`);
    assert.match(tags.stdout, /team-a\/app +v1$/m);

    await client.must('skopeo', 'delete', PLAIN, `docker://${host}/team-a/app:v1`);
    const gone = await client.run('skopeo', 'inspect', PLAIN, `docker://${host}/team-a/app:v1`);
    assert.notEqual(gone.code, 0);
    const answer = await served.send('GET', `/v2/team-a/app/manifests/${digest}`, {
      basic: 'alice:correct-horse',
    });
    assert.deepEqual(await errorCodes(answer), ['MANIFEST_UNKNOWN']);
    await buildah('logout', host);
    const out = await client.run(
      'buildah',
      ...client.storage,
      'push',
      PLAIN,
      image,
      `docker://${host}/team-a/app:v2`,
    );
    assert.notEqual(out.code, 0);
  });
});
