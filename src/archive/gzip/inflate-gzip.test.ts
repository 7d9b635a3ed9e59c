import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { constants, deflateRawSync, gunzipSync, gzipSync, inflateRawSync, type ZlibOptions } from 'node:zlib';
import * as fc from 'fast-check';
import { ArchiveError } from '../archive-error.ts';
import { inflateGzip } from './inflate-gzip.ts';
import { InflatePartner, serveInflate } from './inflate-partner.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 200);
const alone = (): undefined => undefined;

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function undo(
  bytes: Buffer,
  size = 1 << 20,
  partner: () => InflatePartner | undefined = alone,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // A chunk is only lent.
  for await (const chunk of inflateGzip(pieces(bytes, size), partner)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** A gzip member around a deflate stream. */
function member(deflated: Buffer, size: number, flags = 0, fields: Buffer = Buffer.alloc(0)): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(size >>> 0, 4);
  return Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]), fields, deflated, trailer]);
}

const program = readFileSync(process.execPath).subarray(8_000_000, 11_000_000);
const text = readFileSync(new URL('../../../package-lock.json', import.meta.url)).subarray(0, 120_000);
const contents: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from('x'),
  'machine code': program,
  text,
  noise: randomBytes(900_000),
  zeros: Buffer.alloc(3_000_000),
  'short periods': Buffer.from('a'.repeat(1000) + 'ab'.repeat(40_000) + 'abcdefghi'.repeat(30_000)),
  'matches from the farthest byte': Buffer.concat(Array<Uint8Array>(40).fill(randomBytes(32_768))),
  'all bytes alike often': Buffer.from(Array.from({ length: 400_000 }, (_, i) => (i * 7919) & 255)),
};
const settings: Readonly<Record<string, ZlibOptions>> = {
  'level 1': { level: 1 },
  'level 6': {},
  'level 9': { level: 9 },
  stored: { level: 0 },
  'fixed codes': { strategy: constants.Z_FIXED },
  'no matches': { strategy: constants.Z_HUFFMAN_ONLY },
  'runs only': { strategy: constants.Z_RLE },
  'small blocks': { memLevel: 1 },
};

test('what zlib compresses in any way comes back, in pieces of any size', async (t) => {
  for (const [name, content] of Object.entries(contents)) {
    await t.test(name, async () => {
      for (const [way, options] of Object.entries(settings)) {
        const compressed = gzipSync(content, options);
        for (const size of [1 << 20, 4093, compressed.length > 20_000 ? 1313 : 1]) {
          assert.ok((await undo(compressed, size)).equals(content), `${way}, in pieces of ${size}`);
        }
      }
    });
  }
});

test('members follow one another, and what else follows them is ignored', async () => {
  const parts = [text.subarray(0, 9_000), Buffer.alloc(0), program.subarray(0, 9_000), Buffer.from('end')];
  const members = Buffer.concat(parts.map((part) => gzipSync(part)));
  for (const rest of ['', '\0\0\0\0', '\0', 'something else altogether']) {
    const compressed = Buffer.concat([members, Buffer.from(rest)]);
    for (const size of [1 << 20, 777, 1])
      assert.ok((await undo(compressed, size)).equals(Buffer.concat(parts)), `${rest} ${size}`);
  }
});

test('a match does not reach into the member before', async () => {
  // A fixed block: the literal a, then a match of three bytes two bytes back.
  const reaching = Buffer.from([0x4b, 0x04, 0x21, 0x00]);
  assert.throws(() => gunzipSync(member(reaching, 4)), /too far back/);
  await assert.rejects(undo(Buffer.concat([gzipSync('before'), member(reaching, 4)])), /too far back/);
});

test('fields of a header are skipped', async () => {
  const deflated = deflateRawSync('content');
  const extra = Buffer.from([5, 0, 1, 2, 3, 4, 5]);
  const words = Buffer.from('name\0comment\0');
  const crc = Buffer.from([7, 7]);
  const rows: [number, Buffer][] = [
    [1, Buffer.alloc(0)],
    [4, extra],
    [8 + 16, words],
    [2 + 4 + 8 + 16, Buffer.concat([extra, words, crc])],
  ];
  for (const [flags, fields] of rows)
    for (const size of [1 << 20, 1])
      assert.equal((await undo(member(deflated, 7, flags, fields), size)).toString(), 'content');
});

test('broken streams are refused in the words of zlib', async (t) => {
  const good = gzipSync(text);
  const rows: [string, Buffer, RegExp][] = [
    ['no gzip', Buffer.from('PK\x03\x04 something'), /incorrect header check/],
    ['another method', Buffer.from([0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0, 1]), /unknown compression method/],
    ['reserved flags', Buffer.from([0x1f, 0x8b, 8, 0x80, 0, 0, 0, 0, 0, 0, 1]), /unknown header flags set/],
    ['cut off in its header', good.subarray(0, 7), /unexpected end of file/],
    ['cut off in a block', good.subarray(0, 5000), /unexpected end of file/],
    ['cut off in its trailer', good.subarray(0, -1), /unexpected end of file/],
    ['the third block type', member(Buffer.from([0x07]), 0), /invalid block type/],
    ['stored lengths that differ', member(Buffer.from([1, 1, 0, 0, 0]), 1), /invalid stored block lengths/],
    ['too many codes', member(Buffer.from([0xfd, 0xff, 0xff]), 0), /too many length or distance symbols/],
    ['another length', member(deflateRawSync('content'), 8), /incorrect length check/],
  ];
  for (const [name, bytes, message] of rows) {
    await t.test(name, async () => {
      for (const size of [1 << 20, 1])
        await assert.rejects(undo(bytes, size), (error) => {
          assert.ok(error instanceof ArchiveError, String(error));
          assert.equal(error.code, 'BAD_ARCHIVE');
          assert.match(error.message, message);
          return true;
        });
    });
  }
});

test('what zlib refuses is refused, and what it takes comes out the same', async () => {
  const base = deflateRawSync(Buffer.concat([text.subarray(0, 3000), program.subarray(0, 3000)]));
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: base.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 3,
      }),
      // The smaller the pieces, the more of them: few of the cases take as long as most.
      fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: 100, max: 4000 }) },
        fc.integer({ min: 1, max: 99 }),
      ),
      async (changes, size) => {
        const bytes = Buffer.from(base);
        for (const [at, value] of changes) bytes[at] = value;
        const theirs = inflateRaw(bytes);
        if (theirs === undefined) {
          await assert.rejects(undo(member(bytes, 0), size), { code: 'BAD_ARCHIVE' });
          return;
        }
        taken++;
        const compressed = member(bytes.subarray(0, theirs.used), theirs.content.length);
        assert.ok((await undo(compressed, size)).equals(theirs.content));
      },
    ),
    { numRuns: Math.min(RUNS, 3_000) },
  );
  assert.ok(taken > 0, 'zlib took none of them');
});

function inflateRaw(bytes: Buffer): { readonly content: Buffer; readonly used: number } | undefined {
  try {
    // The types do not know of `info`.
    const { buffer, engine } = inflateRawSync(bytes, { info: true }) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    return { content: buffer, used: engine.bytesWritten };
  } catch {
    return undefined;
  }
}

test('compressible bytes of any kind come back in pieces of any size, with a partner that comes and goes', async () => {
  await using team = partners();
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc
            .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 3000 }))
            .map(([piece, times]) => Buffer.concat(Array<Uint8Array>(times).fill(piece))),
        ),
        { maxLength: 8 },
      ),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 50, max: 100_000 }),
      fc.func(fc.boolean()),
      async (parts, level, size, here) => {
        const content = Buffer.concat(parts);
        let asked = 0;
        const partner = (): InflatePartner | undefined => (here(asked++) ? team.partner : undefined);
        assert.ok((await undo(gzipSync(content, { level }), size, partner)).equals(content));
      },
    ),
    { numRuns: Math.min(RUNS, 5_000) },
  );
});

test('a partner fills windows while others are used, and says when it has no time', async () => {
  await using team = partners();
  const content = Buffer.concat([program, text, program]);
  const compressed = gzipSync(content);
  assert.ok((await undo(compressed, 1 << 18, () => team.partner)).equals(content));
  assert.ok(team.asked > 3, `asked ${team.asked} times`);
  team.busy = true;
  const { partner } = team;
  const current = (): InflatePartner | undefined => (partner.gone ? undefined : partner);
  assert.ok((await undo(compressed, 1 << 18, current)).equals(content));
  assert.equal(partner.gone, true);
});

test('a broken stream is refused when a partner finds it', async () => {
  await using team = partners();
  const compressed = gzipSync(program);
  compressed.fill(0xff, 600_000, 600_100);
  await assert.rejects(
    undo(compressed, 1 << 18, () => team.partner),
    { code: 'BAD_ARCHIVE' },
  );
});

/** Partners in this thread: what travels is the same as between threads. */
function partners() {
  const { port1, port2 } = new MessageChannel();
  const team = {
    partner: new InflatePartner(port1),
    busy: false,
    asked: 0,
    async [Symbol.asyncDispose]() {
      port1.close();
      port2.close();
      await Promise.resolve();
    },
  };
  serveInflate(port2, () => {
    team.asked++;
    return team.busy;
  });
  return team;
}
