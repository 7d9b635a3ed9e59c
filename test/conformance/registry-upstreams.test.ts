import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { awaitWhile, serveCached, type Meddle } from '../support/cached-registry.ts';
import { describe as descriptor, errorCodes, OCI_MANIFEST, pushImage } from '../support/serve-registry.ts';

const SIGNATURE = 'application/vnd.example.signature';

async function tags(answer: Response): Promise<string[]> {
  return ((await answer.json()) as { tags: string[] }).tags;
}

describe('listings of an upstream', () => {
  test("the upstream's tags are listed with those that are here, by page, once in a while", async (t) => {
    const { upstream, cache, clock, seen } = await serveCached(t);
    for (const tag of ['v3', 'v1', 'v2']) await pushImage(upstream, 'library/app', tag);
    const list = (query = ''): Promise<Response> => cache.send('GET', `/v2/hub/app/tags/list${query}`);
    const first = await list('?n=2');
    assert.equal(first.headers.get('link'), '</v2/hub/library/app/tags/list?last=v2&n=2>; rel="next"');
    assert.deepEqual(await tags(first), ['v1', 'v2']);
    assert.deepEqual(await tags(await list('?n=2&last=v2')), ['v3']);
    assert.equal(seen.length, 1);
    await pushImage(upstream, 'library/app', 'v4');
    await clock.advance(60_000);
    assert.deepEqual(await tags(await list()), ['v1', 'v2', 'v3', 'v4']);
    assert.equal((await cache.send('GET', '/v2/hub/none/tags/list')).status, 404);
  });

  test('while the upstream does not answer, what is known is listed, with a warning', async (t) => {
    const made = await serveCached(t);
    await pushImage(made.upstream, 'library/app', 'v1');
    await pushImage(made.upstream, 'library/app', 'v2');
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    made.meddle = (_message, response) => {
      response.writeHead(503).end();
      return true;
    };
    const pending = made.cache.send('GET', '/v2/hub/app/tags/list');
    const listed = await awaitWhile(pending, () => made.clock.advance(1_000));
    assert.match(
      listed.headers.get('warning') ?? '',
      /^299 - "listed from cache: docker\.io does not answer: /,
    );
    assert.deepEqual(await tags(listed), ['v1']);
  });

  test("the upstream's referrers are listed, filtered and pulled", async (t) => {
    const { upstream, cache, seen } = await serveCached(t);
    const subject = await pushImage(upstream, 'library/app', 'v1');
    const bytes = await (await upstream.send('GET', '/v2/library/app/manifests/v1')).text();
    const referrer = {
      subject: descriptor(bytes, OCI_MANIFEST),
      artifactType: SIGNATURE,
      annotations: { by: 'me' },
    };
    const signature = await pushImage(upstream, 'library/app', 'signature', ['sig'], referrer);
    const path = `/v2/hub/app/referrers/${subject}`;
    const list = (await (await cache.send('GET', path)).json()) as { manifests: { digest: string }[] };
    assert.deepEqual(
      list.manifests.map(({ digest }) => digest),
      [signature],
    );
    const filtered = await cache.send('GET', `${path}?artifactType=none/such`);
    assert.equal(filtered.headers.get('oci-filters-applied'), 'artifactType');
    assert.deepEqual(((await filtered.json()) as { manifests: object[] }).manifests, []);
    assert.equal(seen.filter((line) => line.includes('referrers')).length, 1);
    assert.equal((await cache.send('GET', `/v2/hub/app/manifests/${signature}`)).status, 200);
  });
});

describe('limits of an upstream', () => {
  const limited: Meddle = (message, response) => {
    response.setHeader('ratelimit-limit', '100;w=21600');
    response.setHeader('ratelimit-remaining', '76;w=21600');
    response.setHeader('docker-ratelimit-source', '192.0.2.1');
    if (message.url?.endsWith('/manifests/v2') !== true) return false;
    response.writeHead(429, { 'retry-after': '3600' }).end();
    return true;
  };

  test('are shown to the client, with an answer and with a refusal, and in metrics', async (t) => {
    const made = await serveCached(t);
    await pushImage(made.upstream, 'library/app', 'v1');
    made.meddle = limited;
    const got = await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    assert.equal(got.headers.get('ratelimit-limit'), '100;w=21600');
    assert.equal(got.headers.get('ratelimit-remaining'), '76;w=21600');
    assert.equal(got.headers.get('docker-ratelimit-source'), '192.0.2.1');
    const again = await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    assert.equal(again.headers.get('ratelimit-limit'), null, 'the upstream was not asked');
    const refused = await made.cache.send('GET', '/v2/hub/app/manifests/v2');
    assert.equal(refused.status, 429);
    assert.deepEqual(await errorCodes(refused), ['TOOMANYREQUESTS']);
    assert.equal(refused.headers.get('retry-after'), '3600');
    assert.equal(refused.headers.get('ratelimit-remaining'), '76;w=21600');
    const metrics = await (await made.cache.send('GET', '/metrics')).text();
    assert.match(metrics, /^drayage_registry_upstream_ratelimit_limit\{upstream="hub"\} 100$/m);
    assert.match(metrics, /^drayage_registry_upstream_ratelimit_remaining\{upstream="hub"\} 76$/m);
  });

  test("in the IETF's form are read too", async (t) => {
    const made = await serveCached(t);
    await pushImage(made.upstream, 'library/app', 'v1');
    made.meddle = (_message, response) => {
      response.setHeader('ratelimit', '"pull";r=12;t=30');
      response.setHeader('ratelimit-policy', '"pull";q=50;w=60');
      return false;
    };
    const got = await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    assert.equal(got.headers.get('ratelimit'), '"pull";r=12;t=30');
    const metrics = await (await made.cache.send('GET', '/metrics')).text();
    assert.match(metrics, /ratelimit_limit\{upstream="hub"\} 50$/m);
    assert.match(metrics, /ratelimit_remaining\{upstream="hub"\} 12$/m);
  });

  test('an upstream that limits us is left alone for as long as it asks, a minute at most, while there is a copy', async (t) => {
    const made = await serveCached(t, { as: { recheckMs: 0 } });
    await pushImage(made.upstream, 'library/app', 'v1');
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    made.meddle = (_message, response) => {
      response.writeHead(429, { 'retry-after': '3600' }).end();
      return true;
    };
    for (const [wait, asked] of [
      [0, 1],
      [1_000, 0],
      [30_000, 0],
      [30_000, 1],
    ] as const) {
      await made.clock.advance(wait);
      made.seen.length = 0;
      const got = await made.cache.send('GET', '/v2/hub/app/manifests/v1');
      assert.equal(got.status, 200);
      assert.match(got.headers.get('warning') ?? '', /^299 - "served from cache/);
      assert.equal(made.seen.length, asked, `after ${wait} ms`);
    }
  });
});

describe('an upstream that does not answer', () => {
  test('is waited for a quarter of a minute, then what is here is served', async (t) => {
    const made = await serveCached(t);
    const digest = await pushImage(made.upstream, 'library/app', 'v1');
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    await made.clock.advance(60_000);
    const hung = Promise.withResolvers<void>();
    made.meddle = () => {
      hung.resolve();
      return true;
    };
    const pending = made.cache.send('GET', '/v2/hub/app/manifests/v1');
    await hung.promise;
    await made.clock.advance(15_000);
    const got = await pending;
    assert.equal(got.headers.get('docker-content-digest'), digest);
    assert.match(got.headers.get('warning') ?? '', /no answer within 15 s/);
    const other = Promise.withResolvers<void>();
    made.meddle = () => {
      other.resolve();
      return true;
    };
    const missing = made.cache.send('GET', '/v2/hub/app/manifests/v2');
    await other.promise;
    await made.clock.advance(15_000);
    assert.equal((await missing).status, 504);
  });

  test('its silence is over when the clock was set back: a tag is asked for again', async (t) => {
    const made = await serveCached(t);
    await pushImage(made.upstream, 'library/app', 'v1');
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    made.clock.set(made.clock.now() - 86_400_000);
    made.seen.length = 0;
    await made.cache.send('GET', '/v2/hub/app/manifests/v1');
    assert.deepEqual(made.seen, ['HEAD /v2/library/app/manifests/v1']);
  });
});

describe("the callers' rights", () => {
  test('are checked here before the upstream is asked anything', async (t) => {
    const made = await serveCached(t, { cache: { auth: 'required' } });
    await pushImage(made.upstream, 'library/app', 'v1');
    await made.cache.registry.admin.addUser('alice', 'correct-horse');
    await made.cache.registry.admin.addUser('bob', 'correct-horse');
    await made.cache.registry.admin.createProject('hub');
    await made.cache.registry.admin.grantRole('hub', 'alice', 'guest');
    for (const path of [
      '/v2/hub/app/manifests/v1',
      '/v2/library/app/manifests/v1?ns=docker.io',
      '/v2/hub/app/tags/list',
    ]) {
      made.seen.length = 0;
      const nobody = await made.cache.send('GET', path);
      assert.equal(nobody.status, 401);
      assert.match(nobody.headers.get('www-authenticate') ?? '', /scope="repository:hub\/library\/app:pull"/);
      assert.equal((await made.cache.send('GET', path, { basic: 'bob:correct-horse' })).status, 403);
      assert.deepEqual(made.seen, []);
      assert.equal((await made.cache.send('GET', path, { basic: 'alice:correct-horse' })).status, 200);
    }
  });
});
