import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientDirectory } from './registry-clients.ts';

/** Starts a containerd of its own and returns the options by which ctr finds it. */
export async function startContainerd(t: TestContext, client: ClientDirectory): Promise<string[]> {
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
