import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PortBook } from './listen-ports.ts';

async function withBook(run: (open: () => Promise<PortBook>) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-ports-'));
  try {
    await run(() => PortBook.open(join(directory, 'ports.json')));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function occupied(run: (port: number) => Promise<void>): Promise<void> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  try {
    await run(typeof address === 'object' && address !== null ? address.port : 0);
  } finally {
    server.close();
  }
}

test('a taken usual port is replaced by another one, and that is said', async () => {
  await withBook(async (open) => {
    await occupied(async (port) => {
      const chosen = await (await open()).choose('registry', port, undefined);
      assert.notEqual(chosen.port, port);
      assert.match(chosen.remark ?? '', new RegExp(`port ${port} is taken`));
    });
  });
});

test('the port of last time is kept, and its loss is an error that names the way out', async () => {
  await withBook(async (open) => {
    const book = await open();
    const { port } = await book.choose('api', 0, 0);
    await book.remember('api', port);
    assert.deepEqual(await (await open()).choose('api', 1, undefined), { port });
    await occupied(async (taken) => {
      await book.remember('api', taken);
      await assert.rejects((await open()).choose('api', 1, undefined), {
        code: 'PORT_TAKEN',
        message: /choose one with --api-port/,
      });
    });
  });
});

test('a port that was asked for by number is had or refused', async () => {
  await withBook(async (open) => {
    await occupied(async (port) => {
      await assert.rejects((await open()).choose('api', 6443, port), {
        code: 'PORT_TAKEN',
        message: new RegExp(`port ${port} \\(--api-port\\)`),
      });
    });
  });
});
