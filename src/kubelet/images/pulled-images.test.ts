import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../base/manual-clock.ts';
import type { Image } from '../../pull/image-service.ts';
import { encodeIntent, encodeRecord } from './pull-record-codec.ts';
import { intentCacheSize, PullRecordCache, recordCacheSize } from './pull-record-cache.ts';
import { PullRecordFiles, recordFileName } from './pull-record-files.ts';
import { NO_CREDENTIALS, type RecordedCredentials } from './pull-record.ts';
import { PulledImages, type PulledImagesOptions } from './pulled-images.ts';
import { StripedLock, stripesFor } from './striped-lock.ts';
import type { PodCredentials } from './verification-decision.ts';
import { asOrdinaryUser } from '../../../test/support/ordinary-user.ts';

const roots: string[] = [];
afterEach(async () => {
  for (const root of roots.splice(0)) await rm(root, { recursive: true, force: true });
});

async function newRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'drayage-records-'));
  roots.push(root);
  return root;
}

interface Opened {
  readonly images: PulledImages;
  readonly reports: string[];
  readonly clock: ManualClock;
}

async function openAt(root: string, options: Partial<PulledImagesOptions> = {}): Promise<Opened> {
  const reports: string[] = [];
  const clock = new ManualClock(Date.parse('2026-01-02T03:04:05Z'));
  const images = await PulledImages.open({
    root,
    policy: 'NeverVerifyPreloadedImages',
    allowlist: [],
    maxPods: 110,
    maxParallelImagePulls: undefined,
    clock,
    report: (message) => reports.push(message),
    ...options,
  });
  return { images, reports, clock };
}

const pulledDir = (root: string): string => join(root, 'image_manager', 'pulled');
const pullingDir = (root: string): string => join(root, 'image_manager', 'pulling');
const NODE: RecordedCredentials = { ...NO_CREDENTIALS, nodePodsAccessible: true };
const NOBODY: PodCredentials = { secrets: [], serviceAccount: undefined };
const nobody = (): Promise<PodCredentials> => Promise.resolve(NOBODY);

async function must(images: PulledImages, image: string, imageRef: string): Promise<boolean> {
  return (await images.mustPull(image, imageRef, nobody)).result.pull;
}

test('3.24 directories are 0700, files 0600, named by the digest of their key, without temporaries left', async () => {
  const root = await newRoot();
  const { images } = await openAt(root);
  await images.recordIntent('busybox');
  await images.recordIntent('other');
  await images.recordPulled(
    'busybox',
    'sha256:8b8dfc5ab5a6e2ddfbbe20b689d3ab936125c6676281bde14062cee9f8240e3d',
    NODE,
  );
  assert.equal((await stat(pulledDir(root))).mode & 0o777, 0o700);
  assert.equal((await stat(pullingDir(root))).mode & 0o777, 0o700);
  // The name that Kubernetes 1.36.2 gave the record of this image.
  const name = 'sha256-71b1ce365f760f10d2c27bfe1ee6f44d246655fdd909e6c90a6a6e8c75900d95';
  assert.deepEqual(await readdir(pulledDir(root)), [name]);
  assert.equal((await stat(join(pulledDir(root), name))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(pullingDir(root)), [recordFileName('other')]);
});

test('3.27 a record that would not change is not written', async () => {
  const root = await newRoot();
  const { images, clock } = await openAt(root);
  await images.recordPulled('a', 'sha256:1', NODE);
  const path = join(pulledDir(root), recordFileName('sha256:1'));
  const before = await stat(path);
  await clock.advance(60_000);
  await images.recordPulled('a', 'sha256:1', NODE);
  assert.equal((await stat(path)).ino, before.ino);
  assert.match(await readFile(path, 'utf8'), /"lastUpdatedTime":"2026-01-02T03:04:05Z"/);
});

test('3.12 3.28 a record that cannot be read means pulling, and is replaced by the next pull', async () => {
  const root = await newRoot();
  await mkdir(pulledDir(root), { recursive: true });
  await writeFile(join(pulledDir(root), recordFileName('sha256:1')), '{"broken"');
  const { images, reports } = await openAt(root);
  assert.equal(await must(images, 'a', 'sha256:1'), true);
  await images.recordPulled('a', 'sha256:1', NODE);
  assert.equal(await must(images, 'a', 'sha256:1'), false);
  assert.ok(reports.length > 0);
});

test('3.29 a record about another image counts as absent', async () => {
  const root = await newRoot();
  await mkdir(pulledDir(root), { recursive: true });
  const record = {
    imageRef: 'sha256:2',
    lastUpdatedTime: '2025-01-01T00:00:00Z',
    credentialMapping: new Map(),
  };
  await writeFile(join(pulledDir(root), recordFileName('sha256:1')), encodeRecord(record));
  const files = await PullRecordFiles.open(root, () => assert.fail());
  assert.equal(await files.readRecord('sha256:1'), undefined);
});

test('3.30 files of the older version are rewritten under their name, broken ones are told and left', async () => {
  const root = await newRoot();
  await mkdir(pulledDir(root), { recursive: true });
  await mkdir(pullingDir(root), { recursive: true });
  const old = encodeIntent('a').replace('v1beta1', 'v1alpha1');
  await writeFile(join(pullingDir(root), recordFileName('a')), old);
  await writeFile(join(pullingDir(root), recordFileName('b')), 'broken');
  const { reports } = await openAt(root);
  assert.equal(await readFile(join(pullingDir(root), recordFileName('a')), 'utf8'), encodeIntent('a'));
  assert.equal(await readFile(join(pullingDir(root), recordFileName('b')), 'utf8'), 'broken');
  assert.equal(reports.length, 1);
});

test('3.31 listing skips folders, other names and temporary files', async () => {
  const root = await newRoot();
  const files = await PullRecordFiles.open(root, () => assert.fail());
  await files.writeIntent('a');
  await mkdir(join(pullingDir(root), recordFileName('b')));
  await writeFile(join(pullingDir(root), 'README'), 'x');
  await writeFile(join(pullingDir(root), `${recordFileName('c')}.tmp`), encodeIntent('c'));
  assert.deepEqual(await files.listIntents(), { values: ['a'], errors: [] });
});

test('3.32 intents are counted: the file goes with the last of them', async () => {
  const root = await newRoot();
  const { images } = await openAt(root);
  for (let i = 0; i < 3; i++) await images.recordIntent('a');
  await images.recordFailed('a');
  await images.recordPulled('a', 'sha256:1', NODE);
  assert.equal((await readdir(pullingDir(root))).length, 1);
  await images.recordFailed('a');
  assert.equal((await readdir(pullingDir(root))).length, 0);
});

test('3.32 a record that cannot be written leaves the intent behind', async () => {
  await asOrdinaryUser(async () => {
    const root = await newRoot();
    const { images, reports } = await openAt(root);
    await images.recordIntent('a');
    await chmod(pulledDir(root), 0o500);
    await images.recordPulled('a', 'sha256:1', NODE);
    await chmod(pulledDir(root), 0o700);
    assert.deepEqual(await readdir(pullingDir(root)), [recordFileName('a')]);
    assert.equal(reports.length, 1);
  });
});

test('3.32 a record for a name that cannot be written leaves the intent behind', async () => {
  const root = await newRoot();
  const { images, reports } = await openAt(root);
  // As root too: the record's place is taken by a folder.
  await mkdir(join(pulledDir(root), recordFileName('sha256:1')));
  await images.recordIntent('a');
  await images.recordPulled('a', 'sha256:1', NODE);
  assert.deepEqual(await readdir(pullingDir(root)), [recordFileName('a')]);
  assert.ok(reports.some((report) => report.includes('cannot write the pull record')));
});

test('3.9 an intent that cannot be written fails the request in the kubelet’s words', async () => {
  const root = await newRoot();
  const { images } = await openAt(root);
  await mkdir(join(pullingDir(root), recordFileName('a')));
  await assert.rejects(images.recordIntent('a'), /^PullRecordError: failed to record image pull intent: /);
});

function image(id: string, repoTags: string[], repoDigests: string[] = []): Image {
  return { id, repoTags, repoDigests, size: 1, pinned: false };
}

test('3.33 after a restart an intent becomes a record without credentials when the very same name is there', async () => {
  const root = await newRoot();
  const first = await openAt(root);
  for (const name of ['r.example/a:1', `r.example/b@sha256:${'0'.repeat(64)}`, 'busybox'])
    await first.images.recordIntent(name);
  const { images } = await openAt(root);
  assert.equal(await must(images, 'r.example/a:1', 'sha256:1'), true, 'the intent alone forbids free use');
  await images.reconcile([
    image('sha256:1', ['r.example/a:1'], [`r.example/b@sha256:${'0'.repeat(64)}`]),
    image('sha256:2', ['docker.io/library/busybox:latest']),
  ]);
  assert.deepEqual(await readdir(pullingDir(root)), [recordFileName('busybox')]);
  const text = await readFile(join(pulledDir(root), recordFileName('sha256:1')), 'utf8');
  assert.doesNotMatch(text, /credentialMapping/);
  assert.equal(await must(images, 'r.example/a:1', 'sha256:1'), true);
  assert.equal(await must(images, 'preloaded:1', 'sha256:3'), false);
});

test('3.34 caches have the sizes of the kubelet', () => {
  const size = (maxPods: number, maxParallelImagePulls?: number): [number, number] => [
    intentCacheSize({ maxPods, maxParallelImagePulls }),
    recordCacheSize({ maxPods, maxParallelImagePulls }),
  ];
  assert.deepEqual(size(110), [220, 550]);
  assert.deepEqual(size(10, 100), [200, 50]);
  assert.deepEqual(size(5000), [1024, 2000]);
});

test('3.34 a miss in memory is the last word only while nothing was ever lost', async () => {
  const root = await newRoot();
  const files = await PullRecordFiles.open(root, () => assert.fail());
  const cache = await PullRecordCache.load(files, { maxPods: 1, maxParallelImagePulls: undefined });
  assert.deepEqual(cache.authoritative, { intents: true, records: true });
  await files.writeIntent('behind its back');
  assert.equal(await cache.hasIntent('behind its back'), false);
  for (const name of ['a', 'b']) await cache.writeIntent(name);
  assert.deepEqual(cache.usage.intents, 100);
  await cache.writeIntent('c');
  assert.equal(cache.authoritative.intents, false);
  assert.equal(await cache.hasIntent('a'), true);
  assert.equal(await cache.hasIntent('behind its back'), true);
  const full = await PullRecordCache.load(files, { maxPods: 1, maxParallelImagePulls: undefined });
  assert.equal(full.authoritative.intents, false);
  await writeFile(join(pulledDir(root), recordFileName('x')), 'broken');
  const broken = await PullRecordCache.load(files, { maxPods: 110, maxParallelImagePulls: undefined });
  assert.deepEqual(broken.authoritative, { intents: true, records: false });
});

test('3.35 lock stripes follow the parallel pulls, between 1 and 31, and more pulls than stripes are fine', async () => {
  assert.deepEqual(
    [undefined, 0, 1, 7, 31, 32, 500].map((n) => stripesFor(n)),
    [1, 1, 1, 7, 31, 31, 31],
  );
  const lock = new StripedLock(stripesFor(500));
  let running = 0;
  await Promise.all(
    Array.from({ length: 100 }, () =>
      lock.run('one key', async () => {
        assert.equal(++running, 1);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      }),
    ),
  );
  const { images } = await openAt(await newRoot(), { maxParallelImagePulls: 64 });
  await Promise.all(Array.from({ length: 64 }, (_, i) => images.recordIntent(`image-${i}`)));
});

test('3.35 the whole lock excludes every key', async () => {
  const lock = new StripedLock(5);
  let inside = 0;
  const alone = lock.runAlone(async () => {
    inside++;
    await new Promise((resolve) => setImmediate(resolve));
    inside--;
  });
  await Promise.all([
    alone,
    ...['a', 'b', 'c'].map((key) => lock.run(key, async () => assert.equal(inside, 0))),
  ]);
});

test('3.36 records of images that are there survive clean-up, in use or pinned or not; the rest goes unless it is newer', async () => {
  const root = await newRoot();
  const { images, clock } = await openAt(root);
  for (const ref of ['in-use', 'gone']) await images.recordPulled('a', ref, NODE);
  await clock.advance(60_000);
  const startedAt = clock.now();
  await clock.advance(1000);
  await images.recordPulled('a', 'new', NODE);
  await images.prune(new Set(['in-use']), startedAt);
  const left = (await readdir(pulledDir(root))).sort();
  assert.deepEqual(left, ['in-use', 'new'].map(recordFileName).sort());
  assert.equal(await must(images, 'a', 'gone'), false, 'without a record it counts as preloaded');
});

test('temporary files of a process that died are removed', async () => {
  const root = await newRoot();
  await openAt(root);
  await writeFile(join(pullingDir(root), `${recordFileName('a')}.tmp`), 'half');
  await openAt(root);
  assert.deepEqual(await readdir(pullingDir(root)), []);
});

test('files and cache use are counted for the metrics', async () => {
  const { images } = await openAt(await newRoot(), { maxPods: 10 });
  await images.recordIntent('a');
  await images.recordIntent('b');
  await images.recordPulled('b', 'sha256:1', NODE);
  assert.deepEqual(await images.statistics(), { intents: 1, records: 1, usage: { intents: 5, records: 2 } });
});
