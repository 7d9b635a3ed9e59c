import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { localServer } from '../../../test/support/local-server.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { cloudFetch } from './cloud-fetch.ts';
import { cloudRequest, isSafeOrigin, type CloudContext, type CloudFetch } from './cloud-request.ts';

function contextOf(fetch: CloudFetch, signal: AbortSignal, clock = new ManualClock()): CloudContext {
  return {
    environment: {},
    fetch,
    clock,
    signal,
    readFile: () => Promise.reject(new Error('none')),
    warn: () => undefined,
  };
}

test('a request is sent with its headers and body, and the answer read', async (t) => {
  const url = await localServer(t, ({ method, headers, body }) => ({
    status: 203,
    headers: { 'x-seen': `${method} ${headers['x-a']} ${headers['content-length']}` },
    body: body.toUpperCase(),
  }));
  const request = { method: 'POST', headers: { 'x-a': '1' }, body: 'über', timeoutMs: 1000 } as const;
  const answer = await cloudRequest(contextOf(cloudFetch({}), t.signal), url, request);
  assert.deepEqual([answer.status, answer.text, answer.headers.get('X-Seen')], [203, 'ÜBER', 'POST 1 5']);
});

test('a redirect is not followed: a credential stays with whom it was sent to', async (t) => {
  let asked = 0;
  const elsewhere = await localServer(t, () => ({ status: 200, body: String(asked++) }));
  const url = await localServer(t, () => ({ status: 302, headers: { location: elsewhere } }));
  for (const fetcher of [
    cloudFetch({}),
    (target: string, init: RequestInit) => fetch(target, init),
  ] as CloudFetch[]) {
    const answer = await cloudRequest(contextOf(fetcher, t.signal), url, { timeoutMs: 1000 });
    assert.equal(answer.status, 302);
  }
  assert.equal(asked, 0);
});

test('what is not on this machine goes by the proxy that the environment names', async (t) => {
  const proxied: string[] = [];
  const proxy = createServer((request, response) => {
    proxied.push(request.url ?? '');
    response.end('by proxy');
  });
  // undici opens a tunnel for http too.
  proxy.on('connect', (request, socket) => {
    proxied.push(request.url ?? '');
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nby proxy'));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const address = proxy.address();
  assert.ok(address !== null && typeof address === 'object');
  const local = await localServer(t, () => ({ status: 200, body: 'direct' }));
  const environment = { http_proxy: `http://127.0.0.1:${address.port}`, NO_PROXY: 'internal.example' };
  const context = contextOf(cloudFetch(environment), t.signal);
  const ask = async (url: string): Promise<string> =>
    (await cloudRequest(context, url, { timeoutMs: 5000 })).text;
  assert.equal(await ask('http://ecr.example.test/x'), 'by proxy');
  assert.match(proxied.join(' '), /ecr\.example\.test/);
  assert.equal(await ask(local), 'direct');
  await assert.rejects(ask('http://internal.example:1/'), { code: 'CLOUD_REFUSED' });
  assert.equal(proxied.length, 1);
});

test('busy answers are tried again after a pause, others are not', async (t) => {
  const statuses = [503, 429, 403];
  const url = await localServer(t, () => ({ status: statuses.shift() ?? 200 }));
  const clock = new ManualClock();
  const state = { done: false };
  const asking = cloudRequest(contextOf(cloudFetch({}), t.signal, clock), url, {
    timeoutMs: 1e9,
    attempts: 5,
  }).finally(() => (state.done = true));
  while (!state.done) await clock.advance(100);
  assert.equal((await asking).status, 403);
  assert.deepEqual(statuses, []);
});

test('an answer without end is cut off, and a URL is named without its secrets', async (t) => {
  const url = await localServer(t, () => ({ status: 200, body: 'x'.repeat(2 << 20) }));
  await assert.rejects(
    cloudRequest(contextOf(cloudFetch({}), t.signal), `${url}/?token=S3CRET`, { timeoutMs: 5000 }),
    (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /answer is longer than 1048576 bytes$/);
      assert.ok(!error.message.includes('S3CRET'));
      return true;
    },
  );
});

test('only https, or this machine, may be sent a credential', () => {
  for (const url of ['https://a', 'http://127.0.0.1:1', 'http://localhost', 'http://[::1]/'])
    assert.ok(isSafeOrigin(url), url);
  for (const url of ['http://a', 'http://127.0.0.1.evil.io', 'ftp://a', 'x', 'http://0x7f000001.evil'])
    assert.ok(!isSafeOrigin(url), url);
});
