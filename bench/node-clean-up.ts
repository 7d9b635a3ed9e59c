import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../src/base/manual-clock.ts';
import { openNodeStores } from '../src/daemon/node-stores.ts';
import { ImageGarbageCollector } from '../src/kubelet/images/image-gc.ts';
import { silentLogger } from '../src/observe/logger.ts';
import { putManyImages } from './node-many-images.ts';
import { median, type Row } from './row.ts';

const MANY = 10_000;
const TIMES = 5;
const GO = 50;
const NEVER = new AbortController().signal;

/** A pass of clean-up over the records of many images, as the node keeps them. */
export async function cleanUpRows(): Promise<Row[]> {
  // In memory where there is such a place: putting the images there is not what is measured.
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'drayage-bench-'));
  const stores = await openNodeStores({ root, logger: silentLogger });
  try {
    const sizes = await putManyImages(stores.images, MANY);
    const clock = new ManualClock(Date.now());
    let available = 0;
    const capacity = sizes * 2;
    const collector = new ImageGarbageCollector({
      imageService: stores.imageService,
      policy: { highThresholdPercent: 50, lowThresholdPercent: 50, minAge: 0, maxAge: 0 },
      imagesInUse: () => Promise.resolve(new Set()),
      removingMany: (removals) => stores.images.removingMany(removals),
      space: () => Promise.resolve({ capacity, available }),
      clock,
      recorder: { event: () => undefined },
      node: { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'n' },
    });
    await collector.detect(NEVER);
    const pass = async (free: number): Promise<number> => {
      available = free;
      await clock.advance(300_000);
      const before = performance.now();
      await collector.collect(NEVER);
      return performance.now() - before;
    };
    const idle: number[] = [];
    for (let time = 0; time < TIMES; time++) idle.push(await pass(capacity));
    const each = sizes / MANY;
    const removing = await pass(capacity / 2 - each * GO);
    const left = (await stores.images.list()).length;
    return [
      {
        what: `a pass of clean-up over ${MANY} images that finds nothing to remove`,
        measured: `${median(idle).toFixed(0)} ms`,
        target: '< 1 s',
        met: median(idle) < 1000,
        note: `median of ${TIMES}`,
      },
      {
        what: `a pass that removes ${MANY - left} of ${MANY} images`,
        measured: `${(removing / 1000).toFixed(2)} s`,
        target: '< 1 s',
        met: removing < 1000,
        note: 'each removal is a transaction of its own; the list of names is written once after them',
      },
    ];
  } finally {
    await stores.close();
    rmSync(root, { recursive: true, force: true });
  }
}
