import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { errorCodes, serveRegistry, sha256, type ServedRegistry } from '../support/serve-registry.ts';

const CONTENT = '0123456789abcdefghij';
const DIGEST = sha256(CONTENT);

async function begin(served: ServedRegistry, repository = 'a'): Promise<string> {
  const answer = await served.send('POST', `/v2/${repository}/blobs/uploads/`);
  assert.equal(answer.status, 202);
  return answer.headers.get('location') ?? '';
}

async function offsetOf(served: ServedRegistry, location: string): Promise<string | null> {
  const answer = await served.send('GET', location);
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get('location'), location);
  return answer.headers.get('range');
}

describe('uploads', () => {
  test('end-4a: POST answers 202 with a location and an empty range', async (t) => {
    const served = await serveRegistry(t);
    const answer = await served.send('POST', '/v2/a/blobs/uploads/');
    assert.equal(answer.status, 202);
    assert.match(answer.headers.get('location') ?? '', /^\/v2\/a\/blobs\/uploads\/[0-9a-f-]{36}$/);
    assert.equal(answer.headers.get('range'), '0-0');
    assert.equal((await served.send('POST', '/v2/a/blobs/uploads')).status, 202);
  });

  test('end-4b: POST with a digest takes the whole blob and answers 201', async (t) => {
    const served = await serveRegistry(t);
    const answer = await served.send('POST', `/v2/a/blobs/uploads/?digest=${DIGEST}`, { body: CONTENT });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('location'), `/v2/a/blobs/${DIGEST}`);
  });

  test('end-4b: POST with a wrong digest answers 400 DIGEST_INVALID and leaves nothing', async (t) => {
    const served = await serveRegistry(t);
    const answer = await served.send('POST', `/v2/a/blobs/uploads/?digest=${DIGEST}`, { body: 'other' });
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ['DIGEST_INVALID']);
    assert.equal((await served.send('HEAD', `/v2/a/blobs/${DIGEST}`)).status, 404);
  });

  test('end-6: PUT takes the whole blob, and the empty blob too', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    assert.equal((await served.send('PUT', `${location}?digest=${DIGEST}`, { body: CONTENT })).status, 201);
    const empty = await begin(served);
    assert.equal((await served.send('PUT', `${empty}?digest=${sha256('')}`)).status, 201);
    assert.equal(await (await served.send('GET', `/v2/a/blobs/${sha256('')}`)).text(), '');
  });

  test('end-5: chunks with ranges are taken in order, their progress told', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    const first = await served.send('PATCH', location, {
      body: CONTENT.slice(0, 8),
      headers: { 'content-range': '0-7' },
    });
    assert.equal(first.status, 202);
    assert.equal(first.headers.get('range'), '0-7');
    assert.equal(await offsetOf(served, location), '0-7');
    const last = await served.send('PUT', `${location}?digest=${DIGEST}`, {
      body: CONTENT.slice(8),
      headers: { 'content-range': '8-19' },
    });
    assert.equal(last.status, 201);
    assert.equal(await (await served.send('GET', `/v2/a/blobs/${DIGEST}`)).text(), CONTENT);
  });

  test('end-5: a chunk out of order answers 416 with where the upload is', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    const answer = await served.send('PATCH', location, { body: 'xyz', headers: { 'content-range': '5-7' } });
    assert.equal(answer.status, 416);
    assert.equal(answer.headers.get('range'), '0-0');
    assert.equal(answer.headers.get('location'), location);
    assert.equal(await offsetOf(served, location), '0-0');
  });

  test('end-5: bytes without a range and without a length are appended', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    const body = new Blob([CONTENT]).stream();
    assert.equal((await served.send('PATCH', location, { body })).headers.get('range'), '0-19');
    assert.equal((await served.send('PUT', `${location}?digest=${DIGEST}`)).status, 201);
  });

  test('end-5: a range that is none, or of another length, answers 400', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    for (const range of ['0-99', 'x-y', '5-2', '-']) {
      const answer = await served.send('PATCH', location, {
        body: 'xyz',
        headers: { 'content-range': range },
      });
      assert.equal(answer.status, 400, range);
    }
    assert.equal(await offsetOf(served, location), '0-0');
  });

  test('end-6: a wrong digest answers 400 and ends the upload', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    const answer = await served.send('PUT', `${location}?digest=${sha256('x')}`, { body: CONTENT });
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ['DIGEST_INVALID']);
    const after = await served.send('GET', location);
    assert.equal(after.status, 404);
    assert.deepEqual(await errorCodes(after), ['BLOB_UPLOAD_UNKNOWN']);
  });

  test('end-6: PUT without a digest answers 400', async (t) => {
    const served = await serveRegistry(t);
    const answer = await served.send('PUT', await begin(served), { body: CONTENT });
    assert.equal(answer.status, 400);
  });

  test('an upload is unknown in another repository and after it was cancelled', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    assert.equal((await served.send('GET', location.replace('/v2/a/', '/v2/b/'))).status, 404);
    assert.equal((await served.send('DELETE', location)).status, 204);
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const answer = await served.send(method, location, method === 'PATCH' ? { body: 'x' } : {});
      assert.equal(answer.status, 404, method);
    }
  });

  test('end-11: a mount from a repository that has the blob answers 201', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('from', CONTENT);
    const answer = await served.send('POST', `/v2/to/blobs/uploads/?mount=${DIGEST}&from=from`);
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('location'), `/v2/to/blobs/${DIGEST}`);
    assert.equal((await served.send('HEAD', `/v2/to/blobs/${DIGEST}`)).status, 200);
  });

  test('end-11: a mount without a source finds one, and one that fails begins an upload', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('from', CONTENT);
    assert.equal((await served.send('POST', `/v2/to/blobs/uploads/?mount=${DIGEST}`)).status, 201);
    for (const query of [`mount=${sha256('x')}`, `mount=${DIGEST}&from=none`, `mount=${DIGEST}&from=NO`]) {
      const answer = await served.send('POST', `/v2/third/blobs/uploads/?${query}`);
      assert.equal(answer.status, 202, query);
      assert.ok(answer.headers.get('location'));
    }
  });

  test('what a client sent before it went away is kept, and the upload goes on from there', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    const socket = connect(served.registry.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n0123456789`);
    while ((await offsetOf(served, location)) !== '0-9') await new Promise((done) => setImmediate(done));
    socket.destroy();
    const rest = { body: CONTENT.slice(10), headers: { 'content-range': '10-19' } };
    assert.equal((await served.send('PUT', `${location}?digest=${DIGEST}`, rest)).status, 201);
    assert.equal(await (await served.send('GET', `/v2/a/blobs/${DIGEST}`)).text(), CONTENT);
  });

  test('a request takes an upload over from a connection that hangs', async (t) => {
    const served = await serveRegistry(t);
    const location = await begin(served);
    const socket = connect(served.registry.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n01234`);
    while ((await offsetOf(served, location)) !== '0-4') await new Promise((done) => setImmediate(done));
    const closed = once(socket, 'close');
    const answer = await served.send('PUT', `${location}?digest=${DIGEST}`, { body: CONTENT.slice(5) });
    assert.equal(answer.status, 201);
    await closed;
  });
});
