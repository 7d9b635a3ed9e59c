import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesOfProgram } from './host-program.ts';

test('echo of this machine comes with its loader and its C library', async () => {
  const { path, architecture, files } = await filesOfProgram('echo');
  assert.equal(path, '/bin/echo');
  assert.ok(['amd64', 'arm64'].includes(architecture));
  const paths = files.map((file) => file.path);
  assert.ok(paths.includes('/bin/echo'));
  assert.ok(
    paths.some((each) => /ld-|ld\.so|ld-musl/.test(each)),
    paths.join(' '),
  );
  assert.ok(files.every((file) => file.source.startsWith('/')));
});

test('a program that is not there is named', async () => {
  await assert.rejects(filesOfProgram('no-such-program-here'), {
    code: 'NOT_FOUND',
    message: /"no-such-program-here": it is in none of \/bin/,
  });
});

test('a script is refused', async () => {
  await assert.rejects(filesOfProgram('ldd'), { code: 'NOT_A_PROGRAM' });
});
