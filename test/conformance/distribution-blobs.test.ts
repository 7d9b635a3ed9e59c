import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorCodes, serveRegistry, sha256 } from '../support/serve-registry.ts';

// Status codes as OCI distribution-spec v1.1.1 numbers them ("Endpoints": end-2, end-4a … end-13).

const CONTENT = 'some content of a blob';
const DIGEST = sha256(CONTENT);

describe('blobs', () => {
  test('end-2: GET and HEAD of a blob answer 200 with digest, length and type', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a/b', CONTENT);
    const got = await served.send('GET', `/v2/a/b/blobs/${DIGEST}`);
    assert.equal(got.status, 200);
    assert.equal(got.headers.get('docker-content-digest'), DIGEST);
    assert.equal(got.headers.get('content-type'), 'application/octet-stream');
    assert.equal(await got.text(), CONTENT);
    const head = await served.send('HEAD', `/v2/a/b/blobs/${DIGEST}`);
    assert.equal(head.status, 200);
    assert.equal(head.headers.get('content-length'), String(CONTENT.length));
    assert.equal(head.headers.get('etag'), `"${DIGEST}"`);
    assert.equal(await head.text(), '');
  });

  test('end-2: a blob that the repository lacks is 404 BLOB_UNKNOWN, wherever else it is', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a/b', CONTENT);
    const elsewhere = await served.send('GET', `/v2/other/blobs/${DIGEST}`);
    assert.equal(elsewhere.status, 404);
    assert.deepEqual(await errorCodes(elsewhere), ['BLOB_UNKNOWN']);
    const head = await served.send('HEAD', `/v2/a/b/blobs/${sha256('nothing')}`);
    assert.equal(head.status, 404);
    assert.equal(await head.text(), '');
  });

  const ranges: readonly [
    name: string,
    range: string,
    status: number,
    body: string,
    contentRange: string | null,
  ][] = [
    ['a first part', 'bytes=0-3', 206, 'some', 'bytes 0-3/22'],
    ['an open end', 'bytes=18-', 206, 'blob', 'bytes 18-21/22'],
    ['the whole, asked as a range', 'bytes=0-', 206, CONTENT, 'bytes 0-21/22'],
    ['a suffix', 'bytes=-4', 206, 'blob', 'bytes 18-21/22'],
    ['an end beyond the end', 'bytes=18-999', 206, 'blob', 'bytes 18-21/22'],
    ['several ranges, which are ignored', 'bytes=0-1,3-4', 200, CONTENT, null],
    ['another unit, which is ignored', 'lines=0-1', 200, CONTENT, null],
    ['an end before the start, which is ignored', 'bytes=5-2', 200, CONTENT, null],
  ];
  for (const [name, range, status, body, contentRange] of ranges) {
    test(`end-2: a range request for ${name} answers ${status}`, async (t) => {
      const served = await serveRegistry(t);
      await served.pushBlob('a', CONTENT);
      const answer = await served.send('GET', `/v2/a/blobs/${DIGEST}`, { headers: { range } });
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get('content-range'), contentRange);
      assert.equal(await answer.text(), body);
    });
  }

  test('end-2: a range behind the end answers 416 with the size', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONTENT);
    const headers = { range: 'bytes=22-' };
    const answer = await served.send('GET', `/v2/a/blobs/${DIGEST}`, { headers });
    assert.equal(answer.status, 416);
    assert.equal(answer.headers.get('content-range'), 'bytes */22');
  });

  test('If-None-Match with the digest answers 304, If-Range with another sends the whole', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONTENT);
    const path = `/v2/a/blobs/${DIGEST}`;
    const match = { 'if-none-match': `W/"x", "${DIGEST}"` };
    assert.equal((await served.send('GET', path, { headers: match })).status, 304);
    const other = { range: 'bytes=0-3', 'if-range': '"sha256:other"' };
    assert.equal((await served.send('GET', path, { headers: other })).status, 200);
    const same = { range: 'bytes=0-3', 'if-range': `"${DIGEST}"` };
    assert.equal((await served.send('GET', path, { headers: same })).status, 206);
  });

  test('end-10: DELETE of a blob answers 202, then 404', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONTENT);
    await served.pushBlob('keeps', CONTENT);
    assert.equal((await served.send('DELETE', `/v2/a/blobs/${DIGEST}`)).status, 202);
    assert.equal((await served.send('GET', `/v2/a/blobs/${DIGEST}`)).status, 404);
    assert.equal((await served.send('DELETE', `/v2/a/blobs/${DIGEST}`)).status, 404);
    assert.equal((await served.send('GET', `/v2/keeps/blobs/${DIGEST}`)).status, 200);
  });

  for (const algorithm of ['sha256', 'sha384', 'sha512']) {
    test(`a blob can be pushed and pulled by ${algorithm}`, async (t) => {
      const served = await serveRegistry(t);
      const digest = sha256(CONTENT, algorithm);
      const begun = await served.send('POST', '/v2/a/blobs/uploads/');
      const location = begun.headers.get('location') ?? '';
      assert.equal((await served.send('PATCH', location, { body: CONTENT })).status, 202);
      assert.equal((await served.send('PUT', `${location}?digest=${digest}`)).status, 201);
      const got = await served.send('GET', `/v2/a/blobs/${digest}`);
      assert.equal(got.headers.get('docker-content-digest'), digest);
      assert.equal(await got.text(), CONTENT);
    });
  }

  const malformed: readonly [name: string, path: string, code: string][] = [
    ['a digest of an unknown algorithm', '/v2/a/blobs/md5:abc', 'DIGEST_INVALID'],
    ['a digest that is too short', '/v2/a/blobs/sha256:abc', 'DIGEST_INVALID'],
    ['an upper-case name', `/v2/Aa/blobs/${DIGEST}`, 'NAME_INVALID'],
    ['a name that climbs', `/v2/a/%2e%2e/blobs/${DIGEST}`, 'NAME_INVALID'],
    ['an encoded slash', `/v2/a%2fb/blobs/${DIGEST}`, 'NAME_INVALID'],
    ['a name of 256 characters', `/v2/${'a'.repeat(256)}/blobs/${DIGEST}`, 'NAME_INVALID'],
    ['broken percent-encoding', `/v2/a%zz/blobs/${DIGEST}`, 'NAME_INVALID'],
  ];
  for (const [name, path, code] of malformed) {
    test(`${name} answers 400 ${code}`, async (t) => {
      const served = await serveRegistry(t);
      const answer = await served.send('GET', path);
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), [code]);
    });
  }

  test('a method that means nothing answers 405 with what is allowed', async (t) => {
    const served = await serveRegistry(t);
    const answer = await served.send('PATCH', `/v2/a/blobs/${DIGEST}`);
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, DELETE');
    assert.deepEqual(await errorCodes(answer), ['UNSUPPORTED']);
  });
});
