import assert from 'node:assert/strict';
import { lstat, mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { writePayload, type PayloadFile } from './payload-writer.ts';

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'drayage-payload-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const file = (path: string, text: string, mode = 0o644): PayloadFile => ({
  path,
  data: Buffer.from(text),
  mode,
});

test('files appear under their names, through ..data, with their modes', async (t) => {
  const path = await directory(t);
  assert.equal(await writePayload(path, [file('a', '1'), file('sub/b', '2', 0o400)]), true);
  assert.equal(await readFile(join(path, 'a'), 'utf8'), '1');
  assert.equal(await readFile(join(path, 'sub/b'), 'utf8'), '2');
  assert.equal(await readlink(join(path, 'a')), '..data/a');
  assert.equal((await lstat(join(path, '..data/sub/b'))).mode & 0o777, 0o400);
});

test('the same files again change nothing; others replace them in one step and leave nothing behind', async (t) => {
  const path = await directory(t);
  await writePayload(path, [file('a', '1'), file('gone', 'x')]);
  const before = await readlink(join(path, '..data'));
  assert.equal(await writePayload(path, [file('a', '1'), file('gone', 'x')]), false);
  assert.equal(await readlink(join(path, '..data')), before);
  assert.equal(await writePayload(path, [file('a', '2')]), true);
  assert.equal(await readFile(join(path, 'a'), 'utf8'), '2');
  const names = await readdir(path);
  assert.deepEqual(
    names.filter((name) => !name.startsWith('..')),
    ['a'],
  );
  assert.equal(names.length, 3);
});

for (const bad of ['../x', '/etc/passwd', 'a/../../b']) {
  test(`the path ${bad} is refused`, async (t) => {
    const path = await directory(t);
    await assert.rejects(writePayload(path, [file(bad, 'x')]), { message: `invalid path: ${bad}` });
    assert.deepEqual(await readdir(path), []);
  });
}
