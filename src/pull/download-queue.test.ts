import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../oci/digest.ts';
import { DownloadQueue, type PullWait } from './download-queue.ts';

const never = new AbortController().signal;

/** Downloads that go on until they are told to end. */
function downloads(queue: DownloadQueue) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const waits = new Map<string, PullWait[]>();
  const begin = (name: string, registry: string, signal: AbortSignal = never): Promise<void> =>
    queue.run(
      {
        layer: { image: `${registry}/${name}`, digest: digestOf(name) },
        registry,
        tell: (wait) => waits.set(name, [...(waits.get(name) ?? []), wait]),
      },
      () => {
        started.push(name);
        return new Promise((resolve) => ends.set(name, resolve));
      },
      signal,
    );
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { started, waits, begin, end };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('17.2 no more downloads go on than the node allows, in the order they came', async () => {
  const { started, waits, begin, end } = downloads(new DownloadQueue({ parallelDownloads: 2 }));
  const all = ['a', 'b', 'c', 'd'].map((name) => begin(name, 'one'));
  await settled();
  assert.deepEqual(started, ['a', 'b']);
  assert.deepEqual(waits.get('d')?.at(-1), {
    for: 'node',
    limit: 2,
    ahead: 1,
    behind: [
      { image: 'one/a', digest: digestOf('a') },
      { image: 'one/b', digest: digestOf('b') },
    ],
  });
  await end('b');
  assert.deepEqual(started, ['a', 'b', 'c']);
  assert.equal(waits.get('d')?.at(-1)?.ahead, 0);
  for (const name of ['a', 'c', 'd']) await end(name);
  await Promise.all(all);
  assert.equal(waits.has('a'), false);
});

test('a busy registry holds up nobody who wants another one', async () => {
  const queue = new DownloadQueue({ parallelDownloads: 3, parallelDownloadsPerRegistry: 1 });
  const { started, waits, begin, end } = downloads(queue);
  const all = [begin('a', 'slow'), begin('b', 'slow'), begin('c', 'slow'), begin('d', 'other')];
  await settled();
  assert.deepEqual(started, ['a', 'd']);
  const { for: reason, limit, ahead, behind } = waits.get('c')?.at(-1) ?? {};
  assert.deepEqual([reason, limit, ahead, behind?.map(({ image }) => image)], ['registry', 1, 1, ['slow/a']]);
  await end('a');
  assert.deepEqual(started, ['a', 'd', 'b']);
  for (const name of ['b', 'c', 'd']) await end(name);
  await Promise.all(all);
});

test('who leaves the queue gives way to those behind, and a failure gives its place back', async () => {
  const queue = new DownloadQueue({ parallelDownloads: 1 });
  const { started, begin, end } = downloads(queue);
  const leaving = new AbortController();
  const first = begin('a', 'one');
  const second = begin('b', 'one', leaving.signal);
  const third = begin('c', 'one');
  leaving.abort(new Error('gone'));
  await assert.rejects(second, /gone/);
  await end('a');
  assert.deepEqual(started, ['a', 'c']);
  await end('c');
  await Promise.all([first, third]);
  const wanted = { layer: { image: 'x', digest: digestOf('x') }, registry: 'one', tell: () => {} };
  await assert.rejects(
    queue.run(wanted, () => Promise.reject(new Error('broken')), never),
    /broken/,
  );
  assert.equal(await queue.run(wanted, () => Promise.resolve('free'), never), 'free');
  assert.throws(() => new DownloadQueue({ parallelDownloads: 0 }), RangeError);
});
