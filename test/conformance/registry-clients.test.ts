import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import {
  errorCodes,
  pushImage,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';

/** Sends a request as it is and leaves the connection open. */
async function dial(t: TestContext, served: ServedRegistry, request: string): Promise<Socket> {
  const socket = connect(served.registry.port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(request);
  return socket;
}

const from = (client: string): { headers: Record<string, string> } => ({
  headers: { 'x-forwarded-for': client },
});

describe('clients', () => {
  test('behind a trusted proxy are told apart, for limits, for lock-outs and in the audit log', async (t) => {
    const served = await serveRegistry(t, {
      auth: 'required',
      trustedProxies: ['127.0.0.0/8'],
      concurrentPerClient: 1,
    });
    await served.registry.admin.addUser('alice', 'correct-horse');
    const as = (client: string, basic: string): Promise<Response> =>
      served.send('GET', '/v2/none/manifests/x', { ...from(client), basic });
    for (let i = 0; i < 6; i++) await as('198.51.100.1', `alice:wrong-${i}`);
    assert.equal((await as('198.51.100.1', 'alice:correct-horse')).status, 429);
    assert.equal((await as('198.51.100.2', 'alice:correct-horse')).status, 403);
    assert.equal((await as('203.0.113.9, 198.51.100.2', 'alice:correct-horse')).status, 403);
    const entries = await served.registry.admin.listAudit({ account: 'alice' }, 1);
    assert.equal(entries[0]?.address, '198.51.100.2');
  });

  test('of a proxy that ends TLS are sent to the token service over TLS, if the proxy is trusted', async (t) => {
    for (const trustedProxies of [['127.0.0.0/8'], []]) {
      const served = await serveRegistry(t, { auth: 'required', trustedProxies });
      const headers = { 'x-forwarded-proto': 'https' };
      const challenge = (await served.send('GET', '/v2/', { headers })).headers.get('www-authenticate');
      const scheme = trustedProxies.length > 0 ? 'https' : 'http';
      assert.equal(challenge, `Bearer realm="${scheme}://${served.host}/token",service="drayage"`);
    }
  });

  test('that nobody vouches for cannot pass for others', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.addUser('alice', 'correct-horse');
    for (let i = 0; i < 6; i++) {
      await served.send('GET', '/v2/', { ...from(`198.51.100.${i}`), basic: `alice:wrong-${i}` });
    }
    const locked = await served.send('GET', '/v2/', {
      ...from('198.51.100.99'),
      basic: 'alice:correct-horse',
    });
    assert.equal(locked.status, 429);
    assert.deepEqual(await errorCodes(locked), ['TOOMANYREQUESTS']);
    assert.ok(Number(locked.headers.get('retry-after')) >= 1);
  });

  test('that read slowly count until they have read all, and no longer', async (t) => {
    const served = await serveRegistry(t, { concurrentPerClient: 2 });
    const content = randomBytes(32 * 1024 * 1024);
    const digest = await served.pushBlob('a', content);
    const slow: Socket[] = [];
    for (let i = 0; i < 2; i++) {
      const socket = await dial(t, served, `GET /v2/a/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await once(socket, 'readable');
      slow.push(socket);
    }
    const refused = await served.send('GET', '/v2/');
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '1');
    for (const socket of slow) socket.destroy();
    let status = 429;
    while (status === 429) ({ status } = await served.send('GET', '/v2/'));
    assert.equal(status, 200);
  });

  test('that send byte by byte are served', async (t) => {
    const served = await serveRegistry(t);
    const body = 'slowly';
    const path = `/v2/a/blobs/uploads/?digest=${sha256(body)}`;
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    const socket = await dial(t, served, '');
    let answer = '';
    socket.on('data', (data) => {
      answer += String(data);
    });
    const ended = once(socket, 'close');
    for (const byte of head + body) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    assert.match(answer, /^HTTP\/1\.1 201 /);
    await pushImage(served, 'a', 'v1');
  });
});
