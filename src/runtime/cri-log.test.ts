import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatEntries, formatLogTime, MAX_ENTRY_BYTES, parseEntry } from './cri-log.ts';

const RUNS = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };
const TIME = formatLogTime(Date.parse('2026-01-02T03:04:05.678Z'));

function lines(data: Buffer): Buffer[] {
  const result: Buffer[] = [];
  for (let start = 0; start < data.length;) {
    const end = data.indexOf(0x0a, start);
    result.push(data.subarray(start, end));
    start = end + 1;
  }
  return result;
}

/** What a reader makes of entries: the bytes that the process wrote. */
function textOf(entries: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (const line of lines(entries)) {
    const entry = parseEntry(line);
    assert.ok(entry !== undefined, line.toString('latin1').slice(0, 100));
    parts.push(entry.text);
    if (!entry.partial) parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

test('a line of output becomes one full entry with nine digits of time', () => {
  const { entries, consumed } = formatEntries(Buffer.from('hello\nrest'), 'stdout', TIME, false);
  assert.equal(Buffer.concat(entries).toString(), '2026-01-02T03:04:05.678000000Z stdout F hello\n');
  assert.equal(consumed, 6);
});

test('an unfinished line waits for its rest until the output ends', () => {
  assert.deepEqual(formatEntries(Buffer.from('rest'), 'stderr', TIME, false), { entries: [], consumed: 0 });
  const { entries } = formatEntries(Buffer.from('rest'), 'stderr', TIME, true);
  assert.equal(Buffer.concat(entries).toString(), `${TIME} stderr F rest\n`);
});

test('a line longer than an entry is cut into partial entries and a full one', () => {
  const raw = Buffer.from(`${'x'.repeat(MAX_ENTRY_BYTES + 1)}\n`);
  const { entries, consumed } = formatEntries(raw, 'stdout', TIME, false);
  const tags = lines(Buffer.concat(entries)).map((line) => parseEntry(line)?.partial);
  assert.deepEqual(tags, [true, false]);
  assert.equal(consumed, raw.length);
});

test('whatever a process writes, in whatever pieces it is read, comes back as it was', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }),
      fc.boolean(),
      (pieces, newlineAtEnd) => {
        const raw = Buffer.concat([...pieces, newlineAtEnd ? Buffer.from('\n') : Buffer.alloc(0)]);
        const written: Buffer[] = [];
        let waiting: Buffer = Buffer.alloc(0);
        for (const piece of [
          ...pieces.map((p) => Buffer.from(p)),
          newlineAtEnd ? Buffer.from('\n') : Buffer.alloc(0),
        ]) {
          waiting = Buffer.concat([waiting, piece]);
          const { entries, consumed } = formatEntries(waiting, 'stdout', TIME, false);
          written.push(...entries);
          waiting = waiting.subarray(consumed);
        }
        written.push(...formatEntries(waiting, 'stdout', TIME, true).entries);
        const text = textOf(Buffer.concat(written));
        const expected =
          raw.length === 0 || raw.at(-1) === 0x0a ? raw : Buffer.concat([raw, Buffer.from('\n')]);
        assert.ok(text.equals(expected));
      },
    ),
    RUNS,
  );
});

const notEntries = ['', 'text', `${TIME} stdin F x`, `${TIME} stdout X x`, `${TIME} stdout`, ' stdout F x'];
for (const line of notEntries) {
  test(`${JSON.stringify(line)} is not a log entry`, () => {
    assert.equal(parseEntry(Buffer.from(line)), undefined);
  });
}
