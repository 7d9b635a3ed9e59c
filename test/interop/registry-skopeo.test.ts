import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { buildImage, clientDirectory, type ClientDirectory } from '../support/registry-clients.ts';
import { serveRegistry, type ServedRegistry } from '../support/serve-registry.ts';
import { skipWithout } from '../support/tools.ts';

const PLAIN = '--tls-verify=false';
const BOTH_PLAIN = ['--src-tls-verify=false', '--dest-tls-verify=false'];

async function team(t: TestContext): Promise<{ served: ServedRegistry; client: ClientDirectory }> {
  const served = await serveRegistry(t, { auth: 'required' });
  const { admin } = served.registry;
  await admin.addUser('alice', 'correct-horse');
  await admin.addUser('bob', 'battery-staple');
  for (const project of ['team-a', 'team-b']) {
    await admin.createProject(project);
    await admin.grantRole(project, 'alice', 'maintainer');
  }
  await admin.grantRole('team-a', 'bob', 'guest');
  await admin.createProject('open', { public: true });
  return { served, client: await clientDirectory(t) };
}

describe('skopeo', { skip: skipWithout('skopeo', 'buildah') }, () => {
  test('A1 D2 logs in with the right password only, pushes, copies by mount, lists, inspects and deletes', async (t) => {
    const { served, client } = await team(t);
    const { host } = served;
    const wrong = await client.run('skopeo', 'login', PLAIN, '-u', 'alice', '-p', 'wrong-password', host);
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stderr, /invalid username\/password/);
    await client.must('skopeo', 'login', PLAIN, '-u', 'alice', '-p', 'correct-horse', host);

    const image = await buildImage(client, 'one', randomBytes(1_000_000).toString('hex'));
    const pushed = ['push', PLAIN, image, `docker://${host}/team-a/app:v1`];
    await client.must('buildah', ...client.storage, ...pushed);
    const source = `docker://${host}/team-a/app:v1`;
    await client.must('skopeo', 'copy', ...BOTH_PLAIN, source, `docker://${host}/team-b/app:copy`);
    const inspected = await client.must('skopeo', 'inspect', PLAIN, `docker://${host}/team-b/app:copy`);
    const facts = JSON.parse(inspected.stdout) as { Digest: string; RepoTags: string[] };
    assert.deepEqual(facts.RepoTags, ['copy']);

    await client.must(
      'skopeo',
      'copy',
      ...BOTH_PLAIN,
      '--format',
      'v2s2',
      source,
      `docker://${host}/team-a/app:v2s2`,
    );
    const tags = await client.must('skopeo', 'list-tags', PLAIN, `docker://${host}/team-a/app`);
    assert.deepEqual((JSON.parse(tags.stdout) as { Tags: string[] }).Tags, ['v1', 'v2s2']);
    await client.must('skopeo', 'delete', PLAIN, source);
    assert.notEqual((await client.run('skopeo', 'inspect', PLAIN, source)).code, 0);
    await client.must('skopeo', 'inspect', PLAIN, `docker://${host}/team-b/app:copy`);
  });

  test('a guest pulls and cannot push; nobody sees nothing', async (t) => {
    const { served, client } = await team(t);
    const { host } = served;
    const image = await buildImage(client, 'two', 'two');
    const target = `docker://${host}/team-a/app:v1`;
    await client.must(
      'buildah',
      ...client.storage,
      'push',
      PLAIN,
      '--creds',
      'alice:correct-horse',
      image,
      target,
    );
    await client.must('skopeo', 'inspect', PLAIN, '--creds', 'bob:battery-staple', target);
    const push = ['push', PLAIN, '--creds', 'bob:battery-staple', image, target];
    const denied = await client.run('buildah', ...client.storage, ...push);
    assert.notEqual(denied.code, 0);
    assert.match(denied.stderr, /denied|unauthorized|authentication required/i);
    const nobody = await client.run('skopeo', 'inspect', PLAIN, target);
    assert.notEqual(nobody.code, 0);
    const unknown = await client.run('skopeo', 'inspect', PLAIN, `docker://${host}/team-a/nil:v1`);
    // What a stranger is told of a repository that is there and of one that is not differs in its name alone.
    const reason = (text: string): string => text.replaceAll(/time="[^"]*"/g, '').replaceAll('/nil', '/app');
    assert.equal(reason(unknown.stderr), reason(nobody.stderr));
  });

  test('C1 an index of two architectures is pushed, inspected and copied with all in it', async (t) => {
    const { served, client } = await team(t);
    const { host } = served;
    await client.must('skopeo', 'login', PLAIN, '-u', 'alice', '-p', 'correct-horse', host);
    const amd64 = await buildImage(client, 'amd', 'amd', 'amd64');
    const arm64 = await buildImage(client, 'arm', 'arm', 'arm64');
    const storage = client.storage;
    await client.must('buildah', ...storage, 'manifest', 'create', 'both', amd64, arm64);
    await client.must(
      'buildah',
      ...storage,
      'manifest',
      'push',
      '--all',
      PLAIN,
      'both',
      `docker://${host}/team-a/both:v1`,
    );
    const raw = await client.must('skopeo', 'inspect', '--raw', PLAIN, `docker://${host}/team-a/both:v1`);
    const index = JSON.parse(raw.stdout) as { manifests: { platform: { architecture: string } }[] };
    assert.deepEqual(
      index.manifests.map(({ platform }) => platform.architecture),
      ['amd64', 'arm64'],
    );
    const copy = [`docker://${host}/team-a/both:v1`, `docker://${host}/team-b/both:v1`];
    await client.must('skopeo', 'copy', '--all', ...BOTH_PLAIN, ...copy);
    const other = await client.must('skopeo', 'inspect', '--raw', PLAIN, copy[1] ?? '');
    assert.equal(other.stdout, raw.stdout);
  });
});
