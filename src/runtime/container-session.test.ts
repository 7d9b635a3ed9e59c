import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Readable } from 'node:stream';
import { IMAGE, LAUNCHERS, lineInLog, sh, signal, withRuntime, type Setup } from './_runtime-bench.ts';
import { RuntimeError } from './runtime-error.ts';

const FOREVER = 'trap "exit 0" TERM; sleep 1000000 & wait';

async function textOf(stream: Readable | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

/** Reads until the words have come; what comes later is passed over. */
async function until(stream: Readable, words: string): Promise<string> {
  let text = '';
  return await new Promise((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!text.includes(words)) return;
      stream.off('data', look);
      resolve(text);
    };
    stream.on('data', look);
    stream.once('end', () => reject(new Error(`"${words}" never came, only ${JSON.stringify(text)}`)));
  });
}

async function running({ runtime, sandbox, container }: Setup, script = FOREVER, more = {}): Promise<string> {
  const id = await container(await sandbox(), { ...sh(script), ...more });
  await runtime.startContainer(id, signal);
  return id;
}

for (const { launcher, skip } of LAUNCHERS) {
  describe(`sessions with containers run by ${launcher}`, { skip }, () => {
    test('a command has its own input, both outputs and an exit code', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup);
        const command = ['/bin/sh', '-c', 'echo to-err >&2; cat; exit 7'];
        const session = await setup.runtime.exec(id, { command, tty: false, stdin: true }, signal);
        const stdout = textOf(session.stdout);
        const stderr = textOf(session.stderr);
        session.stdin?.end('one\ntwo\n');
        assert.equal(await session.exit, 7);
        assert.deepEqual([await stdout, await stderr], ['one\ntwo\n', 'to-err\n']);
      });
    });

    test('a command without input reads nothing', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup);
        const session = await setup.runtime.exec(
          id,
          { command: ['/bin/cat'], tty: false, stdin: false },
          signal,
        );
        assert.equal(session.stdin, undefined);
        assert.equal(await textOf(session.stdout), '');
        assert.equal(await session.exit, 0);
      });
    });

    test('a command with a terminal sees one, and its size', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup);
        const command = [
          '/bin/sh',
          '-c',
          '[ -t 0 ] && [ -t 1 ] && echo terminal; read -r line; echo "got $line"; exit 3',
        ];
        const session = await setup.runtime.exec(id, { command, tty: true, stdin: true }, signal);
        assert.equal(session.stderr, undefined);
        await until(session.stdout, 'terminal\r\n');
        session.resize(123, 45);
        session.stdin?.write('hello\n');
        const rest = await until(session.stdout, 'got hello');
        assert.ok(rest.includes('hello\r\n'), 'what is typed is shown');
        session.stdout.resume();
        assert.equal(await session.exit, 3);
      });
    });

    test('what a command shows first on its terminal is shown as what comes later', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup);
        const command = ['/bin/sh', '-c', 'echo one; echo two; sleep 0.1; echo three'];
        const shown = async (): Promise<string> => {
          const session = await setup.runtime.exec(id, { command, tty: true, stdin: false }, signal);
          const text = await textOf(session.stdout);
          assert.equal(await session.exit, 0);
          return text;
        };
        // Together, so that the runtime is late for some of them.
        for (const text of await Promise.all(Array.from({ length: 12 }, shown)))
          assert.equal(text, 'one\r\ntwo\r\nthree\r\n');
      });
    });

    test('closing a session ends the command and what it started', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup);
        const command = ['/bin/sh', '-c', 'echo up; sleep 1000'];
        const session = await setup.runtime.exec(id, { command, tty: false, stdin: false }, signal);
        await until(session.stdout, 'up');
        session.close();
        await assert.rejects(session.exit);
      });
    });

    test('a command that is not there cannot be started', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup);
        const open = async (): Promise<number> => {
          const options = { command: ['/nosuch'], tty: false, stdin: false };
          const session = await setup.runtime.exec(id, options, signal);
          session.stdout.resume();
          session.stderr?.resume();
          return await session.exit;
        };
        await assert.rejects(open(), (error) => {
          assert.ok(error instanceof RuntimeError && error.code === 'EXEC_FAILED');
          assert.match(error.message, /exec: "\/nosuch": stat \/nosuch: no such file or directory$/);
          return true;
        });
      });
    });

    test('who attaches sees output from now on, writes to the input, and is told of the end', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const script = 'echo before; while read -r line; do echo "got $line"; done; echo bye';
        const id = await running(setup, script, { stdin: true, stdinOnce: true });
        await lineInLog(setup.runtime, id, 'before');
        const session = await setup.runtime.attach(id, { tty: false, stdin: true }, signal);
        const text = textOf(session.stdout);
        session.stdin?.end('x\ny\n');
        assert.equal(await session.exit, 0);
        assert.equal(await text, 'got x\ngot y\nbye\n');
      });
    });

    test('input of a container that keeps it open goes on after somebody has left', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const id = await running(setup, 'while read -r line; do echo "got $line"; done', { stdin: true });
        for (const line of ['one', 'two']) {
          const session = await setup.runtime.attach(id, { tty: false, stdin: true }, signal);
          session.stdin?.end(`${line}\n`);
          await until(session.stdout, `got ${line}`);
          session.close();
        }
        assert.equal((await setup.runtime.containerStatus(id, signal))?.state, 'running');
      });
    });

    test('a container with a terminal has one, and takes its size from who attaches', async () => {
      await withRuntime(launcher, IMAGE, async (setup) => {
        const script =
          '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal; while read -r line; do echo "got $line"; done';
        const id = await running(setup, script, { stdin: true, tty: true });
        await lineInLog(setup.runtime, id, 'terminal');
        const session = await setup.runtime.attach(id, { tty: true, stdin: true }, signal);
        session.resize(100, 30);
        session.stdin?.write('hi\n');
        await until(session.stdout, 'got hi\r\n');
        session.close();
      });
    });

    test('a container that has ended lets nobody in', async () => {
      await withRuntime(launcher, IMAGE, async ({ runtime, run }) => {
        const { status } = await run(sh('exit 0'));
        const options = { command: ['/bin/true'], tty: false, stdin: false };
        for (const attempt of [
          runtime.exec(status.id, options, signal),
          runtime.attach(status.id, options, signal),
        ]) {
          await assert.rejects(attempt, {
            code: 'NOT_RUNNING',
            message: 'container is in CONTAINER_EXITED state',
          });
        }
      });
    });
  });
}
