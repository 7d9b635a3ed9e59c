import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { buildImage, clientDirectory, type ClientDirectory } from '../support/registry-clients.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

const skip = skipWithout('containerd', 'ctr', 'buildah') || skipUnlessRoot();

describe("containerd's ctr", { skip }, () => {
  test('pulls with a password, pushes to another repository by mount, and pulls that', async (t) => {
    const client = await clientDirectory(t);
    const ctr = await containerd(t, client);
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

/** Starts a containerd of its own and returns the options by which ctr finds it. */
async function containerd(t: TestContext, client: ClientDirectory): Promise<string[]> {
  const at = (name: string): string => join(client.path, 'containerd', name);
  await mkdir(at(''), { recursive: true });
  const socket = at('c.sock');
  const config = [
    'version = 2',
    `root = "${at('root')}"`,
    `state = "${at('state')}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    `[grpc]\naddress = "${socket}"`,
  ].join('\n');
  await writeFile(at('config.toml'), config);
  const daemon = spawn('containerd', ['--config', at('config.toml')], { stdio: 'ignore' });
  const ended = once(daemon, 'exit');
  t.after(async () => {
    daemon.kill('SIGTERM');
    await ended;
  });
  while (!(await exists(socket))) {
    if (daemon.exitCode !== null) throw new Error('containerd did not start');
    await delay(20);
  }
  return ['--address', socket, '--namespace', 'test'];
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
