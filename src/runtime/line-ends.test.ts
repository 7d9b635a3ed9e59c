import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { withLineEnds } from './line-ends.ts';

for (const { what, chunks, expected } of [
  { what: 'a line feed alone', chunks: ['a\nb'], expected: 'a\r\nb' },
  { what: 'a line that has both', chunks: ['a\r\nb\n'], expected: 'a\r\nb\r\n' },
  { what: 'both in different chunks', chunks: ['a\r', '\nb'], expected: 'a\r\nb' },
  { what: 'a line feed that begins a chunk', chunks: ['a', '\nb'], expected: 'a\r\nb' },
  { what: 'empty lines', chunks: ['\n\n', '\n'], expected: '\r\n\r\n\r\n' },
  { what: 'a carriage return alone', chunks: ['10%\r20%'], expected: '10%\r20%' },
]) {
  test(`line ends: ${what}`, async () => {
    const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    assert.equal(await text(withLineEnds(stream)), expected);
  });
}

test('line ends: an output that is cut off cuts off who reads it', async () => {
  const output = new PassThrough();
  const read = withLineEnds(output);
  const closed = once(read, 'close');
  output.destroy();
  await closed;
});
