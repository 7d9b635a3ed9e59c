import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ManualClock } from '../../base/manual-clock.ts';
import type { Image } from '../../pull/image-service.ts';
import { imageFilesystemStats, measureFilesystem } from './image-filesystem.ts';
import { GC_PERIOD } from './gc-period.ts';
import { formatSize, ImageGarbageCollector, type ImageGcOptions } from './image-gc.ts';
import { bytesToFree, planImageGc, usagePercent } from './image-gc-plan.ts';
import { imageGcPolicy, type ImageGcPolicy } from './image-gc-policy.ts';
import { ImageTracker } from './image-tracker.ts';
import { MemoryRuntime } from './_manager-fixture.ts';
import { DEFAULT_IMAGE_SETTINGS } from './settings.ts';

const NEVER = new AbortController().signal;
const MINUTE = 60_000;
const POLICY: ImageGcPolicy = {
  highThresholdPercent: 85,
  lowThresholdPercent: 80,
  minAge: 2 * MINUTE,
  maxAge: 0,
};

function image(id: string, size = 10, extra: Partial<Image> = {}): Image {
  return { id, repoTags: [`r.example/${id}:1`], repoDigests: [], size, pinned: false, ...extra };
}

interface Bench {
  readonly clock: ManualClock;
  readonly runtime: MemoryRuntime;
  readonly events: string[];
  readonly removed: string[];
  readonly pruned: string[][];
  readonly inUse: Set<string>;
  readonly gc: ImageGarbageCollector;
  space: { capacity: number; available: number };
}

function bench(
  policy: Partial<ImageGcPolicy>,
  images: readonly Image[],
  options: Partial<ImageGcOptions> = {},
): Bench {
  const clock = new ManualClock(1_000_000_000);
  const runtime = new MemoryRuntime();
  for (const one of images) runtime.images.set(one.repoTags[0] ?? one.id, one);
  const b: Bench = {
    clock,
    runtime,
    events: [],
    removed: [],
    pruned: [],
    inUse: new Set(),
    space: { capacity: 1000, available: 1000 },
    gc: new ImageGarbageCollector({
      imageService: runtime,
      policy: { ...POLICY, ...policy },
      imagesInUse: () => Promise.resolve(b.inUse),
      space: () => Promise.resolve(b.space),
      clock,
      recorder: {
        event: (object, type, reason, message) =>
          b.events.push(`${object.kind} ${type} ${reason} ${message}`),
      },
      node: { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'n1' },
      afterSpacePass: (present) => {
        b.pruned.push([...present].sort());
        return Promise.resolve();
      },
      onRemoved: (gone, reason) => b.removed.push(`${gone.id} ${reason}`),
      ...options,
    }),
  };
  return b;
}

test('11.2 11.3 11.5 images are dated by their first detection, and last use by the last one in use', () => {
  const tracker = new ImageTracker();
  tracker.detect([image('a'), image('b')], new Set(['b']), 100);
  const [a, b] = tracker.detect([image('a'), image('b')], new Set(), 200);
  assert.deepEqual([a?.firstDetected, a?.lastUsed, b?.firstDetected, b?.lastUsed], [100, 0, 100, 100]);
  tracker.detect([image('b')], new Set(['b']), 300);
  const [again] = tracker.detect([image('a')], new Set(), 400);
  assert.equal(again?.firstDetected, 400, 'an image that was away starts anew');
});

test('F2 11.4 11.7 3.39 images in use and pinned ones are no candidates; the rest goes by last use, then by detection', async () => {
  const b = bench({ minAge: 0 }, [
    image('new'),
    image('old'),
    image('used'),
    image('pinned', 10, { pinned: true }),
    image('volume'),
  ]);
  b.inUse.add('new');
  await b.gc.detect(NEVER);
  await b.clock.advance(MINUTE);
  b.inUse.clear();
  for (const id of ['used', 'volume']) b.inUse.add(id);
  await b.gc.detect(NEVER);
  await b.clock.advance(MINUTE);
  b.space = { capacity: 1000, available: 0 };
  await assert.rejects(b.gc.collect(NEVER), { code: 'NOT_ENOUGH' });
  assert.deepEqual(b.removed, ['old space', 'new space']);
});

test('11.1 each run looks first, and so does whoever asks in between', async () => {
  const b = bench({}, [image('a')]);
  let looks = 0;
  b.runtime.listImages = () => {
    looks++;
    return Promise.resolve([]);
  };
  await b.gc.detect(NEVER);
  await b.gc.collect(NEVER);
  assert.equal(looks, 2);
  assert.equal(GC_PERIOD, 5 * MINUTE);
});

test('11.6 nothing happens with a high threshold of 100 and no maximum age', async () => {
  const b = bench({ highThresholdPercent: 100 }, [image('a')]);
  b.space = { capacity: 0, available: 0 };
  await b.gc.collect(NEVER);
  assert.deepEqual([b.removed, b.events], [[], []]);
});

test('F2 11.8 images unused for longer than the maximum age go, whatever the disk, once the node is up for as long', async () => {
  const b = bench({ maxAge: 10 * MINUTE, minAge: 60 * MINUTE }, [image('never'), image('used')]);
  b.inUse.add('used');
  await b.gc.detect(NEVER);
  await b.clock.advance(10 * MINUTE);
  await b.gc.collect(NEVER);
  assert.deepEqual(b.removed, []);
  await b.clock.advance(1);
  await b.gc.collect(NEVER);
  assert.deepEqual(b.removed, ['never age']);
  b.inUse.clear();
  await b.clock.advance(10 * MINUTE);
  await b.gc.collect(NEVER);
  assert.deepEqual(b.removed, ['never age']);
  await b.clock.advance(1);
  await b.gc.collect(NEVER);
  assert.deepEqual(b.removed, ['never age', 'used age']);
});

test('11.8 an old image that cannot be removed ends the run before the space pass', async () => {
  const b = bench({ maxAge: 3 * MINUTE }, [image('a'), image('b')]);
  b.runtime.removeImage = () => Promise.reject(new Error('busy'));
  await b.clock.advance(4 * MINUTE);
  b.space = { capacity: 0, available: 0 };
  await assert.rejects(b.gc.collect(NEVER), {
    message: 'wanted to free images older than 3m0s, encountered errors in image deletion: busy',
  });
  assert.deepEqual(b.events, []);
});

test('11.9 use and what to free are computed in whole numbers', () => {
  const space = (capacity: number, available: number): { capacity: number; available: number } => ({
    capacity,
    available,
  });
  assert.equal(usagePercent(space(1000, 155)), 85);
  assert.equal(usagePercent(space(1000, 160)), 84);
  assert.equal(usagePercent(space(1000, 159)), 85);
  assert.equal(usagePercent(space(1000, 5000)), 0);
  assert.equal(bytesToFree(space(1000, 160), POLICY), 0);
  assert.equal(bytesToFree(space(1000, 100), POLICY), 100);
  assert.equal(bytesToFree(space(2 ** 52, 0), POLICY), Number((2n ** 52n * 20n) / 100n));
});

test('F2 11.10 images go until enough is freed; those too young or just used stay', async () => {
  const b = bench({}, [image('a', 60), image('b', 60), image('c', 60)]);
  b.space = { capacity: 1000, available: 100 };
  await assert.rejects(b.gc.collect(NEVER), { code: 'NOT_ENOUGH' });
  assert.deepEqual(b.removed, [], 'all are younger than two minutes');
  await b.clock.advance(2 * MINUTE);
  await b.gc.collect(NEVER);
  assert.deepEqual(b.removed, ['a space', 'b space']);
});

test('11.10 a failed removal is passed over and told at the end', async () => {
  const b = bench({ minAge: 0 }, [image('a', 100), image('b', 100)]);
  const { removeImage } = b.runtime;
  b.runtime.removeImage = (spec) =>
    spec.image === 'a' ? Promise.reject(new Error('busy')) : removeImage.call(b.runtime, spec);
  b.space = { capacity: 1000, available: 100 };
  await b.clock.advance(1);
  await assert.rejects(b.gc.collect(NEVER), {
    message: 'wanted to free 100 bytes, but freed 100 bytes space with errors in image deletion: busy',
  });
  assert.deepEqual(b.removed, ['b space']);
  assert.deepEqual(b.pruned, []);
});

test('11.11 too little freed is an event on the Node and an error', async () => {
  const b = bench({ minAge: 0 }, [image('a', 5)]);
  b.space = { capacity: 3 * 1024 ** 3, available: 0 };
  const text =
    "Insufficient free disk space on the node's image filesystem (100% of 3.0 GiB used). Failed to free sufficient space by deleting unused images (freed 5 bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.";
  await b.clock.advance(1);
  await assert.rejects(b.gc.collect(NEVER), { message: text });
  assert.deepEqual(b.events, [`Node Warning FreeDiskSpaceFailed ${text}`]);
  assert.deepEqual([1023, 1024, 1536, 5 * 1024 ** 2, 2 * 1024 ** 4, 3 * 1024 ** 5].map(formatSize), [
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '5.0 MiB',
    '2.0 TiB',
    '3072.0 TiB',
  ]);
});

test('11.12 a file system without capacity is an event and an error', async () => {
  const b = bench({}, []);
  b.space = { capacity: 0, available: 0 };
  await assert.rejects(b.gc.collect(NEVER), {
    code: 'NO_CAPACITY',
    message: 'invalid capacity 0 on image filesystem',
  });
  assert.deepEqual(b.events, ['Node Warning InvalidDiskCapacity invalid capacity 0 on image filesystem']);
});

test('11.13 3.36 after a space pass the hook gets all images that are left, those in use and pinned too', async () => {
  const b = bench({ minAge: 0, maxAge: MINUTE }, [
    image('a'),
    image('used'),
    image('pinned', 1, { pinned: true }),
    image('spare'),
  ]);
  b.inUse.add('used');
  b.inUse.add('spare');
  await b.gc.collect(NEVER);
  assert.deepEqual(b.pruned, [], 'no space pass, no hook');
  b.inUse.delete('spare');
  await b.clock.advance(1);
  b.space = { capacity: 100, available: 10 };
  await b.gc.collect(NEVER);
  assert.deepEqual(b.removed, ['a space']);
  assert.deepEqual(b.pruned, [['pinned', 'spare', 'used']]);
});

test('11.14 the first failure is only logged, the second in a row becomes an event', async () => {
  const logged: string[] = [];
  const b = bench({}, [], { log: (message) => logged.push(message) });
  b.space = { capacity: 0, available: 0 };
  const stop = new AbortController();
  const running = b.gc.run(stop.signal);
  const failures = (): string[] => b.events.filter((event) => event.includes('ImageGCFailed'));
  await b.clock.advance(GC_PERIOD);
  await b.clock.advance(0);
  assert.deepEqual([logged.length, failures().length], [1, 0]);
  await b.clock.advance(GC_PERIOD);
  await b.clock.advance(0);
  assert.deepEqual(failures(), ['Node Warning ImageGCFailed invalid capacity 0 on image filesystem']);
  b.space = { capacity: 10, available: 10 };
  await b.clock.advance(GC_PERIOD);
  await b.clock.advance(0);
  b.space = { capacity: 0, available: 0 };
  await b.clock.advance(GC_PERIOD);
  await b.clock.advance(0);
  assert.equal(failures().length, 1, 'a success in between starts the count anew');
  stop.abort();
  await running;
});

test('11.15 an image without ID is told and passed over', async () => {
  const b = bench({ minAge: 0 }, [image('', 1, { repoTags: ['x:1'] })]);
  b.space = { capacity: 100, available: 15 };
  await b.clock.advance(1);
  await b.gc.deleteUnused(NEVER);
  assert.deepEqual(b.events, ['Node Warning InvalidImageID ImageID is not valid, skipping, image: x:1']);
});

test('11.16 a policy that contradicts itself is refused', () => {
  const make = (high: number, low: number): ImageGcPolicy =>
    imageGcPolicy({
      ...DEFAULT_IMAGE_SETTINGS,
      imageGcHighThresholdPercent: high,
      imageGcLowThresholdPercent: low,
    });
  assert.deepEqual(make(85, 85).lowThresholdPercent, 85);
  assert.throws(() => make(101, 1), {
    message: 'invalid HighThresholdPercent 101, must be in range [0-100]',
  });
  assert.throws(() => make(80, -1), { message: 'invalid LowThresholdPercent -1, must be in range [0-100]' });
  assert.throws(() => make(80, 81), {
    message: 'LowThresholdPercent 81 can not be higher than HighThresholdPercent 80',
  });
});

test('11.17 11.18 eviction removes all unused images that are old enough, by ID', async () => {
  const b = bench({ minAge: MINUTE }, [image('a'), image('b')]);
  const asked: string[] = [];
  const { removeImage } = b.runtime;
  b.runtime.removeImage = (spec) => {
    asked.push(spec.image);
    return removeImage.call(b.runtime, spec);
  };
  await b.gc.deleteUnused(NEVER);
  assert.deepEqual(asked, []);
  await b.clock.advance(MINUTE);
  b.inUse.add('b');
  await b.gc.deleteUnused(NEVER);
  assert.deepEqual(asked, ['a']);
  assert.deepEqual(b.pruned.at(-1), ['b']);
});

test('a forecast of the next run says what goes, in order, when, and why the rest stays', async () => {
  const b = bench({ minAge: 4 * MINUTE }, [
    image('a', 60),
    image('b', 60),
    image('used'),
    image('pinned', 1, { pinned: true }),
  ]);
  b.inUse.add('used');
  await b.gc.detect(NEVER);
  await b.clock.advance(2 * MINUTE);
  b.runtime.images.set('young', image('young', 60));
  b.space = { capacity: 1000, available: 100 };
  const told = async (): Promise<string[]> =>
    (await b.gc.forecast(new Map([['used', ['default/p/a']]]), NEVER)).images.map(
      (each) => `${each.id}: ${each.reason ?? each.why}${each.usedBy.map((user) => ` by ${user}`).join('')}`,
    );
  assert.deepEqual(await told(), [
    'a: space',
    'b: space',
    'used: is in use by default/p/a',
    'pinned: is pinned',
    'young: enough is freed without it',
  ]);
  b.space = { capacity: 1000, available: 20 };
  assert.deepEqual((await told()).at(-1), 'young: is younger than the minimum age');
  b.space = { capacity: 1000, available: 900 };
  assert.deepEqual((await told())[0], 'used: is in use by default/p/a');
  const { nextRunAt, space } = await b.gc.forecast(new Map(), NEVER);
  assert.equal(nextRunAt, b.clock.now() - 2 * MINUTE + GC_PERIOD);
  assert.equal(space.usedPercent, 10);
  assert.deepEqual(b.removed, []);
  const tracked = new ImageTracker().detect([image('a')], new Set(), 0);
  const aged = planImageGc({
    images: tracked,
    policy: { ...POLICY, maxAge: 5 },
    space: { capacity: 1, available: 1 },
    now: 10,
    uptime: 6,
  });
  assert.deepEqual(
    aged.map((v) => (v.remove ? v.reason : v.why)),
    ['age'],
  );
});

test('11.8 a forecast says when age takes an image that nobody uses until then', async () => {
  const b = bench({ maxAge: 12 * MINUTE, highThresholdPercent: 100 }, [image('idle'), image('used')]);
  b.inUse.add('used');
  const begun = b.clock.now();
  await b.clock.advance(MINUTE);
  const at = async (): Promise<(number | undefined)[]> =>
    (await b.gc.forecast(new Map(), NEVER)).images.map((each) =>
      each.at === undefined ? undefined : (each.at - begun) / MINUTE,
    );
  // Runs are at 5, 10 and 15 minutes; what is in use has no such time.
  assert.deepEqual(await at(), [undefined, 15]);
  b.inUse.delete('used');
  // Last seen in use a minute after the start: a run at 13 minutes sharp would still leave it.
  assert.deepEqual(await at(), [15, 15]);
});

test('11.32 the first image file system counts, measured by this node; none is an error', async () => {
  const runtime = new MemoryRuntime();
  await assert.rejects(imageFilesystemStats(runtime, NEVER), {
    message: 'imageFs information is unavailable',
  });
  const usage = (
    mountpoint: string,
  ): { mountpoint: string; timestamp: bigint; usedBytes: number; inodesUsed: number } => ({
    mountpoint,
    timestamp: 0n,
    usedBytes: 0,
    inodesUsed: 0,
  });
  const measured: string[] = [];
  const stats = { capacity: 2, available: 1, inodes: 4, inodesFree: 3 };
  const service = Object.assign(new MemoryRuntime(), {
    imageFsInfo: () =>
      Promise.resolve({ imageFilesystems: [usage('/first'), usage('/second')], containerFilesystems: [] }),
  });
  assert.deepEqual(
    await imageFilesystemStats(service, NEVER, (path) => {
      measured.push(path);
      return Promise.resolve(stats);
    }),
    stats,
  );
  assert.deepEqual(measured, ['/first']);
  const here = await measureFilesystem('/');
  assert.ok(here.capacity > 0 && here.available <= here.capacity && here.inodesFree <= here.inodes);
});
