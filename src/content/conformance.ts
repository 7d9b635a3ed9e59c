import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Readable } from 'node:stream';
import { digestOf, type Digest } from '../oci/digest.ts';
import { ContentError, type ContentErrorCode } from './content-error.ts';
import { canPutWhole, canReadAt, type ContentInfo, type ContentStore } from './store.ts';

/** A store under test, and how to look at the same content anew as a later process would. */
export interface StoreUnderTest {
  readonly store: ContentStore;
  reopen(): Promise<ContentStore>;
}

const HELLO = Buffer.from('hello, content');
const HELLO_DIGEST = digestOf(HELLO);

/** Runs everything that `store.ts` promises against one implementation; `open` makes an empty store for each test. */
export function testContentStore(
  name: string,
  open: (t: TestContext) => StoreUnderTest | Promise<StoreUnderTest>,
): void {
  const scenario = (
    title: string,
    run: (store: ContentStore, reopen: () => Promise<ContentStore>) => Promise<void>,
  ): void => {
    void test(`${name}: ${title}`, async (t) => {
      const subject = await open(t);
      await run(subject.store, () => subject.reopen());
    });
  };

  scenario('committed content can be read, told and walked', async (store) => {
    const info = await put(store, HELLO);
    assert.equal(info.digest, HELLO_DIGEST);
    assert.equal(info.size, HELLO.length);
    assert.ok(Math.abs(info.committedAt - Date.now()) < 60_000);
    assert.deepEqual(await readAll(await store.open(HELLO_DIGEST)), HELLO);
    assert.equal((await store.stat(HELLO_DIGEST)).size, HELLO.length);
    assert.deepEqual(await digests(store), [HELLO_DIGEST]);
    assert.deepEqual(await store.ingests(), []);
  });

  scenario('empty content is content', async (store) => {
    const info = await put(store, Buffer.alloc(0));
    assert.equal(info.size, 0);
    assert.deepEqual(await readAll(await store.open(info.digest)), Buffer.alloc(0));
  });

  for (const algorithm of ['sha256', 'sha384', 'sha512']) {
    scenario(`content is kept under its ${algorithm} digest`, async (store) => {
      const digest = digestOf(HELLO, algorithm);
      const ingest = await store.openIngest('some ref', { algorithm });
      await ingest.write(HELLO);
      assert.equal((await ingest.commit({ digest, size: HELLO.length })).digest, digest);
      assert.deepEqual(await readAll(await store.open(digest)), HELLO);
      assert.deepEqual(await digests(store), [digest]);
    });
  }

  scenario('a commit may expect another algorithm than the ingest was opened with', async (store) => {
    const digest = digestOf(HELLO, 'sha512');
    const ingest = await store.openIngest('some ref');
    await ingest.write(HELLO);
    assert.equal((await ingest.commit({ digest })).digest, digest);
  });

  scenario('ranges', async (store) => {
    await put(store, HELLO);
    const text = async (offset: number, length?: number): Promise<string> =>
      (
        await readAll(await store.open(HELLO_DIGEST, length === undefined ? { offset } : { offset, length }))
      ).toString();
    assert.equal(await text(7), 'content');
    assert.equal(await text(0, 5), 'hello');
    assert.equal(await text(7, 100), 'content');
    assert.equal(await text(3, 0), '');
    assert.equal(await text(HELLO.length), '');
    await refuses(store.open(HELLO_DIGEST, { offset: HELLO.length + 1 }), 'OUT_OF_RANGE');
  });

  scenario('what is not there is NOT_FOUND, and removing it is no error', async (store) => {
    await refuses(store.open(HELLO_DIGEST), 'NOT_FOUND');
    await refuses(store.stat(HELLO_DIGEST), 'NOT_FOUND');
    await store.remove(HELLO_DIGEST);
    await store.abortIngest('no such ref');
  });

  scenario('nothing is visible before the commit', async (store) => {
    const ingest = await store.openIngest('some ref');
    await ingest.write(HELLO);
    await refuses(store.stat(HELLO_DIGEST), 'NOT_FOUND');
    assert.deepEqual(await digests(store), []);
    await ingest.commit({});
    assert.equal((await store.stat(HELLO_DIGEST)).size, HELLO.length);
  });

  scenario('a wrong digest or size is refused and leaves nothing', async (store) => {
    for (const [expected, code] of [
      [{ digest: digestOf('else') }, 'DIGEST_MISMATCH'],
      [{ digest: HELLO_DIGEST, size: 3 }, 'SIZE_MISMATCH'],
    ] as const) {
      const ingest = await store.openIngest('some ref');
      await ingest.write(HELLO);
      await refuses(ingest.commit(expected), code);
      await assert.rejects(ingest.write(HELLO));
      await ingest.close();
      assert.deepEqual(await store.ingests(), []);
      assert.deepEqual(await digests(store), []);
    }
    const again = await store.openIngest('some ref');
    assert.equal(again.offset, 0);
    await again.abort();
  });

  scenario('a closed ingest is resumed under its ref, by a later process too', async (store, reopen) => {
    const first = await store.openIngest('some ref');
    await first.write(HELLO.subarray(0, 4));
    await first.close();
    const [status] = await store.ingests();
    assert.equal(status?.ref, 'some ref');
    assert.equal(status.offset, 4);
    const later = await reopen();
    const second = await later.openIngest('some ref');
    assert.equal(second.offset, 4);
    await second.write(HELLO.subarray(4));
    assert.equal((await second.commit({ digest: HELLO_DIGEST })).size, HELLO.length);
  });

  scenario('truncate goes back to any earlier offset', async (store) => {
    const ingest = await store.openIngest('some ref');
    await ingest.write(HELLO.subarray(0, 6));
    await ingest.write(Buffer.from('garbage'));
    await ingest.truncate(6);
    assert.equal(ingest.offset, 6);
    await refuses(ingest.truncate(7), 'OUT_OF_RANGE');
    await ingest.write(HELLO.subarray(6));
    await ingest.commit({ digest: HELLO_DIGEST });
    const other = await store.openIngest('some ref');
    await other.write(Buffer.from('garbage'));
    await other.truncate(0);
    await other.write(Buffer.from('x'));
    assert.equal((await other.commit({})).digest, digestOf('x'));
  });

  scenario('two ingests of one ref never run at once', async (store) => {
    const first = await store.openIngest('some ref');
    await refuses(store.openIngest('some ref'), 'LOCKED');
    await refuses(store.abortIngest('some ref'), 'LOCKED');
    const other = await store.openIngest('other ref');
    await other.abort();
    await first.close();
    const second = await store.openIngest('some ref');
    await second.abort();
    assert.deepEqual(await store.ingests(), []);
  });

  scenario('an opener may wait for the ref, and gives up when told', async (store) => {
    const first = await store.openIngest('some ref');
    const waiting = store.openIngest('some ref', { wait: new AbortController().signal });
    const impatient = new AbortController();
    const givesUp = store.openIngest('some ref', { wait: impatient.signal });
    impatient.abort(new Error('enough'));
    await assert.rejects(givesUp, /enough/);
    await first.write(HELLO);
    await first.close();
    const second = await waiting;
    assert.equal(second.offset, HELLO.length);
    await second.abort();
  });

  scenario('two refs may commit the same content at once', async (store) => {
    const both = [await store.openIngest('a'), await store.openIngest('b')];
    for (const ingest of both) await ingest.write(HELLO);
    const infos = await Promise.all(both.map((ingest) => ingest.commit({ digest: HELLO_DIGEST })));
    assert.deepEqual(
      infos.map((info) => info.size),
      [HELLO.length, HELLO.length],
    );
    assert.deepEqual(await digests(store), [HELLO_DIGEST]);
    assert.deepEqual(await store.ingests(), []);
  });

  scenario('close and abort are harmless after commit', async (store) => {
    const ingest = await store.openIngest('some ref');
    await ingest.write(HELLO);
    await ingest.commit({});
    await ingest.abort();
    await ingest.close();
    assert.equal((await store.stat(HELLO_DIGEST)).size, HELLO.length);
  });

  scenario('refs may hold any characters', async (store) => {
    const refs = ['../../etc/passwd', 'a/b', '', '\u0000', 'ü'.repeat(400)];
    for (const ref of refs) {
      const ingest = await store.openIngest(ref);
      await ingest.write(Buffer.from(ref));
      await ingest.close();
    }
    assert.deepEqual((await store.ingests()).map((status) => status.ref).toSorted(), refs.toSorted());
    for (const ref of refs) await store.abortIngest(ref);
    assert.deepEqual(await store.ingests(), []);
  });

  scenario('a store that reads at positions fills the memory of its reader', async (store) => {
    if (!canReadAt(store)) return;
    const { digest } = await put(store, HELLO);
    const content = await store.openAt(digest);
    const buffer = Buffer.alloc(10, '.');
    assert.equal(await content.read(buffer.subarray(0, 5), 0), 5);
    assert.equal(buffer.toString(), 'hello.....');
    assert.equal(await content.read(buffer, HELLO.length - 4), 4);
    assert.equal(buffer.toString(), 'tento.....');
    assert.equal(await content.read(buffer, HELLO.length), 0);
    await content.close();
    await refuses(store.openAt(digestOf('else')), 'NOT_FOUND');
  });

  for (const algorithm of ['sha256', 'sha512']) {
    scenario(`a store that takes bytes whole keeps them under their ${algorithm} digest`, async (store) => {
      if (!canPutWhole(store)) return;
      const digest = digestOf(HELLO, algorithm);
      for (const time of ['first', 'again']) {
        const info = await store.putWhole(digest, HELLO);
        assert.deepEqual([info.digest, info.size], [digest, HELLO.length], time);
      }
      assert.deepEqual(await readAll(await store.open(digest)), HELLO);
      assert.deepEqual(await digests(store), [digest]);
      assert.deepEqual(await store.ingests(), []);
    });
  }

  scenario('a store that takes bytes whole knows which refs have an ingest', async (store, reopen) => {
    if (!canPutWhole(store)) return;
    assert.equal(await store.hasIngest('some ref'), false);
    const ingest = await store.openIngest('some ref');
    await ingest.write(HELLO);
    await ingest.close();
    const later = await reopen();
    assert.equal(canPutWhole(later) && (await later.hasIngest('some ref')), true);
    await store.abortIngest('some ref');
    assert.equal(await store.hasIngest('some ref'), false);
  });

  scenario('several chunks are written as if one by one', async (store) => {
    const ingest = await store.openIngest('some ref');
    const parts = [HELLO.subarray(0, 3), Buffer.alloc(0), HELLO.subarray(3, 4), HELLO.subarray(4)];
    if (ingest.writeAll === undefined) for (const part of parts) await ingest.write(part);
    else await ingest.writeAll(parts);
    assert.equal(ingest.offset, HELLO.length);
    assert.equal((await ingest.commit({ digest: HELLO_DIGEST })).size, HELLO.length);
    assert.deepEqual(await readAll(await store.open(HELLO_DIGEST)), HELLO);
  });

  scenario('a reader that is open keeps reading after removal', async (store) => {
    const large = Buffer.alloc(3 * 1024 * 1024, 'drayage ');
    const { digest } = await put(store, large);
    const reader = await store.open(digest);
    await store.remove(digest);
    await refuses(store.stat(digest), 'NOT_FOUND');
    assert.ok((await readAll(reader)).equals(large));
  });
}

async function put(store: ContentStore, bytes: Buffer): Promise<ContentInfo> {
  const ingest = await store.openIngest(`put ${digestOf(bytes)}`);
  await ingest.write(bytes);
  return ingest.commit({ digest: digestOf(bytes), size: bytes.length });
}

async function digests(store: ContentStore): Promise<Digest[]> {
  const found: Digest[] = [];
  for await (const { digest } of store.walk()) found.push(digest);
  return found.toSorted();
}

async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function refuses(attempt: Promise<unknown>, code: ContentErrorCode): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof ContentError, `expected a ContentError, got ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  });
}
