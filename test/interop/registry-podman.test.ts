import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { buildImage, clientDirectory } from '../support/registry-clients.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

const skip = skipWithout('podman', 'buildah', 'openssl') || skipUnlessRoot();

describe('podman', { skip }, () => {
  test('logs in, pushes and pulls over TLS that its --cert-dir vouches for', async (t) => {
    const client = await clientDirectory(t);
    const tls = await certificates(client.path, client.must);
    const served = await serveRegistry(t, { auth: 'required', tls });
    const { host } = served;
    await served.registry.admin.addUser('alice', 'correct-horse');
    await served.registry.admin.createProject('team-a');
    await served.registry.admin.grantRole('team-a', 'alice', 'developer');
    const podman = ['--events-backend', 'file', '--cgroup-manager', 'cgroupfs', ...client.storage];
    const certs = ['--cert-dir', tls.directory];

    const unknown = await client.run(
      'podman',
      ...podman,
      'login',
      '-u',
      'alice',
      '-p',
      'correct-horse',
      host,
    );
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /certificate|x509/);
    await client.must('podman', ...podman, 'login', ...certs, '-u', 'alice', '-p', 'correct-horse', host);

    const image = await buildImage(client, 'three', 'three');
    const name = `${host}/team-a/app:v1`;
    await client.must('podman', ...podman, 'push', ...certs, image, name);
    await client.must('podman', ...podman, 'rmi', image);
    await client.must('podman', ...podman, 'pull', ...certs, name);
    const { stdout } = await client.must(
      'podman',
      ...podman,
      'images',
      '--format',
      '{{.Repository}}:{{.Tag}}',
    );
    assert.equal(stdout.trim(), name);

    await client.must('podman', ...podman, 'logout', host);
    await client.must('podman', ...podman, 'rmi', name);
    const loggedOut = await client.run('podman', ...podman, 'pull', ...certs, name);
    assert.notEqual(loggedOut.code, 0);
    assert.match(loggedOut.stderr, /authentication required|unauthorized/);
  });
});

async function certificates(
  path: string,
  must: (program: string, ...args: string[]) => Promise<unknown>,
): Promise<{ directory: string; cert: Buffer; key: Buffer }> {
  const directory = join(path, 'certs');
  await mkdir(directory);
  const at = (name: string): string => join(path, name);
  const ca = join(directory, 'ca.crt');
  await must(
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
    '-keyout',
    at('ca.key'),
    '-out',
    ca,
  );
  await must(
    'openssl',
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=registry',
    '-keyout',
    at('tls.key'),
    '-out',
    at('tls.csr'),
  );
  await writeFile(at('ext'), 'subjectAltName=IP:127.0.0.1\n');
  await must(
    'openssl',
    'x509',
    '-req',
    '-in',
    at('tls.csr'),
    '-CA',
    ca,
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    at('ext'),
    '-out',
    at('tls.crt'),
  );
  return { directory, cert: await readFile(at('tls.crt')), key: await readFile(at('tls.key')) };
}
