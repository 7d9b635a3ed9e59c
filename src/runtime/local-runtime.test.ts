import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isSystemError } from '../base/coded-error.ts';
import {
  ended,
  IMAGE,
  lineInLog,
  readLog,
  LAUNCHERS,
  sh,
  signal,
  tinyRoot,
  withRuntime,
} from './_runtime-bench.ts';
import { RuntimeError } from './runtime-error.ts';

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

for (const { launcher, skip } of LAUNCHERS) {
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
      await writeFile(join(tinyRoot(), 'bin/garbage'), 'garbage', { mode: 0o755 });
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
