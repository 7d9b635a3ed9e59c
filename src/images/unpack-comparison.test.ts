import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openStores, type Stores } from '../../test/support/image-stores.ts';
import { CHANGING_LAYER, ODD_LAYER } from '../../test/support/odd-layers.ts';
import { tarOf } from '../../test/support/tar-of.ts';
import { treeOf } from '../../test/support/tree-of.ts';
import { applyLayer } from '../archive/apply-layer.ts';
import { writeBytes } from '../content/write-content.ts';
import { digestOf } from '../oci/digest.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';
import { buildImage, type BuiltLayer } from './build-image.ts';
import { LayoutIndex } from './layout-index.ts';

/*
 * The same image, unpacked by other tools and by us in each of our ways, compared by type, mode, owner, time, content, links and
 * extended attributes of every path.
 */

const never = new AbortController().signal;
const compared = { owners: true, times: true, xattrs: true };

/** Parts of this machine that are real Debian trees of moderate size, with whatever odd things they hold. */
const REAL_TREES = [
  'etc',
  'usr/share/perl5',
  'usr/lib/systemd',
  'usr/share/zoneinfo',
  'bin/ping',
  'usr/bin/passwd',
];

async function commit(stores: Stores, tar: Buffer, compression: 'gzip' | 'zstd'): Promise<BuiltLayer> {
  const [type, bytes] =
    compression === 'gzip'
      ? [MEDIA_TYPE.ociLayerGzip, gzipSync(tar, { level: 1 })]
      : [MEDIA_TYPE.ociLayerZstd, zstdCompressSync(tar)];
  return { descriptor: await writeBytes(stores.content, type, bytes, never), diffId: digestOf(tar) };
}

test('our ways of unpacking and those of umoci and GNU tar agree in everything', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('owners and devices need root');
  if (!String(spawnSync('tar', ['--version']).stdout).includes('GNU tar'))
    return t.skip('GNU tar is missing');
  const stores = await openStores(t);
  const work = await mkdtemp(join(tmpdir(), 'drayage-compare-'));
  t.after(() => rm(work, { recursive: true }));
  const real = spawnSync(
    'tar',
    [
      '-c',
      '--format=pax',
      '--xattrs',
      '--xattrs-include=*',
      '--pax-option=delete=atime,delete=ctime',
      '-C',
      '/',
      ...REAL_TREES,
    ],
    { maxBuffer: 512e6 },
  );
  const layers = [
    await commit(stores, real.stdout, 'gzip'),
    await commit(stores, tarOf(...ODD_LAYER), 'zstd'),
    await commit(stores, tarOf(...CHANGING_LAYER), 'gzip'),
  ];
  const diffIds = layers.map(({ diffId }) => diffId);
  const built = await buildImage(
    stores.content,
    { layers, config: {}, platform: { os: 'linux', architecture: 'amd64' } },
    never,
  );

  const applied = join(work, 'applied');
  await mkdir(applied);
  for (const { descriptor } of layers) {
    const source = createReadStream(stores.content.pathOf(descriptor.digest)) as AsyncIterable<Buffer>;
    await applyLayer(source, applied, { whiteouts: 'remove' }, never);
  }
  const expected = treeOf(applied, compared);
  assert.ok(Object.keys(expected).length > 1000, `only ${Object.keys(expected).length} paths were compared`);

  await t.test('GNU tar makes the same of the first layer', async () => {
    const ours = join(work, 'first-ours');
    const theirs = join(work, 'first-theirs');
    for (const directory of [ours, theirs]) await mkdir(directory);
    const source = createReadStream(
      stores.content.pathOf(layers[0]?.descriptor.digest ?? digestOf('')),
    ) as AsyncIterable<Buffer>;
    await applyLayer(source, ours, { whiteouts: 'remove' }, never);
    const done = spawnSync(
      'tar',
      ['-x', '-p', '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', theirs],
      { input: real.stdout },
    );
    assert.equal(done.status, 0, done.stderr.toString());
    // Neither the root nor `usr`, `usr/share`… have entries: their times are those of this minute.
    const given = (tree: Record<string, string>): Record<string, string> =>
      Object.fromEntries(
        Object.entries(tree).filter(([path]) =>
          REAL_TREES.some((part) => path === part || path.startsWith(`${part}/`)),
        ),
      );
    assert.deepEqual(given(treeOf(ours, compared)), given(treeOf(theirs, compared)));
  });

  const explained = (tree: Record<string, string>): Record<string, string> =>
    // Directories that no layer has an entry for carry the time at which they were made.
    Object.fromEntries(
      Object.entries(tree).map(([path, line]) => [
        path,
        /^(?:usr|usr\/share|usr\/lib|usr\/bin|bin)$/.test(path) ? line.replace(/@\d+/, '') : line,
      ]),
    );

  for (const mode of ['auto', 'copy'] as const) {
    await t.test(`a root file system (${mode}) is the same`, async (t) => {
      const own = mode === 'auto' ? stores : await openStores(t, { mode });
      if (own !== stores)
        for (const { descriptor } of layers)
          await writeBytes(
            own.content,
            descriptor.mediaType,
            await bytesOf(stores, descriptor.digest),
            never,
          );
      await Promise.all(layers.map(({ descriptor, diffId }) => own.layers.unpack(descriptor, diffId, never)));
      const rootfs = await own.rootfs.prepare(`compare-${mode}`, diffIds, never);
      assert.deepEqual(explained(treeOf(rootfs.path, compared)), explained(expected));
    });
  }

  await t.test('umoci makes the same of the image', async (t) => {
    await new LayoutIndex(stores.content.directory).update(() => [
      { name: 'compare', target: built.manifest },
    ]);
    const bundle = join(work, 'bundle');
    const done = spawnSync('umoci', ['unpack', '--image', `${stores.content.directory}:compare`, bundle], {
      encoding: 'utf8',
    });
    if (done.error !== undefined) return t.skip('umoci is missing');
    if (/zstd|unsupported/i.test(done.stderr) && done.status !== 0) {
      // An umoci without zstd: the same layers as gzip.
      const gzipped = [layers[0], await commit(stores, tarOf(...ODD_LAYER), 'gzip'), layers[2]].filter(
        (layer) => layer !== undefined,
      );
      const image = await buildImage(
        stores.content,
        { layers: gzipped, config: {}, platform: { os: 'linux', architecture: 'amd64' } },
        never,
      );
      await new LayoutIndex(stores.content.directory).update(() => [
        { name: 'compare', target: image.manifest },
      ]);
      await stores.pool.remove(bundle, never);
      const again = spawnSync('umoci', ['unpack', '--image', `${stores.content.directory}:compare`, bundle], {
        encoding: 'utf8',
      });
      assert.equal(again.status, 0, again.stderr);
    } else assert.equal(done.status, 0, done.stderr);
    assert.deepEqual(explained(treeOf(join(bundle, 'rootfs'), compared)), explained(expected));
  });
});

async function bytesOf(stores: Stores, digest: ReturnType<typeof digestOf>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await stores.content.open(digest)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
