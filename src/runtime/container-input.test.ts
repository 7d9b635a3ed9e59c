import assert from 'node:assert/strict';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { makeInput, openInput } from './container-input.ts';

async function withInput(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-input-'));
  try {
    await makeInput(directory);
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('what is written arrives at the container', async () => {
  await withInput(async (directory) => {
    // Opened for both, as the shim does it: neither side waits for the other.
    const container = await open(join(directory, 'stdin'), 'r+');
    try {
      const input = openInput(directory, false);
      input.stream.end('some words\n');
      await input.ended;
      const { buffer, bytesRead } = await container.read(Buffer.alloc(64), 0, 64, null);
      assert.equal(buffer.subarray(0, bytesRead).toString(), 'some words\n');
    } finally {
      await container.close();
    }
  });
});

test('input for a container that is gone ends: nobody is waited for', { timeout: 20_000 }, async () => {
  await withInput(async (directory) => {
    const input = openInput(directory, false);
    input.stream.end('nobody reads this');
    await input.ended;
  });
});
