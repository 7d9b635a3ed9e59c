import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { ArchiveError } from './archive-error.ts';
import { compressionOf, decompress, type DecompressOptions } from './decompress.ts';

const never = new AbortController().signal;

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function undo(bytes: Buffer, size = 1 << 20, options?: DecompressOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // A chunk is only lent.
  for await (const chunk of decompress(pieces(bytes, size), never, options)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** A skippable frame, as zstd:chunked and estargz put them between others. */
function skippable(content: Buffer, kind = 0): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50 + kind, 0);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}

const checksummed = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const compressible = Buffer.from('drayage '.repeat(50_000));
const noise = randomBytes(300_000);

test('everything a layer comes in is undone, in pieces of any size', async (t) => {
  const rows: [string, Buffer, Buffer][] = [
    ['nothing', Buffer.alloc(0), Buffer.alloc(0)],
    ['uncompressed', compressible, compressible],
    ['one byte', Buffer.from('x'), Buffer.from('x')],
    ['gzip', gzipSync(compressible), compressible],
    [
      'gzip of several members',
      Buffer.concat([gzipSync(compressible), gzipSync(''), gzipSync(noise)]),
      Buffer.concat([compressible, noise]),
    ],
    ['zstd', zstdCompressSync(noise), noise],
    [
      'zstd of several frames',
      Buffer.concat([
        zstdCompressSync(compressible),
        zstdCompressSync(noise, checksummed),
        zstdCompressSync(''),
      ]),
      Buffer.concat([compressible, noise]),
    ],
    [
      'zstd with skippable frames',
      Buffer.concat([
        skippable(noise),
        zstdCompressSync('a'),
        skippable(Buffer.alloc(0), 15),
        skippable(Buffer.from('x'), 7),
        zstdCompressSync('b'),
        skippable(noise),
      ]),
      Buffer.from('ab'),
    ],
    [
      'zstd of a frame for each of many files',
      Buffer.concat(Array.from({ length: 500 }, (_, i) => zstdCompressSync(`file ${i};`))),
      Buffer.from(Array.from({ length: 500 }, (_, i) => `file ${i};`).join('')),
    ],
  ];
  for (const [name, compressed, expected] of rows) {
    await t.test(name, async () => {
      for (const size of [1 << 20, 4096, 333, compressed.length > 50_000 ? 97 : 1]) {
        assert.ok((await undo(compressed, size)).equals(expected), `in pieces of ${size}`);
      }
    });
  }
});

test('zstd frames are found wherever a stream is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.string({ maxLength: 2000, unit: fc.constantFrom('a', 'b') }),
        ),
        { maxLength: 5 },
      ),
      fc.integer({ min: 1, max: 300 }),
      async (contents, size) => {
        const frames = contents.map((content, index) =>
          Buffer.concat([
            zstdCompressSync(content, index % 2 === 0 ? {} : checksummed),
            ...(index % 3 === 0 ? [skippable(Buffer.from('s'))] : []),
          ]),
        );
        const whole = Buffer.concat(contents.map((content) => Buffer.from(content)));
        assert.ok((await undo(Buffer.concat(frames), size)).equals(whole));
      },
    ),
    // Each starts a decompressor of zlib, which holds megabytes.
    { numRuns: Math.min(4_000, Number(process.env['FUZZ_RUNS'] ?? 200)) },
  );
});

test('broken streams are refused', async (t) => {
  const gzip = gzipSync(noise);
  const zstd = zstdCompressSync(noise, checksummed);
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  };
  const rows: [string, Buffer, string][] = [
    ['gzip cut off', gzip.subarray(0, -20), 'BAD_ARCHIVE'],
    ['gzip with a wrong checksum', flipped(gzip, gzip.length - 6), 'BAD_ARCHIVE'],
    ['gzip with a broken header', flipped(gzip, 2), 'BAD_ARCHIVE'],
    ['zstd cut off in a block', zstd.subarray(0, 1000), 'BAD_ARCHIVE'],
    ['zstd cut off in its checksum', zstd.subarray(0, -2), 'BAD_ARCHIVE'],
    ['zstd with a wrong checksum', flipped(zstd, zstd.length - 1), 'BAD_ARCHIVE'],
    [
      'zstd cut off in a skippable frame',
      Buffer.concat([zstd, skippable(noise).subarray(0, 100)]),
      'BAD_ARCHIVE',
    ],
    ['zstd followed by something else', Buffer.concat([zstd, Buffer.from('something')]), 'BAD_ARCHIVE'],
    ['bzip2', Buffer.from('BZh91AY&SY....'), 'UNSUPPORTED'],
    ['xz', Buffer.from('\xfd7zXZ\0....', 'latin1'), 'UNSUPPORTED'],
  ];
  for (const [name, bytes, code] of rows) {
    await t.test(name, async () => {
      await assert.rejects(undo(bytes, 4096), (error) => {
        assert.ok(error instanceof ArchiveError, String(error));
        assert.equal(error.code, code);
        return true;
      });
    });
  }
});

test('a bomb is stopped long before its end', async (t) => {
  const zeros = Buffer.alloc(64 * 1024 * 1024);
  for (const [name, bomb] of [
    ['gzip', gzipSync(zeros)],
    ['zstd', zstdCompressSync(zeros)],
  ] as const) {
    await t.test(name, async () => {
      let seen = 0;
      await assert.rejects(
        async () => {
          const stream = decompress(pieces(bomb, 1000), never, {
            maxExpansionRatio: 100,
            expansionFreeBytes: 1 << 20,
          });
          for await (const chunk of stream) seen += chunk.length;
        },
        (error) => error instanceof ArchiveError && error.code === 'LIMIT',
      );
      assert.ok(seen < 16 * 1024 * 1024, `${seen} bytes came out`);
      // The same expansion is fine where it is allowed.
      assert.equal((await undo(bomb)).length, zeros.length);
    });
  }
});

test('an abort ends it with the reason', async () => {
  const abort = new AbortController();
  const stream = decompress(pieces(gzipSync(noise), 100), abort.signal);
  await assert.rejects(async () => {
    for await (const _ of stream) abort.abort(new Error('enough'));
  }, /enough/);
});

test('the compression shows in the first bytes', () => {
  assert.equal(compressionOf(gzipSync('x')), 'gzip');
  assert.equal(compressionOf(zstdCompressSync('x')), 'zstd');
  assert.equal(compressionOf(skippable(Buffer.from('x'), 9)), 'zstd');
  assert.equal(compressionOf(Buffer.from('ustar')), 'none');
  assert.equal(compressionOf(Buffer.alloc(0)), 'none');
});
