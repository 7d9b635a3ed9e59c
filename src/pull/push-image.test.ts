import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FaultRegistry, TYPES, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode, type PullNode } from '../../test/support/pull-node.ts';
import { writeBytes } from '../content/write-content.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { referrersTag } from '../remote/referrers.ts';
import { pushImage } from './push-image.ts';

const signal = AbortSignal.timeout(60_000);
const LAYERS = [layerOf('base', 300_000), layerOf('top', 4_000)];

async function serve(t: TestContext, options: FaultRegistryOptions = {}): Promise<FaultRegistry> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  return registry;
}

/** Puts an image into a node's store by pulling it from a registry of its own. */
async function held(t: TestContext): Promise<{ node: PullNode; target: Descriptor; layers: string[] }> {
  const source = await serve(t);
  const image = source.putImage('app', 'v1', LAYERS);
  const node = await pullNode(t);
  const { target } = await node.puller.pull({ reference: `${source.host}/app:v1`, signal });
  return { node, target, layers: image.layers.map((layer) => layer.digest) };
}

test('a push sends blobs first, each once, and the manifest last', async (t) => {
  const { node, target } = await held(t);
  const registry = await serve(t);
  const pushed = await pushImage({
    remote: node.remote,
    content: node.content,
    reference: `${registry.host}/team/app:v2`,
    target,
    signal,
  });
  assert.deepEqual(pushed, { name: `${registry.host}/team/app:v2`, digest: target.digest });
  assert.equal(registry.count('PUT', /uploads/), 3);
  assert.equal(registry.count('PUT', /manifests/), 1);
  assert.match(registry.requests.at(-1)?.path ?? '', /manifests\/v2$/);
  assert.deepEqual(registry.manifest('team/app', 'v2')?.mediaType, TYPES.manifest);
});

test('what the registry has is not sent again', async (t) => {
  const { node, target } = await held(t);
  const registry = await serve(t);
  const request = {
    remote: node.remote,
    content: node.content,
    reference: `${registry.host}/app:v1`,
    target,
    signal,
  };
  await pushImage(request);
  registry.requests.length = 0;
  await pushImage(request);
  assert.equal(registry.count('POST', /./), 0);
});

test('a blob of another repository is mounted instead of sent', async (t) => {
  const { node, target } = await held(t);
  const registry = await serve(t);
  registry.putImage('base', 'v1', LAYERS);
  const phases: string[] = [];
  await pushImage({
    remote: node.remote,
    content: node.content,
    reference: `${registry.host}/app:v1`,
    target,
    mountFrom: 'base',
    onProgress: ({ phase }) => phases.push(phase),
    signal,
  });
  assert.equal(phases.filter((phase) => phase === 'mounted').length, 3);
  assert.equal(registry.count('PUT', /uploads/), 0);
});

test('an upload that is cut off goes on where the registry stopped', async (t) => {
  const { node, target, layers } = await held(t);
  const registry = await serve(t);
  const large = (request: { headers: { 'content-length'?: string | undefined } }): boolean =>
    Number(request.headers['content-length']) > 200_000;
  registry.fault('PUT', /uploads/, { kind: 'cutUpload', afterBytes: 100_000 }, 1, large);
  registry.fault('PATCH', /uploads/, { kind: 'cutUpload', afterBytes: 50_000 });
  await pushImage({
    remote: node.remote,
    content: node.content,
    reference: `${registry.host}/app:v1`,
    target,
    signal,
  });
  assert.equal(registry.blob('app', layers[0] ?? '')?.length, LAYERS[0]?.bytes.length);
  const ranges = registry.requests
    .filter((each) => each.method === 'PATCH')
    .map((each) => each.headers['content-range']);
  assert.deepEqual(
    ranges.map((range) => range?.split('-')[0]),
    ['100000', '150000'],
  );
});

test('a registry that never takes a byte ends the push', async (t) => {
  const { node, target } = await held(t);
  const registry = await serve(t);
  const always = Number.POSITIVE_INFINITY;
  registry.fault('PUT', /uploads/, { kind: 'cutUpload', afterBytes: 0 }, always);
  registry.fault('PATCH', /uploads/, { kind: 'cutUpload', afterBytes: 0 }, always);
  await assert.rejects(
    pushImage({
      remote: node.remote,
      content: node.content,
      reference: `${registry.host}/app:v1`,
      target,
      signal,
    }),
    { code: 'UNREACHABLE' },
  );
  assert.equal(registry.manifest('app', 'v1'), undefined);
});

test('17.10 pushing asks for a token that may push', async (t) => {
  const { node, target } = await held(t);
  const registry = await serve(t, { auth: { kind: 'bearer', users: { u: 'p' } } });
  await pushImage({
    remote: node.remote,
    content: node.content,
    reference: `${registry.host}/app:v1`,
    target,
    credentials: async () => ({ name: 'n', username: 'u', password: 'p' }),
    signal,
  });
  const scopes = registry.requests
    .filter((each) => each.path === '/token')
    .map((each) => each.query.get('scope'));
  assert.ok(scopes.includes('repository:app:pull,push'));
});

test('a push without a credential is refused in words that say push', async (t) => {
  const { node, target } = await held(t);
  const registry = await serve(t, { auth: { kind: 'basic', users: { u: 'p' } } });
  await assert.rejects(
    pushImage({
      remote: node.remote,
      content: node.content,
      reference: `${registry.host}/app:v1`,
      target,
      signal,
    }),
    {
      code: 'UNAUTHORIZED',
      message: `failed to push image "${registry.host}/app:v1": push access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`,
    },
  );
});

for (const referrersApi of [false, true]) {
  test(`a manifest with a subject ${referrersApi ? 'is listed by the registry' : 'is added to the fall-back tag once'}`, async (t) => {
    const { node, target } = await held(t);
    const registry = await serve(t);
    registry.referrersApi = referrersApi;
    const config = await writeBytes(
      node.content,
      'application/vnd.oci.empty.v1+json',
      Buffer.from('{}'),
      signal,
    );
    const document = {
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      artifactType: 'text/sbom',
      config,
      layers: [],
      subject: target,
    };
    const artifact = await writeBytes(
      node.content,
      TYPES.manifest,
      Buffer.from(JSON.stringify(document)),
      signal,
    );
    const reference = `${registry.host}/app@${artifact.digest}`;
    const request = { remote: node.remote, content: node.content, reference, target: artifact, signal };
    await pushImage(request);
    await pushImage(request);
    const tagged = registry.manifest('app', referrersTag(target.digest));
    if (referrersApi) {
      assert.equal(tagged, undefined);
      return;
    }
    const index = JSON.parse(tagged?.bytes.toString() ?? '{}') as {
      manifests: { digest: string; artifactType: string }[];
    };
    assert.deepEqual(
      index.manifests.map(({ digest, artifactType }) => [digest, artifactType]),
      [[artifact.digest, 'text/sbom']],
    );
  });
}

test('an index is pushed with all its manifests, leaves first', async (t) => {
  const source = await serve(t);
  const image = source.putImage('app', undefined, LAYERS);
  source.putIndex('app', 'v1', [image.manifest]);
  const node = await pullNode(t);
  const { target } = await node.puller.pull({ reference: `${source.host}/app:v1`, signal });
  const registry = await serve(t);
  await pushImage({
    remote: node.remote,
    content: node.content,
    reference: `${registry.host}/app:v1`,
    target,
    signal,
  });
  assert.deepEqual(
    registry.requests
      .filter((each) => each.path.includes('/manifests/'))
      .map((each) => each.path.split('/').at(-1)),
    [image.manifest.digest, 'v1'],
  );
});

test('an index of which a platform is not held is not pushed, and nothing is sent', async (t) => {
  const source = await serve(t);
  const here = source.putImage('app', undefined, LAYERS);
  const there = source.putImage('app', undefined, LAYERS, { os: 'linux', architecture: 'arm64' });
  source.putIndex('app', 'v1', [here.manifest, there.manifest]);
  const node = await pullNode(t);
  const { target } = await node.puller.pull({ reference: `${source.host}/app:v1`, signal });
  const registry = await serve(t);
  await assert.rejects(
    pushImage({
      remote: node.remote,
      content: node.content,
      reference: `${registry.host}/app:v1`,
      target,
      signal,
    }),
    { code: 'NOT_FOUND' },
  );
  assert.equal(registry.requests.length, 0);
});
