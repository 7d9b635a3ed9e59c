import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { isSystemError } from '../base/coded-error.ts';
import { CopyRootfs, makeTinyRoot, oneImage } from './_tiny-root.ts';
import { chooseLauncher, type LauncherName } from './choose-launcher.ts';
import { parseEntry } from './cri-log.ts';
import { createLocalRuntime, type LocalRuntime } from './local-runtime.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ContainerConfig, ContainerStatus, PodSandboxConfig } from './runtime-service.ts';
import type { ImageRunConfig } from './container-image.ts';

const run = promisify(execFile);
const signal = AbortSignal.timeout(300_000);
const IMAGE: ImageRunConfig = { Env: ['FROM_IMAGE=yes'], Cmd: ['/bin/echo', 'SUCCESS'] };

let tiny = '';
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

interface Setup {
  readonly root: string;
  readonly runtime: LocalRuntime;
  open(): Promise<LocalRuntime>;
  sandbox(): Promise<string>;
  container(sandbox: string, config: Partial<ContainerConfig>): Promise<string>;
  /** Runs a container to its end and returns its status and its log. */
  run(config: Partial<ContainerConfig>): Promise<{ status: ContainerStatus; stdout: string; stderr: string }>;
}

async function withRuntime(
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

/** Tells whether limits of memory can be set here: by control groups of version 1 (also beside an empty version 2), or of version 2. */
async function hasMemoryController(): Promise<boolean> {
  for (const path of ['/sys/fs/cgroup/memory/cgroup.procs', '/sys/fs/cgroup/memory.stat']) {
    try {
      await access(path, constants.R_OK);
      return true;
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
  return false;
}

async function ended(runtime: LocalRuntime, id: string): Promise<ContainerStatus> {
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

async function readLog(path: string): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  for (const line of (await readFile(path, 'latin1')).split('\n')) {
    const entry = parseEntry(Buffer.from(line, 'latin1'));
    if (entry !== undefined) text[entry.stream] += `${entry.text.toString()}${entry.partial ? '' : '\n'}`;
  }
  return text;
}

const sh = (script: string): Partial<ContainerConfig> => ({ command: ['/bin/sh', '-c', script] });

for (const launcher of ['runc', 'unshare'] as const) {
  const skip = await refusal(launcher);
  describe(`containers run by ${launcher}`, { skip }, () => {
    test('the image says what runs, and its output is in the log when it is reported as ended', async () => {
      await withRuntime(launcher, IMAGE, async ({ run }) => {
        const { status, stdout } = await run({});
        assert.equal(stdout, 'SUCCESS\n');
        assert.equal(status.exitCode, 0);
        assert.equal(status.reason, 'Completed');
        assert.ok(status.startedAt > 0 && status.finishedAt >= status.startedAt);
      });
    });

    test('environment, working directory, host name and error output are the container’s own', async () => {
      await withRuntime(launcher, IMAGE, async ({ run }) => {
        const { stdout, stderr } = await run({
          ...sh(
            'echo "$FROM_IMAGE $MINE $HOSTNAME $PWD $$"; cat /etc/hostname; cat /proc/sys/kernel/hostname; echo no >&2',
          ),
          env: [{ key: 'MINE', value: "it's 1 = 1" }],
          workingDir: '/made/by/runtime',
        });
        const [line, file, kernel] = stdout.split('\n');
        assert.equal(line, "yes it's 1 = 1 p /made/by/runtime 1");
        assert.equal(file, 'p');
        assert.equal(kernel, 'p');
        assert.equal(stderr, 'no\n');
      });
    });

    const exits: { name: string; script: string; code: number }[] = [
      { name: 'its exit code', script: 'exit 3', code: 3 },
      { name: '128 and the signal that killed it', script: 'sh -c "kill -9 \\$\\$"; exit $?', code: 137 },
    ];
    for (const { name, script, code } of exits) {
      test(`a failed container reports ${name}`, async () => {
        await withRuntime(launcher, IMAGE, async ({ run }) => {
          const { status } = await run(sh(script));
          assert.equal(status.exitCode, code);
          assert.equal(status.reason, 'Error');
        });
      });
    }

    const failures: { name: string; command: string[]; expected: RegExp }[] = [
      {
        name: 'a name outside PATH',
        command: ['nosuch'],
        expected: /exec: "nosuch": executable file not found in \$PATH$/,
      },
      {
        name: 'a missing path',
        command: ['/no/such'],
        expected: /exec: "\/no\/such": stat \/no\/such: no such file or directory$/,
      },
      {
        name: 'a file that is not executable',
        command: ['/etc/passwd'],
        expected: /exec: "\/etc\/passwd": permission denied$/,
      },
    ];
    for (const { name, command, expected } of failures) {
      test(`${name} fails the start with StartError and code 128`, async () => {
        await withRuntime(launcher, IMAGE, async ({ runtime, sandbox, container }) => {
          const id = await container(await sandbox(), { command });
          await assert.rejects(runtime.startContainer(id, signal), (error) => {
            assert.ok(error instanceof RuntimeError);
            assert.equal(error.code, 'START_FAILED');
            assert.match(
              error.message,
              /OCI runtime create failed: runc create failed: unable to start container process: /,
            );
            assert.match(error.message, expected);
            return true;
          });
          const status = await runtime.containerStatus(id, signal);
          assert.equal(status?.state, 'exited');
          assert.equal(status?.exitCode, 128);
          assert.equal(status?.reason, 'StartError');
          assert.equal(status?.startedAt, 0);
        });
      });
    }

    test('a file in no executable format ends the container with its own message', async () => {
      await writeFile(join(tiny, 'bin/garbage'), 'garbage', { mode: 0o755 });
      await withRuntime(launcher, IMAGE, async ({ run }) => {
        const { status, stderr } = await run({ command: ['/bin/garbage'] });
        assert.equal(stderr, 'exec /bin/garbage: exec format error\n');
        assert.equal(status.exitCode, 1);
      });
    });

    test('stopping sends the stop signal and waits for the container to end by itself', async () => {
      await withRuntime(
        launcher,
        { ...IMAGE, StopSignal: 'SIGUSR1' },
        async ({ runtime, sandbox, container }) => {
          const id = await container(
            await sandbox(),
            sh('trap "echo bye; exit 7" USR1; echo up; while :; do sleep 0.05; done'),
          );
          await runtime.startContainer(id, signal);
          await lineInLog(runtime, id, 'up');
          await runtime.stopContainer(id, 20_000, signal);
          const status = await runtime.containerStatus(id, signal);
          assert.equal(status?.state, 'exited');
          assert.equal(status?.exitCode, 7);
          assert.match((await readLog(status?.logPath ?? '')).stdout, /bye/);
        },
      );
    });

    test('a container that ignores the stop signal is killed after its grace period', async () => {
      await withRuntime(launcher, IMAGE, async ({ runtime, sandbox, container }) => {
        const id = await container(
          await sandbox(),
          sh('trap "" TERM; echo up; while :; do sleep 0.05; done'),
        );
        await runtime.startContainer(id, signal);
        await lineInLog(runtime, id, 'up');
        await runtime.stopContainer(id, 50, signal);
        assert.equal((await runtime.containerStatus(id, signal))?.exitCode, 137);
      });
    });

    test('a command inside sees the container and returns its output and code', async () => {
      await withRuntime(launcher, IMAGE, async ({ runtime, sandbox, container }) => {
        const id = await container(await sandbox(), sh('echo up; while :; do sleep 1; done'));
        await runtime.startContainer(id, signal);
        const result = await runtime.execSync(
          id,
          ['/bin/sh', '-c', 'echo $FROM_IMAGE; cat /etc/hostname; echo e >&2; exit 4'],
          10_000,
          signal,
        );
        assert.equal(result.stdout.toString(), 'yes\np\n');
        assert.equal(result.stderr.toString(), 'e\n');
        assert.equal(result.exitCode, 4);
        await assert.rejects(
          runtime.execSync(id, ['/bin/sleep', '100'], 100, signal),
          (error) => error instanceof RuntimeError && error.code === 'TIMEOUT',
        );
      });
    });

    test('a command that takes too long is killed inside, not only given up', async () => {
      await withRuntime(launcher, IMAGE, async ({ runtime, sandbox, container }) => {
        const id = await container(await sandbox(), sh('while :; do sleep 1; done'));
        await runtime.startContainer(id, signal);
        const mark = `4${process.pid}.0625`;
        await assert.rejects(
          runtime.execSync(id, ['/bin/sleep', mark], 1000, signal),
          (error) => error instanceof RuntimeError && error.code === 'TIMEOUT',
        );
        const look = ['/bin/sh', '-c', 'cat /proc/[0-9]*/cmdline'];
        for (let tries = 0; ; tries++) {
          const { stdout } = await runtime.execSync(id, look, 10_000, signal);
          // The kernel takes a moment to clear a killed process away.
          if (!stdout.includes(mark)) break;
          assert.ok(tries < 50, 'the command still runs');
        }
        assert.equal((await runtime.containerStatus(id, signal))?.state, 'running');
      });
    });

    if (launcher === 'runc') {
      test('a container that takes more memory than its limit is killed and says OOMKilled', async (t) => {
        if (!(await hasMemoryController())) {
          t.skip('this machine offers no memory control group');
          return;
        }
        await withRuntime(launcher, IMAGE, async ({ run }) => {
          const { status } = await run({
            ...sh('x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'),
            resources: { memoryBytes: 32 * 1024 * 1024 },
          });
          assert.equal(status.reason, 'OOMKilled');
          assert.equal(status.exitCode, 137);
        });
      });
    }

    test('mounts of files and directories appear, read-only ones cannot be written', async () => {
      await withRuntime(launcher, IMAGE, async ({ root, run }) => {
        const data = join(root, 'data');
        await mkdir(data);
        await writeFile(join(root, 'file'), 'content\n');
        const { stdout, status } = await run({
          ...sh(
            'cat /mnt/file; touch /rw/made && echo written; touch /ro/x 2>/dev/null || echo refused; echo message >/dev/termination-log',
          ),
          mounts: [
            { hostPath: join(root, 'file'), containerPath: '/mnt/file', readonly: true },
            { hostPath: data, containerPath: '/rw', readonly: false },
            { hostPath: data, containerPath: '/ro', readonly: true },
            { hostPath: join(root, 'file'), containerPath: '/dev/termination-log', readonly: false },
          ],
        });
        assert.equal(status.exitCode, 0);
        assert.equal(stdout, 'content\nwritten\nrefused\n');
        assert.equal(await readFile(join(root, 'file'), 'utf8'), 'message\n');
      });
    });

    test('a read-only root cannot be written', async () => {
      await withRuntime(launcher, IMAGE, async ({ run }) => {
        const { stdout } = await run({ ...sh('touch /x 2>/dev/null || echo refused'), readonlyRootfs: true });
        assert.equal(stdout, 'refused\n');
      });
    });

    test('the user is a number or a name of the image’s own passwd file', async () => {
      await withRuntime(launcher, { ...IMAGE, User: 'alice' }, async ({ run }) => {
        assert.equal((await run(sh('echo $(id -u):$(id -g) $HOME'))).stdout, '1000:1001 /home/alice\n');
        assert.equal(
          (await run({ ...sh('echo $(id -u):$(id -g)'), user: { uid: 77, gid: 88 } })).stdout,
          '77:88\n',
        );
      });
    });

    test('an unknown user is refused when the container is created', async () => {
      await withRuntime(launcher, { ...IMAGE, User: 'nobody-here' }, async ({ sandbox, container }) => {
        await assert.rejects(container(await sandbox(), {}), {
          message: 'unable to find user nobody-here: no matching entries in passwd file',
        });
      });
    });

    test('a container outlives the agent; the next one finds it running, gets all its output once, and its end', async () => {
      await withRuntime(launcher, IMAGE, async ({ root, runtime, open, sandbox, container }) => {
        await mkdir(join(root, 'gate'));
        const id = await container(await sandbox(), {
          ...sh('echo one; while [ ! -e /gate/open ]; do sleep 0.02; done; echo two; printf end; exit 5'),
          mounts: [{ hostPath: join(root, 'gate'), containerPath: '/gate', readonly: false }],
        });
        await runtime.startContainer(id, signal);
        await lineInLog(runtime, id, 'one');
        await runtime.close();
        await writeFile(join(root, 'gate/open'), '');
        const next = await open();
        const status = await ended(next, id);
        assert.equal(status.exitCode, 5);
        assert.equal((await readLog(status.logPath)).stdout, 'one\ntwo\nend\n');
      });
    });

    test('a container whose shim was killed is killed too and reported with code 255', async () => {
      await withRuntime(launcher, IMAGE, async ({ root, runtime, open, sandbox, container }) => {
        const id = await container(await sandbox(), sh('while :; do sleep 1; done'));
        await runtime.startContainer(id, signal);
        await runtime.close();
        const shim = await readFile(join(root, 'runtime/containers', id, 'shim.stat'), 'utf8');
        process.kill(Number(shim.split(' ')[0]), 'SIGKILL');
        const next = await open();
        const status = await ended(next, id);
        assert.equal(status.exitCode, 255);
        assert.equal(status.reason, 'Error');
      });
    });
  });
}

async function lineInLog(runtime: LocalRuntime, id: string, text: string): Promise<void> {
  const status = await runtime.containerStatus(id, signal);
  for (let tries = 0; tries < 1000; tries++) {
    await runtime.syncContainerLog(id);
    const log = await readFile(status?.logPath ?? '', 'utf8').catch(() => '');
    if (log.includes(text)) return;
    await run('sleep', ['0.02']);
  }
  assert.fail(`"${text}" did not appear in the log`);
}
