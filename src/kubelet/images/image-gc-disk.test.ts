import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ManualClock } from '../../base/manual-clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { imageFilesystemStats } from './image-filesystem.ts';
import { ImageGarbageCollector } from './image-gc.ts';
import { usagePercent } from './image-gc-plan.ts';
import { MemoryRuntime } from './_manager-fixture.ts';

/* Clean-up on a file system of 32 MiB of its own, made of a file, mounted and really filled. Needs root and loop devices. */

const run = promisify(execFile);
const MIB = 1024 * 1024;
const NEVER = new AbortController().signal;

let base = '';
let disk = '';
let unavailable: string | undefined;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'drayage-disk-'));
  disk = join(base, 'disk');
  await mkdir(disk);
  try {
    const file = await open(join(base, 'image'), 'w');
    await file.truncate(32 * MIB);
    await file.close();
    await run('mke2fs', ['-q', '-F', '-m', '0', join(base, 'image')]);
    await run('mount', ['-o', 'loop', join(base, 'image'), disk]);
  } catch (error) {
    unavailable = `no file system can be mounted here: ${messageOf(error)}`;
  }
});

after(async () => {
  if (unavailable === undefined) await run('umount', [disk]);
  await rm(base, { recursive: true, force: true });
});

/** A runtime whose images are files on the disk. */
class DiskRuntime extends MemoryRuntime {
  async add(id: string, size: number): Promise<void> {
    await writeFile(join(disk, id), Buffer.alloc(size, id), { flush: true });
    const actual = (await stat(join(disk, id))).blocks * 512;
    this.images.set(id, {
      id,
      repoTags: [`${id}:1`],
      repoDigests: [],
      size: actual,
      pinned: id === 'pinned',
    });
  }

  override async removeImage(spec: { image: string }): Promise<void> {
    await rm(join(disk, spec.image));
    await super.removeImage(spec);
  }

  override imageFsInfo(): ReturnType<MemoryRuntime['imageFsInfo']> {
    const usage = { mountpoint: disk, timestamp: 0n, usedBytes: 0, inodesUsed: 0 };
    return Promise.resolve({ imageFilesystems: [usage], containerFilesystems: [] }) as never;
  }
}

test('11.9 11.10 11.32 a disk that fills up is brought below the low threshold, sparing what is used and pinned', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable);
  const runtime = new DiskRuntime();
  const clock = new ManualClock(1_000_000);
  const events: string[] = [];
  const gc = new ImageGarbageCollector({
    imageService: runtime,
    policy: { highThresholdPercent: 85, lowThresholdPercent: 70, minAge: 60_000, maxAge: 0 },
    imagesInUse: () => Promise.resolve(new Set(['used'])),
    space: (signal) => imageFilesystemStats(runtime, signal),
    clock,
    recorder: { event: (_object, _type, reason) => events.push(reason) },
    node: { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'n' },
  });
  const percent = async (): Promise<number> => usagePercent(await imageFilesystemStats(runtime, NEVER));
  const files = async (): Promise<string[]> =>
    (await readdir(disk)).filter((name) => name !== 'lost+found').sort();

  for (const id of ['used', 'pinned', 'a', 'b']) {
    await runtime.add(id, 5 * MIB);
    await clock.advance(1000);
    await gc.detect(NEVER);
  }
  await clock.advance(120_000);
  await gc.collect(NEVER);
  assert.deepEqual(await files(), ['a', 'b', 'pinned', 'used'], 'below the high threshold nothing goes');

  await runtime.add('c', 7 * MIB);
  await gc.detect(NEVER);
  assert.ok((await percent()) >= 85, `${await percent()} %`);
  await gc.collect(NEVER);
  assert.deepEqual(await files(), ['c', 'pinned', 'used'], 'the longest known go');
  assert.ok((await percent()) <= 70, `${await percent()} %`);
  assert.deepEqual(events, []);

  await clock.advance(120_000);
  await gc.deleteUnused(NEVER);
  assert.deepEqual(await files(), ['pinned', 'used']);
  return undefined;
});
