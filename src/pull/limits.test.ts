import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../test/support/pull-node.ts';
import { createBandwidth } from '../remote/bandwidth.ts';
import type { PullProgress } from './progress.ts';

const signal = AbortSignal.timeout(120_000);

for (const unpacks of [false, true]) {
  const how = unpacks ? ' (unpacking)' : '';

  test(`all pulls of a node keep to its bandwidth together${how}`, async (t) => {
    const registry = await FaultRegistry.start();
    t.after(() => registry.close());
    registry.putImage('one', 'v1', [layerOf('one', 300_000)]);
    registry.putImage('two', 'v1', [layerOf('two', 300_000)]);
    const clock = new ManualClock(1_000_000);
    const bandwidth = createBandwidth(100_000, clock);
    const node = await pullNode(t, { unpacks, bandwidth });
    let over = false;
    const pulls = Promise.all(
      ['one', 'two'].map((name) => node.puller.pull({ reference: `${registry.host}/${name}:v1`, signal })),
    ).finally(() => (over = true));
    const startedAt = clock.now();
    while (!over) {
      await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(10);
    }
    const pulled = await pulls;
    const bytes = pulled.reduce((sum, each) => sum + each.fetchedBytes, 0);
    assert.ok(bytes > 600_000);
    const seconds = (clock.now() - startedAt) / 1000;
    assert.ok(seconds >= bytes / 100_000 - 0.2, `${bytes} bytes in ${seconds} s`);
  });

  test(`no more layers of one registry travel at a time than allowed, and each says what it waits for${how}`, async (t) => {
    const registry = await FaultRegistry.start();
    t.after(() => registry.close());
    const layers = ['a', 'b', 'c', 'd', 'e'].map((name) => layerOf(name, 60_000));
    registry.putImage('app', 'v1', layers);
    const node = await pullNode(t, { unpacks, parallelDownloads: 4, parallelDownloadsPerRegistry: 2 });
    const phases = new Map<string, string>();
    const waits: PullProgress[] = [];
    let most = 0;
    await node.puller.pull({
      reference: `${registry.host}/app:v1`,
      onProgress: (progress) => {
        if (progress.digest === undefined) return;
        phases.set(progress.digest, progress.phase);
        if (progress.waiting !== undefined) waits.push(progress);
        most = Math.max(most, [...phases.values()].filter((phase) => phase === 'downloading').length);
      },
      signal,
    });
    assert.equal(most, 2);
    assert.ok(waits.length >= 3);
    assert.ok(waits.every(({ phase, waiting }) => phase === 'queued' && waiting?.for === 'registry'));
    assert.deepEqual(node.puller.board.now(), [], 'what is over is not shown');
  });
}

test('two pulls that want one layer: the second says which pull brings it', async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  const shared = layerOf('shared', 200_000);
  const { layers } = registry.putImage('one', 'v1', [shared]);
  registry.putImage('two', 'v1', [shared]);
  const node = await pullNode(t);
  const path = new RegExp(`one/blobs/${layers[0]?.digest}`);
  registry.fault('GET', path, { kind: 'trickle', pieceBytes: 20_000 });
  const asked = registry.nextRequest('GET', path);
  const first = node.puller.pull({ reference: `${registry.host}/one:v1`, signal });
  await asked;
  const seen: PullProgress[] = [];
  await node.puller.pull({
    reference: `${registry.host}/two:v1`,
    onProgress: (progress) => seen.push(progress),
    signal,
  });
  await first;
  const waiting = seen.find(({ phase }) => phase === 'shared')?.waiting;
  assert.deepEqual(waiting, {
    for: 'layer',
    behind: [{ image: `${registry.host}/one:v1`, digest: layers[0]?.digest }],
  });
});

test('the board tells who looks where everything is, then each change, and the end of a pull that fails', async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  const image = registry.putImage('app', 'v1', [layerOf('base', 100_000)]);
  const node = await pullNode(t);
  registry.removeBlob('app', image.layers[0]?.digest ?? '');
  const seen: PullProgress[] = [];
  const leave = node.puller.board.watch((progress) => seen.push(progress));
  await assert.rejects(node.puller.pull({ reference: `${registry.host}/app:v1`, signal }));
  leave();
  assert.deepEqual(
    seen.filter(({ kind }) => kind === 'image').map(({ phase }) => phase),
    ['resolving', 'downloading', 'failed'],
  );
  assert.deepEqual(node.puller.board.now(), []);
});
