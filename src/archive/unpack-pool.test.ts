import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { tarOf } from '../../test/support/tar-of.ts';
import { digestOf } from '../oci/digest.ts';
import type { UnpackJob } from './unpack-job.ts';
import { UnpackPool } from './unpack-pool.ts';

const never = new AbortController().signal;
const content = randomBytes(12_000_000);
const tar = tarOf('d/', { path: 'd/large', content }, { path: 'd/small', content: 'small' });
const layer = gzipSync(tar, { level: 1 });

function setUp(t: TestContext): { pool: UnpackPool; directory: string; job: UnpackJob } {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-pool-'));
  const pool = new UnpackPool(2);
  t.after(async () => {
    await pool.close();
    rmSync(directory, { recursive: true });
  });
  mkdirSync(join(directory, 'root'));
  const job: UnpackJob = {
    target: join(directory, 'root'),
    apply: { whiteouts: 'overlay' },
    source: { kind: 'stream' },
    digest: digestOf(layer),
    size: layer.length,
    diffId: digestOf(tar),
  };
  return { pool, directory, job };
}

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('a layer in a file is digested, inflated and applied in a thread', async (t) => {
  const { pool, directory, job } = setUp(t);
  const path = join(directory, 'blob');
  writeFileSync(path, layer);
  const result = await pool.unpack({ ...job, source: { kind: 'file', path } }, never);
  assert.equal(result.digest, digestOf(layer));
  assert.equal(result.diffId, digestOf(tar));
  assert.equal(result.size, layer.length);
  assert.equal(result.diffSize, tar.length);
  assert.equal(result.report.entries, 3);
  assert.ok(readFileSync(join(job.target, 'd/large')).equals(content));
});

test('a layer that is sent is kept as it came and unpacked', async (t) => {
  for (const size of [layer.length, 1 << 16, 999]) {
    await t.test(`in pieces of ${size}`, async (t) => {
      const { pool, directory, job } = setUp(t);
      const path = join(directory, 'blob');
      writeFileSync(path, '');
      const sink = pool.open({ ...job, source: { kind: 'stream', keep: { path, offset: 0 } } });
      for (const piece of pieces(layer, size)) await sink.write(piece);
      await sink.finish();
      assert.ok(readFileSync(path).equals(layer));
      assert.ok(readFileSync(join(job.target, 'd/large')).equals(content));
    });
  }
});

test('what an earlier download kept is used, and only the rest has to be sent', async (t) => {
  const { pool, directory, job } = setUp(t);
  const path = join(directory, 'blob');
  const offset = 5_000_001;
  writeFileSync(path, layer.subarray(0, offset));
  const sink = pool.open({ ...job, source: { kind: 'stream', keep: { path, offset } } });
  for (const piece of pieces(layer.subarray(offset), 1 << 16)) await sink.write(piece);
  await sink.finish();
  assert.ok(readFileSync(path).equals(layer));
});

test('bytes that are not what they should be are refused', async (t) => {
  const rows: [string, Partial<UnpackJob>, Buffer, string][] = [
    ['another digest', { digest: digestOf('x') }, layer, 'DIGEST_MISMATCH'],
    ['another diff ID', { diffId: digestOf('x') }, layer, 'DIGEST_MISMATCH'],
    ['too many bytes', { size: layer.length - 1 }, layer, 'DIGEST_MISMATCH'],
    ['too few bytes', { size: layer.length + 1 }, layer, 'DIGEST_MISMATCH'],
    ['cut off', {}, layer.subarray(0, -100), 'BAD_ARCHIVE'],
    ['no layer', {}, Buffer.alloc(5000, '<html>'), 'BAD_ARCHIVE'],
  ];
  for (const [name, change, bytes, code] of rows) {
    await t.test(name, async (t) => {
      const { pool, job } = setUp(t);
      const sink = pool.open({ ...job, ...change });
      await assert.rejects(
        async () => {
          for (const piece of pieces(bytes, 1 << 16)) await sink.write(piece);
          await sink.finish();
        },
        { code },
      );
    });
  }
});

test('a writer waits while the thread is behind', async (t) => {
  const { pool, job } = setUp(t);
  // The digest is wrong on purpose: only the sending is looked at.
  const sink = pool.open({ ...job, size: 1e9 });
  let sent = 0;
  let held = 0;
  const feeding = (async () => {
    for (const piece of pieces(layer, 1 << 16)) {
      held = Math.max(held, piece.length);
      await sink.write(piece);
      sent += piece.length;
    }
  })();
  // Nothing of the thread's messages is taken before the first turn of the event loop.
  await Promise.resolve();
  assert.ok(sent <= 5 * 1024 * 1024, `${sent} bytes went out at once`);
  await feeding;
  assert.equal(sent, layer.length);
  await sink.abort();
});

test('an aborted job no longer touches the disk', async (t) => {
  const { pool, job } = setUp(t);
  const sink = pool.open(job);
  await sink.write(layer.subarray(0, 1 << 20));
  await sink.abort();
  const before = readdirSync(job.target, { recursive: true });
  await assert.rejects(sink.write(Buffer.alloc(1 << 20)));
  assert.deepEqual(readdirSync(job.target, { recursive: true }), before);
  const abort = new AbortController();
  const running = pool.unpack({ ...job, source: { kind: 'stream' } }, abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(running, /enough/);
});

test('jobs fail, and do not hang, when the pool is closed', async (t) => {
  const { pool, job } = setUp(t);
  const sink = pool.open(job);
  await sink.write(layer.subarray(0, 1000));
  await pool.close();
  await assert.rejects(sink.finish(), { code: 'IO' });
  await assert.rejects(pool.unpack(job, never), /the pool is closed/);
});

test('more jobs than threads all end', async (t) => {
  const { pool, directory, job } = setUp(t);
  const path = join(directory, 'blob');
  writeFileSync(path, layer);
  const done = await Promise.all(
    Array.from({ length: 7 }, (_, index) => {
      const target = join(directory, `root-${index}`);
      mkdirSync(target);
      return pool.unpack({ ...job, target, source: { kind: 'file', path } }, never);
    }),
  );
  assert.equal(done.length, 7);
  for (const index of [0, 6])
    assert.ok(readFileSync(join(directory, `root-${index}`, 'd/large')).equals(content));
});

test('a thread without work helps with a large layer, and with none that is small', async (t) => {
  const { pool, directory, job } = setUp(t);
  const before = workerThreads();
  const small = gzipSync(tarOf({ path: 'small', content: 'small' }));
  const file = (name: string, bytes: Buffer): UnpackJob['source'] => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return { kind: 'file', path };
  };
  const { digest: _, diffId: __, size: ___, ...plain } = job;
  await pool.unpack({ ...plain, size: small.length, source: file('small', small) }, never);
  assert.equal(workerThreads() - before, 1);
  await pool.unpack({ ...job, source: file('large', layer) }, never);
  assert.equal(workerThreads() - before, 2);
  assert.ok(readFileSync(join(job.target, 'd/large')).equals(content));
});

/** Threads of this process that run workers. */
function workerThreads(): number {
  return globSync('/proc/self/task/*/comm').filter(
    (path) => readFileSync(path, 'utf8').trim() === 'WorkerThread',
  ).length;
}
