import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FaultRegistry, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../test/support/pull-node.ts';
import type { Digest } from '../oci/digest.ts';
import type { PullProgress } from './progress.ts';
import { PullError } from './pull-error.ts';

const LAYERS = [layerOf('base', 20_000), layerOf('middle', 60_000), layerOf('top', 5_000)];

async function serve(t: TestContext, options: FaultRegistryOptions = {}): Promise<FaultRegistry> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  return registry;
}

const signal = AbortSignal.timeout(60_000);

test('12.13 a pull by tag gives the config digest as reference, and the tag and the digest as names', async (t) => {
  const registry = await serve(t);
  const image = registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  const pulled = await node.puller.pull({ reference: `${registry.host}/test/app:v1`, signal });
  assert.equal(pulled.imageId, image.config.digest);
  const found = await node.images.find(`${registry.host}/test/app:v1`);
  assert.deepEqual(found?.repoTags, [`${registry.host}/test/app:v1`]);
  assert.deepEqual(found?.repoDigests, [`${registry.host}/test/app@${image.manifest.digest}`]);
  for (const layer of image.layers)
    assert.equal((await node.content.stat(layer.digest as Digest)).size, layer.size);
});

test('12.14 the size is the compressed size of one platform: config and layers', async (t) => {
  const registry = await serve(t);
  const image = registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  await node.puller.pull({ reference: `${registry.host}/test/app:v1`, signal });
  const sum = image.layers.reduce((total, layer) => total + layer.size, image.config.size);
  assert.equal((await node.images.find(`${registry.host}/test/app:v1`))?.size, sum);
});

test('a first pull asks once for everything and largest first', async (t) => {
  const registry = await serve(t);
  const image = registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t, { parallelDownloads: 1 });
  await node.puller.pull({ reference: `${registry.host}/test/app:v1`, signal });
  const blobs = registry.requests.filter((each) => each.path.includes('/blobs/')).map((each) => each.path);
  const bySize = image.layers.toSorted((a, b) => b.size - a.size).map((each) => each.digest);
  assert.equal(registry.count('HEAD', /manifests/), 1);
  assert.equal(registry.count('GET', /manifests/), 1);
  assert.deepEqual(
    blobs.filter((path) => !path.endsWith(image.config.digest)),
    bySize.map((digest) => `/v2/test/app/blobs/${digest}`),
  );
});

test('a pull of what is held is exactly one HEAD', async (t) => {
  const registry = await serve(t);
  registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  const reference = `${registry.host}/test/app:v1`;
  const first = await node.puller.pull({ reference, signal });
  registry.requests.length = 0;
  const second = await node.puller.pull({ reference, signal });
  assert.equal(second.imageId, first.imageId);
  assert.deepEqual(
    registry.requests.map((each) => `${each.method} ${each.path}`),
    ['HEAD /v2/test/app/manifests/v1'],
  );
});

test('a pull of what is held is exactly one HEAD from a Bearer registry too', async (t) => {
  const registry = await serve(t, { auth: { kind: 'bearer', users: { u: 'p' } } });
  registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  const request = {
    reference: `${registry.host}/test/app:v1`,
    credentials: async () => ({ name: 'n', username: 'u', password: 'p' }),
    signal,
  };
  await node.puller.pull(request);
  registry.requests.length = 0;
  await node.puller.pull(request);
  assert.deepEqual(
    registry.requests.map((each) => each.method),
    ['HEAD'],
  );
});

test('of a changed tag only the changed layer travels', async (t) => {
  const registry = await serve(t);
  registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  await node.puller.pull({ reference: `${registry.host}/test/app:v1`, signal });
  registry.requests.length = 0;
  const changed = layerOf('changed', 7_000);
  const second = registry.putImage('test/app', 'v2', [...LAYERS.slice(0, 2), changed]);
  const pulled = await node.puller.pull({ reference: `${registry.host}/test/app:v2`, signal });
  assert.equal(pulled.fetchedBytes, changed.bytes.length);
  assert.deepEqual(
    registry.requests
      .filter((each) => each.path.includes('/blobs/'))
      .map((each) => each.path)
      .sort(),
    [second.config.digest, second.layers[2]?.digest].map((digest) => `/v2/test/app/blobs/${digest}`).sort(),
  );
});

test('of a tag that shares nine layers of ten, as unpacked layers too, the tenth travels alone', async (t) => {
  const registry = await serve(t);
  const shared = Array.from({ length: 9 }, (_, index) => layerOf(`shared ${index}`, 9_000));
  registry.putImage('test/app', 'v1', [...shared, layerOf('old', 5_000)]);
  const node = await pullNode(t, { unpacks: true });
  const reference = `${registry.host}/test/app:v1`;
  await node.puller.pull({ reference, signal });
  const changed = layerOf('new', 5_000);
  const second = registry.putImage('test/app', 'v1', [...shared, changed]);
  registry.requests.length = 0;
  const pulled = await node.puller.pull({ reference, signal });
  assert.equal(pulled.fetchedBytes, changed.bytes.length);
  assert.deepEqual(
    registry.requests.map(({ method, path }) => `${method} ${path}`).sort(),
    [
      'HEAD /v2/test/app/manifests/v1',
      `GET /v2/test/app/manifests/${second.manifest.digest}`,
      `GET /v2/test/app/blobs/${second.config.digest}`,
      `GET /v2/test/app/blobs/${second.layers[9]?.digest}`,
    ].sort(),
  );
});

const MESSAGES: readonly {
  name: string;
  auth?: FaultRegistryOptions['auth'];
  image: string;
  code: string;
  message: (host: string) => string;
}[] = [
  {
    name: 'a tag that is not there',
    image: 'test/nosuch-t:2',
    code: 'NOT_FOUND',
    message: (h) =>
      `rpc error: code = NotFound desc = failed to pull and unpack image "${h}/test/nosuch-t:2": failed to resolve reference "${h}/test/nosuch-t:2": ${h}/test/nosuch-t:2: not found`,
  },
  {
    name: 'a name without a tag means latest',
    image: 'test/nosuch-min',
    code: 'NOT_FOUND',
    message: (h) =>
      `rpc error: code = NotFound desc = failed to pull and unpack image "${h}/test/nosuch-min:latest": failed to resolve reference "${h}/test/nosuch-min:latest": ${h}/test/nosuch-min:latest: not found`,
  },
  {
    name: 'a private image without a credential',
    auth: { kind: 'basic', users: { u: 'p' } },
    image: 'priv/nosecret:1',
    code: 'UNAUTHORIZED',
    message: (h) =>
      `failed to pull and unpack image "${h}/priv/nosecret:1": failed to resolve reference "${h}/priv/nosecret:1": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`,
  },
];
for (const row of MESSAGES) {
  test(`17.12 the kubelet's text for ${row.name} is as recorded from Kubernetes 1.36.2`, async (t) => {
    const registry = await serve(t, row.auth === undefined ? {} : { auth: row.auth });
    const node = await pullNode(t);
    await assert.rejects(
      node.puller.pull({ reference: `${registry.host}/${row.image}`, signal }),
      (error: unknown) => {
        assert.ok(error instanceof PullError);
        assert.equal(error.message, row.message(registry.host));
        assert.equal(error.code, row.code);
        return true;
      },
    );
  });
}

test('C4 15.15 an index without this platform is refused as containerd words it', async (t) => {
  const registry = await serve(t);
  const arm = registry.putImage('test/app', undefined, LAYERS, { os: 'linux', architecture: 's390x' });
  registry.putIndex('test/app', 'v1', [arm.manifest]);
  const node = await pullNode(t);
  const name = `${registry.host}/test/app:v1`;
  await assert.rejects(node.puller.pull({ reference: name, signal }), {
    code: 'NO_MATCHING_PLATFORM',
    message: `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": no match for platform in manifest: not found`,
  });
});

test('identical pulls share one flight, and a caller who leaves does not end it for the others', async (t) => {
  const registry = await serve(t);
  registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  const leaving = new AbortController();
  const request = { reference: `${registry.host}/test/app:v1`, credentialKey: 'anonymous' };
  const first = node.puller.pull({ ...request, signal: leaving.signal });
  const others = [1, 2, 3].map(() => node.puller.pull({ ...request, signal }));
  leaving.abort();
  await assert.rejects(first, { code: 'CANCELED', status: 'Canceled' });
  const pulled = await Promise.all(others);
  assert.equal(new Set(pulled.map((each) => each.flightId)).size, 1);
  assert.equal(registry.count('HEAD', /manifests/), 1);
});

test('identical layers of different images travel once', async (t) => {
  const registry = await serve(t);
  registry.putImage('test/one', 'v1', [...LAYERS, layerOf('one')]);
  registry.putImage('test/two', 'v1', [...LAYERS, layerOf('two')]);
  const node = await pullNode(t);
  await Promise.all(
    ['one', 'two'].map((name) => node.puller.pull({ reference: `${registry.host}/test/${name}:v1`, signal })),
  );
  // Five layers and two configs.
  assert.equal(registry.count('GET', /blobs/), 7);
});

test('progress tells each part from queued to done', async (t) => {
  const registry = await serve(t);
  const image = registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  const seen: PullProgress[] = [];
  await node.puller.pull({
    reference: `${registry.host}/test/app:v1`,
    onProgress: (event) => seen.push(event),
    signal,
  });
  const phases = (digest: string | undefined): string[] => [
    ...new Set(seen.filter((each) => each.digest === digest).map((each) => each.phase)),
  ];
  assert.deepEqual(phases(undefined), ['queued', 'resolving', 'downloading', 'done'].slice(1));
  for (const layer of image.layers) {
    assert.deepEqual(phases(layer.digest), ['queued', 'downloading', 'verifying', 'done']);
    assert.equal(seen.findLast((each) => each.digest === layer.digest)?.bytes, layer.size);
  }
});

test('a flight record tells hosts, credential names and decisions, and no secret', async (t) => {
  const registry = await serve(t, { auth: { kind: 'bearer', users: { u: 'hunter2' } } });
  registry.putImage('test/app', 'v1', LAYERS);
  const node = await pullNode(t);
  const { flightId } = await node.puller.pull({
    reference: `${registry.host}/test/app:v1`,
    credentials: async () => ({ name: 'Secret team-a/regcred', username: 'u', password: 'hunter2' }),
    signal,
  });
  const record = await node.records.read(flightId);
  assert.equal(record?.outcome, 'pulled');
  assert.equal(record?.parts.length, 3);
  assert.deepEqual(new Set(record?.parts.map((part) => part.decision)), new Set(['fetched']));
  assert.equal(
    record?.hops.find((hop) => !hop.url.endsWith('/token') && hop.status === 200)?.credential,
    'Secret team-a/regcred',
  );
  assert.doesNotMatch(JSON.stringify(record), /hunter2|Bearer|Basic/);
});

test('17.2 a node downloads three layers at a time, across all pulls', async (t) => {
  const registry = await serve(t);
  const names = ['one', 'two'];
  for (const name of names)
    registry.putImage(
      `test/${name}`,
      'v1',
      [1, 2, 3, 4].map((each) => layerOf(`${name}${each}`, 50_000)),
    );
  const node = await pullNode(t);
  const open = new Set<string>();
  let most = 0;
  await Promise.all(
    names.map((name) =>
      node.puller.pull({
        reference: `${registry.host}/test/${name}:v1`,
        onProgress: ({ kind, digest, phase }) => {
          if (kind !== 'layer' || digest === undefined) return;
          if (phase === 'downloading') open.add(digest);
          else open.delete(digest);
          most = Math.max(most, open.size);
        },
        signal,
      }),
    ),
  );
  assert.equal(most, 3);
});

test('17.14 what was tried again on the way is one success to the caller', async (t) => {
  const registry = await serve(t);
  registry.putImage('test/app', 'v1', LAYERS);
  registry.fault('HEAD', /manifests/, { kind: 'status', status: 503 }, 2);
  const node = await pullNode(t);
  const { flightId } = await node.puller.pull({ reference: `${registry.host}/test/app:v1`, signal });
  const record = await node.records.read(flightId);
  assert.equal(record?.outcome, 'pulled');
  assert.deepEqual(record?.hops.flatMap(({ status }) => status ?? []).slice(0, 3), [503, 503, 200]);
});

test('16.18 one pull path, whatever is configured: errors are worded alike', async (t) => {
  const registry = await serve(t);
  const texts = new Set<string>();
  for (const options of [{}, { parallelDownloads: 1 }, { parallelDownloads: 8, unpacks: true }]) {
    const node = await pullNode(t, options);
    await node.puller
      .pull({ reference: `${registry.host}/nosuch:1`, signal })
      .catch((error: unknown) => texts.add((error as PullError).message));
  }
  assert.deepEqual(
    [...texts],
    [
      `rpc error: code = NotFound desc = failed to pull and unpack image "${registry.host}/nosuch:1": failed to resolve reference "${registry.host}/nosuch:1": ${registry.host}/nosuch:1: not found`,
    ],
  );
});
