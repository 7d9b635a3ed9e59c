import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { FaultRegistry } from '../../../test/support/fault-registry.ts';
import { layerOf, pullNode, type PullNode } from '../../../test/support/pull-node.ts';
import { findTool, skipWithout } from '../../../test/support/tools.ts';
import { makeTar, type TarSource } from '../../archive/make-tar.ts';
import { digestOf, hexOf } from '../../oci/digest.ts';
import { loadArchive } from './load-archive.ts';
import { saveArchive } from './save-archive.ts';

const signal = AbortSignal.timeout(60_000);
const LAYERS = [layerOf('base', 300_000), layerOf('top', 4_000)];

/** Pulls `app:v1` onto a node and saves it to a file there. */
async function saved(
  t: TestContext,
): Promise<{ node: PullNode; file: string; imageId: string; name: string }> {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  registry.putImage('app', 'v1', LAYERS);
  const node = await pullNode(t);
  const pulled = await node.puller.pull({ reference: `${registry.host}/app:v1`, signal });
  const file = join(node.root, 'app.tar');
  const images = [{ root: pulled.target, manifest: pulled.manifest, names: [pulled.name] }];
  await pipeline(Readable.from(saveArchive(node.content, images, signal)), createWriteStream(file));
  return { node, file, imageId: pulled.imageId, name: pulled.name };
}

test('what is saved is loaded as it was, with its name', async (t) => {
  const { file, imageId, name } = await saved(t);
  const { content, images } = await pullNode(t);
  const loaded = await loadArchive({ content, images, source: createReadStream(file), signal });
  assert.deepEqual(loaded, [{ imageId, names: [name] }]);
  assert.equal((await images.find(name))?.id, imageId);
});

test('an archive without what the other side has is loaded there, and nowhere else', async (t) => {
  const { node, name, imageId } = await saved(t);
  const found = await node.images.find(name);
  const [base, top] = found?.layers ?? [];
  assert.ok(found !== undefined && base !== undefined && top !== undefined);
  const images = [{ root: found.manifest, manifest: found.manifest, names: [name] }];
  const archive = (): AsyncGenerator<Uint8Array> =>
    saveArchive(node.content, images, signal, new Set([base.digest]));
  let bytes = 0;
  for await (const chunk of archive()) bytes += chunk.length;
  assert.ok(bytes < base.size, `${bytes} bytes`);
  const stranger = await pullNode(t);
  await assert.rejects(loadArchive({ ...stranger, source: archive(), signal }), {
    code: 'BAD_IMAGE',
    description: new RegExp(`archive lacks ${base.digest}, which its image needs and this store has not`),
  });
  assert.deepEqual(await stranger.images.list(), []);
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  registry.putImage('older', 'v1', LAYERS.slice(0, 1));
  const other = await pullNode(t);
  await other.puller.pull({ reference: `${registry.host}/older:v1`, signal });
  const [loaded] = await loadArchive({ ...other, source: archive(), signal });
  assert.equal(loaded?.imageId, imageId);
});

test('a compressed archive is loaded too', async (t) => {
  const { file, imageId } = await saved(t);
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(file)) chunks.push(chunk as Buffer);
  const { content, images } = await pullNode(t);
  const source = Readable.from([gzipSync(Buffer.concat(chunks))]);
  assert.equal((await loadArchive({ content, images, source, signal }))[0]?.imageId, imageId);
});

test('saving stops at a blob that is damaged', async (t) => {
  const { node, name } = await saved(t);
  const found = await node.images.find(name);
  assert.ok(found !== undefined);
  const [layer] = found.layers;
  assert.ok(layer !== undefined);
  const root = found.manifest;
  await assert.rejects(
    async () => {
      const all = saveArchive(
        {
          stat: (digest) => node.content.stat(digest),
          open: async (digest) =>
            digest === layer.digest ? Readable.from([Buffer.alloc(layer.size)]) : node.content.open(digest),
        },
        [{ root, manifest: root, names: [name] }],
        signal,
      );
      for await (const chunk of all) assert.ok(chunk.length >= 0);
    },
    { code: 'DIGEST_MISMATCH' },
  );
});

/** An archive in docker's old form: layers as directories, one of them a link. */
function dockerArchive(change: Readonly<Record<string, string>> = {}): Readable {
  const [base, top] = LAYERS;
  const config = JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: [base?.diffId, top?.diffId] },
  });
  const name = hexOf(digestOf(config));
  const manifest = [
    { Config: `${name}.json`, RepoTags: ['old/app:1'], Layers: ['a/layer.tar', 'b/layer.tar'] },
  ];
  const files: Record<string, string | Buffer> = {
    [`${name}.json`]: config,
    'manifest.json': JSON.stringify(manifest),
    'a/layer.tar': base?.tar ?? '',
    'a/VERSION': '1.0',
    'c/layer.tar': top?.tar ?? '',
    ...change,
  };
  const sources = Object.entries(files).map(([path, text]): TarSource => ({
    kind: 'bytes',
    path,
    bytes: Buffer.from(text),
  }));
  return Readable.from(
    makeTar([...sources, { kind: 'symlink', path: 'b/layer.tar', target: '../c/layer.tar' }], signal),
  );
}

test("docker's old form is loaded: layers by path, links followed, uncompressed layers known as such", async (t) => {
  const { content, images } = await pullNode(t);
  const [loaded] = await loadArchive({ content, images, source: dockerArchive(), signal });
  assert.deepEqual(loaded?.names, ['docker.io/old/app:1']);
  const found = await images.find('docker.io/old/app:1');
  assert.deepEqual(
    found?.layers.map((layer) => [layer.digest, layer.mediaType]),
    LAYERS.map((layer) => [layer.diffId, 'application/vnd.oci.image.layer.v1.tar']),
  );
});

test('an image whose archive names only a tag gets the name that is given', async (t) => {
  const config = JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: [] },
  });
  const name = hexOf(digestOf(config));
  const change = {
    [`${name}.json`]: config,
    'manifest.json': JSON.stringify([{ Config: `${name}.json`, RepoTags: ['latest'], Layers: [] }]),
  };
  const { content, images } = await pullNode(t);
  const load = (given?: string): Promise<unknown> =>
    loadArchive({ content, images, source: dockerArchive(change), signal, ...(given && { name: given }) });
  await assert.rejects(load(), { code: 'INVALID_REFERENCE' });
  await load('app:v1');
  assert.equal((await images.find('docker.io/library/app:v1'))?.layers.length, 0);
});

for (const [what, change, code] of [
  ['a manifest that is not JSON', { 'manifest.json': '{' }, 'BAD_IMAGE'],
  ['a manifest that names no config', { 'manifest.json': '[{}]' }, 'BAD_IMAGE'],
  [
    'a manifest that names a missing layer',
    { 'manifest.json': '[{"Config":"x","Layers":["../../etc/passwd"]}]' },
    'BAD_IMAGE',
  ],
  ['an empty manifest', { 'manifest.json': '[]' }, 'BAD_IMAGE'],
] as const) {
  test(`an archive with ${what} is refused and names nothing`, async (t) => {
    const { content, images } = await pullNode(t);
    await assert.rejects(loadArchive({ content, images, source: dockerArchive(change), signal }), { code });
    assert.deepEqual(await images.list(), []);
    assert.deepEqual([...(await images.roots())], []);
  });
}

test('an archive that ends in the middle is refused and leaves nothing behind', async (t) => {
  const { file } = await saved(t);
  const { content, images } = await pullNode(t);
  const source = createReadStream(file, { end: 100_000 });
  await assert.rejects(loadArchive({ content, images, source, signal }), { code: 'BAD_ARCHIVE' });
  assert.deepEqual(await images.list(), []);
  assert.deepEqual(await content.ingests(), []);
});

for (const form of ['docker-archive', 'oci-archive'] as const) {
  test(
    `skopeo reads what is saved and writes what is loaded, as ${form}`,
    { skip: skipWithout('skopeo') },
    async (t) => {
      const { node, file, imageId } = await saved(t);
      const run = promisify(execFile);
      const skopeo = (args: string[]) => run(findTool('skopeo') ?? 'skopeo', args);
      const copy = join(node.root, 'copy.tar');
      await skopeo(['copy', '--insecure-policy', `${form}:${file}`, `${form}:${copy}:again/app:v2`]);
      const { content, images } = await pullNode(t);
      const [loaded] = await loadArchive({
        content,
        images,
        source: createReadStream(copy),
        name: 'again/app:v2',
        signal,
      });
      // docker's form drops nothing but the compression, and the config stays the image's identity.
      assert.equal(loaded?.imageId, imageId);
      assert.deepEqual(loaded?.names, ['docker.io/again/app:v2']);
    },
  );
}
