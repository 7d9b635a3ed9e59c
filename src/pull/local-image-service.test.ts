import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FaultRegistry, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../test/support/pull-node.ts';
import type { Digest } from '../oci/digest.ts';
import type { AuthConfig } from './image-service.ts';
import { LocalImageService } from './local-image-service.ts';

const signal = AbortSignal.timeout(60_000);
const LAYERS = [layerOf('base'), layerOf('top')];

async function start(t: TestContext, auth?: FaultRegistryOptions['auth']) {
  const registry = await FaultRegistry.start(auth === undefined ? {} : { auth });
  t.after(() => registry.close());
  const node = await pullNode(t);
  const service = new LocalImageService({
    images: node.images,
    puller: node.puller,
    root: node.root,
    now: () => 5,
  });
  return { registry, node, service };
}

test('12.3 an image that is not there is no error', async (t) => {
  const { service } = await start(t);
  assert.equal(await service.imageStatus({ image: 'nosuch:1' }, signal), undefined);
  assert.equal(await service.imageStatus({ image: 'Not A Name' }, signal), undefined);
});

test('12.5 what a pull returns is the ID under which the image is listed', async (t) => {
  const { registry, service } = await start(t);
  registry.putImage('app', 'v1', LAYERS);
  const reference = await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
  const [image] = await service.listImages(undefined, signal);
  assert.equal(image?.id, reference);
  assert.ok((image?.size ?? 0) > 0);
});

test('12.15 an image is found by tag, by digest, by ID and by the beginning of its ID', async (t) => {
  const { registry, service } = await start(t);
  const { manifest } = registry.putImage('app', 'v1', LAYERS);
  const id = await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
  const hex = id.slice('sha256:'.length);
  for (const image of [
    `${registry.host}/app:v1`,
    `${registry.host}/app@${manifest.digest}`,
    `${registry.host}/app:other@${manifest.digest}`,
    id,
    hex,
    hex.slice(0, 12),
  ]) {
    assert.equal((await service.imageStatus({ image }, signal))?.id, id, image);
  }
});

test('12.4 removing by one name removes all names, and again is no error', async (t) => {
  const { registry, service } = await start(t);
  registry.putImage('app', 'v1', LAYERS);
  registry.putImage('app', 'v2', LAYERS);
  await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
  await service.pullImage({ image: `${registry.host}/app:v2` }, undefined, signal);
  assert.equal((await service.listImages(undefined, signal)).length, 1);
  await service.removeImage({ image: `${registry.host}/app:v1` }, signal);
  assert.deepEqual(await service.listImages(undefined, signal), []);
  await service.removeImage({ image: `${registry.host}/app:v1` }, signal);
});

test('12.13 a pull by tag and digest together makes no tag', async (t) => {
  const { registry, service } = await start(t);
  const { manifest } = registry.putImage('app', 'v1', LAYERS);
  await service.pullImage({ image: `${registry.host}/app:v1@${manifest.digest}` }, undefined, signal);
  const [image] = await service.listImages(undefined, signal);
  assert.deepEqual(image?.repoTags, []);
  assert.deepEqual(image?.repoDigests, [`${registry.host}/app@${manifest.digest}`]);
});

test('12.13 a pull through an index names the index', async (t) => {
  const { registry, service } = await start(t);
  const image = registry.putImage('app', undefined, LAYERS);
  const index = registry.putIndex('app', 'v1', [image.manifest]);
  const id = await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
  assert.equal(id, image.config.digest);
  const found = await service.imageStatus({ image: id }, signal);
  assert.deepEqual(found?.repoDigests, [`${registry.host}/app@${index.digest}`]);
});

test('12.16 a filter changes nothing, and the file system is always reported', async (t) => {
  const { registry, node, service } = await start(t);
  registry.putImage('app', 'v1', LAYERS);
  await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
  assert.equal((await service.listImages({ image: 'other' }, signal)).length, 1);
  const { imageFilesystems } = await service.imageFsInfo(signal);
  assert.equal(imageFilesystems[0]?.mountpoint, node.root);
  assert.equal(imageFilesystems[0]?.timestamp, 5_000_000n);
  assert.ok((imageFilesystems[0]?.usedBytes ?? 0) > 0);
});

const USERS: readonly { user: string | undefined; uid?: number; username?: string }[] = [
  { user: '1000:1000', uid: 1000 },
  { user: '0', uid: 0 },
  { user: 'nobody:nogroup', username: 'nobody' },
  { user: '' },
  { user: undefined },
];
for (const { user, uid, username } of USERS) {
  test(`12.18 the user ${JSON.stringify(user)} of an image config is split`, async (t) => {
    const { registry, service } = await start(t);
    registry.putImage('app', 'v1', LAYERS, undefined, user === undefined ? {} : { User: user });
    await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
    const [image] = await service.listImages(undefined, signal);
    assert.equal(image?.uid, uid);
    assert.equal(image?.username, username);
  });
}

const basic = (text: string): string => Buffer.from(text).toString('base64');
const AUTHS: readonly { name: string; auth: (host: string) => AuthConfig; pulls: boolean }[] = [
  { name: 'user name and password', auth: () => ({ username: 'u', password: 'p' }), pulls: true },
  { name: 'auth', auth: () => ({ auth: basic('u:p') }), pulls: true },
  {
    name: 'auth padded with zeros, as docker once wrote it',
    auth: () => ({ auth: basic('u:p\0\0') }),
    pulls: true,
  },
  {
    name: 'user name before auth',
    auth: () => ({ username: 'u', password: 'p', auth: basic('x:y') }),
    pulls: true,
  },
  {
    name: 'the address of this registry',
    auth: (h) => ({ username: 'u', password: 'p', serverAddress: `http://${h}` }),
    pulls: true,
  },
  {
    name: 'the address of another registry',
    auth: () => ({ username: 'u', password: 'p', serverAddress: 'https://other.example' }),
    pulls: false,
  },
  {
    name: 'an address without scheme names no host',
    auth: (h) => ({ username: 'u', password: 'p', serverAddress: h }),
    pulls: false,
  },
  { name: 'a registry token', auth: () => ({ registryToken: 'abc' }), pulls: false },
  { name: 'auth without a colon', auth: () => ({ auth: basic('nothing') }), pulls: false },
];
for (const { name, auth, pulls } of AUTHS) {
  test(`12.19 a credential with ${name} ${pulls ? 'is used' : 'is not used'}`, async (t) => {
    const { registry, service } = await start(t, { kind: 'basic', users: { u: 'p' } });
    registry.putImage('app', 'v1', LAYERS);
    const pulling = service.pullImage({ image: `${registry.host}/app:v1` }, auth(registry.host), signal);
    if (pulls) assert.match(await pulling, /^sha256:/);
    else await assert.rejects(pulling, { code: 'UNAUTHORIZED' });
  });
}

test('1.13 a name that cannot be parsed is refused before anything is sent', async (t) => {
  const { service } = await start(t);
  await assert.rejects(service.pullImage({ image: 'UPPER/x::' }, undefined, signal), {
    code: 'INVALID_REFERENCE',
    message: 'failed to parse image reference "UPPER/x::": invalid reference format',
  });
});

test('callers with different credentials never share a flight', async (t) => {
  const { registry, service } = await start(t, { kind: 'basic', users: { u: 'p' } });
  registry.putImage('app', 'v1', LAYERS);
  const spec = { image: `${registry.host}/app:v1` };
  const [good, bad, none] = await Promise.allSettled([
    service.pullImage(spec, { username: 'u', password: 'p' }, signal),
    service.pullImage(spec, { username: 'u', password: 'x' }, signal),
    service.pullImage(spec, undefined, signal),
  ]);
  assert.deepEqual([good.status, bad.status, none.status], ['fulfilled', 'rejected', 'rejected']);
});

test('12.6 a pinned image is removed when it is asked for by name', async (t) => {
  const { registry, node, service } = await start(t);
  registry.putImage('app', 'v1', LAYERS);
  const id = await service.pullImage({ image: `${registry.host}/app:v1` }, undefined, signal);
  await node.images.pin(id as Digest, 'kept');
  assert.equal((await service.listImages(undefined, signal))[0]?.pinned, true);
  await service.removeImage({ image: id }, signal);
  assert.deepEqual(await service.listImages(undefined, signal), []);
});

test('12.17 images on the list of pinned ones are pinned by their exact name', async (t) => {
  const { registry, node } = await start(t);
  registry.putImage('app', 'v1', LAYERS);
  registry.putImage('app', 'v2', [layerOf('other')]);
  const service = new LocalImageService({
    images: node.images,
    puller: node.puller,
    root: node.root,
    pinnedImages: [`${registry.host}/app:v1`],
  });
  for (const tag of ['v1', 'v2'])
    await service.pullImage({ image: `${registry.host}/app:${tag}` }, undefined, signal);
  const pinned = (await service.listImages(undefined, signal)).filter((image) => image.pinned);
  assert.deepEqual(
    pinned.flatMap((image) => image.repoTags),
    [`${registry.host}/app:v1`],
  );
});

test('the flight record of a pull names the source of its credential', async (t) => {
  const { registry, node, service } = await start(t, { kind: 'basic', users: { u: 'hunter2' } });
  registry.putImage('app', 'v1', LAYERS);
  const auth = { username: 'u', password: 'hunter2', source: 'Secret team-a/regcred' };
  await service.pullImage({ image: `${registry.host}/app:v1` }, auth, signal);
  const [id = ''] = await node.records.ids();
  const text = JSON.stringify(await node.records.read(id));
  assert.match(text, /"credential":"Secret team-a\/regcred"/);
  assert.doesNotMatch(text, /hunter2/);
});
