import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import {
  FaultRegistry,
  type FaultRegistryOptions,
  type TestImage,
} from '../../test/support/fault-registry.ts';
import { layerOf, pullNode, type PullNode } from '../../test/support/pull-node.ts';
import type { HostResolver } from '../remote/host-config.ts';
import { createHostResolver } from '../remote/hosts/create-host-resolver.ts';
import type { PullMetrics } from './pull-metrics.ts';

const signal = AbortSignal.timeout(60_000);
const BASE = layerOf('base', 20_000);
const MIDDLE = layerOf('middle', 60_000);
const TOP = layerOf('top', 5_000);
const OTHER_TOP = layerOf('other top', 7_000);

interface Sized {
  readonly size: number;
}

/** Adds up what a puller tells. */
class Tally implements PullMetrics {
  readonly counts = new Map<string, number>();
  readonly phases: string[] = [];
  began = 0;

  pullBegan(): void {
    this.began++;
  }

  pullEnded(end: Parameters<PullMetrics['pullEnded']>[0]): void {
    this.#add(end.result === 'failed' ? `failed ${end.code}` : end.result, 1);
  }

  requested({ purpose, status }: Parameters<PullMetrics['requested']>[0]): void {
    this.#add(`requested ${purpose} ${status}`, 1);
  }

  fetched(kind: string, bytes: number): void {
    this.#add(`fetched ${kind}`, bytes);
  }

  spared(reason: string, bytes: number, requests: number): void {
    this.#add(`saved ${reason}`, bytes);
    if (requests > 0) this.#add(`avoided ${reason}`, requests);
  }

  took(of: string, phase: string, seconds: number): void {
    assert.ok(seconds >= 0 && seconds < 60, `${phase} took ${seconds} s`);
    this.phases.push(`${of} ${phase}`);
  }

  /** Returns everything counted since the last call. */
  taken(): Record<string, number> {
    const taken = Object.fromEntries([...this.counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    this.counts.clear();
    return taken;
  }

  #add(name: string, value: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + value);
  }
}

interface Bench {
  readonly registry: FaultRegistry;
  readonly node: PullNode;
  readonly tally: Tally;
  pull(name: string, request?: object): Promise<unknown>;
}

async function bench(
  t: TestContext,
  options: FaultRegistryOptions & { unpacks?: boolean } = {},
): Promise<Bench> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  const tally = new Tally();
  // In the clear from the start: a greeting in TLS would be counted before the first request.
  const guessed = createHostResolver({ roots: [] });
  const hosts: HostResolver = async (name) =>
    (await guessed(name)).map((host) => ({ ...host, scheme: 'http' }));
  const node = await pullNode(t, { metrics: tally, hosts, unpacks: options.unpacks ?? false });
  const pull = (name: string, request: object = {}): Promise<unknown> =>
    node.puller.pull({ reference: `${registry.host}/${name}`, signal, ...request });
  return { registry, node, tally, pull };
}

const sizeOf = (...parts: readonly Sized[]): number => parts.reduce((sum, { size }) => sum + size, 0);
const blobsOf = (image: TestImage): number => sizeOf(image.config, ...image.layers);

for (const unpacks of [false, true]) {
  const how = unpacks ? ', unpacked while it arrives' : '';
  test(`14.3 14.4 of an image that shares two layers with one that is held, only the rest is fetched${how}`, async (t) => {
    const { registry, tally, pull } = await bench(t, { unpacks });
    const first = registry.putImage('app', '1', [BASE, MIDDLE, TOP]);
    const second = registry.putImage('app', '2', [BASE, MIDDLE, OTHER_TOP]);
    await pull('app:1');
    assert.deepEqual(tally.taken(), {
      'fetched blob': blobsOf(first),
      'fetched manifest': first.manifest.size,
      pulled: 1,
      'requested blob 200': 4,
      'requested manifest 200': 2,
    });
    assert.equal(registry.requests.length, 6);
    await pull('app:2');
    const [base, middle, top] = second.layers as unknown as [Sized, Sized, Sized];
    assert.deepEqual(tally.taken(), {
      'avoided held': 2,
      'fetched blob': sizeOf(second.config, top),
      'fetched manifest': second.manifest.size,
      pulled: 1,
      'requested blob 200': 2,
      'requested manifest 200': 2,
      'saved held': sizeOf(base, middle),
    });
    await pull('app:2');
    assert.deepEqual(tally.taken(), {
      'avoided held': 5,
      pulled: 1,
      'requested manifest 200': 1,
      'saved held': sizeOf(second.manifest) + blobsOf(second),
    });
    assert.equal(registry.requests.length, 6 + 4 + 1);
  });
}

test('14.3 14.4 what another pull under way brings is not fetched twice, and counts as shared', async (t) => {
  const { registry, tally, pull } = await bench(t);
  const one = registry.putImage('one', '1', [MIDDLE]);
  const two = registry.putImage('two', '1', [MIDDLE]);
  const [layer = { digest: '', size: 0 }] = one.layers;
  registry.fault('GET', new RegExp(`one/blobs/${layer.digest}`), { kind: 'trickle', pieceBytes: 10_000 });
  const asked = registry.nextRequest('GET', new RegExp(`one/blobs/${layer.digest}`));
  const first = pull('one:1');
  await asked;
  await pull('two:1');
  await first;
  // The second manifest names the same configuration, which the first has brought.
  assert.equal(two.config.digest, one.config.digest);
  assert.deepEqual(tally.taken(), {
    'avoided held': 2,
    'avoided shared': 1,
    'fetched blob': blobsOf(one),
    'fetched manifest': one.manifest.size,
    pulled: 2,
    'requested blob 200': 2,
    'requested manifest 200': 3,
    'saved held': sizeOf(two.manifest, two.config),
    'saved shared': layer.size,
  });
  assert.equal(tally.phases.filter((phase) => phase === 'layer shared').length, 1);
});

test('14.2 14.3 14.4 a pull that joins another of the same image spares what that one sends and receives', async (t) => {
  const { registry, tally, pull } = await bench(t, { auth: { kind: 'bearer', users: { u: 'p' } } });
  const image = registry.putImage('app', '1', [TOP]);
  const request = {
    credentialKey: 'k',
    credentials: async () => ({ name: 'n', username: 'u', password: 'p' }),
  };
  await Promise.all([pull('app:1', request), pull('app:1', request), pull('app:1', request)]);
  const taken = tally.taken();
  const sent = registry.requests.length;
  assert.equal(taken['joined'], 2);
  assert.equal(taken['pulled'], 1);
  assert.equal(taken['avoided joined'], 2 * sent);
  assert.equal(taken['saved joined'], 2 * (image.manifest.size + blobsOf(image)));
  assert.ok((taken['requested token 200'] ?? 0) >= 1);
  assert.equal(taken['requested manifest 401'], 1);
  const requests = Object.entries(taken).flatMap(([name, count]) =>
    name.startsWith('requested') ? [count] : [],
  );
  assert.equal(
    requests.reduce((sum, count) => sum + count, 0),
    sent,
    'every request on the wire is counted',
  );
});

test('14.3 bytes of a layer that arrived before a pull was ended are saved by the next, and were counted once', async (t) => {
  const { registry, node, tally, pull } = await bench(t);
  const image = registry.putImage('app', '1', [layerOf('large', 3_000_000)]);
  const [layer = { digest: '', size: 0 }] = image.layers;
  registry.fault('GET', new RegExp(layer.digest), { kind: 'stall', afterBytes: 2_500_000 });
  const stop = new AbortController();
  const ended = assert.rejects(pull('app:1', { signal: stop.signal }), { code: 'CANCELED' });
  const kept = async (): Promise<boolean> =>
    (await node.content.ingests()).some(({ ref, offset }) => ref === layer.digest && offset > 0);
  while (!(await kept())) await setImmediate();
  stop.abort();
  await ended;
  const before = tally.taken();
  assert.equal(before['failed CANCELED'], 1);
  await pull('app:1');
  const after = tally.taken();
  const saved = after['saved resumed'] ?? 0;
  assert.ok(saved > 0);
  assert.equal((after['fetched blob'] ?? 0) + saved, layer.size, 'what was kept and the rest are the layer');
  assert.ok((before['fetched blob'] ?? 0) >= saved + image.config.size, 'all of it had arrived');
  assert.equal(after['avoided resumed'], undefined, 'the rest has to be asked for');
});

test('14.3 a layer that an image has twice is needed once', async (t) => {
  const { registry, tally, pull } = await bench(t, { unpacks: true });
  const image = registry.putImage('app', '1', [TOP, TOP]);
  await pull('app:1');
  const taken = tally.taken();
  assert.equal(taken['fetched blob'], sizeOf(image.config, image.layers[0] ?? { size: 0 }));
  assert.deepEqual(
    Object.keys(taken).filter((name) => /saved|avoided/.test(name)),
    [],
  );
});

test('14.2 a pull that fails says why, and so does one of what is no name', async (t) => {
  const { registry, tally, pull } = await bench(t);
  await assert.rejects(pull('nosuch:1'));
  await assert.rejects(pull('UPPER:1'));
  const image = registry.putImage('app', '1', [TOP]);
  registry.removeBlob('app', image.layers[0]?.digest ?? '');
  await assert.rejects(pull('app:1'));
  const taken = tally.taken();
  assert.equal(taken['failed NOT_FOUND'], 2);
  assert.equal(taken['failed INVALID_REFERENCE'], 1);
  assert.equal(taken['requested blob 404'], 1);
  assert.equal(tally.began, 3);
});

test('14.5 the phases of a pull and of its layers are timed when they end well', async (t) => {
  const { registry, tally, pull } = await bench(t, { unpacks: true });
  const image = registry.putImage('app', '1', [BASE, TOP]);
  await pull('app:1');
  const each = ['layer queue', 'layer download', 'layer verify'];
  assert.deepEqual(
    tally.phases.toSorted(),
    ['pull resolve', 'pull manifest', 'pull layers', 'pull commit', ...each, ...each].toSorted(),
  );
  tally.phases.length = 0;
  await pull('app:1');
  assert.deepEqual(
    tally.phases,
    ['pull resolve', 'pull manifest', 'pull layers', 'pull commit'],
    'what is held and unpacked goes through no phase',
  );
  tally.phases.length = 0;
  registry.putImage('app', '2', [OTHER_TOP, TOP]);
  registry.removeBlob('app', image.config.digest);
  registry.fault('GET', /manifests/, { kind: 'status', status: 404 }, 10);
  await assert.rejects(pull('app:2'));
  assert.deepEqual(tally.phases, ['pull resolve']);
});

test('14.5 a layer that is held but not unpacked is timed while it is unpacked', async (t) => {
  const { registry, node, tally, pull } = await bench(t, { unpacks: true });
  const image = registry.putImage('app', '1', [TOP]);
  const plain = await pullNode(t, { root: node.root });
  await plain.puller.pull({ reference: `${registry.host}/app:1`, signal });
  await pull('app:1');
  assert.deepEqual(
    tally.phases.filter((phase) => phase.startsWith('layer')),
    ['layer queue', 'layer unpack'],
  );
  assert.equal(tally.taken()['saved held'], sizeOf(image.manifest) + blobsOf(image));
});
