import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { serveCached } from '../support/cached-registry.ts';
import { makeCertificates } from '../support/certificates.ts';
import { errorCodes, OCI_MANIFEST, pushImage, serveRegistry, sha256 } from '../support/serve-registry.ts';

/** Serves whatever `answer` says until the test ends. */
async function serveWhatever(
  t: TestContext,
  answer: (message: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function tags(answer: Response): Promise<string[]> {
  return ((await answer.json()) as { tags: string[] }).tags;
}

describe('an upstream that means harm', () => {
  const credential = { username: 'acme', password: 'hub-secret' };

  test('a token service outside its domain is shown no credential', async (t) => {
    const shown: (string | undefined)[] = [];
    const stranger = await serveWhatever(t, (message, response) => {
      shown.push(message.headers.authorization);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"token":"stolen"}');
    });
    const made = await serveCached(t, { as: { credential } });
    made.meddle = (message, response) => {
      if (message.headers.authorization !== undefined) return false;
      // By this address Linux reaches itself, but it is no name of the upstream's.
      const challenge = `Bearer realm="http://0.0.0.0:${stranger}/token",service="hub"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
      return true;
    };
    await pushImage(made.upstream, 'library/app', 'v1');
    assert.equal((await made.cache.send('GET', '/v2/hub/app/manifests/v1')).status, 200);
    assert.ok(shown.length > 0);
    assert.deepEqual(new Set(shown), new Set([undefined]));
  });

  test('its credential is shown to its own token service', async (t) => {
    const made = await serveCached(t, { upstream: { auth: 'required' }, as: { credential } });
    await made.upstream.registry.admin.addUser('acme', 'hub-secret', { admin: true });
    const bytes = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}';
    const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
    const options = { body: bytes, headers, basic: 'acme:hub-secret' };
    assert.equal((await made.upstream.send('PUT', '/v2/library/app/manifests/v1', options)).status, 201);
    assert.equal(await (await made.cache.send('GET', '/v2/hub/app/manifests/v1')).text(), bytes);
  });

  test('a Link that leads elsewhere is not followed', async (t) => {
    let led = 0;
    const stranger = await serveWhatever(t, (_message, response) => {
      led++;
      response.end('{"tags":["evil"]}');
    });
    const made = await serveCached(t, { as: { credential } });
    made.meddle = (message, response) => {
      if (message.url?.includes('tags/list') !== true) return false;
      const link = `<http://127.0.0.1:${stranger}/v2/library/app/tags/list?n=1>; rel="next"`;
      response.writeHead(200, { link }).end('{"name":"library/app","tags":["v1","not a tag"]}');
      return true;
    };
    assert.deepEqual(await tags(await made.cache.send('GET', '/v2/hub/app/tags/list')), ['v1']);
    assert.equal(led, 0);
  });

  test('a redirect to another host is followed without the credential', async (t) => {
    const shown: (string | undefined)[] = [];
    const storage = await serveWhatever(t, (message, response) => {
      shown.push(message.headers.authorization);
      response.end('layer');
    });
    const made = await serveCached(t, { as: { credential } });
    await pushImage(made.upstream, 'library/app', 'v1');
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    made.meddle = (message, response) => {
      if (message.url?.includes('/blobs/') !== true) return false;
      if (message.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      } else response.writeHead(307, { location: `http://127.0.0.1:${storage}/layer` }).end();
      return true;
    };
    const got = await made.cache.send('GET', `/v2/hub/app/blobs/${sha256('layer')}`);
    assert.equal(await got.text(), 'layer');
    assert.deepEqual(shown, [undefined]);
  });

  for (const [name, location] of [
    ['from TLS into the clear', 'http://127.0.0.1:1/layer'],
    ['to no address of the web', 'file:///etc/passwd'],
    ['in a circle', ''],
  ] as const) {
    test(`a redirect ${name} is refused`, async (t) => {
      const { ca, server: pair } = await makeCertificates(t);
      const hops: string[] = [];
      const server = createTlsServer(pair, (message, response) => {
        hops.push(message.url ?? '');
        response.writeHead(302, { location: location === '' ? (message.url ?? '/') : location }).end();
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => {
        server.closeAllConnections();
        server.close();
      });
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const upstreams = [{ prefix: 'hub', registry: 'docker.io', url, ca: [ca] }];
      const cache = await serveRegistry(t, { upstreams });
      const got = await cache.send('GET', '/v2/hub/app/manifests/v1');
      assert.equal(got.status, 502);
      assert.deepEqual(await errorCodes(got), ['UNAVAILABLE']);
      assert.ok(hops.length <= 12, `${hops.length} requests`);
    });
  }

  for (const [name, body] of [
    ['that is no manifest', '{"schemaVersion":1}'],
    ['nested deeply', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    [
      'with a digest that escapes',
      '{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:../../x","size":1},"layers":[]}',
    ],
  ] as const) {
    test(`a manifest ${name} is the upstream's fault and is not kept`, async (t) => {
      const made = await serveCached(t);
      made.meddle = (_message, response) => {
        const headers = {
          'content-type': OCI_MANIFEST,
          'docker-content-digest': sha256(body),
          'content-length': body.length,
        };
        response.writeHead(200, headers).end(body);
        return true;
      };
      const got = await made.cache.send('GET', '/v2/hub/app/manifests/v1');
      assert.equal(got.status, 502);
      assert.equal((await made.cache.send('GET', `/v2/hub/app/manifests/${sha256(body)}`)).status, 502);
    });
  }
});
