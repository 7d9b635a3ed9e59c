import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { tarOf, type TarOfEntry } from '../../test/support/tar-of.ts';
import { treeOf } from '../../test/support/tree-of.ts';
import { applyLayer } from './apply-layer.ts';
import type { ApplyOptions, ApplyReport } from './apply-options.ts';
import { ArchiveError } from './archive-error.ts';
import { removeTree } from './_tree.ts';

const never = new AbortController().signal;
const root = process.getuid?.() === 0;

interface Target {
  readonly directory: string;
  readonly outside: string;
  apply(layer: Buffer | readonly TarOfEntry[], options?: Partial<ApplyOptions>): Promise<ApplyReport>;
  tree(): Record<string, string>;
  /** Type and content of one path, short. */
  at(path: string): string;
}

function target(t: TestContext): Target {
  const base = mkdtempSync(join(tmpdir(), 'drayage-apply-'));
  const directory = join(base, 'root');
  const outside = join(base, 'outside');
  mkdirSync(directory);
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'precious');
  chmodSync(join(outside, 'precious'), 0o600);
  t.after(() => {
    removeTree(base);
  });
  const at = (path: string): string => {
    const facts = lstatSync(join(directory, path), { throwIfNoEntry: false });
    if (facts === undefined) return 'nothing';
    if (facts.isDirectory())
      return `directory of ${readdirSync(join(directory, path)).toSorted().join(' ') || 'nothing'}`;
    if (facts.isSymbolicLink()) return `link to ${readlinkSync(join(directory, path))}`;
    return facts.isFile() ? `file ${readFileSync(join(directory, path), 'utf8')}` : 'special';
  };
  return {
    directory,
    outside,
    apply: (layer, options = {}) => {
      const bytes = Buffer.isBuffer(layer) ? layer : tarOf(...layer);
      return applyLayer(one(bytes), directory, { whiteouts: 'remove', ...options }, never);
    },
    tree: () => treeOf(directory),
    at,
  };
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}

const file = (path: string, content: string): TarOfEntry => ({ path, content });
const symlink = (path: string, linkPath: string): TarOfEntry => ({ type: 'symlink', path, linkPath });
const link = (path: string, linkPath: string): TarOfEntry => ({ type: 'link', path, linkPath });

test('layers are applied as layer.md says', async (t) => {
  /** Name, layers, and what then is where. */
  const rows: [string, TarOfEntry[][], Record<string, string>][] = [
    ['a file replaces a file', [[file('a', '1')], [file('a', '2')]], { a: 'file 2' }],
    [
      'a directory of both layers is merged',
      [
        ['d/', 'd/x'],
        ['d/', 'd/y'],
      ],
      { d: 'directory of x y' },
    ],
    ['a file replaces a directory', [['d/', 'd/x'], [file('d', 'f')]], { d: 'file f' }],
    ['a directory replaces a file', [[file('d', 'f')], ['d/', 'd/x']], { d: 'directory of x' }],
    [
      'a link replaces a directory, and a directory a link',
      [['d/', 'd/x', 'e/', 'e/x'], [symlink('d', 'e')], ['d/', 'd/y']],
      { d: 'directory of y', e: 'directory of x' },
    ],
    [
      'a whiteout removes a file',
      [
        ['d/', 'd/x', 'd/y'],
        ['d/', 'd/.wh.x'],
      ],
      { d: 'directory of y' },
    ],
    [
      'a whiteout removes a directory with all in it',
      [['d/', 'd/x', 'd/e/', 'd/e/y', 'z'], ['.wh.d']],
      { '.': 'directory of z' },
    ],
    [
      'a whiteout removes a link, not what it leads to',
      [['e/', 'e/x', symlink('d', 'e')], ['.wh.d']],
      { d: 'nothing', e: 'directory of x' },
    ],
    ['a whiteout of nothing does nothing', [['x'], ['.wh.y', 'q/.wh.z']], { x: 'file ' }],
    [
      'a whiteout spares what its own layer brings, before it or after it',
      [
        [file('a', '1'), file('b', '1')],
        [file('a', '2'), '.wh.a', '.wh.b', file('b', '2')],
      ],
      { a: 'file 2', b: 'file 2' },
    ],
    [
      'a whiteout spares its own layer deep in a directory',
      [
        ['d/', 'd/old', 'd/e/', 'd/e/old'],
        ['d/', 'd/e/', 'd/e/new', '.wh.d'],
      ],
      { d: 'directory of e', 'd/e': 'directory of new' },
    ],
    [
      'an opaque directory hides what lower layers put in it',
      [
        ['d/', 'd/x', 'd/e/', 'd/e/y'],
        ['d/', 'd/.wh..wh..opq', 'd/new'],
      ],
      { d: 'directory of new' },
    ],
    [
      'an opaque mark spares its own layer, wherever it stands',
      [
        ['d/', 'd/x'],
        ['d/', 'd/new', 'd/.wh..wh..opq', 'd/later'],
      ],
      { d: 'directory of later new' },
    ],
    [
      'whiteouts act in a directory reached through a link',
      [
        ['usr/', 'usr/lib/', 'usr/lib/x', symlink('lib', 'usr/lib')],
        ['lib/.wh.x', 'lib/y'],
      ],
      { 'usr/lib': 'directory of y', lib: 'link to usr/lib' },
    ],
    [
      'AUFS leftovers are dropped',
      [['.wh..wh.plnk/', '.wh..wh.plnk/1.2', '.wh..wh.aufs', 'a']],
      { '.': 'directory of a' },
    ],
    [
      'what AUFS kept for hard links is what they lead to, and is gone then',
      [
        [
          '.wh..wh.plnk/',
          file('.wh..wh.plnk/1.2', 'shared'),
          link('b', '.wh..wh.plnk/1.2'),
          link('d/c', './.wh..wh.plnk/1.2'),
        ],
      ],
      { '.': 'directory of b d', b: 'file shared', 'd/c': 'file shared' },
    ],
    [
      'an entry behind a link lands where the link leads',
      [['usr/', 'usr/lib/', symlink('lib', '/usr/lib')], [file('lib/x', 'x')]],
      { 'usr/lib': 'directory of x', lib: 'link to /usr/lib' },
    ],
    [
      'a hard link shares the file',
      [[file('a', '1'), link('b', 'a'), link('d/c', '/a')]],
      { b: 'file 1', 'd/c': 'file 1' },
    ],
    ['a hard link to a file of a lower layer', [[file('a', '1')], [link('b', './a')]], { b: 'file 1' }],
    ['a hard link replaces a file', [[file('a', '1'), file('b', '2'), link('b', 'a')]], { b: 'file 1' }],
    ['a hard link to itself keeps the file', [[file('a', '1'), link('a', 'a')]], { a: 'file 1' }],
    ['a hard link to a link links the link', [[symlink('a', 'x'), link('b', 'a')]], { b: 'link to x' }],
    [
      'of two entries of one path the last counts',
      [[file('a', '1'), 'a/', 'a/b', symlink('a', 'q'), file('a', '2')]],
      { a: 'file 2' },
    ],
    [
      'names with dots and slashes are cleaned',
      [['./a/./b//c', file('/abs/x', 'x')]],
      { 'a/b': 'directory of c', 'abs/x': 'file x' },
    ],
    ['missing parents are made', [['a/b/c/d']], { 'a/b/c': 'directory of d' }],
    [
      'a file without its own mode bit for reading is still one',
      [[{ path: 'a', content: 'x', mode: 0o444 }], [file('a', 'y')]],
      { a: 'file y' },
    ],
  ];
  for (const [name, layers, expected] of rows) {
    await t.test(name, async (t) => {
      const into = target(t);
      for (const layer of layers) await into.apply(layer);
      for (const [path, what] of Object.entries(expected)) assert.equal(into.at(path), what, path);
    });
  }
});

test('hostile archives never reach outside the root', async (t) => {
  const rows: [string, (outside: string) => TarOfEntry[]][] = [
    [
      'dots in a name',
      () => [file('../outside/precious', 'gone'), file('a/../../../outside/precious', 'gone')],
    ],
    ['an absolute name', (outside) => [file(`${outside}/precious`, 'gone')]],
    ['a link out, then a file behind it', (outside) => [symlink('l', outside), file('l/precious', 'gone')]],
    [
      'a relative link out, then a file behind it',
      () => [symlink('l', '../outside'), file('l/precious', 'gone')],
    ],
    ['links in a chain', () => [symlink('a', '..'), symlink('b', 'a/outside'), file('b/precious', 'gone')]],
    [
      'a link, then a directory entry of its name with a file',
      (outside) => [symlink('l', outside), 'l/', file('l/precious', 'gone')],
    ],
    [
      'a directory that becomes a link',
      (outside) => ['d/', 'd/x', symlink('d', outside), file('d/precious', 'gone')],
    ],
    [
      'a directory whose parent becomes a link before it gets its mode',
      (outside) => [{ path: 'd/', mode: 0o777 }, { path: 'd/precious/', mode: 0o777 }, symlink('d', outside)],
    ],
    ['a file over a link', (outside) => [symlink('l', `${outside}/precious`), file('l', 'gone')]],
    [
      'a hard link to the outside',
      (outside) => [link('h', `../outside/precious`), file('h', 'gone'), link('i', `${outside}/precious`)],
    ],
    [
      'a hard link through a link',
      (outside) => [symlink('l', outside), link('h', 'l/precious'), file('h', 'gone')],
    ],
    [
      'a hard link to a link, then written',
      (outside) => [symlink('l', `${outside}/precious`), link('h', 'l'), file('h', 'gone')],
    ],
    [
      'a whiteout of the outside',
      (outside) => [symlink('l', outside), file('l/.wh.precious', ''), '../outside/.wh.precious'],
    ],
    ['an opaque mark on the outside', (outside) => [symlink('l', outside), file('l/.wh..wh..opq', '')]],
    ['a whiteout named dot dot', () => [file('.wh...', '')]],
    [
      'a mode for a link',
      (outside) => [{ type: 'symlink', path: 'l', linkPath: `${outside}/precious`, mode: 0o777, mtime: 5 }],
    ],
    [
      'attributes for a link',
      (outside) => [
        {
          type: 'symlink',
          path: 'l',
          linkPath: `${outside}/precious`,
          xattrs: new Map([['user.x', Buffer.from('y')]]),
        },
      ],
    ],
    ['links in a circle', () => [symlink('a', 'b'), symlink('b', 'a'), file('a/x', '')]],
    ['a link to itself', () => [symlink('a', 'a'), file('a/x', '')]],
    ['a NUL in a name', () => [{ path: Buffer.from(`${'n'.repeat(120)}\0/../../x`) }]],
    ['the root as a link', (outside) => [symlink('.', outside), file('precious', 'gone')]],
    ['the root as a whiteout', () => ['.wh.', '.wh..']],
  ];
  for (const whiteouts of ['remove', 'overlay'] as const) {
    for (const [name, entries] of rows) {
      await t.test(`${name} (${whiteouts})`, async (t) => {
        const into = target(t);
        const before = treeOf(into.outside, { times: true });
        const nodes = statSync(join(into.outside, 'precious')).nlink;
        try {
          await into.apply(entries(into.outside), { whiteouts });
        } catch (error) {
          assert.ok(error instanceof ArchiveError, String(error));
        }
        assert.deepEqual(treeOf(into.outside, { times: true }), before);
        assert.equal(statSync(join(into.outside, 'precious')).nlink, nodes);
        assert.ok(lstatSync(into.directory).isDirectory());
        assert.ok(!existsSync(join(into.directory, '..', 'x')));
      });
    }
  }
});

test('any sequence of entries stays inside the root', async (t) => {
  const name = fc.constantFrom(
    'a',
    'b',
    'a/b',
    'b/a',
    'a/b/c',
    '../outside',
    'a/../b',
    '/a',
    'l',
    'l/precious',
    'l/outside/precious',
  );
  const where = fc.constantFrom(
    'a',
    'b',
    '..',
    '../..',
    '../outside',
    '/',
    'l',
    '.',
    'b/a',
    '../outside/precious',
    '/../outside',
  );
  const entry = fc.oneof(
    name.map((path) => file(path, 'new')),
    name.map((path): TarOfEntry => ({ path: `${path}/`, mode: 0o707 })),
    fc.tuple(name, where).map(([path, to]) => symlink(path, to)),
    fc.tuple(name, fc.oneof(name, where)).map(([path, to]) => link(path, to)),
    name.map((path) => file(path.replace(/([^/]*)$/, '.wh.$1'), '')),
    name.map((path) => file(`${path}/.wh..wh..opq`, '')),
  );
  const into = target(t);
  const before = treeOf(into.outside, { times: true });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 12 }), fc.boolean(), async (entries, overlay) => {
      removeTree(into.directory);
      mkdirSync(into.directory);
      try {
        await into.apply(entries, { whiteouts: overlay ? 'overlay' : 'remove' });
      } catch (error) {
        assert.ok(error instanceof ArchiveError, String(error));
      }
      assert.deepEqual(treeOf(into.outside, { times: true }), before);
      assert.deepEqual(readdirSync(join(into.directory, '..')).toSorted(), ['outside', 'root']);
    }),
    // Each run writes a tree to disk: more of them find nothing new for the minutes that they take.
    { numRuns: Math.min(5_000, Number(process.env['FUZZ_RUNS'] ?? 500)) },
  );
});

test('a directory has its own mode below one that passes its set-group-ID bit on', async (t) => {
  const into = target(t);
  await into.apply([{ path: 'g/', mode: 0o2775 }]);
  await into.apply([{ path: 'g/sub/', mode: 0o755 }]);
  const { mode } = lstatSync(join(into.directory, 'g/sub'));
  assert.equal(mode & 0o7777, 0o755);
});

test('modes, set-id bits, sticky bits and times are kept', async (t) => {
  const into = target(t);
  await into.apply([
    { path: 'tmp/', mode: 0o1777, mtime: 1000 },
    { path: 'tmp/f', content: 'x', mode: 0o600, mtime: 2000.5 },
    { path: 'suid', content: 'x', mode: 0o4755, mtime: 3000 },
    { path: 'sgid', content: 'x', mode: 0o2711, mtime: 0 },
    { path: 'group/', mode: 0o2775, mtime: 5000 },
    { path: 'all', content: '', mode: 0o666, mtime: -5 },
    { type: 'symlink', path: 'l', linkPath: 'nowhere', mtime: 4000 },
    { path: './', mode: 0o711, mtime: 9000 },
  ]);
  const facts = (path: string): [string, number] => {
    const { mode, mtimeMs } = lstatSync(join(into.directory, path));
    return [(mode & 0o7777).toString(8), mtimeMs / 1000];
  };
  assert.deepEqual(facts('tmp'), ['1777', 1000]);
  assert.deepEqual(facts('tmp/f'), ['600', 2000.5]);
  assert.deepEqual(facts('suid'), ['4755', 3000]);
  assert.deepEqual(facts('sgid'), ['2711', 0]);
  assert.deepEqual(facts('group'), ['2775', 5000]);
  assert.deepEqual(facts('all'), ['666', 0]);
  assert.equal(facts('l')[1], 4000);
  assert.deepEqual(facts('.'), ['711', 9000]);
});

test('sparse files get their holes and their size', async (t) => {
  const into = target(t);
  if (spawnSync('tar', ['--version']).status !== 0) return t.skip('tar is missing');
  writeFileSync(join(into.outside, 'sparse'), 'begin');
  spawnSync('truncate', ['-s', '50M', join(into.outside, 'sparse')]);
  const made = spawnSync('tar', ['-c', '--sparse', '--format=pax', '-C', into.outside, 'sparse'], {
    maxBuffer: 64e6,
  });
  await into.apply(made.stdout);
  const facts = lstatSync(join(into.directory, 'sparse'));
  assert.equal(facts.size, 50 * 1024 * 1024);
  assert.ok(facts.blocks * 512 < 1024 * 1024);
  assert.equal(readFileSync(join(into.directory, 'sparse')).subarray(0, 6).toString(), 'begin\0');
});

test('names that are not UTF-8 are kept byte for byte', async (t) => {
  const into = target(t);
  const name = Buffer.from([0x66, 0xff, 0xfe, 0x2f, 0x80]);
  await into.apply([
    { path: Buffer.concat([name]), content: 'x' },
    { type: 'symlink', path: Buffer.from([0xc3]), linkPath: name },
    { type: 'link', path: Buffer.from([0xc4]), linkPath: name },
  ]);
  const tree = into.tree();
  assert.match(tree['f\xff\xfe/\x80'] ?? '', /^file 1 /);
  assert.match(tree['\xc3'] ?? '', /^link f\xff\xfe\/\x80/);
  assert.match(tree['\xc4'] ?? '', /^file 1 /);
  await into.apply([
    {
      path: Buffer.concat([Buffer.from([0x66, 0xff, 0xfe, 0x2f]), Buffer.from('.wh.'), Buffer.from([0x80])]),
    },
  ]);
  assert.equal(into.tree()['f\xff\xfe/\x80'], undefined);
});

test('owners, devices and fifos are made as root', async (t) => {
  if (!root) return t.skip('needs root');
  const into = target(t);
  await into.apply([
    { path: 'd/', uid: 1000, gid: 1001 },
    { path: 'd/f', content: 'x', uid: 70_000, gid: 80_000, mode: 0o6755 },
    { type: 'symlink', path: 'l', linkPath: '/etc/passwd', uid: 5, gid: 6 },
    { type: 'character', path: 'null', devMajor: 1, devMinor: 3, mode: 0o666, mtime: 77 },
    { type: 'block', path: "it's", devMajor: 259, devMinor: 300, mode: 0o660, gid: 6 },
    { type: 'fifo', path: 'd/pipe', mode: 0o622, uid: 9 },
    { type: 'link', path: 'null2', linkPath: 'null' },
    { type: 'fifo', path: 'replaced' },
    { path: 'replaced', content: 'file' },
  ]);
  const tree = treeOf(into.directory, { owners: true });
  assert.match(tree['d'] ?? '', /^directory 755 1000:1001/);
  assert.match(tree['d/f'] ?? '', /^file 1 \w+ 6755 70000:80000/);
  assert.match(tree['l'] ?? '', /^link \/etc\/passwd 777 5:6/);
  assert.match(tree['null'] ?? '', /^character 259 666 0:0/);
  assert.match(tree['null2'] ?? '', /same as null$/);
  const block = lstatSync(join(into.directory, "it's")).rdev;
  assert.equal((block >> 8) & 0xfff, 259);
  assert.equal((block & 0xff) | ((block >> 12) & 0xfff00), 300);
  assert.match(tree['d/pipe'] ?? '', /^fifo 622 9:0/);
  assert.match(tree['replaced'] ?? '', /^file 4/);
  assert.equal(lstatSync(join(into.directory, 'null')).mtimeMs, 77_000);
});

test('without owners applied they are recorded, and devices are skipped', async (t) => {
  const into = target(t);
  const recordPath = join(into.directory, '..', 'skipped.jsonl');
  const report = await into.apply(
    [
      { path: 'd/', uid: 1000, gid: 1001, mode: 0o555 },
      { path: Buffer.from([0x64, 0x2f, 0xff]), content: 'x', uid: 70_000, gid: 7, mode: 0 },
      { type: 'fifo', path: 'pipe' },
      ...(root ? [] : [{ type: 'character', path: 'null', devMajor: 1, devMinor: 3 } as const]),
    ],
    { owners: 'record', recordPath },
  );
  const lines = readFileSync(recordPath, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(lines[0], { kind: 'owner', path: 'd', uid: 1000, gid: 1001, mode: 0o555 });
  assert.deepEqual(lines[1], { kind: 'owner', pathBase64: 'ZC//', uid: 70_000, gid: 7, mode: 0 });
  if (!root) {
    assert.ok(
      lines.some((line) => line['kind'] === 'device' && line['path'] === 'null' && line['minor'] === 3),
    );
    assert.equal(report.skipped['device'], 1);
    // Everything made can be read and removed by its owner.
    assert.equal(lstatSync(join(into.directory, 'd')).mode & 0o700, 0o700);
  }
  assert.ok(lstatSync(join(into.directory, 'pipe')).isFIFO());
  assert.ok((report.skipped['owner'] ?? 0) >= 2);
});

test('extended attributes and capabilities are set', async (t) => {
  const into = target(t);
  const probe = spawnSync('setfattr', ['-n', 'user.probe', '-v', 'x', into.directory]);
  if (probe.status !== 0) return t.skip('setfattr is missing, or the file system has no extended attributes');
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const report = await into.apply([
    { path: 'd/', xattrs: new Map([['user.on directory', Buffer.from('1')]]) },
    {
      path: 'odd name=\n\\ü',
      content: 'x',
      uid: root ? 5 : (process.getuid?.() ?? 0),
      xattrs: new Map([
        ['user.empty', Buffer.alloc(0)],
        ['user.binary', Buffer.from([0, 10, 61, 255])],
        ['security.capability', capability],
        ['user.overlay.opaque', Buffer.from('y')],
        ['trusted.overlay.redirect', Buffer.from('/etc')],
      ]),
    },
    { path: 'gone', content: '', xattrs: new Map([['user.x', Buffer.from('1')]]) },
    symlink('gone', 'elsewhere'),
  ]);
  const tree = treeOf(into.directory, { xattrs: true });
  assert.match(tree['d'] ?? '', /user\.on\\?0?4?0? ?directory=0x31/);
  const odd = tree[Buffer.from('odd name=\n\\ü').toString('latin1')] ?? '';
  assert.match(odd, /user\.binary=0x000a3dff/);
  assert.match(odd, /user\.empty/);
  assert.doesNotMatch(odd, /overlay/);
  if (root) {
    assert.match(odd, new RegExp(`security\\.capability=0x${capability.toString('hex')}`));
    assert.deepEqual(report.skipped, {});
  } else {
    assert.equal(report.skipped['xattr'], 1);
  }
});

test('attributes do not outlive what they were given to', async (t) => {
  const into = target(t);
  const probe = spawnSync('setfattr', ['-n', 'user.probe', '-v', 'x', into.directory]);
  if (probe.status !== 0) return t.skip('setfattr is missing, or the file system has no extended attributes');
  const xattrs = new Map([['user.x', Buffer.from('1')]]);
  await into.apply(['d/', { path: 'd/f', content: '', xattrs }, 'd', 'd/', 'd/f']);
  assert.doesNotMatch(treeOf(into.directory, { xattrs: true })['d/f'] ?? '', /user\.x/);
});

test('limits hold', async (t) => {
  await t.test('entries', async (t) => {
    const into = target(t);
    await assert.rejects(into.apply(['a', 'b', 'c', 'd'], { maxEntries: 3 }), { code: 'LIMIT' });
  });
  await t.test('path length', async (t) => {
    const into = target(t);
    await assert.rejects(into.apply([`${'d/'.repeat(2100)}x`]), { code: 'LIMIT' });
  });
  await t.test('component length is the file system’s', async (t) => {
    const into = target(t);
    await assert.rejects(into.apply(['n'.repeat(300)]), { code: 'IO' });
  });
  await t.test('an owner out of range', async (t) => {
    const into = target(t);
    await assert.rejects(into.apply([{ path: 'x', uid: 2 ** 32 }]), { code: 'BAD_ARCHIVE' });
    await assert.rejects(into.apply([{ path: 'x', uid: -1 }]), { code: 'BAD_ARCHIVE' });
  });
  await t.test('a file that stands where a directory is needed', async (t) => {
    const into = target(t);
    await assert.rejects(into.apply(['a', 'a/b']), { code: 'BAD_ARCHIVE' });
  });
  await t.test('a hard link to nothing', async (t) => {
    const into = target(t);
    await assert.rejects(into.apply([link('a', 'b')]), { code: 'BAD_ARCHIVE' });
  });
});

test('a full disk is NO_SPACE', async (t) => {
  if (!root) return t.skip('mounting a small file system needs root');
  const into = target(t);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', into.directory]);
  if (mounted.status !== 0) return t.skip(`cannot mount tmpfs: ${String(mounted.stderr)}`);
  try {
    await assert.rejects(into.apply([{ path: 'large', content: Buffer.alloc(3_000_000, 'x') }]), {
      code: 'NO_SPACE',
    });
  } finally {
    spawnSync('umount', [into.directory]);
    rmSync(into.directory, { recursive: true });
  }
});

test('what a layer leaves to lower layers is reported', async (t) => {
  const into = target(t);
  const report = await into.apply(
    [
      'a/',
      'a/x',
      'implied/deep/y',
      link('late', 'lower/file'),
      link('later', 'late'),
      'w/',
      'w/.wh.gone',
      'o/',
      'o/.wh..wh..opq',
      'back/',
      'back/z',
      '.wh.back',
    ],
    { whiteouts: 'overlay' },
  );
  assert.deepEqual(report.impliedDirectories, ['implied', 'implied/deep']);
  assert.deepEqual(report.pendingLinks, [
    { path: 'late', target: 'lower/file' },
    { path: 'later', target: 'lower/file' },
  ]);
  assert.deepEqual(report.whiteouts, ['w/gone']);
  assert.deepEqual(report.opaque.toSorted(), ['back', 'o']);
  assert.equal(report.rootDeclared, false);
});
