import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { CriError } from '../../src/cri/cri-error.ts';
import { criImageService, type CriImageService } from '../../src/cri/cri-image-service.ts';
import { hostPlatform } from '../../src/oci/host-platform.ts';
import { makeTinyRoot } from '../../src/runtime/_tiny-root.ts';
import { FaultRegistry, sha256 } from './fault-registry.ts';

/** A busy machine takes its time to start a daemon. */
const START_TRIES = 150;

/** A containerd of Debian with a state of its own, and a registry of this process that it pulls from. */
export interface ContainerdBench {
  readonly endpoint: string;
  readonly registry: FaultRegistry;
  readonly images: CriImageService;
  readonly image: string;
  readonly config: string;
  readonly directory: string;
  readonly signal: AbortSignal;
}

/**
 * Starts both; they go when the test ends.
 *
 * @param root where the daemon finds `certs.d`; its own directory when absent
 */
export async function containerdBench(t: TestContext, root?: string): Promise<ContainerdBench> {
  const signal = AbortSignal.timeout(120_000);
  const directory = mkdtempSync(join(tmpdir(), 'dray-ctrd-'));
  const registry = await FaultRegistry.start({
    auth: { kind: 'basic', users: { u: 'p' }, open: ['test/pause', 'test/app'] },
  });
  const files = await makeTinyRoot();
  const tar = execFileSync('tar', ['-C', files, '-cf', '-', '.'], { maxBuffer: 256 * 1024 * 1024 });
  rmSync(files, { recursive: true });
  const layer = { bytes: gzipSync(tar, { level: 1 }), diffId: sha256(tar) };
  const platform = hostPlatform();
  registry.putImage('test/pause', '1', [layer], platform, { Entrypoint: ['/bin/sleep', 'infinity'] });
  registry.putImage('test/private', 'v1', [layer], platform, { User: 'alice:staff' });
  const { config } = registry.putImage('test/app', 'v1', [layer], platform, {
    User: '1000',
    Entrypoint: ['/bin/sh', '-c'],
  });
  const socket = join(directory, 'c.sock');
  const certs = join(root ?? directory, 'certs.d');
  mkdirSync(join(certs, registry.host), { recursive: true });
  writeFileSync(
    join(certs, registry.host, 'hosts.toml'),
    `server = "http://${registry.host}"\n[host."http://${registry.host}"]\ncapabilities = ["pull", "resolve"]\n`,
  );
  writeFileSync(
    join(directory, 'config.toml'),
    `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "${registry.host}/test/pause:1"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "runc"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "${certs}"
`,
  );
  const daemon = spawn('containerd', ['--config', join(directory, 'config.toml')], { stdio: 'ignore' });
  const ended = once(daemon, 'exit');
  t.after(async () => {
    daemon.kill('SIGTERM');
    await ended;
    await registry.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const endpoint = `unix://${socket}`;
  const images = await connected(endpoint, () => daemon.exitCode !== null, signal);
  t.after(() => images.close());
  return {
    endpoint,
    registry,
    images,
    image: `${registry.host}/test/app:v1`,
    config: config.digest,
    directory,
    signal,
  };
}

async function connected(
  endpoint: string,
  hasEnded: () => boolean,
  signal: AbortSignal,
): Promise<CriImageService> {
  for (let tries = 1; ; tries++) {
    try {
      return await criImageService(endpoint, signal);
    } catch (error) {
      if (!(error instanceof CriError) || hasEnded() || tries === START_TRIES) throw error;
      await delay(100);
    }
  }
}
