import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { test } from 'node:test';
import { acceptSpdy, refuseUpgrade } from '../kubelet/streaming/negotiate.ts';
import { serveSession } from '../kubelet/streaming/serve-session.ts';
import { spdySession } from '../kubelet/streaming/spdy-session.ts';
import type { ContainerSession } from '../runtime/container-session.ts';
import { streamedSession } from './streamed-session.ts';

const signal = AbortSignal.timeout(30_000);

/** Serves what a runtime serves at the address that it gives: a session that answers its input and ends with a code. */
async function withServer(
  end: (sizes: string[]) => Promise<number>,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/refused') {
      refuseUpgrade(socket, { status: 404, message: 'no such token' });
      return;
    }
    const tty = request.url === '/tty';
    const stdin = new PassThrough();
    const stderr = new PassThrough();
    const sizes: string[] = [];
    const ended = once(stdin, 'end').then(() => end(sizes));
    ended.catch(() => undefined);
    stderr.end('on the side');
    const session: ContainerSession = {
      stdin,
      stdout: stdin,
      stderr: tty ? undefined : stderr,
      resize: (columns, rows) => void sizes.push(`${columns}x${rows}`),
      exit: ended,
      close: () => undefined,
    };
    acceptSpdy(socket, 'v4.channel.k8s.io');
    const wanted = { stdin: true, stdout: true, stderr: !tty, tty };
    void spdySession(socket, head, wanted, 'v4.channel.k8s.io').then((streams) =>
      serveSession(session, streams, ['x']),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

async function textOf(stream: Readable | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

test('a session at a runtime’s address has input, outputs and an exit code', async () => {
  await withServer(
    () => Promise.resolve(5),
    async (url) => {
      const session = await streamedSession(`${url}/x`, { tty: false, stdin: true, stderr: true }, signal);
      const outputs = Promise.all([textOf(session.stdout), textOf(session.stderr)]);
      session.stdin?.end('hello');
      assert.equal(await session.exit, 5);
      assert.deepEqual(await outputs, ['hello', 'on the side']);
      session.close();
    },
  );
});

test('sizes of a terminal reach the runtime', async () => {
  let seen: string[] = [];
  await withServer(
    (sizes) => {
      seen = sizes;
      return Promise.resolve(0);
    },
    async (url) => {
      const session = await streamedSession(`${url}/tty`, { tty: true, stdin: true, stderr: false }, signal);
      session.resize(100, 40);
      session.stdin?.end('x');
      assert.equal(await textOf(session.stdout), 'x');
      assert.equal(await session.exit, 0);
      assert.deepEqual(seen, ['100x40']);
      session.close();
    },
  );
});

test('what a runtime says of a command that it cannot run is kept', async () => {
  await withServer(
    () => Promise.reject(new Error('failed to exec in container: no')),
    async (url) => {
      const session = await streamedSession(`${url}/x`, { tty: false, stdin: true, stderr: true }, signal);
      session.stdout.resume();
      session.stderr?.resume();
      session.stdin?.end();
      await assert.rejects(session.exit, { code: 'EXEC_FAILED', message: 'failed to exec in container: no' });
      session.close();
    },
  );
});

test('an address that refuses, and one where nobody is', async () => {
  const wanted = { tty: false, stdin: false, stderr: true };
  await withServer(
    () => Promise.resolve(0),
    async (url) => {
      await assert.rejects(streamedSession(`${url}/refused`, wanted, signal), { message: 'no such token' });
    },
  );
  await assert.rejects(streamedSession('http://127.0.0.1:1/x', wanted, signal), { code: 'UNAVAILABLE' });
});
