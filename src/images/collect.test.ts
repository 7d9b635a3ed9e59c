import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { openStores, type Stores } from '../../test/support/image-stores.ts';
import { writeBytes } from '../content/write-content.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf, type Digest } from '../oci/digest.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';
import { buildImage, type BuiltImage } from './build-image.ts';
import { collect, type CollectOptions, type CollectStep, type CollectStepName } from './collect.ts';
import { openImageStore, type SqliteImageStore } from './sqlite-image-store.ts';

const never = new AbortController().signal;

interface Machine extends Stores {
  readonly images: SqliteImageStore;
  /** Builds, unpacks and records an image of one layer. */
  image(seed: string): Promise<BuiltImage>;
  put(image: BuiltImage, name: string, target?: Descriptor): Promise<void>;
  collect(options?: CollectOptions): Promise<Record<CollectStepName, CollectStep | undefined>>;
  held(): Promise<Digest[]>;
}

async function machine(t: TestContext): Promise<Machine> {
  const stores = await openStores(t);
  const images = await openImageStore(':memory:');
  t.after(() => images.close());
  return {
    ...stores,
    images,
    image: async (seed) => {
      const { descriptor, diffId } = await stores.layer({ path: 'file', content: seed });
      await stores.layers.unpack(descriptor, diffId, never);
      const platform = { os: 'linux', architecture: 'amd64' };
      return buildImage(
        stores.content,
        { layers: [{ descriptor, diffId }], config: { User: seed }, platform },
        never,
      );
    },
    put: (image, name, target = image.manifest) =>
      images.put({ id: image.config.digest, ...image, platform: 'linux/amd64', user: '' }, [
        { name, target },
      ]),
    collect: async (options = {}) => {
      const steps = await collect({ ...stores, images }, options, never);
      return Object.fromEntries(steps.map((step) => [step.name, step])) as Record<
        CollectStepName,
        CollectStep
      >;
    },
    held: async () => {
      const found: Digest[] = [];
      for await (const { digest } of stores.content.walk()) found.push(digest);
      return found.toSorted();
    },
  };
}

function digestsOf(...images: readonly BuiltImage[]): Digest[] {
  return images
    .flatMap(({ manifest, config, layers }) => [manifest, config, ...layers].map(({ digest }) => digest))
    .toSorted();
}

test('what no name leads to goes, content and layer, and the rest stays', async (t) => {
  const on = await machine(t);
  const [kept, gone] = [await on.image('kept'), await on.image('gone')];
  await on.put(kept, 'kept:1');
  await on.put(gone, 'gone:1');
  assert.deepEqual((await on.collect()).content?.removed, []);
  await on.images.removeName('gone:1');
  const forecast = await on.collect({ dryRun: true });
  assert.deepEqual(await on.held(), digestsOf(kept, gone));
  const steps = await on.collect();
  assert.deepEqual({ ...forecast, mark: undefined }, { ...steps, mark: undefined });
  assert.deepEqual([...(steps.content?.removed ?? [])].toSorted(), digestsOf(gone));
  assert.ok((steps.content?.freedBytes ?? 0) > 100);
  assert.equal(steps.content?.kept, 3);
  assert.deepEqual(steps.layers?.removed, gone.diffIds);
  assert.deepEqual(await on.held(), digestsOf(kept));
  assert.equal(await on.layers.isUnpacked(kept.diffIds[0] ?? digestOf('')), true);
  assert.equal(await on.layers.isUnpacked(gone.diffIds[0] ?? digestOf('')), false);
});

test('an index keeps the platforms that are there, and does not mind those that are not', async (t) => {
  const on = await machine(t);
  const [own, other] = [await on.image('own'), await on.image('other')];
  const missing = { mediaType: MEDIA_TYPE.ociManifest, digest: digestOf('missing'), size: 5 };
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociIndex,
    manifests: [own.manifest, other.manifest, missing],
  };
  const target = await writeBytes(on.content, MEDIA_TYPE.ociIndex, Buffer.from(JSON.stringify(index)), never);
  await on.put(own, 'multi:1', target);
  await on.collect();
  assert.deepEqual(await on.held(), [...digestsOf(own, other), target.digest].toSorted());
});

test('a lease keeps what it names until it is released', async (t) => {
  const on = await machine(t);
  const image = await on.image('on its way');
  const lease = await on.images.lease('a pull');
  for (const digest of [...digestsOf(image), ...image.diffIds]) await lease.add(digest);
  await on.collect();
  assert.deepEqual(await on.held(), digestsOf(image));
  await lease.release();
  await on.collect();
  assert.deepEqual(await on.held(), []);
});

test('what comes to be needed while a collection runs is kept', async (t) => {
  const on = await machine(t);
  const image = await on.image('wanted');
  const collection = on.images.startCollection();
  const needed = new Set<Digest>();
  const lease = await on.images.lease('a pull');
  await lease.add(image.config.digest);
  await lease.release();
  let ran = false;
  const remove = async (): Promise<void> => {
    ran = true;
    await Promise.resolve();
  };
  assert.equal(await collection.remove(image.config.digest, needed, remove), false);
  await on.put(image, 'wanted:1');
  assert.equal(await collection.remove(image.manifest.digest, needed, remove), false);
  assert.equal(await collection.remove(image.diffIds[0] ?? digestOf(''), needed, remove), false);
  assert.equal(ran, false);
  // A lease of what is just being removed waits for the end, so that a look afterwards tells the truth.
  const order: string[] = [];
  const removal = Promise.withResolvers<void>();
  const removing = collection.remove(digestOf('condemned'), needed, () => removal.promise);
  const leasing = (await on.images.lease('another'))
    .add(digestOf('condemned'))
    .then(() => order.push('leased'));
  await new Promise((resolve) => setImmediate(resolve));
  order.push('removed');
  removal.resolve();
  await Promise.all([removing, leasing]);
  assert.deepEqual(order, ['removed', 'leased']);
  collection.end();
});

test('layers of a root file system stay while it exists', async (t) => {
  const on = await machine(t);
  const image = await on.image('running');
  await on.put(image, 'running:1');
  await on.rootfs.prepare('container', image.diffIds, never);
  await on.images.removeImage(image.config.digest);
  assert.deepEqual((await on.collect()).layers?.removed, []);
  await on.rootfs.remove('container');
  assert.deepEqual((await on.collect()).layers?.removed, image.diffIds);
});

test('interrupted downloads go when they are old, not while they are open', async (t) => {
  const on = await machine(t);
  const open = await on.content.openIngest('open');
  const left = await on.content.openIngest('left');
  for (const ingest of [open, left]) await ingest.write(Buffer.from('some'));
  await left.close();
  assert.deepEqual((await on.collect()).ingests, { name: 'ingests', removed: [], kept: 2, freedBytes: 0 });
  const tomorrow = (): number => Date.now() + 25 * 60 * 60 * 1000;
  const steps = await on.collect({ now: tomorrow });
  assert.deepEqual(steps.ingests, { name: 'ingests', removed: ['left'], kept: 1, freedBytes: 4 });
  assert.deepEqual(
    (await on.content.ingests()).map(({ ref }) => ref),
    ['open'],
  );
  await open.abort();
});

test('verify finds damaged content and removes it', async (t) => {
  const on = await machine(t);
  const image = await on.image('good');
  await on.put(image, 'good:1');
  const damaged = image.layers[0]?.digest ?? digestOf('');
  await chmod(on.content.pathOf(damaged), 0o600);
  await writeFile(on.content.pathOf(damaged), 'rotten');
  assert.deepEqual((await on.collect()).verify, undefined);
  assert.deepEqual((await on.collect({ verify: true, dryRun: true })).verify?.removed, [damaged]);
  assert.deepEqual((await on.collect({ verify: true })).verify?.removed, [damaged]);
  await assert.rejects(on.content.stat(damaged), { code: 'NOT_FOUND' });
  assert.deepEqual((await on.collect({ verify: true })).verify?.removed, []);
});

test('what is no content is left alone', async (t) => {
  const on = await machine(t);
  const image = await on.image('x');
  await on.put(image, 'x:1');
  await mkdir(`${on.directory}/content/blobs/other`);
  await on.collect();
  assert.deepEqual((await readdir(`${on.directory}/content/blobs`)).toSorted(), ['other', 'sha256']);
});
