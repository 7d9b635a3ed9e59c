import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { pack } from 'tar-stream';
import { ArchiveError } from './archive-error.ts';
import type { TarEntry } from './tar-entry.ts';
import { TarParser } from './tar-parser.ts';
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts';

// A case is an archive of kilobytes.
const runs = { numRuns: Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1000)) };

interface Read extends TarEntry {
  readonly content: Buffer;
}

function parse(archive: Buffer, cut = archive.length): Read[] {
  const found: { entry: TarEntry; content: Buffer }[] = [];
  const parser = new TarParser({
    entry: (entry) => found.push({ entry, content: Buffer.alloc(entry.size) }),
    data: (chunk, offset) => chunk.copy(found.at(-1)?.content ?? Buffer.alloc(0), offset),
    end: () => undefined,
  });
  for (let at = 0; at < archive.length; at += cut) parser.push(archive.subarray(at, at + cut));
  parser.finish();
  return found.map(({ entry, content }) => ({ ...entry, content }));
}

const someBytes = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * index * 31) & 255));
const path = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 ? 0x41 : byte))))
  // A slash at the end says directory.
  .map((bytes) => (bytes.at(-1) === 0x2f ? Buffer.concat([bytes, Buffer.from('x')]) : bytes));

test('what tarHeader prints, the parser reads, in pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          path,
          content: fc
            .tuple(fc.nat({ max: 500 }), fc.nat({ max: 1500 }))
            .map(([from, length]) => someBytes.subarray(from, from + length)),
          mode: fc.integer({ min: 0, max: 0o7777 }),
          uid: fc.integer({ min: 0, max: 2 ** 40 }),
          gid: fc.integer({ min: 0, max: 2 ** 31 }),
          mtime: fc.integer({ min: -(2 ** 33), max: 2 ** 40 }),
          xattrs: fc.dictionary(
            fc.constantFrom('user.a', 'user.mime', 'security.capability', 'user.drayage'),
            fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
            { maxKeys: 3 },
          ),
        }),
        { maxLength: 4 },
      ),
      fc.integer({ min: 1, max: 2000 }),
      (files, cut) => {
        const archive = Buffer.concat([
          ...files.flatMap(({ content, xattrs, ...file }) => [
            tarHeader({
              ...file,
              type: 'file',
              size: content.length,
              xattrs: new Map(Object.entries(xattrs)),
            }),
            content,
            tarPadding(content.length),
          ]),
          TAR_END,
        ]);
        const read = parse(archive, cut);
        assert.equal(read.length, files.length);
        for (const [index, file] of files.entries()) {
          const entry = read[index];
          assert.ok(entry !== undefined);
          assert.deepEqual(entry.path, file.path);
          assert.deepEqual(
            [entry.mode, entry.uid, entry.gid, entry.mtime],
            [file.mode, file.uid, file.gid, file.mtime],
          );
          assert.ok(entry.content.equals(file.content));
          assert.deepEqual(new Map(entry.xattrs), new Map(Object.entries(file.xattrs)));
        }
      },
    ),
    runs,
  );
});

test('archives of tar-stream are read', async () => {
  const long = `${'directory/'.repeat(20)}file`;
  const stream = pack();
  stream.entry({ name: 'a', mode: 0o640, uid: 7, gid: 8, mtime: new Date(1_234_567_000) }, 'content');
  stream.entry({ name: long, type: 'file' }, 'long');
  stream.entry({ name: 'link', type: 'symlink', linkname: '../x' });
  stream.entry({ name: 'hard', type: 'link', linkname: 'a' });
  stream.entry({ name: 'ümlaut', type: 'directory' });
  stream.finalize();
  const read = parse(await buffer(stream));
  assert.deepEqual(
    read.map((entry) => [
      entry.type,
      entry.path.toString().replace(/\/$/, ''),
      entry.linkPath.toString(),
      entry.content.toString(),
    ]),
    [
      ['file', 'a', '', 'content'],
      ['file', long, '', 'long'],
      ['symlink', 'link', '../x', ''],
      ['link', 'hard', 'a', ''],
      ['directory', 'ümlaut', '', ''],
    ],
  );
  assert.equal(read[0]?.mtime, 1_234_567);
  assert.deepEqual([read[0]?.mode, read[0]?.uid, read[0]?.gid], [0o640, 7, 8]);
});

test('archives of GNU tar are read, in every format it writes', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-tar-'));
  t.after(() => rmSync(directory, { recursive: true }));
  if (!String(spawnSync('tar', ['--version']).stdout).includes('GNU tar'))
    return t.skip('GNU tar is missing');
  const long = 'n'.repeat(150);
  writeFileSync(join(directory, 'small'), 'small content');
  symlinkSync('t'.repeat(140), join(directory, 'link'));
  writeFileSync(join(directory, long), 'long name');
  const sparse = Buffer.alloc(3_000_000);
  const fd = openSync(join(directory, 'sparse'), 'w');
  for (const at of [100_000, 700_000, 1_400_000, 2_100_000, 2_800_000]) {
    sparse.fill(`at ${at};`, at, at + 5000);
    writeSync(fd, sparse, at, 5000, at);
  }
  closeSync(fd);
  truncateSync(join(directory, 'sparse'), sparse.length);
  for (const [format, options, names] of [
    ['v7', [], ['small']],
    ['ustar', [], ['small', 'link']],
    ['oldgnu', ['--sparse'], ['small', 'link', long, 'sparse']],
    ['gnu', ['--sparse'], ['small', 'link', long, 'sparse']],
    ['pax', [], ['small', 'link', long]],
    ['pax', ['--sparse', '--sparse-version=0.0'], ['small', 'sparse']],
    ['pax', ['--sparse', '--sparse-version=0.1'], ['small', 'sparse']],
    ['pax', ['--sparse', '--sparse-version=1.0'], ['small', 'sparse']],
  ] as const) {
    await t.test(`${format} ${options.join(' ')}`, () => {
      const kept = format === 'v7' || format === 'ustar' ? names.filter((name) => name !== 'link') : names;
      const made = spawnSync('tar', ['-c', `--format=${format}`, ...options, '-C', directory, ...kept], {
        maxBuffer: 64e6,
      });
      assert.equal(made.status, 0, made.stderr.toString());
      for (const cut of [made.stdout.length, 700]) {
        const read = new Map(parse(made.stdout, cut).map((entry) => [entry.path.toString(), entry]));
        assert.deepEqual([...read.keys()], [...kept]);
        assert.equal(read.get('small')?.content.toString(), 'small content');
        if (read.has(long)) assert.equal(read.get(long)?.content.toString(), 'long name');
        if (read.has('link')) assert.equal(read.get('link')?.linkPath.toString(), 't'.repeat(140));
        if (read.has('sparse')) {
          assert.ok(read.get('sparse')?.content.equals(sparse));
          assert.ok((read.get('sparse')?.sparse?.length ?? 0) >= 5);
        }
      }
    });
  }
});

function header(change: (block: Buffer) => void): Buffer {
  const block = tarHeader({ type: 'file', path: 'name', size: 0 });
  change(block);
  return block;
}

function rechecked(change: (block: Buffer) => void): Buffer {
  return header((block) => {
    change(block);
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  });
}

function pax(records: string | Buffer): Buffer {
  const bytes = Buffer.from(records);
  const extension = rechecked((block) => {
    block[156] = 0x78;
    block.write(bytes.length.toString(8).padStart(11, '0'), 124, 'latin1');
  });
  return Buffer.concat([
    extension,
    bytes,
    tarPadding(bytes.length),
    tarHeader({ type: 'file', path: 'name', size: 0 }),
  ]);
}

test('malformed archives are refused with a reason', async (t) => {
  const rows: [string, Buffer, string, RegExp][] = [
    ['wrong checksum', header((block) => block.write('X', 0)), 'BAD_ARCHIVE', /checksum is wrong/],
    ['not tar at all', Buffer.alloc(2048, '<html>'), 'BAD_ARCHIVE', /checksum is wrong/],
    ['size is text', rechecked((block) => block.write('zzz', 124)), 'BAD_ARCHIVE', /field size is no number/],
    ['size is negative', rechecked((block) => block.fill(0xff, 124, 136)), 'BAD_ARCHIVE', /negative size/],
    [
      'size beyond exact numbers',
      rechecked((block) => block.fill(0x7f, 124, 136).fill(0x80, 124, 125)),
      'BAD_ARCHIVE',
      /field size is no number/,
    ],
    ['unknown type', rechecked((block) => block.write('Z', 156)), 'UNSUPPORTED', /type "Z" of "name"/],
    [
      'a lone zero block',
      Buffer.concat([
        tarHeader({ type: 'file', path: 'a', size: 0 }),
        Buffer.alloc(512),
        tarHeader({ type: 'file', path: 'b', size: 0 }),
        TAR_END,
      ]),
      'BAD_ARCHIVE',
      /a lone zero block stands in it/,
    ],
    ['ends in a header', Buffer.alloc(100, 1), 'BAD_ARCHIVE', /ends in the middle of a header/],
    [
      'ends in a file',
      tarHeader({ type: 'file', path: 'x', size: 10 }),
      'BAD_ARCHIVE',
      /ends in the middle of a file/,
    ],
    [
      'huge extension',
      rechecked((block) => {
        block[156] = 0x78;
        block.write('77777777777', 124);
      }),
      'LIMIT',
      /the limit is 1048576/,
    ],
    ['pax record without length', pax('path=x\n'), 'BAD_ARCHIVE', /pax record at byte 0 is malformed/],
    ['pax record too long', pax('99 path=x\n'), 'BAD_ARCHIVE', /malformed/],
    ['pax record without newline', pax('9 path=xx'), 'BAD_ARCHIVE', /malformed/],
    ['pax size is text', pax('11 size=zz\n'), 'BAD_ARCHIVE', /pax record size is no number/],
    ['pax time is text', pax('12 mtime=zz\n'), 'BAD_ARCHIVE', /pax record mtime is no time/],
    [
      'sparse map overlaps',
      pax('26 GNU.sparse.realsize=90\n28 GNU.sparse.map=0,10,5,10\n'),
      'BAD_ARCHIVE',
      /sparse map overlaps/,
    ],
    [
      'sparse map leaves the file',
      pax('25 GNU.sparse.realsize=9\n23 GNU.sparse.map=5,10\n'),
      'BAD_ARCHIVE',
      /leaves the file/,
    ],
    [
      'sparse map covers more than there is',
      pax('26 GNU.sparse.realsize=90\n23 GNU.sparse.map=0,10\n'),
      'BAD_ARCHIVE',
      /covers 10 bytes, the entry has 0/,
    ],
  ];
  for (const [name, archive, code, says] of rows) {
    await t.test(name, () => {
      assert.throws(
        () => parse(archive),
        (error) => {
          assert.ok(error instanceof ArchiveError, String(error));
          assert.match(error.message, says);
          assert.equal(error.code, code);
          return true;
        },
      );
    });
  }
});

test('an archive may end without its zero blocks, and what follows them is ignored', () => {
  const one = tarHeader({ type: 'directory', path: 'a' });
  assert.equal(parse(one).length, 1);
  assert.equal(parse(Buffer.alloc(0)).length, 0);
  assert.equal(parse(Buffer.concat([one, TAR_END, Buffer.from('whatever')])).length, 1);
});

test('global pax headers are skipped', () => {
  const global = pax('20 comment=whatever\n');
  global[156] = 0x67;
  global.fill(0x20, 148, 156);
  const sum = global.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  global.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  assert.deepEqual(
    parse(global).map((entry) => entry.path.toString()),
    ['name'],
  );
});

test('what two readers could read in two ways is read as Go does', async (t) => {
  const typed = (type: string, name: string, size: number): Buffer =>
    rechecked((block) => {
      block.fill(0, 0, 100).write(name, 0);
      block.write(type, 156, 'latin1');
      block.write(size.toString(8).padStart(11, '0'), 124, 'latin1');
    });
  const long = (name: string): Buffer =>
    Buffer.concat([typed('L', '././@LongLink', name.length + 1), Buffer.from(name.padEnd(512, '\0'))]);
  const records = (type: string, text: string): Buffer =>
    Buffer.concat([typed(type, 'pax', text.length), Buffer.from(text.padEnd(512, '\0'))]);
  const file = typed('0', 'own', 0);
  const rows: [name: string, archive: Buffer[], seen: string[]][] = [
    [
      'a file whose name ends in a slash is a file',
      [typed('0', 'f/', 512), Buffer.alloc(512, 'x')],
      ['file f/ 512'],
    ],
    ['one without a type is a directory', [typed('\0', 'd/', 0)], ['directory d/ 0']],
    ['of two names GNU’s counts', [records('x', '12 path=pax\n'), long('gnu'), file], ['file gnu 0']],
    ['whichever comes first', [long('gnu'), records('x', '12 path=pax\n'), file], ['file gnu 0']],
    [
      'of two extended headers the later',
      [records('x', '10 path=a\n'), records('x', '10 path=b\n'), file],
      ['file b 0'],
    ],
    [
      'a global header takes along what stands before it',
      [records('x', '10 path=a\n'), records('g', '13 comment=x\n'), file],
      ['file own 0'],
    ],
    ['sizes of what has no bytes are none', [typed('5', 'd', 512), file], ['directory d 0', 'file own 0']],
  ];
  for (const [name, pieces, seen] of rows) {
    await t.test(name, () => {
      const found = parse(Buffer.concat([...pieces, TAR_END]));
      assert.deepEqual(
        found.map(({ type, path: at, size }) => `${type} ${at.toString()} ${size}`),
        seen,
      );
    });
  }
});

test('bytes of any kind are read or refused, never anything else', () => {
  const valid = Buffer.concat([
    tarHeader({ type: 'file', path: 'p'.repeat(200), size: 700, mtime: 1.5 }),
    Buffer.alloc(1024),
    tarHeader({ type: 'symlink', path: 'l', linkPath: 'x'.repeat(300) }),
    TAR_END,
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), { maxLength: 12 }),
      (changes) => {
        const archive = Buffer.from(valid);
        for (const [at, value] of changes) archive[at] = value;
        try {
          parse(archive, 300);
        } catch (error) {
          assert.ok(error instanceof ArchiveError, String(error));
        }
      },
    ),
    runs,
  );
});
