import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalizeScopes, repositoryScope } from './scope.ts';

const ROWS: readonly { name: string; scopes: string[]; normal: string[] }[] = [
  {
    name: 'one entry a repository',
    scopes: ['repository:a:pull', 'repository:a:pull,push'],
    normal: ['repository:a:pull,push'],
  },
  { name: 'actions sorted', scopes: ['repository:a:push,pull'], normal: ['repository:a:pull,push'] },
  {
    name: 'several in one text',
    scopes: ['repository:b:pull repository:a:pull'],
    normal: ['repository:a:pull', 'repository:b:pull'],
  },
  {
    name: 'names with a port keep it',
    scopes: ['repository:h.example:5000/a:pull'],
    normal: ['repository:h.example:5000/a:pull'],
  },
  {
    name: 'a star is an action',
    scopes: ['repository:a:*', 'repository:a:pull'],
    normal: ['repository:a:*,pull'],
  },
  { name: 'empty text is nothing', scopes: ['', ' '], normal: [] },
];
for (const { name, scopes, normal } of ROWS) {
  test(`17.10 scopes are joined: ${name}`, () => {
    assert.deepEqual(normalizeScopes(scopes), normal);
  });
}

test('17.10 pulling asks for pull on the repository', () => {
  assert.equal(repositoryScope('library/busybox', 'pull'), 'repository:library/busybox:pull');
});
