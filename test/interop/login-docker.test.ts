import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { loadClientCredential } from '../../src/credentials/client/client-credential.ts';
import { eraseLogin, saveLogin } from '../../src/credentials/client/save-login.ts';
import { clientDirectory } from '../support/registry-clients.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('docker');
const signal = new AbortController().signal;
const PASSWORD = 'p<&>:w"\\é';

/** A registry that knows alice, and docker without an engine: it then logs in by itself. */
async function setup(t: TestContext, config?: Record<string, unknown>) {
  const client = await clientDirectory(t);
  const served = await serveRegistry(t, { auth: 'required' });
  await served.registry.admin.addUser('alice', PASSWORD);
  const directory = join(client.path, 'docker');
  await mkdir(directory);
  const path = join(directory, 'config.json');
  if (config !== undefined) await writeFile(path, JSON.stringify(config, null, '\t'));
  const environment: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: client.path,
    DOCKER_CONFIG: directory,
  };
  const docker = (...args: string[]) =>
    client.run(
      'env',
      `DOCKER_CONFIG=${directory}`,
      'DOCKER_HOST=unix:///nonexistent/docker.sock',
      'docker',
      ...args,
    );
  const options = { environment, signal };
  const login = { server: served.host, username: 'alice', password: PASSWORD };
  return { docker, options, login, host: served.host, path };
}

describe('docker and our logins', { skip }, () => {
  test('a login that docker saved is found, and ours is the same bytes in its file', async (t) => {
    const { docker, options, host, path } = await setup(t, { detachKeys: 'ctrl-q' });
    const done = await docker('login', '-u', 'alice', '-p', PASSWORD, host);
    assert.equal(done.code, 0, done.stderr);
    const found = await loadClientCredential(host, '', options);
    assert.equal(found?.name, path);
    assert.equal(found.username, 'alice');
    // The registry gives docker an identity token in exchange for the password, which is then not kept.
    assert.notEqual(found.identityToken ?? '', '');
    assert.equal(found.password, undefined);
    const theirs = await readFile(path, 'utf8');
    assert.equal(await eraseLogin(host, options), true);
    assert.equal(await loadClientCredential(host, '', options), undefined);
    await saveLogin({ server: host, username: 'alice', identityToken: found.identityToken ?? '' }, options);
    assert.equal(await readFile(path, 'utf8'), theirs);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  test('a login that we saved is taken up by docker, and forgotten by its logout', async (t) => {
    const { docker, options, login, host } = await setup(t);
    await saveLogin(login, options);
    // To go on with it docker wants its engine, which is not here; whose login it took up it says before.
    const again = await docker('login', host);
    assert.match(again.stdout + again.stderr, /existing credentials\.\.\. \[Username: alice\]/);
    assert.equal((await docker('logout', host)).code, 0);
    assert.equal(await loadClientCredential(host, '', options), undefined);
  });
});
