import assert from 'node:assert/strict';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { refuses } from '../../../test/api/refusals.ts';
import { startTestApi, type RawAnswer, type TestApi } from '../../../test/support/test-api.ts';

let api: TestApi;
let web: Server;
let kubelet: Server;
let port = 0;
let kubeletPort = 0;
const DEMO = '/api/v1/namespaces/demo';
const MERGE = 'application/merge-patch+json';

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url?.startsWith('/old') === true) {
    response.writeHead(302, { location: '/new?x=1' }).end();
    return;
  }
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const { method, url, headers } = request;
  response.writeHead(url === '/teapot' ? 418 : 200, { 'content-type': 'application/json', 'x-own': 'yes' });
  response.end(JSON.stringify({ method, url, headers, body }));
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

before(async () => {
  api = await startTestApi({ plain: { port: 0, user: { name: 'admin', groups: ['system:masters'] } } });
  web = createHttpServer((request, response) => void answer(request, response));
  port = await listening(web);
  const serving = await api.pki.issue({
    file: 'node',
    commonName: 'n1',
    usage: 'server',
    names: ['127.0.0.1'],
  });
  kubelet = createHttpsServer({ ...serving, ca: api.pki.ca.cert, requestCert: true }, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    response.setHeader('content-type', 'text/plain').end(`${request.url ?? ''} for ${String(subject.CN)}`);
  });
  kubeletPort = await listening(kubelet);
  const make = async (path: string, body: object): Promise<void> => {
    const made = await api.send('POST', path, { body });
    assert.equal(made.code, 201, made.text);
  };
  await make('/api/v1/nodes', {
    metadata: { name: 'n1' },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    },
  });
  await make('/api/v1/nodes', { metadata: { name: 'silent' } });
  await make('/api/v1/namespaces', { metadata: { name: 'demo' } });
  await make(`${DEMO}/serviceaccounts`, { metadata: { name: 'default' } });
  const containers = [{ name: 'a', image: 'x:1', ports: [{ name: 'web', containerPort: port }] }];
  for (const [name, nodeName, podIP] of [
    ['web', 'n1', '127.0.0.1'],
    ['elsewhere', 'silent', '127.0.0.1'],
    ['nowhere', 'n1', undefined],
  ] as const) {
    await make(`${DEMO}/pods`, { metadata: { name }, spec: { nodeName, containers } });
    if (podIP === undefined) continue;
    const body = { status: { podIP, podIPs: [{ ip: podIP }] } };
    await api.send('PATCH', `${DEMO}/pods/${name}/status`, { body, contentType: MERGE });
  }
  for (const name of ['web', 'orphan']) {
    await make(`${DEMO}/services`, { metadata: { name }, spec: { ports: [{ name: 'http', port: 80 }] } });
  }
  const targetRef = { kind: 'Pod', namespace: 'demo', name: 'web' };
  const ports = [{ name: 'http', port }];
  await make(`${DEMO}/endpoints`, {
    metadata: { name: 'web' },
    subsets: [{ addresses: [{ ip: '127.0.0.2' }, { ip: '127.0.0.1', targetRef }], ports }],
  });
  await make(`${DEMO}/endpoints`, {
    metadata: { name: 'orphan' },
    subsets: [{ addresses: [{ ip: '127.0.0.1' }], ports }],
  });
});
after(async () => {
  web.close();
  kubelet.close();
  await api.close();
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

const seen = (reply: RawAnswer): Seen => {
  assert.equal(reply.code, 200, reply.text);
  return reply.json<Seen>();
};

describe('a request to a Pod', () => {
  test('reaches its first port with path, query, headers and body, and without credentials', async () => {
    const reply = await api.send('PUT', `${DEMO}/pods/web/proxy/a%20b/c/?x=1&y=%2F`, {
      body: 'hello',
      contentType: 'text/plain',
      headers: { authorization: 'Bearer secret', 'x-mine': '1' },
      as: await api.certificate('kubernetes-admin', 'system:masters'),
    });
    const { method, url, headers, body } = seen(reply);
    assert.deepEqual([method, url, body], ['PUT', '/a%20b/c/?x=1&y=%2F', 'hello']);
    assert.equal(headers['authorization'], undefined);
    assert.equal(headers['x-mine'], '1');
    assert.equal(headers['host'], `127.0.0.1:${port}`);
    assert.equal(headers['x-forwarded-uri'], `${DEMO}/pods/web/proxy/a%20b/c/`);
    assert.equal(reply.headers['x-own'], 'yes');
  });

  test('reaches the port that is named, whatever the method and the answer', async () => {
    assert.equal(seen(await api.send('DELETE', `${DEMO}/pods/web:${port}/proxy/x`)).method, 'DELETE');
    assert.equal(
      seen(await api.send('GET', `${DEMO}/pods/http:web:${port}/proxy/?watch=1`)).url,
      '/?watch=1',
    );
    assert.equal(seen(await api.send('OPTIONS', `${DEMO}/pods/web/proxy/x`)).method, 'OPTIONS');
    assert.equal((await api.send('GET', `${DEMO}/pods/web/proxy/teapot`)).code, 418);
  });

  test('does not leave the root of what it reaches', async () => {
    assert.equal(seen(await api.send('GET', `${DEMO}/pods/web/proxy/a%2F..%2F..%2Fb`)).url, '/b');
  });

  test('is led to the root when it names no path, and back through the proxy by a redirect', async () => {
    const root = await api.send('GET', `${DEMO}/pods/web/proxy?x=1`);
    assert.deepEqual([root.code, root.headers.location], [301, `${DEMO}/pods/web/proxy/?x=1`]);
    const moved = await api.send('GET', `${DEMO}/pods/web/proxy/old`);
    assert.deepEqual([moved.code, moved.headers.location], [302, `${DEMO}/pods/web/proxy/new?x=1`]);
  });

  test('needs the right to what it does with pods/proxy', async () => {
    const as = await api.certificate('eve');
    const reply = await api.send('GET', `${DEMO}/pods/web/proxy/x`, { as });
    assert.equal(reply.code, 403);
    assert.equal(
      reply.json()['message'],
      'pods "web" is forbidden: User "eve" cannot get resource "pods/proxy" in API group "" in the namespace "demo"',
    );
  });

  test('does not reach the port that believes whoever is on this machine', async () => {
    const own = new URL(api.server.plainUrl ?? '').port;
    const reply = await api.send('GET', `${DEMO}/pods/web:${own}/proxy/api/v1/secrets`);
    assert.deepEqual([reply.code, reply.json()['message']], [400, 'address not allowed']);
  });
});

test("a request to a node reaches its endpoint, with the server's certificate", async () => {
  const name = 'for kube-apiserver-kubelet-client';
  assert.equal((await api.send('GET', '/api/v1/nodes/n1/proxy/metrics?x=1')).text, `/metrics?x=1 ${name}`);
  const named = await api.send('GET', `/api/v1/nodes/n1:${kubeletPort}/proxy/healthz`);
  assert.equal(named.text, `/healthz ${name}`);
});

test('a request to a Service reaches the address of a Pod that its Endpoints name', async () => {
  for (const name of ['web:http', 'web:80', 'http:web:http']) {
    assert.equal(seen(await api.send('GET', `${DEMO}/services/${name}/proxy/x`)).url, '/x');
  }
});

describe('a request is not passed on', () => {
  refuses(
    () => api,
    [
      [
        'to a name that is none',
        `GET ${DEMO}/pods/ftp:web:1/proxy/`,
        undefined,
        400,
        'invalid pod request "ftp:web:1"',
      ],
      [
        'to a node by a name that is none',
        'GET /api/v1/nodes/:1/proxy/',
        undefined,
        400,
        'invalid node request ":1"',
      ],
      [
        'to a Pod that is not there',
        `GET ${DEMO}/pods/nosuch:1/proxy/`,
        undefined,
        404,
        'pods "nosuch" not found',
      ],
      [
        'to a Pod without an address',
        `GET ${DEMO}/pods/nowhere/proxy/`,
        undefined,
        400,
        'address not allowed',
      ],
      [
        'to an address of this machine that is not that of the node',
        `GET ${DEMO}/pods/elsewhere/proxy/`,
        undefined,
        400,
        'address not allowed',
      ],
      [
        'to another port of a node on this machine',
        'GET /api/v1/nodes/n1:1/proxy/',
        undefined,
        400,
        'address not allowed',
      ],
      [
        'to a port where nobody listens',
        `GET ${DEMO}/pods/web:1/proxy/x`,
        undefined,
        503,
        'error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused',
      ],
      [
        'to a Service by a number that none of its ports has',
        `GET ${DEMO}/services/web:81/proxy/`,
        undefined,
        503,
        'no service port 81 found for service "web"',
      ],
      [
        'to a Service whose Endpoints name no Pod',
        `GET ${DEMO}/services/orphan:http/proxy/`,
        undefined,
        503,
        'no endpoints available for service "orphan:http"',
      ],
      [
        'to a ConfigMap',
        `GET ${DEMO}/configmaps/x/proxy/`,
        undefined,
        404,
        'the server could not find the requested resource',
      ],
    ],
  );
});
