import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import { layerOf } from '../../test/support/pull-node.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { Pod } from '../kube/pod.ts';
import { parseEvictionThresholds } from '../kubelet/images/eviction-thresholds.ts';
import { imageFilesystemStats, measureFilesystem } from '../kubelet/images/image-filesystem.ts';
import { ImageGarbageCollector } from '../kubelet/images/image-gc.ts';
import { usagePercent } from '../kubelet/images/image-gc-plan.ts';
import { NodeMetrics } from '../kubelet/images/node-metrics.ts';
import { NodePressure } from '../kubelet/node/node-pressure.ts';
import { silentLogger } from '../observe/logger.ts';
import { createSpaceReclaimer, reclaimingImageService } from './node-maintenance.ts';
import { openNodeStores, type NodeStores } from './node-stores.ts';

/* Clean-up with the node's real stores on a file system of 64 MiB that pulls really fill. Needs the right to mount. */

const run = promisify(execFile);
const MIB = 1024 * 1024;
const signal = AbortSignal.timeout(120_000);
const NODE = { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'n' };

let base = '';
let disk = '';
let unavailable: string | undefined;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'drayage-maintenance-'));
  disk = join(base, 'disk');
  await mkdir(disk);
  try {
    await mountSmall(disk);
  } catch (error) {
    unavailable = `no file system can be mounted here: ${messageOf(error)}`;
  }
});

after(async () => {
  if (unavailable === undefined) await run('umount', [disk]);
  await rm(base, { recursive: true, force: true });
});

/** Mounts 64 MiB: a file as a disk where there are loop devices, memory of a fixed size else. */
async function mountSmall(target: string): Promise<void> {
  const image = `${target}.img`;
  try {
    await run('truncate', ['-s', String(64 * MIB), image]);
    await run('mke2fs', ['-q', '-F', '-m', '0', image]);
    await run('mount', ['-o', 'loop', image, target]);
  } catch {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'drayage-test', target]);
  }
}

interface Bench {
  readonly stores: NodeStores;
  readonly registry: FaultRegistry;
  readonly clock: ManualClock;
  pull(name: string, bytes: number): Promise<string>;
}

async function bench(t: TestContext, directory: string): Promise<Bench> {
  const registry = await FaultRegistry.start({});
  const root = join(disk, directory);
  const stores = await openNodeStores({ root, logger: silentLogger, hostRoots: [] });
  t.after(async () => {
    await stores.close();
    await registry.close();
    await rm(root, { recursive: true, force: true });
  });
  return {
    stores,
    registry,
    clock: new ManualClock(1_000_000),
    pull: async (name, bytes) => {
      registry.putImage(`test/${name}`, 'v1', [layerOf(name, bytes)]);
      return await stores.imageService.pullImage(
        { image: `${registry.host}/test/${name}:v1` },
        undefined,
        signal,
      );
    },
  };
}

const available = async (): Promise<number> => {
  const stats = await statfs(disk);
  return stats.bavail * stats.bsize;
};

test('11.9 11.10 clean-up on a full disk gives the space of content and layers back, not only records', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable);
  const { stores, clock, pull } = await bench(t, 'gc');
  const reclaimer = createSpaceReclaimer(stores, silentLogger, signal);
  const metrics = new NodeMetrics();
  let used = '';
  let pruned: ReadonlySet<string> | undefined;
  const gc = new ImageGarbageCollector({
    imageService: stores.imageService,
    policy: { highThresholdPercent: 85, lowThresholdPercent: 65, minAge: 60_000, maxAge: 0 },
    imagesInUse: () => Promise.resolve(new Set([used])),
    space: (each) => imageFilesystemStats(stores.imageService, each),
    clock,
    recorder: { event: () => undefined },
    node: NODE,
    afterSpacePass: (present) => {
      pruned = present;
      return Promise.resolve();
    },
    reclaim: () => reclaimer.reclaim(),
    onRemoved: (_image, reason) => metrics.imageCollected(reason),
  });
  used = await pull('used', 6 * MIB);
  await gc.detect(signal);
  // A pull keeps the layer as it travelled and as it is used: about twice its size.
  for (let count = 0; usagePercent(await measureFilesystem(disk)) < 86; count++) {
    await pull(`image-${count}`, 2 * MIB);
    await gc.detect(signal);
    await clock.advance(1000);
  }
  await clock.advance(120_000);
  const before = usagePercent(await measureFilesystem(disk));
  assert.ok(before >= 85, `the disk is ${before} % full`);
  await gc.collect(signal);
  const afterwards = usagePercent(await measureFilesystem(disk));
  assert.ok(afterwards < before - 20, `${before} % before, ${afterwards} % after`);
  const left = (await stores.imageService.listImages(undefined, signal)).map(({ id }) => id);
  assert.ok(left.includes(used));
  assert.deepEqual([...(pruned ?? [])].sort(), left.sort());
  assert.match(await metrics.text(), /kubelet_image_garbage_collected_total\{reason="space"\} \d+\n/);
  await stores.imageService.imageStatus({ image: used }, signal);
  return undefined;
});

test('11.27 11.28 11.30 pressure on the images’ disk is met by removing images, and a Pod goes only when that is not enough', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable);
  const { stores, clock, pull } = await bench(t, 'eviction');
  const reclaimer = createSpaceReclaimer(stores, silentLogger, signal);
  const service = reclaimingImageService(stores.imageService, reclaimer);
  const events: string[] = [];
  const evicted: { name: string; message: string; grace: number }[] = [];
  const recorder = {
    event: (object: { name: string }, _type: string, reason: string, message: string) =>
      events.push(`${object.name} ${reason} ${message}`),
  };
  let inUse = new Set<string>();
  const gc = new ImageGarbageCollector({
    imageService: service,
    policy: { highThresholdPercent: 100, lowThresholdPercent: 100, minAge: 0, maxAge: 0 },
    imagesInUse: () => Promise.resolve(inUse),
    space: (each) => imageFilesystemStats(service, each),
    clock,
    recorder,
    node: NODE,
  });
  const pod = (name: string, createdAt: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', uid: name, creationTimestamp: createdAt },
    spec: { containers: [{ name: 'a' }] },
  });
  let changes = 0;
  const pressure = new NodePressure({
    thresholds: parseEvictionThresholds({ evictionHard: { 'imagefs.available': '40Mi' } }),
    observe: async () => ({
      observations: new Map([['imagefs.available' as const, await measureFilesystem(disk)]]),
      layout: 'dedicated',
    }),
    removeDeadContainers: () => Promise.resolve(),
    usage: () => Promise.resolve(undefined),
    removeUnusedImages: (each) => gc.deleteUnused(each),
    pods: () => [pod('old', '2026-01-01T00:00:00Z'), pod('new', '2026-01-02T00:00:00Z')],
    evict: (each, message, grace) => evicted.push({ name: each.metadata.name, message, grace }),
    recorder,
    node: NODE,
    clock,
    logger: silentLogger,
    changed: () => changes++,
  });
  await pressure.round(signal);
  assert.equal(pressure.has('DiskPressure'), false);

  await pull('big', 14 * MIB);
  assert.ok((await available()) < 40 * MIB, `${await available()} bytes are available`);
  await clock.advance(10_000);
  await pressure.round(signal);
  assert.equal(pressure.has('DiskPressure'), true);
  assert.deepEqual(events, ['n EvictionThresholdMet Attempting to reclaim ephemeral-storage']);
  assert.ok((await available()) > 40 * MIB, 'the space is really free');
  assert.equal(evicted.length, 0, 'removing images was enough');
  assert.deepEqual(pressure.refusal(pod('later', '2026-01-03T00:00:00Z')), {
    reason: 'Evicted',
    message: 'The node had condition: [DiskPressure]. ',
  });

  inUse = new Set([await pull('needed', 14 * MIB)]);
  await clock.advance(10_000);
  await pressure.round(signal);
  assert.deepEqual(
    evicted.map(({ name, grace }) => [name, grace]),
    [['new', 1]],
    'one Pod a round',
  );
  assert.match(
    evicted[0]?.message ?? '',
    /^The node was low on resource: ephemeral-storage\. Threshold quantity: 40Mi, available: \d+(Ki|Mi)\. $/,
  );

  inUse.clear();
  await clock.advance(10_000);
  await pressure.round(signal);
  await clock.advance(300_000);
  await pressure.round(signal);
  assert.equal(pressure.has('DiskPressure'), false, 'five minutes after it was last seen');
  assert.equal(changes, 2);
  return undefined;
});

test('removals at the same time share one collection that sees them all', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable);
  const { stores, pull } = await bench(t, 'together');
  const service = reclaimingImageService(
    stores.imageService,
    createSpaceReclaimer(stores, silentLogger, signal),
  );
  const ids = [await pull('a', 100_000), await pull('b', 100_000), await pull('c', 100_000)];
  await Promise.all(ids.map((image) => service.removeImage({ image }, signal)));
  const left: string[] = [];
  for await (const { digest } of stores.content.walk()) left.push(digest);
  for await (const { diffId } of stores.layers.walk()) left.push(diffId);
  assert.deepEqual(left, []);
  return undefined;
});
