import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { openFileStore } from '../content/file-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import { buildImage, buildLayer } from './build-image.ts';
import { ImageError } from './image-error.ts';
import type { ImageRecord } from './image-store.ts';
import { openImageStore } from './sqlite-image-store.ts';

const never = new AbortController().signal;

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-images-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

function descriptor(seed: string, size = 10): Descriptor {
  return { mediaType: 'application/octet-stream', digest: digestOf(seed), size };
}

function image(seed: string): Omit<ImageRecord, 'createdAt' | 'pinned' | 'lastUsedAt'> {
  const config = descriptor(`${seed} config`, 100);
  return {
    id: config.digest,
    manifest: descriptor(`${seed} manifest`),
    config,
    layers: [descriptor(`${seed} layer 1`, 1000), descriptor('shared layer', 500)],
    diffIds: [digestOf(`${seed} diff 1`), digestOf('shared diff')],
    platform: 'linux/amd64',
    user: '1000',
  };
}

const tag = 'docker.io/library/app:1';

test('12.14 an image is found by name and ID, with its names and compressed size', async () => {
  let now = 5000;
  const store = await openImageStore(':memory:', { now: () => now });
  const app = image('app');
  const named = `docker.io/library/app@${app.manifest.digest}`;
  await store.put(app, [
    { name: tag, target: app.manifest },
    { name: named, target: app.manifest },
  ]);
  now = 6000;
  await store.touch(app.id);
  const found = await store.find(tag);
  assert.deepEqual(found, {
    ...app,
    createdAt: 5000,
    lastUsedAt: 6000,
    pinned: false,
    repoTags: [tag],
    repoDigests: [named],
    size: 1600,
  });
  assert.deepEqual(await store.find(app.id), found);
  assert.deepEqual(await store.find(named), found);
  assert.deepEqual(await store.list(), [found]);
  store.close();
});

test('12.15 an ID may be shortened to a prefix of four digits or more that means one image', async () => {
  const store = await openImageStore(':memory:');
  const images = Array.from({ length: 300 }, (_, index) => image(`app ${index}`));
  for (const each of images) await store.put(each, []);
  const hex = (images[7] as { id: string }).id.slice('sha256:'.length);
  const unique = (length: number): boolean =>
    images.filter(({ id }) => id.startsWith(`sha256:${hex.slice(0, length)}`)).length === 1;
  assert.equal((await store.find(hex))?.id, images[7]?.id);
  assert.equal((await store.find(`sha256:${hex.slice(0, 12)}`))?.id, images[7]?.id);
  assert.equal((await store.find(hex.slice(0, 6)))?.id, unique(6) ? images[7]?.id : undefined);
  assert.equal(await store.find(hex.slice(0, 3)), undefined);
  assert.equal(await store.find('ffff_'), undefined);
  assert.equal(await store.find(''), undefined);
  await store.put({ ...image('a'), id: digestOf('x'), config: descriptor('x') }, []);
  const twin = `${digestOf('x').slice(0, 20)}${'0'.repeat(51)}` as (typeof images)[0]['id'];
  await store.put({ ...image('a'), id: twin }, []);
  assert.equal(await store.find(twin.slice(0, 19)), undefined);
  assert.equal((await store.find(twin))?.id, twin);
  store.close();
});

test('a name moves to what it is put on last, and the image without a name stays', async () => {
  const store = await openImageStore(':memory:');
  const [old, fresh] = [image('old'), image('fresh')];
  await store.put(old, [{ name: tag, target: old.manifest }]);
  await store.put(fresh, [{ name: tag, target: fresh.manifest }]);
  assert.equal((await store.find(tag))?.id, fresh.id);
  assert.deepEqual((await store.find(old.id))?.repoTags, []);
  store.close();
});

test('a list that was kept is read anew after every change, of this process or of another', async (t) => {
  const path = join(await directoryOf(t), 'images.db');
  const [here, there] = [await openImageStore(path), await openImageStore(path)];
  t.after(() => {
    here.close();
    there.close();
  });
  const tags = async (): Promise<string[]> => (await here.list()).flatMap(({ repoTags }) => repoTags);
  const { id, manifest } = image('app');
  assert.deepEqual(await tags(), []);
  await here.put(image('app'), [{ name: tag, target: manifest }]);
  assert.deepEqual(await tags(), [tag]);
  const [first] = await here.list();
  assert.equal((await here.list())[0], first, 'nothing changed: nothing is read');
  await there.tag(tag, `${tag}.1`);
  assert.deepEqual(await tags(), [tag, `${tag}.1`]);
  await here.pin(id, 'needed');
  assert.equal((await here.list())[0]?.pinReason, 'needed');
  await there.removeImage(id);
  assert.deepEqual(await tags(), []);
});

test('tag, remove a name, remove an image', async () => {
  const store = await openImageStore(':memory:');
  const app = image('app');
  await store.put(app, [{ name: tag, target: descriptor('index') }]);
  await store.tag(tag, 'docker.io/library/app:2');
  await store.tag(app.id, 'docker.io/library/app:3');
  const names = new Map((await store.names()).map(({ name, target }) => [name, target.digest]));
  assert.equal(names.get('docker.io/library/app:2'), digestOf('index'));
  assert.equal(names.get('docker.io/library/app:3'), app.manifest.digest);
  assert.equal(await store.removeName(tag), true);
  assert.equal(await store.removeName(tag), false);
  assert.equal(await store.removeName('docker.io/library/app:2'), true);
  assert.ok(await store.find(app.id));
  assert.equal(await store.removeName('docker.io/library/app:3'), true);
  assert.equal(await store.find(app.id), undefined);
  await store.put(app, [{ name: tag, target: app.manifest }]);
  assert.equal(await store.removeImage(app.id), true);
  assert.equal(await store.removeImage(app.id), false);
  assert.deepEqual(await store.names(), []);
  await assert.rejects(store.tag('nothing', tag), { code: 'NOT_FOUND' });
  await assert.rejects(store.pin(app.id, 'x'), { code: 'NOT_FOUND' });
  store.close();
});

test('pins survive a second put of the image', async () => {
  const store = await openImageStore(':memory:');
  const app = image('app');
  await store.put(app, []);
  await store.pin(app.id, 'sandbox');
  await store.put(app, [{ name: tag, target: app.manifest }]);
  const pinned = await store.find(tag);
  assert.equal(pinned?.pinned, true);
  assert.equal(pinned.pinReason, 'sandbox');
  await store.pin(app.id, undefined);
  assert.equal((await store.find(tag))?.pinned, false);
  store.close();
});

test('roots hold what images, names and leases need', async () => {
  const store = await openImageStore(':memory:');
  const app = image('app');
  await store.put(app, [{ name: tag, target: descriptor('index') }]);
  const lease = await store.lease('a pull');
  await lease.add(digestOf('on its way'));
  const images = [
    app.manifest.digest,
    app.config.digest,
    ...app.layers.map(({ digest }) => digest),
    ...app.diffIds,
  ];
  assert.deepEqual(await store.roots(), new Set([...images, digestOf('index'), digestOf('on its way')]));
  await lease.release();
  assert.deepEqual(await store.roots(), new Set([...images, digestOf('index')]));
  store.close();
});

test('records and leases outlive kill -9, but a dead process keeps no lease', async (t) => {
  const path = join(await directoryOf(t), 'images.db');
  const program = `
    import { openImageStore } from ${JSON.stringify(new URL('sqlite-image-store.ts', import.meta.url).href)};
    const store = await openImageStore(process.argv[1]);
    const lease = await store.lease('a pull');
    await lease.add(${JSON.stringify(digestOf('leased'))});
    await store.put(${JSON.stringify(image('app'))}, [{ name: ${JSON.stringify(tag)}, target: ${JSON.stringify(descriptor('index'))} }]);
    process.stdout.write('recorded');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const meanwhile = await openImageStore(path);
  assert.ok((await meanwhile.roots()).has(digestOf('leased')));
  meanwhile.close();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = await openImageStore(path);
  assert.equal((await store.find(tag))?.id, image('app').id);
  assert.ok(!(await store.roots()).has(digestOf('leased')));
  store.close();
});

test('records of a newer version, and files that are no records, are refused', async (t) => {
  const directory = await directoryOf(t);
  const newer = new DatabaseSync(join(directory, 'newer.db'));
  newer.exec('PRAGMA user_version = 99');
  newer.close();
  for (const [path, says] of [
    [join(directory, 'newer.db'), /they have version 99, this program knows 1/],
    [directory, /unable to open/],
    [process.execPath, /not a database/],
  ] as const) {
    await assert.rejects(openImageStore(path), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.equal(error.code, 'BAD_STATE');
      assert.match(error.message, says);
      return true;
    });
  }
});

test('a pass that removes many writes the layout once, after them; what is put meanwhile is listed at once, and a crash leaves no name behind', async (t) => {
  const directory = await directoryOf(t);
  await openFileStore(directory);
  const path = join(directory, 'images.db');
  const store = await openImageStore(path, { layout: directory });
  const names = ['a', 'b', 'c', 'd'].map((name) => `docker.io/library/${name}:1`);
  const put = async (name: string): Promise<void> => {
    await store.put(image(name), [{ name, target: image(name).manifest }]);
  };
  for (const name of names.slice(0, 3)) await put(name);
  const [a, b, c, d] = names as [string, string, string, string];
  await store.removingMany(async () => {
    await store.removeImage(image(a).id);
    await store.removeName(b);
    assert.deepEqual(await listedIn(directory), [a, b, c], 'nothing is written for each');
    assert.deepEqual(
      (await store.names()).map(({ name }) => name),
      [c],
    );
    // Whoever opens the records now, as after a crash, finds the layout behind and mends it.
    const after = await openImageStore(path, { layout: directory });
    assert.deepEqual(await listedIn(directory), [c]);
    after.close();
    await put(d);
    assert.deepEqual(await listedIn(directory), [c, d]);
    await store.removeName(c);
  });
  assert.deepEqual(await listedIn(directory), [d]);
  await assert.rejects(
    store.removingMany(async () => {
      await store.removeName(d);
      throw new Error('cut short');
    }),
    /cut short/,
  );
  assert.deepEqual(await listedIn(directory), []);
  store.close();
});

async function listedIn(directory: string): Promise<string[]> {
  const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as {
    manifests: { annotations: Record<string, string> }[];
  };
  return index.manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name'] ?? '');
}

test('the layout lists the names, so that skopeo reads an image by its name', async (t) => {
  const directory = await directoryOf(t);
  const content = await openFileStore(directory);
  const store = await openImageStore(':memory:', { layout: directory });
  const layer = await buildLayer(content, [{ kind: 'bytes', path: 'hello', bytes: 'hello' }], never);
  const built = await buildImage(
    content,
    { layers: [layer], config: {}, platform: { os: 'linux', architecture: 'amd64' } },
    never,
  );
  const record = { id: built.config.digest, ...built, platform: 'linux/amd64', user: '' };
  await Promise.all([
    store.put(record, [{ name: tag, target: built.manifest }]),
    store.tag(built.config.digest, 'other/name:2').catch(() => store.tag(tag, 'other/name:2')),
  ]);
  assert.deepEqual(await listedIn(directory), [tag, 'other/name:2']);
  await store.removeName('other/name:2');
  assert.deepEqual(await listedIn(directory), [tag]);
  store.close();
  const inspected = spawnSync('skopeo', ['inspect', `oci:${directory}:${tag}`], { encoding: 'utf8' });
  if (inspected.error !== undefined) return t.skip('skopeo is missing');
  assert.equal(inspected.status, 0, inspected.stderr);
  assert.deepEqual((JSON.parse(inspected.stdout) as { Layers: string[] }).Layers, [layer.descriptor.digest]);
});
