import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { MAX_BODY, MAX_DRAINED, readBody } from './request-body.ts';

const CHUNK = Buffer.alloc(1024 * 1024, 'x');

/** A request with a body of so many bytes, sent in pieces; with or without having said how long it is. */
function requestOf(bytes: number, says: boolean): IncomingMessage {
  function* pieces(): Generator<Buffer> {
    for (let left = bytes; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, left);
  }
  const headers = {
    'content-type': 'application/json',
    ...(says ? { 'content-length': String(bytes) } : {}),
  };
  return Object.assign(Readable.from(pieces()), { headers }) as unknown as IncomingMessage;
}

test('a body of the largest size is read whole', async () => {
  const { bytes, mediaType } = await readBody(requestOf(MAX_BODY, false));
  assert.equal(bytes.length, MAX_BODY);
  assert.equal(mediaType, 'application/json');
});

for (const says of [true, false]) {
  const how = says ? 'that says its length' : 'of unknown length';
  test(`a body ${how} and too large is taken to its end, so that its sender reads the refusal`, async () => {
    const request = requestOf(MAX_BODY + 1, says);
    await assert.rejects(readBody(request), { message: 'Request entity is too large: limit is 3145728' });
    assert.equal(request.readableEnded, true);
  });

  test(`a body ${how} that is beyond all measure is not`, async () => {
    const request = requestOf(2 * MAX_DRAINED, says);
    await assert.rejects(readBody(request), { message: 'Request entity is too large: limit is 3145728' });
    assert.equal(request.readableEnded, false);
  });
}

test('a body whose sender goes away in the middle is no body', async () => {
  const request = requestOf(MAX_BODY, false);
  request.once('data', () => request.destroy());
  await assert.rejects(readBody(request), { name: 'AbortError' });
});
