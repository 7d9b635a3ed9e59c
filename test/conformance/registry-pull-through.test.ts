import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { awaitWhile, serveCached as setting, type Meddle } from '../support/cached-registry.ts';
import {
  describe as descriptor,
  errorCodes,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  sha256,
} from '../support/serve-registry.ts';

const DOWN: Meddle = (_message, response) => {
  response.writeHead(500).end();
  return true;
};

describe('pull-through', () => {
  test('fetches what is asked for once, and nothing else', async (t) => {
    const { upstream, cache, seen } = await setting(t);
    const layers = ['first layer', 'second layer'];
    const digest = await pushImage(upstream, 'library/app', 'v1', layers);
    const bytes = await (await upstream.send('GET', '/v2/library/app/manifests/v1')).text();
    const index = {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [descriptor(bytes, OCI_MANIFEST), descriptor('arm', OCI_MANIFEST)],
    };
    await upstream.pushManifest('library/app', 'multi', index);

    const got = await cache.send('GET', '/v2/hub/library/app/manifests/multi');
    assert.equal(await got.text(), JSON.stringify(index));
    assert.deepEqual(seen.splice(0), [
      'HEAD /v2/library/app/manifests/multi',
      `GET /v2/library/app/manifests/${sha256(JSON.stringify(index))}`,
    ]);
    assert.equal((await cache.send('GET', `/v2/hub/library/app/manifests/${digest}`)).status, 200);
    const layer = await cache.send('GET', `/v2/hub/library/app/blobs/${sha256('first layer')}`);
    assert.equal(await layer.text(), 'first layer');
    assert.equal(seen.filter((line) => line.includes('blobs')).length, 1);
    seen.length = 0;
    for (const path of ['manifests/multi', `manifests/${digest}`, `blobs/${sha256('first layer')}`]) {
      assert.equal((await cache.send('GET', `/v2/hub/library/app/${path}`)).status, 200);
    }
    assert.deepEqual(seen, []);
  });

  test('a tag is asked for again by HEAD once its time is over, and followed when it moved', async (t) => {
    const { upstream, cache, clock, seen } = await setting(t);
    const first = await pushImage(upstream, 'library/app', 'v1');
    const head = (): Promise<Response> => cache.send('HEAD', '/v2/hub/app/manifests/v1');
    assert.equal((await head()).headers.get('docker-content-digest'), first);
    const second = await pushImage(upstream, 'library/app', 'v1', ['other']);
    assert.equal((await head()).headers.get('docker-content-digest'), first);
    seen.length = 0;
    await clock.advance(60_000);
    assert.equal((await head()).headers.get('docker-content-digest'), second);
    await clock.advance(60_000);
    await head();
    assert.deepEqual(seen, [
      'HEAD /v2/library/app/manifests/v1',
      `GET /v2/library/app/manifests/${second}`,
      'HEAD /v2/library/app/manifests/v1',
    ]);
  });

  test('many clients of one blob share one download, which outlives the first of them', async (t) => {
    const made = await setting(t);
    const { upstream, cache, seen } = made;
    const content = randomBytes(400_000).toString('hex');
    await pushImage(upstream, 'library/app', 'v1', [content]);
    await cache.send('GET', '/v2/hub/app/manifests/v1');
    const half = Promise.withResolvers<void>();
    made.meddle = async (message, response) => {
      if (message.url?.includes('/blobs/') !== true) return false;
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.slice(0, 300_000));
      await half.promise;
      response.end(content.slice(300_000));
      return true;
    };
    const path = `/v2/hub/app/blobs/${sha256(content)}`;
    const gone = await cache.send('GET', path);
    await gone.body?.cancel();
    const readers = await Promise.all([1, 2, 3, 4].map(() => cache.send('GET', path)));
    const ranged = cache.send('GET', path, { headers: { range: 'bytes=500000-500009' } });
    half.resolve();
    for (const reader of readers) assert.equal(sha256(await reader.text()), sha256(content));
    assert.equal(await (await ranged).text(), content.slice(500_000, 500_010));
    assert.equal(seen.filter((line) => line.includes('/blobs/')).length, 1);
    assert.equal((await cache.send('HEAD', path)).status, 200);
    const metrics = await (await cache.send('GET', '/metrics')).text();
    const received = 'drayage_registry_upstream_received_bytes_total{upstream="hub"}';
    assert.ok(metrics.includes(`${received} ${content.length}\n`), 'and that is counted once');
  });

  test('a download that breaks is taken up where it broke', async (t) => {
    const made = await setting(t);
    const content = randomBytes(100_000).toString('hex');
    await pushImage(made.upstream, 'library/app', 'v1', [content]);
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    let breaks = 1;
    const ranges: (string | undefined)[] = [];
    made.meddle = (message, response) => {
      if (message.url?.includes('/blobs/') !== true) return false;
      ranges.push(message.headers.range);
      if (breaks-- <= 0) return false;
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.slice(0, 50_000), () => response.destroy());
      return true;
    };
    const got = await made.cache.send('GET', `/v2/hub/app/blobs/${sha256(content)}`);
    assert.equal(sha256(await got.text()), sha256(content));
    assert.equal(ranges[0], undefined);
    assert.match(ranges[1] ?? '', /^bytes=\d+-$/);
  });

  test('bytes that are not the digest reach nobody whole and are not kept', async (t) => {
    const made = await setting(t);
    const content = 'x'.repeat(100_000);
    await pushImage(made.upstream, 'library/app', 'v1', [content]);
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    made.meddle = (message, response) => {
      if (message.url?.includes('/blobs/') !== true) return false;
      response.writeHead(200, { 'content-length': content.length }).end('y'.repeat(content.length));
      return true;
    };
    const path = `/v2/hub/app/blobs/${sha256(content)}`;
    await assert.rejects(async () => (await made.cache.send('GET', path)).text());
    made.meddle = () => false;
    assert.equal(await (await made.cache.send('GET', path)).text(), content);
  });

  test('what is here is served with a warning while the upstream refuses, limits or fails', async (t) => {
    const made = await setting(t);
    const digest = await pushImage(made.upstream, 'library/app', 'v1');
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    for (const status of [401, 403, 429, 500]) {
      await made.clock.advance(60_000);
      made.meddle = (_message, response) => {
        response.writeHead(status, { 'retry-after': '0' }).end();
        return true;
      };
      const pending = made.cache.send('GET', '/v2/hub/app/manifests/v1');
      const got = await awaitWhile(pending, () => made.clock.advance(1_000));
      assert.equal(got.status, 200, String(status));
      assert.equal(got.headers.get('docker-content-digest'), digest);
      assert.match(
        got.headers.get('warning') ?? '',
        /^299 - "served from cache: docker\.io does not answer: /,
      );
    }
    made.meddle = () => false;
    await made.clock.advance(60_000);
    assert.equal((await made.cache.send('GET', '/v2/hub/app/manifests/v1')).headers.get('warning'), null);
  });

  test("what is not here is answered with the upstream's reason", async (t) => {
    const made = await setting(t);
    const missing = await made.cache.send('GET', '/v2/hub/app/manifests/none');
    assert.equal(missing.status, 404);
    made.seen.length = 0;
    assert.equal((await made.cache.send('GET', '/v2/hub/app/manifests/none')).status, 404);
    assert.deepEqual(made.seen, [], 'that there is none is believed for a moment');
    made.meddle = DOWN;
    const pending = made.cache.send('GET', '/v2/hub/app/manifests/other');
    const down = await awaitWhile(pending, () => made.clock.advance(1_000));
    assert.equal(down.status, 502);
    assert.deepEqual(await errorCodes(down), ['UNAVAILABLE']);
  });

  test('what a scrub found damaged is fetched again', async (t) => {
    const { upstream, cache, seen } = await setting(t);
    const digest = await pushImage(upstream, 'library/app', 'v1', ['layer']);
    const get = async (path: string): Promise<string> =>
      (await cache.send('GET', `/v2/hub/library/app/${path}`)).text();
    const paths = ['manifests/v1', `manifests/${digest}`, `blobs/${sha256('layer')}`];
    const all = async (): Promise<string[]> => {
      const texts: string[] = [];
      for (const path of paths) texts.push(await get(path));
      return texts;
    };
    const first = await all();
    for (const hex of [digest, sha256('layer')].map((each) => each.slice(7))) {
      await rm(join(cache.directory, 'content', 'blobs', 'sha256', hex));
    }
    const { damaged } = await cache.registry.maintenance.scrub(new AbortController().signal);
    assert.equal(damaged.length, 2);
    seen.length = 0;
    assert.deepEqual(await all(), first);
    assert.ok(seen.includes(`GET /v2/library/app/manifests/${digest}`), seen.join('\n'));
    assert.ok(seen.includes(`GET /v2/library/app/blobs/${sha256('layer')}`), seen.join('\n'));
  });

  test('a mirror request names the registry by ns, and the answer says so', async (t) => {
    const { upstream, cache } = await setting(t);
    const digest = await pushImage(upstream, 'library/app', 'v1');
    const got = await cache.send('GET', '/v2/library/app/manifests/v1?ns=docker.io');
    assert.equal(got.headers.get('oci-namespace'), 'docker.io');
    assert.equal(got.headers.get('docker-content-digest'), digest);
    assert.equal((await cache.send('GET', '/v2/library/app/manifests/v1?ns=other.io')).status, 404);
    assert.equal((await cache.send('HEAD', '/v2/hub/library/app/manifests/v1')).status, 200);
  });

  test('pushes to a cache are refused, pushes beside it are not', async (t) => {
    const { cache } = await setting(t);
    assert.equal((await cache.send('POST', '/v2/hub/app/blobs/uploads/')).status, 405);
    assert.equal((await cache.send('POST', '/v2/own/app/blobs/uploads/')).status, 202);
  });
});
