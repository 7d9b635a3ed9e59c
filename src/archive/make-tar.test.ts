import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { makeTar, type TarSource } from './make-tar.ts';

const never = new AbortController().signal;
const make = (sources: readonly TarSource[]): Promise<Buffer> => buffer(makeTar(sources, never));

test('GNU tar reads what is made, and finds parents and order right', async (t) => {
  if (spawnSync('tar', ['--version']).status !== 0) return t.skip('tar is missing');
  const directory = mkdtempSync(join(tmpdir(), 'drayage-make-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'sub'));
  writeFileSync(join(directory, 'sub/run'), 'x'.repeat(70_000));
  chmodSync(join(directory, 'sub/run'), 0o750);
  symlinkSync('run', join(directory, 'sub/link'));
  const long = `${'deep/'.repeat(60)}file`;
  const tar = await make([
    { kind: 'tree', path: '/opt/tree', from: directory },
    { kind: 'bytes', path: long, bytes: 'deep' },
    {
      kind: 'file',
      path: 'bin/run',
      from: join(directory, 'sub/run'),
      uid: 7,
      gid: 8,
      mode: 0o4755,
      mtime: 1000,
    },
    { kind: 'whiteout', path: 'etc/gone' },
    { kind: 'opaque', path: 'var/cache' },
    { kind: 'directory', path: 'tmp', mode: 0o1777 },
  ]);
  const list = spawnSync('tar', ['-tv', '--numeric-owner', '--utc'], { input: tar, encoding: 'utf8' });
  assert.equal(list.stderr, '');
  const lines = list.stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '));
  assert.deepEqual(
    lines.filter((line) => !line.includes('deep')),
    [
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
      '-rwsr-xr-x 7/8 70000 1970-01-01 00:16 bin/run',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 etc/',
      '-rw-r--r-- 0/0 0 1970-01-01 00:00 etc/.wh.gone',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 opt/',
      'drwx------ 0/0 0 1970-01-01 00:00 opt/tree/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 opt/tree/sub/',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 opt/tree/sub/link -> run',
      '-rwxr-x--- 0/0 70000 1970-01-01 00:00 opt/tree/sub/run',
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 var/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 var/cache/',
      '-rw-r--r-- 0/0 0 1970-01-01 00:00 var/cache/.wh..wh..opq',
    ],
  );
  assert.ok(lines.some((line) => line.endsWith(long)));
});

test('equal input makes equal bytes, whatever its order', async () => {
  const sources: TarSource[] = [
    { kind: 'bytes', path: 'b', bytes: '2' },
    { kind: 'bytes', path: 'a/x', bytes: '1' },
    { kind: 'symlink', path: 'a-b', target: 'b' },
  ];
  assert.ok((await make(sources)).equals(await make(sources.toReversed())));
});

test('two entries of one path, and sources of no kind, are refused', async () => {
  await assert.rejects(
    make([
      { kind: 'bytes', path: 'a', bytes: '' },
      { kind: 'bytes', path: '/a', bytes: '' },
    ]),
    { code: 'UNSUPPORTED' },
  );
  await assert.rejects(make([{ kind: 'tree', path: 'dev', from: '/dev/null' }]), { code: 'UNSUPPORTED' });
});
