import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileProblem } from './file-problem.ts';

const CASES: readonly (readonly [string, string])[] = [
  ['/nonexistent-file', 'there is no such file'],
  ['/proc/self/cmdline/x', 'a part of its path is no directory'],
  ['/', 'it is a directory'],
];
for (const [path, expected] of CASES) {
  test(`reading ${path}: ${expected}`, async () => {
    const error = await readFile(path).catch((reason: unknown) => reason);
    assert.equal(fileProblem(error), expected);
  });
}

test('what is no failure of the system speaks for itself', () => {
  assert.equal(fileProblem(new RangeError('it has 9 bytes')), 'it has 9 bytes');
});
