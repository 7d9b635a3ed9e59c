import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { ContentError } from '../content/content-error.ts';
import { openFileStore, type FileStore } from '../content/file-store.ts';
import { digestOf } from '../oci/digest.ts';
import { GatheredWrites, gatherStream } from './_gathered-writes.ts';
import { SmallFirstIngest, WHOLE_BYTES } from './_small-first-ingest.ts';

/** Each run writes and flushes a file: more than so many say nothing new and take minutes. */
const RUNS = Math.min(1_000, Number(process.env['FUZZ_RUNS'] ?? 100));

async function openStore(t: TestContext): Promise<FileStore> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-gathered-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return openFileStore(directory);
}

test('chunks of any sizes arrive whole and in order, in a file or in memory first', async (t) => {
  const store = await openStore(t);
  const sizes = fc.array(fc.oneof(fc.nat(100), fc.nat(3 * WHOLE_BYTES)), { maxLength: 12 });
  const chosen = fc.asyncProperty(sizes, fc.boolean(), async (lengths, small) => {
    const chunks = lengths.map((length, index) => Buffer.alloc(length, index));
    const whole = Buffer.concat(chunks);
    const ingest = small ? new SmallFirstIngest(store, 'ref', {}) : await store.openIngest('ref');
    const writes = new GatheredWrites(ingest);
    for (const chunk of chunks) await writes.add(chunk);
    await writes.flush();
    assert.equal(ingest.offset, whole.length);
    const { digest, size } = await ingest.commit({ digest: digestOf(whole), size: whole.length });
    await ingest.close();
    assert.deepEqual([digest, size], [digestOf(whole), whole.length]);
    assert.equal((await store.stat(digest)).size, whole.length);
    assert.deepEqual(await store.ingests(), []);
  });
  await fc.assert(chosen, { numRuns: RUNS });
});

test('a write that fails is told to whoever adds or flushes next', async (t) => {
  const store = await openStore(t);
  const ingest = await store.openIngest('ref');
  ingest.writeAll = () => Promise.reject(new ContentError('NO_SPACE', 'Cannot write: the disk is full'));
  const writes = new GatheredWrites(ingest);
  await writes.add(Buffer.from('a'));
  await assert.rejects(writes.flush(), /the disk is full/);
  await ingest.abort();
});

test('a stream is written whole, also one that is faster than the disk', async (t) => {
  const store = await openStore(t);
  const ingest = await store.openIngest('ref');
  const content = Buffer.alloc(5 * 1024 * 1024, 'drayage');
  const chunks = Array.from({ length: 80 }, (_, i) => content.subarray(i * 65_536, (i + 1) * 65_536));
  const totals: number[] = [];
  const writes = new GatheredWrites(ingest, async (total) => void totals.push(total));
  await gatherStream(Readable.from(chunks, { objectMode: false }), writes);
  await writes.flush();
  assert.equal((await ingest.commit({})).digest, digestOf(content));
  assert.equal(totals.at(-1), content.length);
  assert.ok(totals.length < chunks.length, `${totals.length} writes`);
});

test('a stream that ends early is told of, and what came before is written', async (t) => {
  const store = await openStore(t);
  const ingest = await store.openIngest('ref');
  const stream = new PassThrough();
  const writes = new GatheredWrites(ingest);
  const gathering = gatherStream(stream, writes);
  stream.write('begun');
  setImmediate(() => stream.destroy());
  await assert.rejects(gathering, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
  await writes.flush();
  assert.equal(ingest.offset, 5);
  await ingest.abort();
});

test('a stream whose bytes may not be written is left alive and none of them are', async (t) => {
  const store = await openStore(t);
  const ingest = await store.openIngest('ref');
  const stream = new PassThrough();
  const writes = new GatheredWrites(ingest, () => Promise.reject(new Error('no room')));
  const gathering = gatherStream(stream, writes);
  for (let i = 0; i < 64; i++) stream.write(Buffer.alloc(65_536));
  await assert.rejects(gathering, /no room/);
  await assert.rejects(writes.flush(), /no room/);
  assert.deepEqual([stream.destroyed, stream.listenerCount('data'), ingest.offset], [false, 0, 0]);
  await ingest.abort();
});

test('few bytes make no ingest, and are told of only once they would outlive the process', async (t) => {
  const store = await openStore(t);
  const ingest = new SmallFirstIngest(store, 'ref', {});
  await ingest.write(Buffer.from('few'));
  assert.deepEqual([ingest.offset, ingest.keptBytes], [3, 0]);
  assert.equal(await store.hasIngest('ref'), false);
  await ingest.write(Buffer.alloc(WHOLE_BYTES));
  assert.deepEqual([ingest.offset, ingest.keptBytes], [WHOLE_BYTES + 3, WHOLE_BYTES + 3]);
  assert.equal(await store.hasIngest('ref'), true);
  await ingest.abort();
  assert.equal(await store.hasIngest('ref'), false);
});

test('few bytes whose request ends early are kept for the next one', async (t) => {
  const store = await openStore(t);
  const first = new SmallFirstIngest(store, 'ref', {});
  await first.write(Buffer.from('begun, '));
  await first.close();
  const second = await store.openIngest('ref');
  assert.equal(second.offset, 7);
  await second.write(Buffer.from('ended'));
  assert.equal((await second.commit({})).digest, digestOf('begun, ended'));
});

test('few bytes that are not what they should be are refused and leave nothing', async (t) => {
  const store = await openStore(t);
  for (const [expected, code] of [
    [{ digest: digestOf('else') }, 'DIGEST_MISMATCH'],
    [{ size: 9 }, 'SIZE_MISMATCH'],
  ] as const) {
    const ingest = new SmallFirstIngest(store, 'ref', {});
    await ingest.write(Buffer.from('few'));
    await assert.rejects(ingest.commit(expected), (error) => {
      assert.ok(error instanceof ContentError);
      assert.equal(error.code, code);
      return true;
    });
    await ingest.close();
    assert.deepEqual(await store.ingests(), []);
    for await (const { digest } of store.walk()) assert.fail(`${digest} is there`);
  }
});
