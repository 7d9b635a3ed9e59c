import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { makeCertificates } from '../../test/support/certificates.ts';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import type { Credential } from './credential.ts';
import type { HostCapability, RegistryHost } from './host-config.ts';
import { fetchDocument } from './fetch-content.ts';
import { createRemoteClient } from './remote-client.ts';
import { resolveReference } from './resolve.ts';

/*
 * Requests through a proxy that is really there. `registry.test` is known to the proxy alone: what is not sent through it does
 * not arrive.
 */

const signal = AbortSignal.timeout(60_000);
const USERS = { alice: 'secret' };

interface Proxy {
  readonly port: number;
  /** `CONNECT registry.test:443`, `GET http://registry.test/…`, with the credential for the proxy behind. */
  readonly seen: string[];
}

/** A proxy that leads everything to one port of this machine, or refuses with a status. */
async function serveProxy(t: TestContext, port: number, refusal?: number): Promise<Proxy> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((message, response) => {
    seen.push(`${message.method} ${message.url} ${message.headers['proxy-authorization'] ?? 'nobody'}`);
    if (refusal !== undefined) {
      response.writeHead(refusal).end();
      return;
    }
    const { method, headers, url = '' } = message;
    const path = url.replace(/^http:\/\/[^/]+/, '');
    const onward = httpRequest({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    message.pipe(onward);
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (message, socket: Socket) => {
    seen.push(`CONNECT ${message.url} ${message.headers['proxy-authorization'] ?? 'nobody'}`);
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal} Refused\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket);
      socket.pipe(onward);
    });
    sockets.add(onward);
    for (const each of [socket, onward]) each.on('error', () => onward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

async function fetchThrough(
  t: TestContext,
  scheme: 'http' | 'https',
  proxy: string,
  options: { ca?: string; credential?: Credential } = {},
): Promise<string> {
  const host: RegistryHost = {
    host: 'registry.test',
    scheme,
    path: '/v2',
    capabilities: new Set<HostCapability>(['pull', 'resolve']),
    ca: options.ca === undefined ? [] : [options.ca],
    clientCertificates: [],
    skipVerify: false,
    headers: {},
    mirror: false,
  };
  const client = createRemoteClient({
    hosts: async () => [host],
    environment: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy },
    clock: { now: Date.now, sleep: async () => {} },
  });
  t.after(() => client.close());
  const session = client.repository('registry.test', 'app', { credentials: async () => options.credential });
  const { descriptor } = await resolveReference(session, { tag: 'v1' }, 'registry.test/app:v1', signal);
  return (await fetchDocument(session, descriptor, 4 << 20, signal)).toString();
}

const alice = { name: 'test', username: 'alice', password: 'secret' };

for (const kind of ['basic', 'bearer'] as const) {
  test(`16.19 an https registry is reached through a tunnel, and the proxy sees no ${kind} credential of it`, async (t) => {
    const { ca, server } = await makeCertificates(t, ['registry.test']);
    const auth = { kind, users: USERS, realm: 'https://registry.test/token' };
    const registry = await FaultRegistry.start({ tls: server, auth });
    t.after(() => registry.close());
    registry.putImage('app', 'v1', []);
    const proxy = await serveProxy(t, Number(registry.host.split(':')[1]));
    const url = `http://me:p%40ss@127.0.0.1:${proxy.port}`;
    const text = await fetchThrough(t, 'https', url, { ca, credential: alice });
    assert.equal(text, registry.manifest('app', 'v1')?.bytes.toString());
    const shown = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
    assert.deepEqual([...new Set(proxy.seen)], [`CONNECT registry.test:443 ${shown}`]);
    assert.ok(registry.requests.some(({ headers }) => headers.authorization !== undefined));
    assert.ok(registry.requests.every(({ headers }) => headers['proxy-authorization'] === undefined));
  });
}

test('16.19 an http registry is asked for by its whole address, without a tunnel', async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  registry.putImage('app', 'v1', []);
  const proxy = await serveProxy(t, Number(registry.host.split(':')[1]));
  const text = await fetchThrough(t, 'http', `127.0.0.1:${proxy.port}`);
  assert.equal(text, registry.manifest('app', 'v1')?.bytes.toString());
  assert.equal(proxy.seen[0], 'HEAD http://registry.test/v2/app/manifests/v1 nobody');
});

/** A SOCKS5 proxy without login that leads everything to one port of this machine. @see RFC 1928 */
async function serveSocks(t: TestContext, port: number): Promise<Proxy> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (asked) => {
        const end = 5 + (asked[4] ?? 0);
        seen.push(`${asked.toString('latin1', 5, end)}:${asked.readUInt16BE(end)}`);
        const onward = connect(port, '127.0.0.1', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          socket.pipe(onward).pipe(socket);
        });
        sockets.add(onward);
        onward.on('error', () => socket.destroy());
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

for (const scheme of ['http', 'https'] as const) {
  test(`16.19 an ${scheme} registry is reached through a SOCKS5 proxy, which looks its name up`, async (t) => {
    const { ca, server } = await makeCertificates(t, ['registry.test']);
    const registry = await FaultRegistry.start(scheme === 'https' ? { tls: server } : {});
    t.after(() => registry.close());
    registry.putImage('app', 'v1', []);
    const proxy = await serveSocks(t, Number(registry.host.split(':')[1]));
    const text = await fetchThrough(t, scheme, `socks5://127.0.0.1:${proxy.port}`, { ca });
    assert.equal(text, registry.manifest('app', 'v1')?.bytes.toString());
    assert.equal(proxy.seen[0], `registry.test:${scheme === 'https' ? 443 : 80}`);
  });
}

const refused: readonly [name: string, scheme: 'http' | 'https', refusal: number, says: RegExp][] = [
  ['wants a login, before a tunnel', 'https', 407, /Proxy Authentication Required/],
  ['wants a login', 'http', 407, /Proxy Authentication Required/],
  ['refuses a tunnel', 'https', 403, /Forbidden/],
  ['cannot reach the registry', 'https', 502, /Bad Gateway/],
];
for (const [name, scheme, refusal, says] of refused) {
  test(`16.19 a proxy that ${name} is told of by what it said`, async (t) => {
    const proxy = await serveProxy(t, 1, refusal);
    await assert.rejects(
      fetchThrough(t, scheme, `http://me:hidden@127.0.0.1:${proxy.port}`),
      (error: Error) => {
        assert.match(error.message, says);
        assert.doesNotMatch(error.message, /hidden/);
        return true;
      },
    );
  });
}

test('16.19 a proxy that is not there is named', async (t) => {
  const proxy = await serveProxy(t, 1);
  const gone = `http://127.0.0.1:${proxy.port === 9 ? 10 : 9}`;
  await assert.rejects(
    fetchThrough(t, 'https', gone),
    /proxyconnect tcp: dial tcp 127\.0\.0\.1:(?:9|10): connect: connection refused/,
  );
});

test('16.19 a proxy that is no address is said to be none, and not shown', async (t) => {
  await assert.rejects(fetchThrough(t, 'https', 'http://me:hidden@[proxy:3128'), (error: Error) => {
    assert.match(error.message, /the proxy in HTTP_PROXY or HTTPS_PROXY is no URL/);
    assert.doesNotMatch(error.message, /hidden/);
    return true;
  });
});
