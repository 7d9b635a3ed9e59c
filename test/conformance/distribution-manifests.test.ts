import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  describe as descriptor,
  errorCodes,
  manifestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';

const CONFIG = '{"architecture":"amd64","os":"linux"}';

async function put(
  served: ServedRegistry,
  path: string,
  body: string,
  type: string | undefined = OCI_MANIFEST,
): Promise<Response> {
  return served.send('PUT', path, { body, headers: { 'content-type': type } });
}

describe('manifests', () => {
  test('end-7 and end-3: a manifest is kept byte for byte, with fields that nobody knows', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    const body = `{ "schemaVersion": 2,\n "x-unknown": [1.0, {"__proto__": null}],  "config": ${JSON.stringify(
      descriptor(CONFIG, 'application/vnd.oci.image.config.v1+json'),
    )}, "layers": [] }\n`;
    const pushed = await put(served, '/v2/a/manifests/v1', body);
    assert.equal(pushed.status, 201);
    assert.equal(pushed.headers.get('docker-content-digest'), sha256(body));
    assert.equal(pushed.headers.get('location'), `/v2/a/manifests/${sha256(body)}`);
    for (const reference of ['v1', sha256(body)]) {
      const got = await served.send('GET', `/v2/a/manifests/${reference}`);
      assert.equal(got.status, 200);
      assert.equal(got.headers.get('content-type'), OCI_MANIFEST);
      assert.equal(await got.text(), body);
    }
    const head = await served.send('HEAD', '/v2/a/manifests/v1');
    assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(body)));
    assert.equal(head.headers.get('docker-content-digest'), sha256(body));
  });

  test('end-3: what is not there is 404: the repository, or the manifest', async (t) => {
    const served = await serveRegistry(t);
    await pushImage(served, 'a', 'v1');
    const none = await served.send('GET', '/v2/none/manifests/v1');
    assert.equal(none.status, 404);
    assert.deepEqual(await errorCodes(none), ['NAME_UNKNOWN']);
    for (const reference of ['v2', sha256('x')]) {
      const answer = await served.send('GET', `/v2/a/manifests/${reference}`);
      assert.equal(answer.status, 404);
      assert.deepEqual(await errorCodes(answer), ['MANIFEST_UNKNOWN']);
    }
  });

  test('end-7: blobs that the repository lacks are named in 404 MANIFEST_BLOB_UNKNOWN', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    await served.pushBlob('elsewhere', 'layer');
    const answer = await put(
      served,
      '/v2/a/manifests/v1',
      JSON.stringify(manifestOf(CONFIG, ['layer', 'other'])),
    );
    assert.equal(answer.status, 404);
    const { errors } = (await answer.json()) as { errors: { code: string; detail: { digest: string } }[] };
    assert.deepEqual(
      errors.map(({ code, detail }) => [code, detail.digest]),
      [
        ['MANIFEST_BLOB_UNKNOWN', sha256('layer')],
        ['MANIFEST_BLOB_UNKNOWN', sha256('other')],
      ],
    );
    assert.equal((await served.send('GET', '/v2/a/manifests/v1')).status, 404);
  });

  test('layers that may not be distributed need not be there, nor does a subject', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    const foreign = descriptor('far away', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    const subject = descriptor('not pushed yet', OCI_MANIFEST);
    const manifest = {
      ...manifestOf(CONFIG, []),
      layers: [{ ...foreign, urls: ['https://example.com'] }],
      subject,
    };
    const answer = await put(served, '/v2/a/manifests/v1', JSON.stringify(manifest));
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('oci-subject'), subject.digest);
  });

  test('end-7: the same manifest again is 201, and a tag moves to another', async (t) => {
    const served = await serveRegistry(t);
    const first = await pushImage(served, 'a', 'v1');
    assert.equal(await pushImage(served, 'a', 'v1'), first);
    const second = await pushImage(served, 'a', 'v1', ['another layer']);
    const head = await served.send('HEAD', '/v2/a/manifests/v1');
    assert.equal(head.headers.get('docker-content-digest'), second);
    assert.equal((await served.send('HEAD', `/v2/a/manifests/${first}`)).status, 200);
  });

  for (const algorithm of ['sha384', 'sha512']) {
    test(`end-7: a manifest can be pushed by its ${algorithm} digest`, async (t) => {
      const served = await serveRegistry(t);
      await served.pushBlob('a', CONFIG);
      const body = JSON.stringify(manifestOf(CONFIG, []));
      const digest = sha256(body, algorithm);
      const pushed = await put(served, `/v2/a/manifests/${digest}`, body);
      assert.equal(pushed.headers.get('docker-content-digest'), digest);
      assert.equal(await (await served.send('GET', `/v2/a/manifests/${digest}`)).text(), body);
    });
  }

  test('end-7: lists that are null are empty, as Go prints them', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    const manifest = JSON.stringify({ ...manifestOf(CONFIG, []), layers: null });
    assert.equal((await put(served, '/v2/a/manifests/m', manifest)).status, 201);
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: null });
    assert.equal((await put(served, '/v2/a/manifests/i', index, OCI_INDEX)).status, 201);
    assert.equal(await (await served.send('GET', '/v2/a/manifests/i')).text(), index);
  });

  test('end-7: a push by digest can set many tags, which are echoed', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    const body = JSON.stringify(manifestOf(CONFIG, []));
    const tags = Array.from({ length: 10 }, (_, place) => `t${place}`);
    const query = tags.map((tag) => `tag=${tag}`).join('&');
    const answer = await put(served, `/v2/a/manifests/${sha256(body)}?${query}`, body);
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('oci-tag'), tags.join(', '));
    assert.equal((await served.send('HEAD', '/v2/a/manifests/t9')).status, 200);
  });

  const refused: readonly [name: string, body: string, type: string | undefined, code: string][] = [
    ['no JSON', 'not json', OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['a list', '[]', OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['schema version 1', '{"schemaVersion":1}', OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['a type that nobody knows', '{"schemaVersion":2}', 'text/plain', 'MANIFEST_INVALID'],
    [
      'another type than its content type',
      `{"schemaVersion":2,"mediaType":"${OCI_INDEX}"}`,
      OCI_MANIFEST,
      'MANIFEST_INVALID',
    ],
    ['no config', '{"schemaVersion":2,"layers":[]}', OCI_MANIFEST, 'MANIFEST_INVALID'],
    ['an index without manifests', '{"schemaVersion":2}', OCI_INDEX, 'MANIFEST_INVALID'],
    [
      'what is an index too',
      JSON.stringify({ ...manifestOf(CONFIG, []), manifests: [] }),
      OCI_MANIFEST,
      'MANIFEST_INVALID',
    ],
    [
      'an index that is a manifest too',
      JSON.stringify({ ...manifestOf(CONFIG, []), mediaType: OCI_INDEX, manifests: [] }),
      OCI_INDEX,
      'MANIFEST_INVALID',
    ],
    [
      'no layers',
      JSON.stringify({ ...manifestOf(CONFIG, []), layers: undefined }),
      OCI_MANIFEST,
      'MANIFEST_INVALID',
    ],
    [
      'a size that is negative',
      `{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"${sha256('')}","size":-1}]}`,
      OCI_INDEX,
      'MANIFEST_INVALID',
    ],
    [
      'a digest that is none',
      '{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:..","size":1}]}',
      OCI_INDEX,
      'MANIFEST_INVALID',
    ],
    [
      'ten thousand levels',
      `{"schemaVersion":2,"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
      OCI_MANIFEST,
      'MANIFEST_INVALID',
    ],
    [
      'more entries than anybody reads',
      JSON.stringify({
        schemaVersion: 2,
        manifests: Array.from({ length: 10_001 }, () => descriptor('x', OCI_MANIFEST)),
      }),
      OCI_INDEX,
      'MANIFEST_INVALID',
    ],
    ['bytes that are no UTF-8 text', '{"schemaVersion":2,"x":"\\ud800"', OCI_MANIFEST, 'MANIFEST_INVALID'],
  ];
  for (const [name, body, type, code] of refused) {
    test(`end-7: a manifest with ${name} answers 400 ${code}`, async (t) => {
      const served = await serveRegistry(t);
      const answer = await put(served, '/v2/a/manifests/v1', body, type);
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), [code]);
    });
  }

  test('end-7: a wrong digest answers 400 DIGEST_INVALID, a bad tag 400', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    const body = JSON.stringify(manifestOf(CONFIG, []));
    const wrong = await put(served, `/v2/a/manifests/${sha256('x')}`, body);
    assert.equal(wrong.status, 400);
    assert.deepEqual(await errorCodes(wrong), ['DIGEST_INVALID']);
    for (const tag of ['-x', `t${'x'.repeat(128)}`, 'a+b']) {
      assert.equal((await put(served, `/v2/a/manifests/${tag}`, body)).status, 400, tag);
    }
  });

  test('end-7: a manifest of 4 MiB is taken, one byte more answers 413', async (t) => {
    const served = await serveRegistry(t);
    await served.pushBlob('a', CONFIG);
    const limit = 4 * 1024 * 1024;
    const bare = JSON.stringify({ ...manifestOf(CONFIG, []), filler: '' });
    const full = JSON.stringify({ ...manifestOf(CONFIG, []), filler: 'x'.repeat(limit - bare.length) });
    assert.equal((await put(served, '/v2/a/manifests/v1', full)).status, 201);
    assert.equal((await put(served, '/v2/a/manifests/v2', `${full} `)).status, 413);
    const chunked = new Blob([full, ' ']).stream();
    const headers = { 'content-type': OCI_MANIFEST };
    assert.equal((await served.send('PUT', '/v2/a/manifests/v2', { body: chunked, headers })).status, 413);
  });

  test('end-9: DELETE of a tag leaves the manifest, DELETE of a manifest takes its tags', async (t) => {
    const served = await serveRegistry(t);
    const digest = await pushImage(served, 'a', 'v1');
    await pushImage(served, 'a', 'kept', ['other']);
    await served.pushManifest(
      'a',
      'v2',
      JSON.parse(await (await served.send('GET', '/v2/a/manifests/v1')).text()) as object,
    );
    assert.equal((await served.send('DELETE', '/v2/a/manifests/v1')).status, 202);
    assert.equal((await served.send('GET', '/v2/a/manifests/v1')).status, 404);
    assert.equal((await served.send('DELETE', '/v2/a/manifests/v1')).status, 404);
    assert.equal((await served.send('GET', `/v2/a/manifests/${digest}`)).status, 200);
    assert.equal((await served.send('DELETE', `/v2/a/manifests/${digest}`)).status, 202);
    assert.equal((await served.send('GET', '/v2/a/manifests/v2')).status, 404);
    assert.equal((await served.send('DELETE', `/v2/a/manifests/${digest}`)).status, 404);
    assert.equal((await served.send('GET', '/v2/a/manifests/kept')).status, 200);
  });

  test('a blob that a manifest needs is not deleted: 405', async (t) => {
    const served = await serveRegistry(t);
    const digest = await pushImage(served, 'a', 'v1', ['layer']);
    assert.equal((await served.send('DELETE', `/v2/a/blobs/${sha256('layer')}`)).status, 405);
    await served.send('DELETE', `/v2/a/manifests/${digest}`);
    assert.equal((await served.send('DELETE', `/v2/a/blobs/${sha256('layer')}`)).status, 202);
  });

  test('a nested index is taken, and a sparse one with a warning or, by setting, not at all', async (t) => {
    for (const sparseIndexes of [true, false]) {
      const served = await serveRegistry(t, { sparseIndexes });
      const child = await pushImage(served, 'a', 'child');
      const bytes = await (await served.send('GET', `/v2/a/manifests/${child}`)).text();
      const inner = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor(bytes, OCI_MANIFEST)] };
      await served.pushManifest('a', 'inner', inner);
      const outer = { ...inner, manifests: [descriptor(JSON.stringify(inner), OCI_INDEX)] };
      await served.pushManifest('a', 'outer', outer);
      const sparse = {
        ...inner,
        manifests: [descriptor(bytes, OCI_MANIFEST), descriptor('none', OCI_MANIFEST)],
      };
      const answer = await put(served, '/v2/a/manifests/sparse', JSON.stringify(sparse), OCI_INDEX);
      assert.equal(answer.status, sparseIndexes ? 201 : 404);
      const warning = '299 - "1 of 2 manifests of this index are not in the repository"';
      assert.equal(answer.headers.get('warning'), sparseIndexes ? warning : null);
    }
  });

  test('conditional and range requests work on manifests', async (t) => {
    const served = await serveRegistry(t);
    const digest = await pushImage(served, 'a', 'v1');
    const match = { 'if-none-match': `"${digest}"` };
    assert.equal((await served.send('GET', '/v2/a/manifests/v1', { headers: match })).status, 304);
    const part = await served.send('GET', '/v2/a/manifests/v1', { headers: { range: 'bytes=0-' } });
    assert.equal(part.status, 206);
    assert.equal(sha256(await part.text()), digest);
  });
});
