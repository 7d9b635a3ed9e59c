import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import { CONNECT_LIMITS } from './connections.ts';
import type { HostCapability, RegistryHost } from './host-config.ts';
import { createHostResolver } from './hosts/create-host-resolver.ts';
import { createRemoteClient, type RemoteClientOptions } from './remote-client.ts';
import { resolveReference } from './resolve.ts';

const signal = AbortSignal.timeout(60_000);

async function listening(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function resolveAt(
  t: TestContext,
  host: string,
  scheme: 'http' | 'https',
  options: Partial<RemoteClientOptions>,
) {
  const only: RegistryHost = {
    host,
    scheme,
    path: '/v2',
    capabilities: new Set<HostCapability>(['pull', 'resolve']),
    ca: [],
    clientCertificates: [],
    skipVerify: false,
    headers: {},
    mirror: false,
  };
  const client = createRemoteClient({
    hosts: async () => [only],
    environment: {},
    clock: { now: Date.now, sleep: async () => {} },
    ...options,
  });
  t.after(() => client.close());
  return resolveReference(client.repository('r.example', 'app'), { tag: 'v1' }, 'n', signal);
}

test('17.3 the limits are those of containerd', () => {
  assert.deepEqual(CONNECT_LIMITS, {
    dialMs: 30_000,
    tlsHandshakeMs: 10_000,
    responseHeaderMs: 30_000,
    idleMs: 30_000,
  });
});

test('17.3 a server that never ends the handshake is given up', async (t) => {
  const host = await listening(t, createServer());
  await assert.rejects(resolveAt(t, host, 'https', { limits: { tlsHandshakeMs: 20 } }), {
    code: 'TIMEOUT',
    message: `failed to do request: Head "https://${host}/v2/app/manifests/v1": net/http: TLS handshake timeout`,
  });
});

test('17.3 a server that never answers is given up', async (t) => {
  const host = await listening(
    t,
    createHttpServer(() => {}),
  );
  await assert.rejects(resolveAt(t, host, 'http', { limits: { responseHeaderMs: 20 } }), {
    code: 'TIMEOUT',
    message: `failed to do request: Head "http://${host}/v2/app/manifests/v1": net/http: timeout awaiting response headers`,
  });
});

test('17.3 ten redirects are followed and no more', async (t) => {
  for (const [count, ends] of [
    [10, true],
    [11, false],
  ] as const) {
    const registry = await FaultRegistry.start();
    t.after(() => registry.close());
    registry.putImage('app', 'v1', []);
    registry.fault(
      'HEAD',
      /manifests/,
      { kind: 'status', status: 307, headers: { location: '?next' } },
      count,
    );
    const resolving = resolveAt(t, registry.host, 'http', {});
    if (ends) await resolving;
    else await assert.rejects(resolving, { message: /stopped after 10 redirects$/ });
  }
});

test('requests that follow one another share a connection, HEAD included', async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  registry.putImage('app', 'v1', []);
  const client = createRemoteClient({ hosts: createHostResolver({ roots: [] }), environment: {} });
  t.after(() => client.close());
  for (let time = 0; time < 10; time++) {
    const session = client.repository(registry.host, 'app', {});
    await resolveReference(session, { tag: 'v1' }, 'n', signal);
  }
  // The greeting that found no TLS, one connection, and one more where a request came before the last was put back.
  assert.ok(registry.connections <= 3, `${registry.connections} connections`);
});

test('a request whose signal aborts ends at once with the reason', async (t) => {
  const host = await listening(
    t,
    createHttpServer(() => {}),
  );
  const client = createRemoteClient({ hosts: createHostResolver({ roots: [] }), environment: {} });
  t.after(() => client.close());
  const stop = new AbortController();
  const resolving = resolveReference(client.repository(host, 'app'), { tag: 'v1' }, 'n', stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(resolving, /enough/);
});
