import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { RootedTree } from './rooted-path.ts';

let base = '';
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'drayage-rooted-'));
  await mkdir(join(base, 'root/run/secrets'), { recursive: true });
  await mkdir(join(base, 'root/var'), { recursive: true });
  await mkdir(join(base, 'lower/etc'), { recursive: true });
  await writeFile(join(base, 'secret'), 'outside');
  await writeFile(join(base, 'root/file'), 'inside');
  await writeFile(join(base, 'lower/etc/os'), 'lower');
  await symlink('/run', join(base, 'root/var/run'));
  await symlink('../../../../secret', join(base, 'root/up'));
  await symlink('/file', join(base, 'root/absolute'));
  await symlink('loop', join(base, 'root/loop'));
  await symlink('../etc', join(base, 'root/var/config'));
});
after(() => rm(base, { recursive: true, force: true }));

const cases: { name: string; path: string; expected: string; kind: string | undefined }[] = [
  {
    name: 'an absolute link stays inside',
    path: '/var/run/secrets',
    expected: '/run/secrets',
    kind: 'directory',
  },
  { name: 'a link that climbs out ends at the root', path: '/up', expected: '/secret', kind: undefined },
  { name: 'an absolute link to a file', path: '/absolute', expected: '/file', kind: 'file' },
  { name: 'dots beyond the root', path: '/../../file', expected: '/file', kind: 'file' },
  {
    name: 'what does not exist is kept',
    path: '/var/run/new/deep',
    expected: '/run/new/deep',
    kind: undefined,
  },
  { name: 'a link into a lower layer', path: '/var/config/os', expected: '/etc/os', kind: 'file' },
  { name: 'the root itself', path: '/', expected: '/', kind: 'directory' },
];
for (const { name, path, expected, kind } of cases) {
  test(`${name}: ${path}`, async () => {
    const tree = new RootedTree([join(base, 'root'), join(base, 'lower')]);
    const entry = await tree.resolve(path);
    assert.equal(entry.path, expected);
    assert.equal(entry.kind, kind);
    assert.ok(entry.hostPath.startsWith(base));
  });
}

test('links that lead to themselves are refused', async () => {
  const tree = new RootedTree([join(base, 'root')]);
  await assert.rejects(tree.resolve('/loop'), { code: 'INVALID' });
});

test('text is read from inside only', async () => {
  const tree = new RootedTree([join(base, 'root')]);
  assert.equal(await tree.readText('/absolute', 100), 'inside');
  assert.equal(await tree.readText('/up', 100), undefined);
  await assert.rejects(tree.readText('/file', 3), { code: 'INVALID' });
});
