import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { criRuntimeService } from '../../src/cri/cri-runtime-service.ts';
import { PullError } from '../../src/pull/pull-error.ts';
import { RuntimeError } from '../../src/runtime/runtime-error.ts';
import type { ContainerConfig, RuntimeEvent, RuntimeService } from '../../src/runtime/runtime-service.ts';
import { containerdBench } from '../support/containerd-bench.ts';
import { freePort } from '../support/free-port.ts';
import { makeRoot, removeRoot } from '../support/running-system.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

/* The CRI client against containerd as Debian has it, with a state of its own; images come from a registry of this process. */

const skip = skipWithout('containerd', 'runc', 'tar') || skipUnlessRoot();
const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
const MI = 1024 * 1024;

/** The memory limit of a container, as the kernel shows it inside. */
async function limitIn(runtime: RuntimeService, container: string, signal: AbortSignal): Promise<number> {
  const script =
    'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max';
  const { stdout } = await runtime.execSync(container, ['/bin/sh', '-c', script], 10_000, signal);
  return Number(stdout.toString().trim());
}

describe('containerd over CRI', { skip }, () => {
  test('12.1 12.13 12.18 pulls, describes, lists and removes images', async (t) => {
    const { images, image, config, registry, directory, signal } = await containerdBench(t);
    assert.equal(await images.imageStatus({ image }, signal), undefined);
    assert.equal(
      await images.pullImage({ image }, undefined, signal),
      config,
      'the ID is the config’s digest',
    );
    const status = await images.imageStatus({ image }, signal);
    assert.equal(status?.id, config);
    assert.deepEqual(status?.repoTags, [image]);
    assert.match(status?.repoDigests[0] ?? '', /\/test\/app@sha256:[0-9a-f]{64}$/);
    assert.equal(status?.uid, 1000);
    assert.equal(status?.username, undefined);
    assert.ok((status?.size ?? 0) > 0);
    const [info] = (await images.imageFsInfo(signal)).imageFilesystems;
    assert.ok(info?.mountpoint.startsWith(directory), info?.mountpoint);

    const spec = { image: `${registry.host}/test/private:v1` };
    await assert.rejects(images.pullImage(spec, undefined, signal), (error) => {
      assert.ok(error instanceof PullError);
      assert.match(error.message, /^(rpc error: code = \w+ desc = )?failed to pull and unpack image /);
      return true;
    });
    await images.pullImage(spec, { username: 'u', password: 'p', source: 'Secret demo/regcred' }, signal);
    assert.equal((await images.imageStatus(spec, signal))?.username, 'alice');
    const ids = (await images.listImages(undefined, signal)).map(({ id }) => id);
    assert.ok(ids.includes(config));
    await images.removeImage({ image: config }, signal);
    await images.removeImage({ image: config }, signal);
    assert.equal(await images.imageStatus({ image }, signal), undefined);
  });

  test('runs a container on the machine’s network, gives it more memory, tells how it ended and takes it away', async (t) => {
    const { images, image, config, endpoint, directory, signal } = await containerdBench(t);
    const runtime = await criRuntimeService(endpoint, signal);
    t.after(() => runtime.close());
    assert.equal((await runtime.version(signal)).runtimeName, 'containerd');
    await images.pullImage({ image }, undefined, signal);
    const logDirectory = join(directory, 'logs');
    mkdirSync(logDirectory);
    const labels = { 'io.kubernetes.pod.uid': 'uid-1' };
    const sandbox = await runtime.runPodSandbox(
      {
        name: 'p',
        uid: 'uid-1',
        namespace: 'demo',
        attempt: 0,
        hostname: 'p',
        logDirectory,
        labels,
        annotations: { note: 'kept' },
      },
      signal,
    );
    // Before the daemon is stopped, which would leave the sandbox behind.
    try {
      await runOne();
    } finally {
      await runtime.stopPodSandbox(sandbox, AbortSignal.timeout(30_000));
      await runtime.removePodSandbox(sandbox, AbortSignal.timeout(30_000));
    }
    assert.deepEqual(await runtime.listPodSandboxes(signal), []);
    await runtime.removePodSandbox(sandbox, signal);

    async function runOne(): Promise<void> {
      const [listed] = await runtime.listPodSandboxes(signal);
      assert.equal(listed?.state, 'ready');
      assert.deepEqual(listed?.config.annotations, { note: 'kept' });
      assert.equal(listed?.config.logDirectory, logDirectory);

      const watching = new AbortController();
      const seen: RuntimeEvent[] = [];
      const stopped = (async (): Promise<void> => {
        for await (const event of runtime.events(watching.signal)) {
          seen.push(event);
          if (event.kind === 'stopped') return;
        }
      })();
      const wanted: ContainerConfig = {
        name: 'c',
        attempt: 2,
        userSpecifiedImage: image,
        imageRef: config,
        command: [],
        args: ['echo "$GREETING from $(id -u)"; while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 3'],
        workingDir: '/',
        env: [{ key: 'GREETING', value: 'hello' }],
        mounts: [],
        labels,
        annotations: {},
        logPath: 'c.log',
        stdin: false,
        tty: false,
        user: { uid: 0, gid: 0 },
        resources: { memoryBytes: 64 * MI, cpuShares: 256 },
      };
      const container = await runtime.createContainer(sandbox, wanted, signal);
      await runtime.startContainer(container, signal);
      const running = await runtime.containerStatus(container, signal);
      assert.equal(running?.state, 'running');
      assert.equal(running?.imageId, config);
      assert.equal(running?.attempt, 2);
      assert.equal(running?.sandboxId, sandbox);
      assert.equal(await limitIn(runtime, container, signal), 64 * MI);
      await runtime.updateContainerResources(container, { memoryBytes: 96 * MI, cpuShares: 512 }, signal);
      assert.equal(await limitIn(runtime, container, signal), 96 * MI);
      const inside = { command: ['/bin/sh', '-c', 'cat; echo err >&2; exit 6'], tty: false, stdin: true };
      const session = await runtime.exec(container, inside, signal);
      const outputs = Promise.all([text(session.stdout), text(session.stderr ?? session.stdout)]);
      session.stdin?.end('typed');
      assert.equal(await session.exit, 6);
      assert.deepEqual(await outputs, ['typed', 'err\n']);
      session.close();
      const missing = await runtime.exec(container, { ...inside, command: ['/nosuch'] }, signal);
      missing.stdout.resume();
      missing.stderr?.resume();
      await assert.rejects(missing.exit, /exec: "\/nosuch": stat \/nosuch: no such file or directory/);
      missing.close();
      const result = await runtime.execSync(
        container,
        ['sh', '-c', 'touch /tmp/go; echo done; exit 4'],
        10_000,
        signal,
      );
      assert.equal(result.stdout.toString(), 'done\n');
      assert.equal(result.exitCode, 4);
      await stopped;
      watching.abort();
      assert.deepEqual(seen.at(-1), {
        kind: 'stopped',
        containerId: container,
        sandboxId: sandbox,
        podUid: 'uid-1',
      });
      const [ended] = await runtime.listContainers({ podUid: 'uid-1' }, signal);
      assert.equal(ended?.state, 'exited');
      assert.equal(ended?.exitCode, 3);
      assert.equal(ended?.reason, 'Error');
      assert.ok((ended?.finishedAt ?? 0) >= (ended?.startedAt ?? Infinity));
      assert.match(readFileSync(ended?.logPath ?? '', 'utf8'), / stdout F hello from 0\n/);
      await runtime.removeContainer(container, signal);
      await runtime.removeContainer(container, signal);

      const wrong = { ...wanted, name: 'd', command: ['/nosuch'], logPath: 'd.log' };
      const unstartable = await runtime.createContainer(sandbox, wrong, signal);
      await assert.rejects(runtime.startContainer(unstartable, signal), (error) => {
        assert.ok(error instanceof RuntimeError && error.code === 'START_FAILED');
        assert.match(error.message, /^failed to create containerd task: .*exec: "\/nosuch"/);
        return true;
      });
      await runtime.removeContainer(unstartable, signal);
      assert.equal(await runtime.containerStatus(container, signal), undefined);
      assert.deepEqual(await runtime.listContainers({ podUid: 'uid-1' }, signal), []);
    }
  });

  test('a node that is told so pulls a private image and runs its Pod in containerd', async (t) => {
    const root = makeRoot();
    t.after(() => removeRoot(root));
    const { endpoint, images, registry, signal } = await containerdBench(t, root);
    const runtime = await criRuntimeService(endpoint, signal);
    t.after(() => runtime.close());
    // Containerd speaks plain http with localhost unless it is told otherwise, so the port must be known before.
    const port = await freePort();
    const host = join(root, 'certs.d', `localhost:${port}`);
    mkdirSync(host, { recursive: true });
    writeFileSync(
      join(host, 'hosts.toml'),
      `server = "https://localhost:${port}"\n[host."https://localhost:${port}"]\nca = "${root}/pki/ca.crt"\n`,
    );
    const ports = ['--api-port', '0', '--registry-port', String(port)];
    const dray = spawn(
      process.execPath,
      [DRAY, 'up', '--tour', '--exit', '--root', root, ...ports, '--container-runtime-endpoint', endpoint],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    for (const stream of [dray.stdout, dray.stderr])
      stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(dray, 'close')) as [number | null];
    try {
      assert.equal(code, 0, said);
      assert.match(said, new RegExp(`containerd [0-9.]+\\S* at ${endpoint}`));
      assert.match(said, /Failed to pull image "localhost:\d+\/private\/echo:v1": /);
      assert.match(said, /SUCCESS/);
      const names = (await images.listImages(undefined, signal)).flatMap(({ repoTags }) => repoTags);
      assert.ok(names.some((name) => name.endsWith('/private/echo:v1')));
      assert.equal(registry.count('GET', /private/), 0);
    } finally {
      for (const sandbox of await runtime.listPodSandboxes(signal)) {
        await runtime.stopPodSandbox(sandbox.id, signal);
        await runtime.removePodSandbox(sandbox.id, signal);
      }
    }
  });
});
