import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { CopyRootfs, makeTinyRoot, oneImage } from './_tiny-root.ts';
import { chooseLauncher, type LauncherName } from './choose-launcher.ts';
import { parseEntry } from './cri-log.ts';
import { createLocalRuntime, type LocalRuntime } from './local-runtime.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ContainerConfig, ContainerStatus, PodSandboxConfig } from './runtime-service.ts';
import type { ImageRunConfig } from './container-image.ts';

/* A runtime with a tiny image, for tests: real containers in a directory that goes away again. */

const run = promisify(execFile);
export const signal = AbortSignal.timeout(300_000);
export const IMAGE: ImageRunConfig = { Env: ['FROM_IMAGE=yes'], Cmd: ['/bin/echo', 'SUCCESS'] };

let tiny = '';

/** Returns the directory of the image that every container runs. */
export const tinyRoot = (): string => tiny;
before(async () => {
  tiny = await makeTinyRoot();
});
after(async () => {
  await rm(tiny, { recursive: true, force: true });
});

async function refusal(only: LauncherName): Promise<string | false> {
  const root = await mkdtemp(join(tmpdir(), 'drayage-launcher-'));
  try {
    await chooseLauncher({ root, only }, signal);
    return false;
  } catch (error) {
    if (error instanceof RuntimeError) return error.message;
    throw error;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/**
 * The ways to run containers, and why one is not tried here. Known before the first test is named: a file whose tests have all been
 * skipped while the next were not named yet counts as done, and the image would be gone.
 */
export const LAUNCHERS = await Promise.all(
  (['runc', 'unshare'] as const).map(async (launcher) => ({ launcher, skip: await refusal(launcher) })),
);

export interface Setup {
  readonly root: string;
  readonly runtime: LocalRuntime;
  open(): Promise<LocalRuntime>;
  sandbox(): Promise<string>;
  container(sandbox: string, config: Partial<ContainerConfig>): Promise<string>;
  /** Runs a container to its end and returns its status and its log. */
  run(config: Partial<ContainerConfig>): Promise<{ status: ContainerStatus; stdout: string; stderr: string }>;
}

export async function withRuntime(
  launcher: LauncherName,
  image: ImageRunConfig,
  use: (setup: Setup) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'drayage-runtime-'));
  await mkdir(join(root, 'rootfs'));
  const rootfs = new CopyRootfs(tiny, join(root, 'rootfs'));
  const opened: LocalRuntime[] = [];
  const open = async (): Promise<LocalRuntime> => {
    const runtime = await createLocalRuntime(
      { root: join(root, 'runtime'), rootfs, images: oneImage(image), launcher },
      signal,
    );
    opened.push(runtime);
    return runtime;
  };
  const runtime = await open();
  const sandbox = async (): Promise<string> => await runtime.runPodSandbox(sandboxConfig(root), signal);
  const container = async (sandbox: string, config: Partial<ContainerConfig>): Promise<string> =>
    await runtime.createContainer(sandbox, { ...CONTAINER, ...config }, signal);
  try {
    await use({
      root,
      runtime,
      open,
      sandbox,
      container,
      run: async (config) => {
        const id = await container(await sandbox(), config);
        await runtime.startContainer(id, signal);
        const status = await ended(runtime, id);
        return { status, ...(await readLog(status.logPath)) };
      },
    });
  } finally {
    const last = opened.at(-1);
    for (const box of (await last?.listPodSandboxes(signal)) ?? [])
      await last?.removePodSandbox(box.id, signal);
    for (const one of opened) await one.close();
    await rm(root, { recursive: true, force: true });
  }
}

const CONTAINER: ContainerConfig = {
  name: 'a',
  attempt: 0,
  userSpecifiedImage: 'registry.example/tiny:1',
  imageRef: 'sha256:tiny',
  command: [],
  args: [],
  workingDir: '',
  env: [],
  mounts: [],
  labels: {},
  annotations: {},
  logPath: 'a/0.log',
  stdin: false,
  tty: false,
};

function sandboxConfig(root: string): PodSandboxConfig {
  return {
    name: 'p',
    uid: 'f5a6e8f0-0000-4000-8000-000000000001',
    namespace: 'default',
    attempt: 0,
    hostname: 'p',
    logDirectory: join(root, 'logs', 'default_p_f5a6e8f0'),
    labels: {},
    annotations: {},
  };
}

export async function ended(runtime: LocalRuntime, id: string): Promise<ContainerStatus> {
  const stop = new AbortController();
  const events = runtime.events(AbortSignal.any([signal, stop.signal]));
  const wake = events[Symbol.asyncIterator]();
  let next = wake.next();
  try {
    for (;;) {
      const status = await runtime.containerStatus(id, signal);
      assert.ok(status);
      if (status.state === 'exited') return status;
      await next;
      next = wake.next();
    }
  } finally {
    stop.abort();
    await next;
  }
}

export async function readLog(path: string): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  for (const line of (await readFile(path, 'latin1')).split('\n')) {
    const entry = parseEntry(Buffer.from(line, 'latin1'));
    if (entry !== undefined) text[entry.stream] += `${entry.text.toString()}${entry.partial ? '' : '\n'}`;
  }
  return text;
}

export const sh = (script: string): Partial<ContainerConfig> => ({ command: ['/bin/sh', '-c', script] });

export async function lineInLog(runtime: LocalRuntime, id: string, text: string): Promise<void> {
  const status = await runtime.containerStatus(id, signal);
  for (let tries = 0; tries < 1000; tries++) {
    await runtime.syncContainerLog(id);
    const log = await readFile(status?.logPath ?? '', 'utf8').catch(() => '');
    if (log.includes(text)) return;
    await run('sleep', ['0.02']);
  }
  assert.fail(`"${text}" did not appear in the log`);
}
