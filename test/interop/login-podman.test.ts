import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { loadClientCredential } from '../../src/credentials/client/client-credential.ts';
import { eraseLogin, saveLogin } from '../../src/credentials/client/save-login.ts';
import { clientDirectory } from '../support/registry-clients.ts';
import { pushImage, serveRegistry } from '../support/serve-registry.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

const skip = skipWithout('podman', 'skopeo') || skipUnlessRoot();
const never = new AbortController().signal;
const PASSWORD = 'correct-horse:battery"staple\\é';

/** A registry where alice may read a private image, and clients that know nothing yet. */
async function setup(t: TestContext) {
  const client = await clientDirectory(t);
  const served = await serveRegistry(t, { auth: 'required' });
  const { admin } = served.registry;
  await admin.addUser('alice', PASSWORD);
  await admin.createProject('team-a');
  await admin.grantRole('team-a', 'alice', 'developer');
  const podman = ['--events-backend', 'file', '--cgroup-manager', 'cgroupfs', ...client.storage];
  const home = join(client.path, 'home');
  const environment: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: home, XDG_RUNTIME_DIR: home };
  const find = (repository = '', authFile?: string) =>
    loadClientCredential(served.host, repository, {
      environment,
      signal: never,
      ...(authFile !== undefined && { authFile }),
    });
  return { client, served, host: served.host, podman, environment, find };
}
const login = ['login', '--tls-verify=false', '-u', 'alice', '-p', PASSWORD];
/** Runs a program without the file that the other tests name for it. */
const plainly = ['-u', 'REGISTRY_AUTH_FILE'];

describe('podman and our logins', { skip }, () => {
  test('a login that podman saved is found, in a named file and in its own', async (t) => {
    const { client, host, podman, find } = await setup(t);
    await client.must('podman', ...podman, ...login, '--authfile', client.authFile, host);
    assert.deepEqual(await find('', client.authFile), {
      name: client.authFile,
      username: 'alice',
      password: PASSWORD,
    });
    assert.equal(await find(), undefined);
    await client.must('env', ...plainly, 'podman', ...podman, ...login, host);
    assert.equal((await find())?.password, PASSWORD);
  });

  test("podman's login for part of a registry is found for that part only", async (t) => {
    const { client, host, podman, find } = await setup(t);
    await client.must('podman', ...podman, ...login, '--authfile', client.authFile, `${host}/team-a`);
    assert.equal((await find('team-a/app', client.authFile))?.username, 'alice');
    assert.equal(await find('team-b/app', client.authFile), undefined);
  });

  test('a login that we saved serves podman, and is gone for both when either forgets it', async (t) => {
    const { client, host, podman, environment, find } = await setup(t);
    const options = { environment, authFile: client.authFile, signal: never };
    const ask = () =>
      client.run('podman', ...podman, 'login', '--authfile', client.authFile, '--get-login', host);
    await saveLogin({ server: host, username: 'alice', password: PASSWORD }, options);
    assert.equal((await ask()).stdout.trim(), 'alice');
    const ours = await readFile(client.authFile, 'utf8');
    await client.must('podman', ...podman, ...login, '--authfile', client.authFile, host);
    assert.equal(await readFile(client.authFile, 'utf8'), ours, 'podman writes the same bytes');
    assert.equal((await stat(client.authFile)).mode & 0o777, 0o600);
    assert.equal(await eraseLogin(host, options), true);
    assert.notEqual((await ask()).code, 0);
    await saveLogin({ server: host, username: 'alice', password: PASSWORD }, options);
    await client.must('podman', ...podman, 'logout', '--authfile', client.authFile, host);
    assert.equal(await find('', client.authFile), undefined);
  });

  test("a login that we saved in docker's file opens a private image to skopeo", async (t) => {
    const { client, served, host, environment } = await setup(t);
    const open = await serveRegistry(t, {});
    await pushImage(open, 'team-a/app', 'v1');
    const copy = () =>
      client.run(
        'env',
        ...plainly,
        'skopeo',
        'copy',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        `docker://${open.host}/team-a/app:v1`,
        `docker://${host}/team-a/app:v1`,
      );
    assert.notEqual((await copy()).code, 0);
    const saved = await saveLogin(
      { server: host, username: 'alice', password: PASSWORD },
      { environment, signal: never },
    );
    assert.ok(saved.path.endsWith('/.docker/config.json'));
    const copied = await copy();
    assert.equal(copied.code, 0, copied.stderr);
    const answer = await served.send('GET', '/v2/team-a/app/manifests/v1', { basic: `alice:${PASSWORD}` });
    assert.equal(answer.status, 200);
  });
});
