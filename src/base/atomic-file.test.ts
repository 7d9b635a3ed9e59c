import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeFileAtomic } from './atomic-file.ts';
import { isSystemError, messageOf } from './coded-error.ts';

test('a file is replaced whole, with its mode, and leaves no temporary behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-atomic-'));
  try {
    const path = join(directory, 'file');
    await writeFile(path, 'old');
    await writeFileAtomic(path, 'new', { mode: 0o600 });
    assert.equal(await readFile(path, 'utf8'), 'new');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await assert.rejects(writeFileAtomic(join(directory, 'absent', 'file'), 'x'), (error) =>
      isSystemError(error, 'ENOENT'),
    );
    assert.deepEqual(await readdir(directory), ['file']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('whatever was thrown has a text', () => {
  assert.equal(messageOf(new Error('a')), 'a');
  assert.equal(messageOf('b'), 'b');
  assert.equal(isSystemError({ code: 'ENOENT' }, 'ENOENT'), false);
});
