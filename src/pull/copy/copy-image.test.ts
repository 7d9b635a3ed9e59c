import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FaultRegistry, TYPES, type FaultRegistryOptions } from '../../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../../test/support/pull-node.ts';
import type { Digest } from '../../oci/digest.ts';
import { listReferrers, referrersTag } from '../../remote/referrers.ts';
import { copyImage } from './copy-image.ts';
import { layoutSource, layoutTarget } from './layout-endpoint.ts';
import { registrySource, registryTarget } from './registry-endpoint.ts';
import { storeSource, storeTarget } from './store-endpoint.ts';

const signal = AbortSignal.timeout(60_000);
const LAYERS = [layerOf('base', 300_000), layerOf('top', 4_000)];
const ARM = { os: 'linux', architecture: 'arm64' };

async function serve(t: TestContext, options: FaultRegistryOptions = {}): Promise<FaultRegistry> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  return registry;
}

/** A registry with `app:v1` for two platforms. */
async function twoPlatforms(t: TestContext) {
  const registry = await serve(t);
  const amd = registry.putImage('app', undefined, LAYERS);
  const arm = registry.putImage('app', undefined, [layerOf('arm', 9_000)], ARM);
  const index = registry.putIndex('app', 'v1', [amd.manifest, arm.manifest]);
  return { registry, amd, arm, index };
}

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'dray-layout-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('an image goes from registry to registry with all its platforms', async (t) => {
  const { registry, amd, arm, index } = await twoPlatforms(t);
  const other = await serve(t);
  const { remote } = await pullNode(t);
  const copied = await copyImage({
    source: registrySource({ remote, reference: `${registry.host}/app:v1` }),
    target: registryTarget({ remote, reference: `${other.host}/team/app:v2` }),
    signal,
  });
  assert.equal(copied.digest, index.digest);
  for (const { manifest } of [amd, arm]) assert.ok(other.manifest('team/app', manifest.digest));
  assert.equal(other.manifest('team/app', 'v2')?.bytes.length, index.size);
});

test('a download that breaks in mid-copy is taken up, and the upload never notices', async (t) => {
  const { registry, amd } = await twoPlatforms(t);
  const other = await serve(t);
  const { remote } = await pullNode(t);
  const digest = amd.layers[0]?.digest ?? '';
  registry.fault('GET', new RegExp(digest), { kind: 'reset', afterBytes: 100_000 }, 2);
  await copyImage({
    source: registrySource({ remote, reference: `${registry.host}/app:v1` }),
    target: registryTarget({ remote, reference: `${other.host}/app:v1` }),
    signal,
  });
  assert.equal(other.blob('app', digest)?.length, LAYERS[0]?.bytes.length);
});

test('within one registry nothing moves: blobs are mounted', async (t) => {
  const { registry } = await twoPlatforms(t);
  const { remote } = await pullNode(t);
  await copyImage({
    source: registrySource({ remote, reference: `${registry.host}/app:v1` }),
    target: registryTarget({ remote, reference: `${registry.host}/copy:v1` }),
    signal,
  });
  assert.equal(registry.count('PUT', /uploads/), 0);
  assert.equal(registry.count('GET', /blobs/), 0);
});

test('one platform alone can be copied', async (t) => {
  const { registry, arm } = await twoPlatforms(t);
  const other = await serve(t);
  const { remote } = await pullNode(t);
  const copied = await copyImage({
    source: registrySource({ remote, reference: `${registry.host}/app:v1` }),
    target: registryTarget({ remote, reference: `${other.host}/app:v1` }),
    platform: ARM,
    signal,
  });
  assert.equal(copied.digest, arm.manifest.digest);
  assert.equal(other.count('PUT', /uploads/), 2);
});

test('an image goes through an OCI layout and comes out as it was; other images of the layout stay', async (t) => {
  const { registry, index } = await twoPlatforms(t);
  const second = registry.putImage('tool', 'v1', [layerOf('tool')]);
  const { remote } = await pullNode(t);
  const layout = await directory(t);
  for (const [reference, name] of [
    ['app:v1', 'app'],
    ['tool:v1', 'tool'],
    ['app:v1', 'app'],
  ] as const) {
    await copyImage({
      source: registrySource({ remote, reference: `${registry.host}/${reference}` }),
      target: await layoutTarget(layout, name),
      signal,
    });
  }
  const written = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: object[] };
  assert.equal(written.manifests.length, 2);
  const other = await serve(t);
  for (const [name, digest] of [
    ['app', index.digest],
    ['tool', second.manifest.digest],
  ] as const) {
    const copied = await copyImage({
      source: layoutSource(layout, name),
      target: registryTarget({ remote, reference: `${other.host}/${name}:v1` }),
      signal,
    });
    assert.equal(copied.digest, digest);
  }
});

for (const [what, name, code] of [
  ['an image that is not in a layout', 'nosuch', 'NOT_FOUND'],
  ['no name where there are several images', undefined, 'INVALID_REFERENCE'],
] as const) {
  test(`${what} is refused`, async (t) => {
    const { registry } = await twoPlatforms(t);
    const { remote } = await pullNode(t);
    const layout = await directory(t);
    for (const each of ['a', 'b']) {
      await copyImage({
        source: registrySource({ remote, reference: `${registry.host}/app:v1` }),
        target: await layoutTarget(layout, each),
        platform: each === 'a' ? ARM : { os: 'linux', architecture: 'amd64' },
        signal,
      });
    }
    await assert.rejects(layoutSource(layout, name).resolve(signal), { code });
  });
}

test("an image copied onto a node is the node's, with the index held for pushing on", async (t) => {
  const { registry, amd, index } = await twoPlatforms(t);
  const node = await pullNode(t);
  const { remote, content, images } = node;
  await copyImage({
    source: registrySource({ remote, reference: `${registry.host}/app:v1` }),
    target: await storeTarget({
      content,
      images,
      name: 'mine/app:v1',
      platform: { os: 'linux', architecture: 'amd64' },
    }),
    signal,
  });
  const found = await images.find('docker.io/mine/app:v1');
  assert.equal(found?.id, amd.config.digest);
  const other = await serve(t);
  const pushed = await copyImage({
    source: await storeSource({ content, images, name: 'mine/app:v1' }),
    target: registryTarget({ remote, reference: `${other.host}/app:v1` }),
    signal,
  });
  assert.equal(pushed.digest, index.digest);
  assert.deepEqual([...(await content.ingests())], []);
});

test('of an index that is held in part, the part is pushed', async (t) => {
  const { registry, amd } = await twoPlatforms(t);
  const { remote, content, images, puller } = await pullNode(t);
  await puller.pull({ reference: `${registry.host}/app:v1`, signal });
  const other = await serve(t);
  const pushed = await copyImage({
    source: await storeSource({ content, images, name: `${registry.host}/app:v1` }),
    target: registryTarget({ remote, reference: `${other.host}/app:v1` }),
    signal,
  });
  assert.equal(pushed.digest, amd.manifest.digest);
});

test('a blob that is wrong at its source does not get a name', async (t) => {
  const { registry, amd } = await twoPlatforms(t);
  const node = await pullNode(t);
  const wrong = Buffer.alloc(LAYERS[0]?.bytes.length ?? 0, 'x');
  const path = new RegExp(amd.layers[0]?.digest ?? '-');
  registry.fault('GET', path, { kind: 'body', bytes: wrong }, Number.POSITIVE_INFINITY);
  const other = await serve(t);
  const source = (): ReturnType<typeof registrySource> =>
    registrySource({ remote: node.remote, reference: `${registry.host}/app:v1` });
  await assert.rejects(
    copyImage({
      source: source(),
      target: registryTarget({ remote: node.remote, reference: `${other.host}/app:v1` }),
      signal,
    }),
  );
  assert.equal(other.manifest('app', 'v1'), undefined);
  const target = await storeTarget({ content: node.content, images: node.images, name: 'app:v1' });
  await assert.rejects(copyImage({ source: source(), target, signal }), { code: 'DIGEST_MISMATCH' });
  assert.deepEqual(await node.images.list(), []);
  await assert.rejects(node.content.stat(amd.layers[0]?.digest as Digest), { code: 'NOT_FOUND' });
});

for (const [from, to] of [
  [true, true],
  [true, false],
  [false, false],
] as const) {
  test(`signatures travel with the image ${from ? 'from the referrers API' : 'from a fall-back tag'} ${to ? 'to the referrers API' : 'to a fall-back tag'}`, async (t) => {
    const [origin, other] = [await serve(t), await serve(t)];
    origin.referrersApi = from;
    other.referrersApi = to;
    const image = origin.putImage('app', 'v1', LAYERS);
    const { remote } = await pullNode(t);
    const config = origin.putBlob('app', Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
    const signature = {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      artifactType: 'text/signature',
      config,
      layers: [origin.putBlob('app', Buffer.from('signed'), 'text/plain')],
      subject: { mediaType: TYPES.manifest, digest: image.manifest.digest, size: image.manifest.size },
    };
    const stored = origin.putManifest('app', undefined, signature, TYPES.manifest);
    if (!from) origin.putIndex('app', referrersTag(image.manifest.digest as Digest), [stored]);
    const copy = (referrers: boolean): Promise<unknown> =>
      copyImage({
        source: registrySource({ remote, reference: `${origin.host}/app:v1` }),
        target: registryTarget({ remote, reference: `${other.host}/app:v1` }),
        referrers,
        signal,
      });
    await copy(false);
    assert.equal(other.manifest('app', stored.digest), undefined);
    await copy(true);
    const listed = await listReferrers(
      remote.repository(other.host, 'app'),
      image.manifest.digest as Digest,
      'text/signature',
      signal,
    );
    assert.deepEqual(
      listed.map((each) => each.digest),
      [stored.digest],
    );
  });
}
