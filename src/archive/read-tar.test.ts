import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tarOf } from '../../test/support/tar-of.ts';
import { readTar } from './read-tar.ts';

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

test('an archive is a sequence of entries, bytes and ends, however it is cut', async () => {
  const archive = tarOf(
    'd/',
    { path: 'd/x', content: 'x'.repeat(2000) },
    { type: 'symlink', path: 'l', linkPath: 'd' },
  );
  for (const size of [archive.length, 512, 100]) {
    const seen: string[] = [];
    let content = '';
    for await (const event of readTar(pieces(archive, size), new AbortController().signal)) {
      if (event.kind === 'entry') seen.push(`${event.entry.type} ${event.entry.path.toString()}`);
      else if (event.kind === 'end') seen.push('end');
      else {
        assert.equal(event.offset, content.length);
        content += event.chunk.toString();
      }
    }
    assert.deepEqual(seen, ['directory d/', 'end', 'file d/x', 'end', 'symlink l', 'end']);
    assert.equal(content, 'x'.repeat(2000));
  }
});

test('an archive that is cut off, and an abort, end the sequence with an error', async () => {
  const archive = tarOf({ path: 'x', content: 'x'.repeat(2000) });
  const abort = new AbortController();
  const drain = async (bytes: Buffer): Promise<void> => {
    for await (const _ of readTar(pieces(bytes, 512), abort.signal)) continue;
  };
  await assert.rejects(drain(archive.subarray(0, 1000)), { code: 'BAD_ARCHIVE' });
  abort.abort(new Error('enough'));
  await assert.rejects(drain(archive), /enough/);
});
