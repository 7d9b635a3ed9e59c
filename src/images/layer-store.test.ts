import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStores } from '../../test/support/image-stores.ts';
import { digestOf, hexOf } from '../oci/digest.ts';
import { openLayerStore } from './layer-store.ts';

const never = new AbortController().signal;

test('a layer is unpacked once, however often it is asked for', async (t) => {
  const { layers, layer, directory } = await openStores(t);
  const { descriptor, diffId } = await layer('a/', { path: 'a/x', content: 'x' });
  assert.equal(await layers.isUnpacked(diffId), false);
  const all = await Promise.all([1, 2, 3].map(() => layers.unpack(descriptor, diffId, never)));
  for (const info of all) assert.deepEqual(info, { diffId, entries: 2, bytes: 1 });
  assert.equal(await layers.isUnpacked(diffId), true);
  assert.equal(await readFile(join(directory, 'layers/sha256', hexOf(diffId), 'fs/a/x'), 'utf8'), 'x');
  assert.deepEqual(await readdir(join(directory, 'layers/staging')), []);
  // It is there: its content is not looked at again.
  await layers.unpack({ ...descriptor, digest: digestOf('gone') }, diffId, never);
});

test('what cannot be unpacked leaves nothing', async (t) => {
  const { layers, layer, directory } = await openStores(t);
  const { descriptor, diffId } = await layer('a');
  await assert.rejects(layers.unpack(descriptor, digestOf('another'), never), { code: 'DIGEST_MISMATCH' });
  await assert.rejects(layers.unpack({ ...descriptor, digest: digestOf('gone') }, diffId, never), {
    code: 'NOT_FOUND',
  });
  assert.equal(await layers.isUnpacked(digestOf('another')), false);
  assert.deepEqual(await readdir(join(directory, 'layers/staging')), []);
  await assert.rejects(layers.stack([diffId], never), { code: 'NOT_FOUND' });
});

test('a sink makes blob and layer of bytes as they come', async (t) => {
  const { layers, layer, content } = await openStores(t);
  const { descriptor, diffId } = await layer('a/', { path: 'a/x', content: 'x'.repeat(100_000) });
  const bytes = await readFile(content.pathOf(descriptor.digest));
  await content.remove(descriptor.digest);
  const first = await layers.openSink(descriptor, diffId);
  assert.equal(first.offset, 0);
  await assert.rejects(layers.openSink(descriptor, diffId), { code: 'LOCKED' });
  await first.write(bytes.subarray(0, 100));
  await first.close();
  assert.equal(await layers.isUnpacked(diffId), false);
  const second = await layers.openSink(descriptor, diffId);
  // How much reached the disk before the first was closed is not promised.
  assert.ok(second.offset <= 100);
  await second.write(bytes.subarray(second.offset));
  assert.deepEqual(await second.finish(), { diffId, entries: 2, bytes: 100_000 });
  await second.abort();
  assert.equal((await content.stat(descriptor.digest)).size, bytes.length);
  assert.deepEqual(await content.ingests(), []);
  assert.equal(await layers.isUnpacked(diffId), true);
});

test('a sink that got wrong bytes keeps none of them', async (t) => {
  const { layers, layer, content } = await openStores(t);
  const { descriptor, diffId } = await layer('a');
  await content.remove(descriptor.digest);
  const sink = await layers.openSink(descriptor, diffId);
  await sink.write(Buffer.alloc(descriptor.size, 'x'));
  await assert.rejects(sink.finish(), { code: 'BAD_ARCHIVE' });
  assert.deepEqual(await content.ingests(), []);
  await assert.rejects(content.stat(descriptor.digest), { code: 'NOT_FOUND' });
  assert.equal(await layers.isUnpacked(diffId), false);
});

test('leftovers of a crash go when the store is opened, whole layers stay', async (t) => {
  const { layers, unpacked, directory, pool, content } = await openStores(t);
  const [whole, lost] = await unpacked(['a'], ['b']);
  assert.ok(whole !== undefined && lost !== undefined);
  await layers.synced();
  const place = (digest: typeof whole): string => join(directory, 'layers/sha256', hexOf(digest));
  await mkdir(join(directory, 'layers/staging/half/fs'), { recursive: true });
  await mkdir(join(directory, 'layers/sha256', hexOf(digestOf('no record'))), { recursive: true });
  // The machine lost power before the files of this one were flushed.
  const record = JSON.parse(await readFile(join(place(lost), 'layer.json'), 'utf8')) as object;
  assert.ok(!('unsyncedBoot' in record));
  await writeFile(
    join(place(lost), 'layer.json'),
    JSON.stringify({ ...record, unsyncedBoot: 'an earlier boot' }),
  );
  const later = await openLayerStore(join(directory, 'layers'), { pool, content });
  assert.equal(await later.isUnpacked(whole), true);
  assert.equal(await later.isUnpacked(lost), false);
  assert.deepEqual(await readdir(join(directory, 'layers/staging')), []);
  assert.ok(!existsSync(join(directory, 'layers/sha256', hexOf(digestOf('no record')))));
});

test('after kill -9 in the middle of unpacking every layer that is there is whole', async (t) => {
  const stores = await openStores(t);
  const made = await Promise.all(
    Array.from({ length: 12 }, (_, layer) =>
      stores.layer(
        ...Array.from({ length: 300 }, (_, index) => ({
          path: `d${layer}/f${index}`,
          content: String(index),
        })),
      ),
    ),
  );
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { UnpackPool } from ${url('../archive/unpack-pool.ts')};
    import { openFileStore } from ${url('../content/file-store.ts')};
    import { openLayerStore } from ${url('layer-store.ts')};
    const [directory, made] = process.argv.slice(1);
    const pool = new UnpackPool(2);
    const content = await openFileStore(directory + '/content');
    const layers = await openLayerStore(directory + '/layers', { pool, content });
    process.stdout.write('.');
    await Promise.all(JSON.parse(made).map(async ({ descriptor, diffId }) => {
      await layers.unpack(descriptor, diffId, new AbortController().signal);
      process.stdout.write('.');
    }));
    setInterval(() => {}, 1000);`;
  for (const dots of [1, 2, 5, 9]) {
    const child = spawn(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', program, stores.directory, JSON.stringify(made)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let seen = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      if (seen >= dots) child.kill('SIGKILL');
    });
    await once(child, 'exit');
    const { pool, content } = stores;
    const later = await openLayerStore(join(stores.directory, 'layers'), { pool, content });
    assert.deepEqual(await readdir(join(stores.directory, 'layers/staging')), []);
    for (const { diffId } of made) {
      if (!(await later.isUnpacked(diffId))) continue;
      const files = await readdir(join(stores.directory, 'layers/sha256', hexOf(diffId), 'fs'), {
        recursive: true,
      });
      assert.equal(files.length, 301);
    }
  }
  for (const { descriptor, diffId } of made) await stores.layers.unpack(descriptor, diffId, never);
});

test('walk and remove', async (t) => {
  const { layers, unpacked, rootfs } = await openStores(t);
  const diffIds = await unpacked(['a/', 'a/x'], [{ type: 'link', path: 'b', linkPath: 'a/x' }]);
  await rootfs.prepare('c', diffIds, never);
  await rootfs.remove('c');
  const seen = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { diffId } of layers.walk()) found.push(diffId);
    return found.toSorted();
  };
  assert.deepEqual(await seen(), diffIds.toSorted());
  for (const diffId of diffIds) await layers.remove(diffId);
  assert.deepEqual(await seen(), []);
  assert.deepEqual(await readdir(join(layers.linksDirectory, '..', 'variants')), []);
  assert.deepEqual(
    (await readdir(layers.linksDirectory)).filter((name) => name !== 'empty'),
    [],
  );
});
