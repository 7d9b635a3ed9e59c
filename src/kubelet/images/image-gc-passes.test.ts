import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import type { Image } from '../../pull/image-service.ts';
import { MemoryRuntime } from './_manager-fixture.ts';
import { ImageGarbageCollector } from './image-gc.ts';

const NEVER = new AbortController().signal;
const image = (id: string): Image => ({
  id,
  repoTags: [`r.example/${id}:1`],
  repoDigests: [],
  size: 10,
  pinned: false,
});

for (const { pass, policy, available } of [
  { pass: 'age', policy: { highThresholdPercent: 100, maxAge: 1000 }, available: 1000 },
  { pass: 'space', policy: { highThresholdPercent: 85, maxAge: 0 }, available: 0 },
]) {
  test(`11.8 11.10 the removals of the pass by ${pass} are made as one, and space is given back after them`, async () => {
    const clock = new ManualClock(1_000_000);
    const runtime = new MemoryRuntime();
    for (const id of ['a', 'b', 'c']) runtime.images.set(`r.example/${id}:1`, image(id));
    const story: string[] = [];
    const gc = new ImageGarbageCollector({
      imageService: runtime,
      policy: { lowThresholdPercent: 80, minAge: 0, ...policy },
      imagesInUse: () => Promise.resolve(new Set()),
      space: () => Promise.resolve({ capacity: 1000, available }),
      clock,
      recorder: { event: () => undefined },
      node: { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'n1' },
      removingMany: async (removals) => {
        story.push('begin');
        try {
          return await removals();
        } finally {
          story.push('end');
        }
      },
      onRemoved: ({ id }) => story.push(id),
      reclaim: () => {
        story.push('reclaim');
        return Promise.resolve();
      },
    });
    await gc.detect(NEVER);
    await clock.advance(10_000);
    // What was freed is not enough for the second: that is told, and not what this is about.
    await gc.collect(NEVER).catch(() => undefined);
    assert.deepEqual(story, ['begin', 'a', 'b', 'c', 'end', 'reclaim']);
  });
}

for (const { used, removes } of [
  { used: 84, removes: false },
  { used: 85, removes: true },
]) {
  test(`11.9 11.10 at ${used} per cent of a threshold of 85 images ${removes ? 'go' : 'stay'}`, async () => {
    const clock = new ManualClock(1_000_000);
    const runtime = new MemoryRuntime();
    runtime.images.set('r.example/a:1', { ...image('a'), size: 50 });
    const gc = new ImageGarbageCollector({
      imageService: runtime,
      policy: { highThresholdPercent: 85, lowThresholdPercent: 80, minAge: 0, maxAge: 0 },
      imagesInUse: () => Promise.resolve(new Set()),
      space: () => Promise.resolve({ capacity: 1000, available: 1000 - used * 10 }),
      clock,
      recorder: { event: () => undefined },
      node: { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'n1' },
    });
    await gc.detect(NEVER);
    await clock.advance(10_000);
    await gc.collect(NEVER);
    assert.equal(runtime.images.size, removes ? 0 : 1);
  });
}
