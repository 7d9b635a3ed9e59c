import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { FaultRegistry, TYPES, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode, type PullNode } from '../../test/support/pull-node.ts';
import type { Digest } from '../oci/digest.ts';
import type { HostCapability, RegistryHost } from '../remote/host-config.ts';
import { PullError } from './pull-error.ts';

/*
 * What goes wrong between a node and a registry. Each case ends in success by another try or in one clear coded error, and
 * never leaves anything half visible. All run twice: fetching only, and unpacking while the bytes arrive.
 */

const LAYERS = [layerOf('base', 200_000), layerOf('top', 3_000)];
const BASE = LAYERS[0]?.bytes ?? Buffer.alloc(0);
const signal = AbortSignal.timeout(120_000);
const FOREVER = Number.POSITIVE_INFINITY;

async function serve(t: TestContext, options: FaultRegistryOptions = {}): Promise<FaultRegistry> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  return registry;
}

async function pull(node: PullNode, registry: FaultRegistry, name = 'app:v1') {
  return node.puller.pull({ reference: `${registry.host}/${name}`, signal });
}

/** Asserts that nothing of a failed pull can be seen, and that the work is given back. */
async function assertNothingVisible(node: PullNode): Promise<void> {
  assert.deepEqual(await node.images.list(), []);
  assert.deepEqual([...(await node.images.roots())], []);
}

for (const unpacks of [false, true]) {
  const how = unpacks ? ' (unpacking)' : '';

  const HEALED: readonly { name: string; break: (registry: FaultRegistry, layer: RegExp) => void }[] = [
    {
      name: 'a connection reset in mid-body is taken up by range',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'reset', afterBytes: 50_000 }),
    },
    {
      name: 'a connection that is reset again and again, always a little further',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'reset', afterBytes: 20_000 }, 8),
    },
    {
      name: 'a body that ends early without saying so',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'short', bytes: 70_000 }),
    },
    {
      name: 'a slow trickle',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'trickle', pieceBytes: 3_000 }),
    },
    {
      name: 'a server that hangs up without an answer',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'hangUp' }, 2),
    },
    {
      name: '503, then fine',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'status', status: 503 }, 2),
    },
    {
      name: '429 without Retry-After',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'status', status: 429 }, 2),
    },
    {
      name: '429 with Retry-After',
      break: (registry, layer) =>
        registry.fault('GET', layer, { kind: 'status', status: 429, headers: { 'retry-after': '3' } }),
    },
    {
      name: 'a registry without ranges after a break',
      break: (registry, layer) => {
        registry.fault('GET', layer, { kind: 'reset', afterBytes: 50_000 });
        registry.fault('GET', layer, { kind: 'whole' });
      },
    },
    {
      name: 'other bytes of the right length',
      break: (registry, layer) =>
        registry.fault('GET', layer, { kind: 'body', bytes: Buffer.alloc(BASE.length, 'x') }),
    },
    {
      name: 'one wrong byte at the end',
      break: (registry, layer) => {
        const bytes = Buffer.from(BASE);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        registry.fault('GET', layer, { kind: 'body', bytes });
      },
    },
    {
      name: '405 for HEAD of a manifest',
      break: (registry) => registry.fault('HEAD', /manifests/, { kind: 'status', status: 405 }, FOREVER),
    },
    {
      name: '17.5 no digest header on HEAD',
      break: (registry) =>
        registry.fault('HEAD', /manifests/, { kind: 'without', headers: ['docker-content-digest'] }, FOREVER),
    },
  ];
  for (const row of HEALED) {
    test(`a pull survives: ${row.name}${how}`, async (t) => {
      const registry = await serve(t);
      const image = registry.putImage('app', 'v1', LAYERS);
      const node = await pullNode(t, { unpacks });
      row.break(registry, new RegExp(`blobs/${image.layers[0]?.digest}`));
      const pulled = await pull(node, registry);
      assert.equal(pulled.imageId, image.config.digest);
      for (const layer of image.layers)
        assert.equal((await node.content.stat(layer.digest as Digest)).size, layer.size);
      for (const { diffId } of LAYERS) {
        if (unpacks) assert.equal(await node.layerStore?.isUnpacked(diffId as Digest), true);
      }
      assert.deepEqual(await node.content.ingests(), []);
    });
  }

  test(`a reset download moves no byte twice${how}`, async (t) => {
    const registry = await serve(t);
    const image = registry.putImage('app', 'v1', LAYERS.slice(0, 1));
    const node = await pullNode(t, { unpacks });
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`);
    registry.fault('GET', path, { kind: 'reset', afterBytes: 65_536 });
    await pull(node, registry);
    const ranges = registry.requests.filter((each) => path.test(each.path)).map((each) => each.headers.range);
    assert.equal(ranges.length, 2);
    assert.match(ranges[1] ?? '', /^bytes=\d+-$/);
    assert.ok(Number(/\d+/.exec(ranges[1] ?? '')?.[0]) > 0);
    const ifRange = registry.requests.findLast((each) => path.test(each.path))?.headers['if-range'];
    assert.equal(ifRange, `"${image.layers[0]?.digest}"`);
  });

  test(`a token that expires in mid-pull is renewed and the download goes on${how}`, async (t) => {
    const registry = await serve(t, { auth: { kind: 'bearer', users: { u: 'p' }, postStatus: 200 } });
    const image = registry.putImage('app', 'v1', LAYERS);
    const node = await pullNode(t, { unpacks });
    registry.fault('GET', new RegExp(`blobs/${image.layers[0]?.digest}`), {
      kind: 'reset',
      afterBytes: 50_000,
    });
    const progress = (): void => registry.expireTokens();
    await node.puller.pull({
      reference: `${registry.host}/app:v1`,
      credentials: async () => ({ name: 'n', username: 'u', password: 'p' }),
      onProgress: ({ phase, bytes }) => {
        if (phase === 'downloading' && bytes === 0) progress();
      },
      signal,
    });
    assert.ok(registry.count('POST', /token/) >= 2);
  });

  test(`of two mirrors that disagree the right one's bytes are kept${how}`, async (t) => {
    const [liar, honest] = [await serve(t), await serve(t)];
    const image = honest.putImage('app', 'v1', LAYERS);
    liar.putImage('app', 'v1', LAYERS);
    const wrong = Buffer.alloc(BASE.length, 'x');
    liar.fault(
      'GET',
      new RegExp(`blobs/${image.layers[0]?.digest}`),
      { kind: 'body', bytes: wrong },
      FOREVER,
    );
    const node = await pullNode(t, { unpacks, hosts: async () => [hostOf(liar), hostOf(honest)] });
    const { imageId } = await node.puller.pull({ reference: 'origin.example/app:v1', signal });
    assert.equal(imageId, image.config.digest);
    assert.equal(honest.count('GET', new RegExp(image.layers[0]?.digest ?? '-')), 1);
  });

  const FAILS: readonly {
    name: string;
    break: (registry: FaultRegistry, layer: RegExp, digest: string) => void;
    code: string;
    message: (host: string, layer: string) => string | RegExp;
  }[] = [
    {
      name: 'a digest that stays wrong',
      break: (registry, layer) =>
        registry.fault('GET', layer, { kind: 'body', bytes: Buffer.alloc(BASE.length, 'x') }, FOREVER),
      code: 'DIGEST_MISMATCH',
      message: (host, layer) =>
        new RegExp(
          `^rpc error: code = FailedPrecondition desc = failed to pull and unpack image "${host}/app:v1": failed commit on ref "layer-${layer}": unexpected commit digest sha256:[0-9a-f]{64}, expected ${layer}: failed precondition$`,
        ),
    },
    {
      name: 'a length that stays wrong',
      break: (registry, layer) =>
        registry.fault('GET', layer, { kind: 'body', bytes: Buffer.alloc(BASE.length + 10) }, FOREVER),
      code: 'SIZE_MISMATCH',
      message: (host, layer) =>
        `rpc error: code = FailedPrecondition desc = failed to pull and unpack image "${host}/app:v1": failed commit on ref "layer-${layer}": unexpected commit size ${BASE.length + 10}, expected ${BASE.length}: failed precondition`,
    },
    {
      name: 'a body that is always too short',
      break: (registry, layer) =>
        registry.fault('GET', layer, { kind: 'body', bytes: Buffer.alloc(10) }, FOREVER),
      code: 'SIZE_MISMATCH',
      message: (host) =>
        `failed to pull and unpack image "${host}/app:v1": failed to read expected number of bytes: unexpected EOF`,
    },
    {
      name: 'a layer that is not there',
      break: (registry, _layer, digest) => registry.removeBlob('app', digest),
      code: 'NOT_FOUND',
      message: (host, layer) =>
        `rpc error: code = NotFound desc = failed to pull and unpack image "${host}/app:v1": failed to copy: httpReadSeeker: failed open: could not fetch content descriptor ${layer} (${TYPES.layer}) from remote: not found`,
    },
    {
      name: 'a registry that always resets at the same place and serves no ranges',
      break: (registry, layer) => {
        registry.fault('GET', layer, { kind: 'reset', afterBytes: 0 }, FOREVER);
      },
      code: 'UNREACHABLE',
      message: () => /failed to copy: httpReadSeeker: failed open: /,
    },
    {
      name: 'a layer answered 403 with a reason',
      break: (registry, layer) =>
        registry.fault(
          'GET',
          layer,
          { kind: 'status', status: 403, body: '{"errors":[{"code":"DENIED","message":"quarantined"}]}' },
          FOREVER,
        ),
      code: 'DENIED',
      message: (host, layer) =>
        `failed to pull and unpack image "${host}/app:v1": failed to copy: httpReadSeeker: failed open: unexpected status from GET request to http://${host}/v2/app/blobs/${layer}: 403 Forbidden\ndenied: quarantined`,
    },
    {
      name: '503 that stays',
      break: (registry, layer) => registry.fault('GET', layer, { kind: 'status', status: 503 }, FOREVER),
      code: 'SERVER_ERROR',
      message: (host, layer) =>
        `failed to pull and unpack image "${host}/app:v1": failed to copy: httpReadSeeker: failed open: unexpected status from GET request to http://${host}/v2/app/blobs/${layer}: 503 Service Unavailable`,
    },
    {
      name: '429 that asks for an hour',
      break: (registry) =>
        registry.fault(
          'HEAD',
          /manifests/,
          { kind: 'status', status: 429, headers: { 'retry-after': '3600' } },
          FOREVER,
        ),
      code: 'RATE_LIMITED',
      message: (host) =>
        `failed to pull and unpack image "${host}/app:v1": failed to resolve reference "${host}/app:v1": unexpected status from HEAD request to http://${host}/v2/app/manifests/v1: 429 Too Many Requests`,
    },
    {
      name: 'a web page instead of a manifest',
      break: (registry) => {
        const bytes = Buffer.from('<html>Welcome</html>');
        const headers = { 'content-type': 'text/html', 'docker-content-digest': '' };
        registry.fault('HEAD', /manifests/, { kind: 'body', bytes, headers }, FOREVER);
        registry.fault('GET', /manifests/, { kind: 'body', bytes, headers }, FOREVER);
      },
      code: 'BAD_RESPONSE',
      message: (host) =>
        new RegExp(`^failed to pull and unpack image "${host}/app:v1": .*not a valid digest`),
    },
    {
      name: 'a web page without a digest',
      break: (registry) => {
        registry.fault(
          'HEAD',
          /manifests/,
          { kind: 'status', status: 200, headers: { 'content-type': 'text/html' } },
          FOREVER,
        );
        registry.fault(
          'GET',
          /manifests/,
          { kind: 'status', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' },
          FOREVER,
        );
      },
      code: 'NOT_FOUND',
      message: (host) =>
        new RegExp(
          `^rpc error: code = NotFound desc = failed to pull and unpack image "${host}/app:v1": failed to copy: httpReadSeeker: failed open: could not fetch content descriptor sha256:[0-9a-f]{64} \\(text/html\\) from remote: not found$`,
        ),
    },
    {
      name: 'a web page for everything',
      break: (registry) => {
        const page = { kind: 'status', status: 200, headers: { 'content-type': 'text/html' } } as const;
        registry.fault('HEAD', /./, page, FOREVER);
        registry.fault('GET', /./, { ...page, body: '<html>' }, FOREVER);
      },
      code: 'BAD_IMAGE',
      message: (host) =>
        new RegExp(
          `^rpc error: code = NotFound desc = failed to pull and unpack image "${host}/app:v1": failed to unpack image on snapshotter overlayfs: unexpected media type text/html for sha256:[0-9a-f]{64}: not found$`,
        ),
    },
    {
      name: '17.8 a manifest of docker schema 1',
      break: (registry) =>
        registry.fault(
          'HEAD',
          /manifests/,
          {
            kind: 'status',
            status: 200,
            headers: { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' },
          },
          FOREVER,
        ),
      code: 'UNSUPPORTED',
      message: () => /is no longer supported since containerd v2\.1, please rebuild the image as/,
    },
    {
      name: '17.8 a manifest typed text/plain',
      break: (registry) =>
        registry.fault(
          'HEAD',
          /manifests/,
          { kind: 'status', status: 200, headers: { 'content-type': 'text/plain' } },
          FOREVER,
        ),
      code: 'UNSUPPORTED',
      message: () => /is no longer supported since containerd v2\.1/,
    },
    {
      name: '17.6 a manifest that is too large',
      break: (registry) =>
        registry.fault(
          'HEAD',
          /manifests/,
          {
            kind: 'status',
            status: 200,
            headers: {
              'content-length': '4393217',
              'docker-content-digest': `sha256:${'0'.repeat(64)}`,
              'content-type': TYPES.manifest,
            },
          },
          FOREVER,
        ),
      code: 'TOO_LARGE',
      message: (host) =>
        `rpc error: code = NotFound desc = failed to pull and unpack image "${host}/app:v1": failed to resolve reference "${host}/app:v1": rejecting 4393217 byte manifest for ${host}/app:v1: not found`,
    },
    {
      name: '17.7 HEAD answered 403, whose reason only GET tells',
      break: (registry) => {
        registry.fault('HEAD', /manifests/, { kind: 'status', status: 403 }, FOREVER);
        registry.fault(
          'GET',
          /manifests/,
          { kind: 'status', status: 403, body: '{"errors":[{"code":"DENIED","message":"policy"}]}' },
          FOREVER,
        );
      },
      code: 'DENIED',
      message: (host) =>
        `failed to pull and unpack image "${host}/app:v1": failed to resolve reference "${host}/app:v1": unexpected status from GET request to http://${host}/v2/app/manifests/v1: 403 Forbidden\ndenied: policy`,
    },
    {
      name: 'redirects that never end',
      break: (registry, layer) =>
        registry.fault(
          'GET',
          layer,
          { kind: 'status', status: 307, headers: { location: '?again' } },
          FOREVER,
        ),
      code: 'BAD_RESPONSE',
      message: () => /stopped after 10 redirects$/,
    },
    {
      name: 'a redirect to a file of this machine',
      break: (registry, layer) =>
        registry.fault(
          'GET',
          layer,
          { kind: 'status', status: 307, headers: { location: 'file:///etc/passwd' } },
          FOREVER,
        ),
      code: 'BAD_RESPONSE',
      message: () => /redirects to an address that is not http$/,
    },
  ];
  for (const row of FAILS) {
    test(`a pull ends clearly: ${row.name}${how}`, async (t) => {
      const registry = await serve(t);
      const image = registry.putImage('app', 'v1', LAYERS);
      const digest = image.layers[0]?.digest ?? '';
      const node = await pullNode(t, { unpacks });
      row.break(registry, new RegExp(`blobs/${digest}`), digest);
      await assert.rejects(pull(node, registry), (error: unknown) => {
        assert.ok(error instanceof PullError, String(error));
        const wanted = row.message(registry.host, digest);
        if (typeof wanted === 'string') assert.equal(error.message, wanted);
        else assert.match(error.message, wanted);
        assert.equal(error.code, row.code);
        return true;
      });
      await assertNothingVisible(node);
    });
  }

  test(`a pull that stalls is given up and says so${how}`, async (t) => {
    const registry = await serve(t);
    const image = registry.putImage('app', 'v1', LAYERS);
    const node = await pullNode(t, { unpacks, bodySilenceMs: 50 });
    registry.fault(
      'GET',
      new RegExp(`blobs/${image.layers[0]?.digest}`),
      { kind: 'stall', afterBytes: 0 },
      FOREVER,
    );
    await assert.rejects(pull(node, registry), { code: 'TIMEOUT' });
    await assertNothingVisible(node);
  });

  test(`a stall in mid-body is taken up by range${how}`, async (t) => {
    const registry = await serve(t);
    const image = registry.putImage('app', 'v1', LAYERS);
    const node = await pullNode(t, { unpacks, bodySilenceMs: 50 });
    registry.fault('GET', new RegExp(`blobs/${image.layers[0]?.digest}`), {
      kind: 'stall',
      afterBytes: 60_000,
    });
    assert.equal((await pull(node, registry)).imageId, image.config.digest);
  });

  test(`a pull that is aborted stops at once and keeps what arrived for the next${how}`, async (t) => {
    const registry = await serve(t);
    // Larger than what stands between the socket and the disk when layers are unpacked in another thread.
    const image = registry.putImage('app', 'v1', [layerOf('large', 3_000_000)]);
    const node = await pullNode(t, { unpacks });
    const path = new RegExp(`blobs/${image.layers[0]?.digest}`);
    registry.fault('GET', path, { kind: 'stall', afterBytes: 2_500_000 });
    const stop = new AbortController();
    const pulling = node.puller.pull({
      reference: `${registry.host}/app:v1`,
      signal: stop.signal,
    });
    const ended = assert.rejects(pulling, { code: 'CANCELED', description: /: context canceled$/ });
    // What is kept counts, not what was sent: nobody tells of it, so it is looked at.
    const isKept = async (): Promise<boolean> =>
      (await node.content.ingests()).some(({ ref, offset }) => ref === image.layers[0]?.digest && offset > 0);
    while (!(await isKept())) await setImmediate();
    stop.abort();
    await ended;
    await assertNothingVisible(node);
    registry.requests.length = 0;
    const again = await pull(node, registry);
    assert.equal(again.imageId, image.config.digest);
    assert.match(
      registry.requests.find((each) => path.test(each.path))?.headers.range ?? '',
      /^bytes=[1-9]\d*-$/,
    );
  });
}

test('a child manifest that is missing is reported as containerd does', async (t) => {
  const registry = await serve(t);
  const image = registry.putImage('app', undefined, LAYERS);
  registry.putIndex('app', 'v1', [image.manifest]);
  registry.removeManifest('app', image.manifest.digest);
  const node = await pullNode(t);
  await assert.rejects(pull(node, registry), {
    code: 'NOT_FOUND',
    description: `failed to pull and unpack image "${registry.host}/app:v1": failed to copy: httpReadSeeker: failed open: content at ${registry.origin}/v2/app/manifests/${image.manifest.digest} not found: not found`,
  });
  await assertNothingVisible(node);
});

test('a layer whose diff ID is not what the config says is refused', async (t) => {
  const registry = await serve(t);
  const liar = { ...layerOf('base', 10_000), diffId: `sha256:${'1'.repeat(64)}` };
  registry.putImage('app', 'v1', [liar]);
  const node = await pullNode(t, { unpacks: true });
  await assert.rejects(pull(node, registry), {
    code: 'UNPACK',
    description: `failed to pull and unpack image "${registry.host}/app:v1": wrong diff id calculated on extraction "${liar.diffId}"`,
  });
  await assertNothingVisible(node);
  assert.equal(registry.count('GET', /blobs/), 3, 'the config, and the layer twice');
});

test('truncated gzip is refused', async (t) => {
  const registry = await serve(t);
  const whole = layerOf('base', 50_000);
  registry.putImage('app', 'v1', [{ ...whole, bytes: whole.bytes.subarray(0, -2_000) }]);
  const node = await pullNode(t, { unpacks: true });
  await assert.rejects(pull(node, registry), {
    code: 'UNPACK',
    description:
      /: failed to extract layer \(application\/vnd\.oci\.image\.layer\.v1\.tar\+gzip sha256:[0-9a-f]{64}\) to overlayfs: /,
  });
  await assertNothingVisible(node);
});

test('as many layers as diff IDs, or nothing', async (t) => {
  const registry = await serve(t);
  const image = registry.putImage('app', undefined, LAYERS);
  registry.putManifest(
    'app',
    'v1',
    { schemaVersion: 2, mediaType: TYPES.manifest, config: image.config, layers: image.layers.slice(1) },
    TYPES.manifest,
  );
  const node = await pullNode(t);
  await assert.rejects(pull(node, registry), {
    code: 'BAD_IMAGE',
    description: /: number of layers and diffIDs don't match: 1 != 2$/,
  });
});

test('no credential crosses a redirect to another host', async (t) => {
  const registry = await serve(t, { auth: { kind: 'basic', users: { u: 'hunter2' } } });
  const storage = await serve(t);
  const image = registry.putImage('app', 'v1', LAYERS);
  storage.putImage('app', 'v1', LAYERS);
  for (const layer of image.layers) {
    const location = `${storage.origin}/v2/app/blobs/${layer.digest}?X-Amz-Signature=s3cret`;
    registry.fault(
      'GET',
      new RegExp(layer.digest),
      { kind: 'status', status: 307, headers: { location } },
      FOREVER,
    );
  }
  const node = await pullNode(t);
  const { flightId } = await node.puller.pull({
    reference: `${registry.host}/app:v1`,
    credentials: async () => ({ name: 'n', username: 'u', password: 'hunter2' }),
    signal,
  });
  assert.equal(storage.count('GET', /blobs/), 2);
  for (const { headers } of storage.requests) assert.equal(headers.authorization, undefined);
  assert.doesNotMatch(JSON.stringify(await node.records.read(flightId)), /s3cret|hunter2/);
});

function hostOf(registry: FaultRegistry): RegistryHost {
  return {
    host: registry.host,
    scheme: 'http',
    path: '/v2',
    capabilities: new Set<HostCapability>(['pull', 'resolve', 'push', 'referrers']),
    ca: [],
    clientCertificates: [],
    skipVerify: false,
    headers: {},
    mirror: true,
  };
}
