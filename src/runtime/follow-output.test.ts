import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { followOutput } from './follow-output.ts';

async function withFile(work: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-output-'));
  const path = join(directory, 'stdout');
  await writeFile(path, 'before\n');
  try {
    await work(path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('what is appended from now on is read, until nothing more will come', async () => {
  await withFile(async (path) => {
    let ended = false;
    const output = await followOutput(path, () => ended, new AbortController().signal);
    await appendFile(path, 'after\n');
    ended = true;
    let text = '';
    for await (const chunk of output) text += String(chunk);
    assert.equal(text, 'after\n');
  });
});

test('whoever lets go while the file is opened gets nothing that would stay open', async () => {
  await withFile(async (path) => {
    const leaving = new AbortController();
    const opened = followOutput(path, () => false, leaving.signal);
    leaving.abort(new Error('gone'));
    await assert.rejects(opened, { message: 'gone' });
  });
});

test('letting go ends the stream', async () => {
  await withFile(async (path) => {
    const leaving = new AbortController();
    const output = await followOutput(path, () => false, leaving.signal);
    const closed = new Promise((resolve) => output.once('close', resolve));
    leaving.abort();
    await closed;
    assert.ok(output.destroyed);
  });
});
