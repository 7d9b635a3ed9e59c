import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirectoryFlush } from './_directory-flush.ts';

/** Flushes that end when the test says so. */
function heldFlushes(): { flush: DirectoryFlush; running: ((error?: Error) => void)[] } {
  const running: ((error?: Error) => void)[] = [];
  const flush = new DirectoryFlush('/somewhere', () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    running.push((error) => (error === undefined ? resolve() : reject(error)));
    return promise;
  });
  return { flush, running };
}

test('all who ask while a flush runs wait for one more, and no longer', async () => {
  const { flush, running } = heldFlushes();
  const first = flush.flush();
  const others = Array.from({ length: 50 }, () => flush.flush());
  assert.equal(running.length, 1, 'one flush at a time');
  running[0]?.();
  await first;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(running.length, 2, 'the others share the second');
  running[1]?.();
  await Promise.all(others);
  const last = flush.flush();
  assert.equal(running.length, 3, 'who asks afterwards gets a flush of its own');
  running[2]?.();
  await last;
});

test('a flush that fails is told to those who waited for it, and not to the next', async () => {
  const { flush, running } = heldFlushes();
  const first = flush.flush();
  const second = flush.flush();
  running[0]?.(new Error('disk is gone'));
  await assert.rejects(first, /disk is gone/);
  await new Promise((resolve) => setImmediate(resolve));
  running[1]?.();
  await second;
});
