import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { collect } from '../../src/images/collect.ts';
import { FaultRegistry, sha256, TYPES, type Fault } from '../support/fault-registry.ts';
import { layerOf, pullNode, type PullNode } from '../support/pull-node.ts';
import { tarOf } from '../support/tar-of.ts';
import { PullError } from '../../src/pull/pull-error.ts';

/*
 * Every status and every kind of wrong answer, at every kind of request that a pull makes, once and for ever: each ends in success by
 * another try or in one coded error, after a bounded number of requests, with nothing half visible. Each in both modes: fetching only,
 * and unpacking while the bytes arrive. `src/pull/faults.test.ts` says which error it is to be where that matters.
 */

const FOREVER = Number.POSITIVE_INFINITY;
const LAYERS = [layerOf('base', 60_000), layerOf('top', 3_000)];
/** Requests that one pull may make at the most, whatever happens: a registry in trouble must not be hammered. */
const MAX_REQUESTS = 60;

/** All that registries and what stands before them are known to say; `PULL_FAULTS=all` tries each. */
const STATUSES =
  process.env['PULL_FAULTS'] === 'all'
    ? [
        ...rangeOf(201, 208),
        ...rangeOf(300, 308),
        ...rangeOf(400, 431),
        451,
        499,
        ...rangeOf(500, 511),
        520,
        524,
        529,
        530,
        598,
        599,
      ]
    : [204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 408, 410, 416, 418, 429, 451, 500, 502, 503, 599];

interface Place {
  readonly name: string;
  readonly method: string;
  path(image: ReturnType<FaultRegistry['putImage']>): RegExp;
}

const PLACES: readonly Place[] = [
  { name: 'HEAD of the tag', method: 'HEAD', path: () => /manifests\/v1$/ },
  { name: 'GET of the index', method: 'GET', path: () => /manifests\// },
  {
    name: 'GET of the manifest',
    method: 'GET',
    path: ({ manifest }) => new RegExp(`manifests/${manifest.digest}`),
  },
  { name: 'GET of the config', method: 'GET', path: ({ config }) => new RegExp(`blobs/${config.digest}`) },
  { name: 'GET of a layer', method: 'GET', path: ({ layers }) => new RegExp(`blobs/${layers[0]?.digest}`) },
];

const PAGE = Buffer.from(`<html>${'welcome '.repeat(40)}</html>`);
const html = { 'content-type': 'text/html' };

const ANSWERS: readonly { readonly name: string; readonly fault: Fault }[] = [
  ...STATUSES.map((status) => ({ name: `${status}`, fault: { kind: 'status', status } as const })),
  ...['1', '0', '-5', 'soon', new Date(Date.now() + 2_000).toUTCString(), '99999999999'].map((wait) => ({
    name: `429 with Retry-After ${/GMT/.test(wait) ? 'as a date' : wait}`,
    fault: { kind: 'status', status: 429, headers: { 'retry-after': wait } } as const,
  })),
  { name: '503 with a page', fault: { kind: 'status', status: 503, headers: html, body: PAGE.toString() } },
  {
    name: '401 without a challenge',
    fault: { kind: 'status', status: 401, headers: { 'www-authenticate': 'Negotiate' } },
  },
  { name: '302 without a target', fault: { kind: 'status', status: 302 } },
  { name: '307 in a circle', fault: { kind: 'status', status: 307, headers: { location: '?round' } } },
  {
    name: '307 to nowhere',
    fault: { kind: 'status', status: 307, headers: { location: 'http://127.0.0.1:1/x' } },
  },
  {
    name: '307 to another scheme',
    fault: { kind: 'status', status: 307, headers: { location: 'gopher://127.0.0.1/x' } },
  },
  { name: 'a page in its place', fault: { kind: 'body', bytes: PAGE, headers: html } },
  { name: 'nothing in its place', fault: { kind: 'body', bytes: Buffer.alloc(0) } },
  { name: 'twice as much', fault: { kind: 'body', bytes: Buffer.alloc(130_000, 'x') } },
  {
    name: 'no headers worth the name',
    fault: { kind: 'without', headers: ['content-type', 'docker-content-digest', 'etag'] },
  },
  { name: 'a reset after a few bytes', fault: { kind: 'reset', afterBytes: 10 } },
  { name: 'a reset at once', fault: { kind: 'reset', afterBytes: 0 } },
  { name: 'a body that ends early', fault: { kind: 'short', bytes: 20 } },
  { name: 'no answer', fault: { kind: 'hangUp' } },
  { name: 'a trickle', fault: { kind: 'trickle', pieceBytes: 700 } },
];

/** Pulls, and asserts that all of it is there or nothing. Returns what it ended with. */
async function wholeOrNothing(
  node: PullNode,
  registry: FaultRegistry,
  imageId?: string,
  name = 'app:v1',
): Promise<string> {
  registry.requests.length = 0;
  let outcome = 'pulled';
  try {
    await node.puller.pull({ reference: `${registry.host}/${name}`, signal: AbortSignal.timeout(30_000) });
  } catch (error) {
    assert.ok(error instanceof PullError, String(error));
    assert.notEqual(error.code, 'CANCELED', error.message);
    assert.match(error.description, /^failed to pull and unpack image "127/);
    outcome = error.code;
  }
  assert.ok(registry.requests.length <= MAX_REQUESTS, `${registry.requests.length} requests`);
  const images = await node.images.list();
  const found = images.filter(({ id }) => imageId === undefined || id === imageId);
  assert.equal(found.length, outcome === 'pulled' ? 1 : 0);
  if (images.length === 0) assert.deepEqual([...(await node.images.roots())], []);
  return outcome;
}

/** Everything that is visible is what its name says. */
async function assertSound({ content, images, layerStore }: PullNode): Promise<void> {
  const stores = { content, images, ...(layerStore === undefined ? {} : { layers: layerStore }) };
  for (const { name, damaged } of await collect(stores, { verify: true }, new AbortController().signal))
    assert.deepEqual(damaged ?? [], [], name);
}

for (const unpacks of [false, true]) {
  const how = unpacks ? ' (unpacking)' : '';

  for (const place of PLACES) {
    test(`whatever is answered to ${place.name}, a pull is whole or nothing${how}`, async (t) => {
      const registry = await FaultRegistry.start();
      t.after(() => registry.close());
      const node = await pullNode(t, { unpacks, bodySilenceMs: 1_000 });
      const outcomes: Record<string, string> = {};
      for (const [index, { name, fault }] of ANSWERS.entries()) {
        // An image of its own: what is held of one must not help the next.
        const layers = [layerOf(`base-${index}`, 60_000), layerOf(`top-${index}`, 3_000)];
        const image = registry.putImage(`app${index}`, undefined, layers);
        registry.putIndex(`app${index}`, 'v1', [image.manifest]);
        const pull = (): Promise<string> =>
          wholeOrNothing(node, registry, image.config.digest, `app${index}:v1`);
        const path = place.path(image);
        registry.fault(place.method, path, fault, FOREVER);
        outcomes[name] = await pull();
        registry.clearFaults();
        if (outcomes[name] === 'pulled') continue;
        registry.fault(place.method, path, fault);
        const once = await pull();
        registry.clearFaults();
        if (once !== 'pulled') assert.equal(await pull(), 'pulled', `${name}: the pull after it`);
      }
      // Refusals are no success; only to HEAD they may be, where GET says otherwise (rule 17.7).
      for (const status of place.method === 'HEAD' ? ['429', '503'] : ['403', '429', '500', '503'])
        assert.notEqual(outcomes[status], 'pulled', `${status} for ever`);
      assert.equal(outcomes['a trickle'], 'pulled');
      await assertSound(node);
    });
  }

  const CONFUSED: readonly {
    name: string;
    put: (registry: FaultRegistry) => void;
    codes: readonly string[];
  }[] = [
    {
      name: 'a layer that is the config',
      put: (registry) => {
        const [base] = LAYERS;
        const image = registry.putImage('app', undefined, base === undefined ? [] : [base]);
        const layers = [{ ...image.config, mediaType: TYPES.layer }];
        registry.putManifest('app', 'v1', manifestOf(image.config, layers), TYPES.manifest);
      },
      codes: unpacks ? ['UNPACK'] : ['pulled'],
    },
    {
      name: 'a config that is a layer',
      put: (registry) => {
        const image = registry.putImage('app', undefined, LAYERS);
        const config = { ...(image.layers[0] ?? image.config), mediaType: TYPES.config };
        registry.putManifest('app', 'v1', manifestOf(config, image.layers), TYPES.manifest);
      },
      codes: ['BAD_IMAGE'],
    },
    {
      name: 'a config that is the manifest of another image',
      put: (registry) => {
        const image = registry.putImage('app', undefined, LAYERS);
        const bytes = registry.manifest('app', image.manifest.digest)?.bytes ?? Buffer.alloc(0);
        const config = registry.putBlob('app', bytes, TYPES.config);
        registry.putManifest('app', 'v1', manifestOf(config, image.layers), TYPES.manifest);
      },
      codes: ['BAD_IMAGE', 'NO_MATCHING_PLATFORM'],
    },
    {
      name: 'an index that lists itself by a wrong digest',
      put: (registry) => {
        const platform = { os: 'linux', architecture: 'amd64' };
        const child = { mediaType: TYPES.index, digest: sha256('itself'), size: 300, platform };
        registry.putManifest('app', 'v1', { schemaVersion: 2, manifests: [child] }, TYPES.index);
      },
      codes: ['NOT_FOUND', 'NO_MATCHING_PLATFORM'],
    },
    {
      name: 'one layer twice',
      put: (registry) => {
        const [, top = layerOf('top')] = LAYERS;
        registry.putImage('app', 'v1', [top, top]);
      },
      codes: ['pulled'],
    },
    {
      name: 'a manifest and an index in one document',
      put: (registry) => {
        const image = registry.putImage('app', undefined, LAYERS);
        const document = { ...manifestOf(image.config, image.layers), manifests: [image.manifest] };
        registry.putManifest('app', 'v1', document, TYPES.manifest);
      },
      codes: ['BAD_IMAGE'],
    },
  ];
  for (const { name, put, codes } of CONFUSED) {
    test(`digest confusion: ${name}${how}`, async (t) => {
      const registry = await FaultRegistry.start();
      t.after(() => registry.close());
      put(registry);
      const outcome = await wholeOrNothing(await pullNode(t, { unpacks }), registry);
      assert.ok(codes.includes(outcome), outcome);
    });
  }

  const LARGE: readonly { name: string; bytes: number; chunked: boolean; code: string }[] = [
    { name: '17.6 MiB with its length', bytes: 18_454_938, chunked: false, code: 'TOO_LARGE' },
    { name: '17.6 MiB of no stated length', bytes: 18_454_938, chunked: true, code: 'TOO_LARGE' },
    {
      name: 'between what is fetched and what is parsed',
      bytes: 4_300_000,
      chunked: false,
      code: 'BAD_IMAGE',
    },
    { name: 'just what is parsed', bytes: 4 * 1024 * 1024, chunked: false, code: 'pulled' },
  ];
  for (const { name, bytes, chunked, code } of LARGE) {
    test(`17.6 a manifest of ${name}${how}`, async (t) => {
      const registry = await FaultRegistry.start();
      t.after(() => registry.close());
      const image = registry.putImage('app', undefined, LAYERS);
      const text = JSON.stringify(manifestOf(image.config, image.layers));
      const document = Buffer.from(text.padEnd(bytes, ' '));
      registry.putManifest('app', 'v1', document, TYPES.manifest);
      if (chunked) {
        registry.fault('HEAD', /manifests/, { kind: 'status', status: 405 }, FOREVER);
        registry.fault('GET', /manifests/, { kind: 'short', bytes }, FOREVER);
      }
      assert.equal(await wholeOrNothing(await pullNode(t, { unpacks }), registry), code);
    });
  }
}

function rangeOf(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function manifestOf(config: object, layers: readonly object[]): object {
  return { schemaVersion: 2, mediaType: TYPES.manifest, config, layers };
}

/** Layers that are meant to hurt whoever unpacks them, compressed. */
const HOSTILE: readonly { name: string; bytes: () => Buffer; message: RegExp }[] = [
  {
    name: 'two gigabytes in two megabytes',
    bytes: () => {
      const member = gzipSync(Buffer.alloc(64 * 1024 * 1024), { level: 9 });
      return Buffer.concat(Array.from({ length: 32 }, () => member));
    },
    message: /expanded to more than \d+, the limit is 250 times/,
  },
  {
    name: 'a header of a million records',
    bytes: () => {
      const records = '10 a=bcde\n'.repeat(1_000_000);
      return gzipSync(Buffer.concat([extensionHeader(records.length), Buffer.from(records)]));
    },
    message: /extension header has 10000000 bytes, the limit is 1048576/,
  },
  {
    name: 'a name of a megabyte',
    bytes: () => gzipSync(tarOf({ path: 'x/'.repeat(400_000), content: '' })),
    message: /a path is longer than 4096 bytes/,
  },
];
for (const { name, bytes, message } of HOSTILE) {
  test(`a pull refuses ${name} and leaves nothing of it`, async (t) => {
    const registry = await FaultRegistry.start();
    t.after(() => registry.close());
    registry.putImage('app', 'v1', [{ bytes: bytes(), diffId: sha256('never reached') }]);
    const node = await pullNode(t, { unpacks: true });
    await assert.rejects(
      node.puller.pull({ reference: `${registry.host}/app:v1`, signal: AbortSignal.timeout(60_000) }),
      { code: 'UNPACK', description: message },
    );
    assert.deepEqual(await node.images.list(), []);
    assert.deepEqual([...(await node.images.roots())], []);
  });
}

/** The header of a pax extension of so many bytes. */
function extensionHeader(size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write('pax');
  block.write(
    `0000644\0${'0000000\0'.repeat(2)}${size.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0`,
    100,
  );
  block.fill(' ', 148, 156);
  block.write('x', 156);
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
