import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openStores, type Stores } from '../../test/support/image-stores.ts';
import type { TarOfEntry } from '../../test/support/tar-of.ts';
import { treeOf } from '../../test/support/tree-of.ts';
import { digestOf } from '../oci/digest.ts';
import { openRootfsProvider } from './rootfs-provider.ts';
import type { Rootfs } from './rootfs.ts';

const never = new AbortController().signal;
const root = process.getuid?.() === 0;

/** Shows a root file system, mounting it in a user namespace of its own where the provider leaves that to the runtime. */
function show(rootfs: Rootfs): Record<string, string> {
  if (rootfs.overlay === undefined) return treeOf(rootfs.path, { times: true });
  const { lower, upper, work, options = [] } = rootfs.overlay;
  const mount = [`lowerdir=${lower.join(':')}`, `upperdir=${upper}`, `workdir=${work}`, ...options].join(',');
  const program = `
    import { treeOf } from ${JSON.stringify(new URL('../../test/support/tree-of.ts', import.meta.url).href)};
    process.stdout.write(JSON.stringify(treeOf(process.argv[1], { times: true })));`;
  const script = `mount -t overlay overlay -o "$1" "$2" && exec "$3" --input-type=module -e "$4" "$2"`;
  const args = [
    '--user',
    '--map-root-user',
    '--mount',
    'sh',
    '-c',
    script,
    'sh',
    mount,
    rootfs.path,
    process.execPath,
    program,
  ];
  const done = spawnSync('unshare', args, { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return JSON.parse(done.stdout) as Record<string, string>;
}

const file = (
  path: string,
  content: string,
  rest: Partial<Exclude<TarOfEntry, string>> = {},
): TarOfEntry => ({
  path,
  content,
  mtime: 1000,
  ...rest,
});
const link = (path: string, linkPath: string): TarOfEntry => ({ type: 'link', path, linkPath });
const symlink = (path: string, linkPath: string): TarOfEntry => ({
  type: 'symlink',
  path,
  linkPath,
  mtime: 1000,
});
const directory = (path: string, rest: Partial<Exclude<TarOfEntry, string>> = {}): TarOfEntry => ({
  path,
  mtime: 1000,
  ...rest,
});

const stacks: [string, TarOfEntry[][], Record<string, RegExp | undefined>][] = [
  ['no layer at all', [], { '.': /^directory/ }],
  [
    'one layer',
    [[directory('./', { mode: 0o711, mtime: 500 }), file('a', 'x')]],
    { '.': /^directory 711 @500/, a: /^file 1 / },
  ],
  [
    'layers over each other',
    [[file('a', 'lower'), file('b', '')], [file('a', 'up')]],
    { a: /^file 2 /, b: /^file 0/ },
  ],
  [
    'a whiteout',
    [
      [directory('d/'), file('d/x', ''), file('d/y', '')],
      [directory('d/'), 'd/.wh.x'],
    ],
    { 'd/x': undefined, 'd/y': /^file/, d: /@1000/ },
  ],
  [
    'a whiteout of a directory, which a later layer makes anew',
    [[directory('d/'), file('d/x', '')], ['.wh.d'], [directory('d/'), file('d/new', '')]],
    { 'd/x': undefined, 'd/new': /^file/ },
  ],
  [
    'a whiteout and the directory anew in one layer',
    [
      [directory('d/'), file('d/x', '')],
      ['.wh.d', directory('d/'), file('d/new', '')],
    ],
    { 'd/x': undefined, 'd/new': /^file/ },
  ],
  [
    'an opaque directory',
    [
      [directory('d/'), file('d/x', ''), directory('d/e/')],
      [directory('d/'), 'd/.wh..wh..opq', file('d/new', '')],
    ],
    { 'd/x': undefined, 'd/e': undefined, 'd/new': /^file/ },
  ],
  [
    'whiteouts in the middle of a stack',
    [[file('a', '')], ['.wh.a'], [file('b', '')]],
    { a: undefined, b: /^file/ },
  ],
  [
    'a file over a directory and a directory over a file',
    [
      [directory('d/'), file('d/x', ''), file('f', '')],
      [file('d', 'now'), directory('f/'), file('f/y', '')],
    ],
    { d: /^file 3/, 'd/x': undefined, 'f/y': /^file/ },
  ],
  [
    'a directory over a link',
    [
      [directory('e/'), file('e/x', ''), symlink('l', 'e')],
      [directory('l/'), file('l/y', '')],
    ],
    { 'e/x': /^file/, 'e/y': undefined, 'l/y': /^file/, 'l/x': undefined },
  ],
  [
    'a directory that is only implied keeps the mode it has below',
    [
      [directory('tmp/', { mode: 0o1777 }), directory('o/', { mode: 0o700 })],
      [file('tmp/x', ''), file('o/p/y', '')],
    ],
    { tmp: /^directory 1777/, o: /^directory 700/, 'o/p': /^directory 755/, 'o/p/y': /^file/ },
  ],
  [
    'a whiteout of a directory, and one of that name that is only implied',
    [
      [directory('d/', { mode: 0o700 }), file('d/x', '')],
      ['.wh.d', file('d/new', '')],
    ],
    { d: /^directory 755/, 'd/x': undefined, 'd/new': /^file/ },
  ],
  [
    'a hard link to a file of a lower layer that its own layer replaces after it, or whites out',
    [
      [file('a', 'old'), file('b', 'gone')],
      [
        { type: 'link', path: 'c', linkPath: 'a' },
        { type: 'link', path: 'd', linkPath: 'b' },
        { type: 'link', path: 'e', linkPath: 'c' },
        file('a', 'newer'),
        '.wh.b',
      ],
    ],
    { a: /^file 5/, b: undefined, c: /^file 3/, d: /^file 4/, e: /^file 3 .*same as c/ },
  ],
  [
    'an entry behind a link of a lower layer that leads to nothing makes what it leads to',
    [
      [symlink('run', 'var/none'), symlink('loop', 'loop')],
      [file('run/x', ''), file('loop/y', '')],
    ],
    { run: /^link var\/none/, 'var/none': /^directory 755/, 'var/none/x': /^file/, 'loop/y': /^file/ },
  ],
  [
    'an entry behind a link of a lower layer lands where the link leads',
    [
      [
        directory('usr/'),
        directory('usr/lib/', { mode: 0o711 }),
        file('usr/lib/old', ''),
        symlink('lib', 'usr/lib'),
      ],
      [file('lib/new', 'n')],
      [file('lib/deep/newer', 'n')],
    ],
    {
      lib: /^link usr\/lib/,
      'usr/lib': /^directory 711/,
      'usr/lib/new': /^file 1/,
      'usr/lib/old': /^file 0/,
      'usr/lib/deep/newer': /^file 1/,
    },
  ],
  [
    'a whiteout behind a link of a lower layer',
    [
      [
        directory('usr/'),
        directory('usr/lib/'),
        file('usr/lib/x', ''),
        file('usr/lib/y', ''),
        symlink('lib', '/usr/lib'),
      ],
      ['lib/.wh.x'],
    ],
    { 'usr/lib/x': undefined, 'usr/lib/y': /^file/, lib: /^link/ },
  ],
  [
    'a hard link to a file of a lower layer',
    [
      [directory('a/'), file('a/x', 'content', { mode: 0o640 })],
      [file('q', '')],
      [link('b', 'a/x'), link('c', 'b')],
    ],
    { b: /^file 7 \w+ 640 @1000 same as a\/x|^file 7 \w+ 640 @1000$/, 'a/x': /^file 7/, c: /same as/ },
  ],
  [
    'a hard link to a link of a lower layer',
    [[symlink('l', 'nowhere')], [link('b', 'l')]],
    { b: /^link nowhere/ },
  ],
  [
    'names that are not UTF-8',
    [
      [
        { path: Buffer.from([0xff]), content: 'x' },
        { path: Buffer.from([0xfe]), content: 'x' },
      ],
      [{ path: Buffer.from('.wh.\xff', 'latin1'), content: '' }],
    ],
    { '\xff': undefined, '\xfe': /^file/ },
  ],
];

async function each(t: TestContext, mode: 'auto' | 'copy'): Promise<void> {
  const stores = await openStores(t, { mode });
  for (const [index, [name, layers, expected]] of stacks.entries()) {
    await t.test(name, async () => {
      const rootfs = await stores.rootfs.prepare(`c${index}`, await stores.unpacked(...layers), never);
      if (mode === 'copy') assert.equal(rootfs.kind, 'copy');
      const tree = show(rootfs);
      for (const [path, what] of Object.entries(expected)) {
        if (what === undefined) assert.equal(tree[path], undefined, path);
        else assert.match(tree[path] ?? 'nothing', what, path);
      }
      for (const path of Object.keys(tree)) assert.doesNotMatch(path, /\.wh\./);
    });
  }
}

test('stacks become root file systems as this machine can mount them', (t) => each(t, 'auto'));
test('stacks become root file systems by copying', (t) => each(t, 'copy'));

test('overlay and copy show the same, names of one file included', async (t) => {
  const layers: TarOfEntry[][] = [
    [
      directory('./', { mode: 0o755 }),
      directory('d/', { mode: 0o750 }),
      file('d/x', 'x', { mode: 0o4755 }),
      link('d/y', 'd/x'),
      file('old', ''),
      symlink('l', 'd'),
      { type: 'fifo', path: 'pipe', mtime: 1000 },
    ],
    [directory('d/', { mode: 0o700 }), file('d/z', 'z'), '.wh.old', directory('e/'), file('e/f', 'f')],
    [directory('e/'), 'e/.wh..wh..opq', file('e/g', 'g'), link('h', 'd/z')],
  ];
  const auto = await openStores(t);
  const copy = await openStores(t, { mode: 'copy' });
  const one = await auto.rootfs.prepare('c', await auto.unpacked(...layers), never);
  const two = await copy.rootfs.prepare('c', await copy.unpacked(...layers), never);
  if (one.kind === 'copy') return t.skip('this machine cannot mount overlays');
  assert.deepEqual(show(one), show(two));
});

async function twoContainers(stores: Stores): Promise<void> {
  const diffIds = await stores.unpacked([directory('d/'), file('d/x', 'original')]);
  const one = await stores.rootfs.prepare('one', diffIds, never);
  const two = await stores.rootfs.prepare('two', diffIds, never);
  if (one.overlay !== undefined) return;
  writeFileSync(join(one.path, 'd/x'), 'changed');
  assert.equal(readFileSync(join(two.path, 'd/x'), 'utf8'), 'original');
  const three = await stores.rootfs.prepare('three', diffIds, never);
  assert.equal(readFileSync(join(three.path, 'd/x'), 'utf8'), 'original');
}

test('what one container writes no other one sees', async (t) => {
  await twoContainers(await openStores(t));
  await twoContainers(await openStores(t, { mode: 'copy' }));
});

test('a root file system is made once, found again by a later process, and removed', async (t) => {
  const stores = await openStores(t);
  const diffIds = await stores.unpacked([directory('locked/', { mode: 0o500 }), file('locked/x', 'x')]);
  const [one, same] = await Promise.all([1, 2].map(() => stores.rootfs.prepare('c', diffIds, never)));
  assert.deepEqual(one, same);
  assert.deepEqual(await stores.rootfs.keys(), ['c']);
  assert.deepEqual(await stores.rootfs.layersInUse(), new Set(diffIds));
  const later = await openRootfsProvider(join(stores.directory, 'rootfs'), stores);
  assert.deepEqual(await later.prepare('c', diffIds, never), one);
  await assert.rejects(later.prepare('c', [], never), { code: 'BAD_STATE' });
  if (one?.kind === 'overlay' && root) {
    // After a reboot the mount is gone, the upper directory is not.
    writeFileSync(join(one.path, 'written'), 'kept');
    assert.equal(spawnSync('umount', [one.path]).status, 0);
    await later.prepare('c', diffIds, never);
    assert.equal(readFileSync(join(one.path, 'written'), 'utf8'), 'kept');
  }
  await later.remove('c');
  await later.remove('c');
  assert.deepEqual(await later.keys(), []);
  assert.equal(lstatSync(join(stores.directory, 'rootfs', 'c'), { throwIfNoEntry: false }), undefined);
  assert.equal(await later.isUnpacked(diffIds), true);
  assert.equal(await later.isUnpacked([...diffIds, digestOf('x')]), false);
});

test('a view is the same, for reading', async (t) => {
  const stores = await openStores(t);
  const diffIds = await stores.unpacked([directory('d/'), file('d/x', 'x'), file('y', '')], ['.wh.y']);
  const view = await stores.rootfs.view('v', diffIds, never);
  assert.equal(view.overlay, undefined);
  assert.equal(readFileSync(join(view.path, 'd/x'), 'utf8'), 'x');
  assert.equal(lstatSync(join(view.path, 'y'), { throwIfNoEntry: false }), undefined);
  if (view.kind === 'overlay')
    assert.throws(() => writeFileSync(join(view.path, 'd/x'), 'no'), { code: 'EROFS' });
});

test('a stack of a hundred layers can be mounted', async (t) => {
  const stores = await openStores(t);
  const layers = Array.from({ length: 100 }, (_, index) => [file(`f${index}`, String(index))]);
  const rootfs = await stores.rootfs.prepare('c', await stores.unpacked(...layers), never);
  const tree = show(rootfs);
  for (const index of [0, 50, 99]) assert.match(tree[`f${index}`] ?? 'nothing', /^file/);
  if (stores.layers.overlay.mounting === 'mount') assert.equal(rootfs.kind, 'overlay');
});

test('a hard link to nothing, and a key that is no name, are refused and leave nothing', async (t) => {
  const stores = await openStores(t);
  const diffIds = await stores.unpacked([file('a', '')], [link('b', 'nowhere')]);
  await assert.rejects(stores.rootfs.prepare('c', diffIds, never), { code: 'BAD_ARCHIVE' });
  assert.deepEqual(await stores.rootfs.keys(), []);
  for (const key of ['', '..', 'a/b', '.hidden', 'x'.repeat(200)]) {
    assert.throws(() => stores.rootfs.prepare(key, [], never), { code: 'BAD_STATE' });
  }
});

test('what a layer leaves to lower layers is never put outside of it', async (t) => {
  const rows: [string, (outside: string) => TarOfEntry[][]][] = [
    [
      'a link of the layer on the way to where a lower link leads',
      (outside) => [
        [directory('usr/'), directory('usr/lib/'), symlink('lib', 'usr/lib')],
        [file('lib/new', ''), symlink('usr', outside)],
      ],
    ],
    [
      'a link of the layer on the way to a lower file that is linked to',
      (outside) => [
        [directory('d/'), file('d/x', '')],
        [link('b', 'd/x'), symlink('d', outside)],
      ],
    ],
    [
      'a link that takes the place of the directory of a pending hard link',
      (outside) => [[file('base', 'x')], [directory('d/'), link('d/late', 'base'), symlink('d', outside)]],
    ],
    [
      'a link of the layer where a whiteout of a lower layer lies',
      (outside) => [
        [directory('d/'), file('d/precious', ''), directory('o/'), file('o/precious', '')],
        [symlink('d', outside), symlink('o', outside)],
        [directory('d/'), 'd/.wh.precious', directory('o/'), 'o/.wh..wh..opq'],
      ],
    ],
    [
      'a lower link that leads out, and a file behind it',
      (outside) => [
        [symlink('l', outside), symlink('r', '../../../../../../..')],
        [file('l/x', ''), file('r/tmp/x', '')],
      ],
    ],
  ];
  for (const mode of ['auto', 'copy'] as const) {
    for (const [name, layers] of rows) {
      await t.test(`${name} (${mode})`, async (t) => {
        const stores = await openStores(t, { mode });
        const outside = join(stores.directory, 'outside');
        mkdirSync(outside);
        writeFileSync(join(outside, 'precious'), 'precious');
        const before = treeOf(outside, { times: true });
        const diffIds = await stores.unpacked(...layers(outside));
        show(await stores.rootfs.prepare('c', diffIds, never));
        assert.deepEqual(treeOf(outside, { times: true }), before);
        await stores.rootfs.remove('c');
        assert.deepEqual(treeOf(outside, { times: true }), before);
      });
    }
  }
});

test('what a crash left half made goes when the provider is opened', async (t) => {
  const stores = await openStores(t);
  mkdirSync(join(stores.directory, 'rootfs/half/merged'), { recursive: true });
  const later = await openRootfsProvider(join(stores.directory, 'rootfs'), stores);
  assert.deepEqual(await later.keys(), []);
  assert.throws(() => statSync(join(stores.directory, 'rootfs/half')), { code: 'ENOENT' });
});
