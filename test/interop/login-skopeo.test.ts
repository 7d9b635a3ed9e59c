import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadClientCredential } from '../../src/credentials/client/client-credential.ts';
import { eraseLogin, saveLogin } from '../../src/credentials/client/save-login.ts';
import { clientDirectory } from '../support/registry-clients.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('skopeo');
const signal = new AbortController().signal;

/** A credential helper with one file for each server, by docker's protocol. */
const HELPER = `#!/bin/sh
file() { printf '%s/helper-%s' "$HELPER_DIR" "$(printf %s "$1" | tr -c 'A-Za-z0-9' _)"; }
case "$1" in
get) read -r url; cat "$(file "$url")" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
store) read -r line; url="$(printf %s "$line" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/')"; printf '%s\\n' "$line" > "$(file "$url")" ;;
erase) read -r url; rm -f "$(file "$url")" ;;
list) echo '{}' ;;
esac
`;

describe('skopeo and our logins', { skip }, () => {
  test('a login of either is seen and forgotten by the other', async (t) => {
    const client = await clientDirectory(t);
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.addUser('bob', 'pass:word');
    const options = { environment: { ...process.env }, authFile: client.authFile, signal };
    const args = ['--authfile', client.authFile];
    await client.must(
      'skopeo',
      'login',
      ...args,
      '--tls-verify=false',
      '-u',
      'bob',
      '-p',
      'pass:word',
      served.host,
    );
    assert.deepEqual(await loadClientCredential(served.host, 'any/thing', options), {
      name: client.authFile,
      username: 'bob',
      password: 'pass:word',
    });
    assert.equal(await eraseLogin(served.host, options), true);
    assert.notEqual((await client.run('skopeo', 'login', ...args, '--get-login', served.host)).code, 0);
    await saveLogin({ server: served.host, username: 'bob', password: 'pass:word' }, options);
    assert.equal(
      (await client.must('skopeo', 'login', ...args, '--get-login', served.host)).stdout.trim(),
      'bob',
    );
    await client.must('skopeo', 'logout', ...args, served.host);
    assert.equal(await loadClientCredential(served.host, '', options), undefined);
  });

  test('both use one credential helper', async (t) => {
    const client = await clientDirectory(t);
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.addUser('bob', 'pass:word');
    const bin = join(client.path, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'docker-credential-shared'), HELPER);
    await chmod(join(bin, 'docker-credential-shared'), 0o755);
    await writeFile(client.authFile, JSON.stringify({ credHelpers: { [served.host]: 'shared' } }));
    const environment = {
      ...process.env,
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HELPER_DIR: client.path,
    };
    const options = { environment, authFile: client.authFile, signal };
    const saved = await saveLogin({ server: served.host, username: 'bob', password: 'pass:word' }, options);
    assert.equal(saved.helper, 'docker-credential-shared');
    assert.ok(!(await readFile(client.authFile, 'utf8')).includes('auth":'));
    const asSkopeo = ['env', `PATH=${environment.PATH}`, `HELPER_DIR=${client.path}`, 'skopeo'] as const;
    const args = ['login', '--authfile', client.authFile];
    assert.equal((await client.must(...asSkopeo, ...args, '--get-login', served.host)).stdout.trim(), 'bob');
    assert.equal(await eraseLogin(served.host, options), true);
    await client.must(
      ...asSkopeo,
      ...args,
      '--tls-verify=false',
      '-u',
      'bob',
      '-p',
      'pass:word',
      served.host,
    );
    const found = await loadClientCredential(served.host, '', options);
    assert.deepEqual(found, { name: 'docker-credential-shared', username: 'bob', password: 'pass:word' });
  });
});
