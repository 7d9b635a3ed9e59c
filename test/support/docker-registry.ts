import { hashSync } from 'bcryptjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { findTool } from './tools.ts';

/** Cheapest cost that bcrypt has: the test waits for it at every request. */
const BCRYPT_ROUNDS = 4;

/**
 * Starts Debian's registry on a free port until the test ends and returns `host:port`. With a user it wants that user's
 * basic authentication, without one it is open. Deletion is on.
 */
export async function startDockerRegistry(
  t: Pick<TestContext, 'after'>,
  user?: { name: string; password: string },
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-distribution-'));
  const port = await freePort();
  const passwords = join(directory, 'htpasswd');
  if (user !== undefined) {
    await writeFile(passwords, `${user.name}:${hashSync(user.password, BCRYPT_ROUNDS)}\n`);
  }
  const auth = user === undefined ? '' : `auth: {htpasswd: {realm: test, path: ${passwords}}}\n`;
  const config = join(directory, 'config.yml');
  await writeFile(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${directory}/data}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:${port}"}\n${auth}`,
  );
  const child = spawn(findTool('docker-registry') ?? 'docker-registry', ['serve', config], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] ?? '', OTEL_TRACES_EXPORTER: 'none' },
  });
  t.after(async () => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    await rm(directory, { recursive: true, force: true });
  });
  const host = `127.0.0.1:${port}`;
  const ready = user === undefined ? 200 : 401;
  for (let tries = 0; tries < 100; tries++) {
    try {
      if ((await fetch(`http://${host}/v2/`)).status === ready) return host;
    } catch {
      // Not listening yet: a foreign program tells nobody when it does.
      await delay(50);
    }
  }
  throw new Error('docker-registry did not start');
}
