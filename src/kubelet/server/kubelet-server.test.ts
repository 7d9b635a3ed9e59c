import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Pki } from '../../daemon/pki.ts';
import type { Pod } from '../../kube/pod.ts';
import { silentLogger } from '../../observe/logger.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { startKubeletServer, type KubeletServerOptions } from './kubelet-server.ts';

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

interface Endpoint {
  readonly admin: Certificate;
  readonly member: Certificate;
  get(
    path: string,
    options?: { as?: Certificate; method?: string },
  ): Promise<{ status: number; type: string; text: string }>;
}

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', uid: 'u' },
  spec: { containers: [{ name: 'a', image: 'x:1' }] },
  status: {
    phase: 'Running',
    containerStatuses: [{ name: 'a', containerID: 'test://c1', state: { running: {} } }],
  },
} as unknown as Pod;

async function serve(t: TestContext, more: Partial<KubeletServerOptions> = {}): Promise<Endpoint> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-endpoint-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const pki = await Pki.open(join(directory, 'pki'));
  const client = (commonName: string, organization: string): Promise<Certificate> =>
    pki.issue({ file: commonName, commonName, organization, usage: 'client' });
  const log = join(directory, 'log');
  await writeFile(log, '2026-01-01T00:00:00.000000001Z stdout F hello\n');
  const runtime = {
    containerStatus: () => Promise.resolve({ state: 'exited', logPath: log }),
  } as unknown as RuntimeService;
  const { cert, key } = await pki.issue({
    file: 'server',
    commonName: 'node',
    usage: 'server',
    names: ['127.0.0.1'],
  });
  const server = await startKubeletServer({
    host: '127.0.0.1',
    port: 0,
    tls: { cert, key, ca: pki.ca.cert },
    workers: { pods: () => [POD], named: (_namespace, name) => (name === 'p' ? POD : undefined) },
    statuses: { get: () => undefined },
    runtime,
    runtimeName: 'test',
    logger: silentLogger,
    ...more,
  });
  t.after(() => server.close());
  return {
    admin: await client('admin', 'system:masters'),
    member: await client('someone', 'others'),
    get: (path, { as, method = 'GET' } = {}) =>
      new Promise((resolve, reject) => {
        const url = `https://127.0.0.1:${server.port}${path}`;
        request(url, { ...as, method, ca: pki.ca.cert, agent: false }, (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('error', reject);
          response.on('end', () => {
            const type = String(response.headers['content-type']);
            resolve({ status: response.statusCode ?? 0, type, text });
          });
        })
          .on('error', reject)
          .end();
      }),
  };
}

test('health is told to everybody; everything else to whoever has a certificate of the cluster’s administrators', async (t) => {
  const { get, admin, member } = await serve(t);
  const ok = { status: 200, type: 'text/plain; charset=utf-8', text: 'ok' };
  assert.deepEqual(await get('/healthz'), ok);
  assert.deepEqual(await get('/healthz?verbose'), ok);
  for (const path of ['/pods', '/pulls', '/metrics', '/containerLogs/default/p/a', '/nosuch']) {
    assert.equal((await get(path)).status, 401, path);
    const { status, text } = await get(path, { as: member });
    assert.deepEqual([status, text], [403, 'Forbidden (user=someone, verb=get, resource=nodes)\n'], path);
  }
  assert.equal((await get('/pods', { as: admin })).status, 200);
});

test('paths that are none, methods that change something and requests that break have their answers', async (t) => {
  const metrics = { contentType: 'text/plain', text: () => Promise.reject(new Error('a secret detail')) };
  const { get, admin } = await serve(t, { metrics });
  const told = async (path: string, method = 'GET'): Promise<unknown> => {
    const { status, text } = await get(path, { as: admin, method });
    return [status, text];
  };
  assert.deepEqual(await told('/nosuch'), [404, '404 page not found\n']);
  assert.deepEqual(await told('/pods/', 'DELETE'), [404, '404 page not found\n']);
  assert.deepEqual(await told('/pods', 'DELETE'), [405, 'Method Not Allowed\n']);
  assert.deepEqual(await told('/metrics'), [500, 'Internal Server Error\n']);
  assert.deepEqual(await told('/pods', 'HEAD'), [200, '']);
});

test('the Pods are a list, and the page of pulls is empty where nobody remembers them', async (t) => {
  const { get, admin } = await serve(t);
  const pods = await get('/pods', { as: admin });
  assert.equal(pods.type, 'application/json');
  assert.deepEqual(JSON.parse(pods.text), {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: {},
    items: [POD],
  });
  assert.equal((await get('/pulls', { as: admin })).text, '{"pulling":[],"ended":[]}');
});

test('a log is read with the options of its address, and what cannot be read is told', async (t) => {
  const { get, admin } = await serve(t);
  const told = async (path: string, method = 'GET'): Promise<unknown> => {
    const { status, text } = await get(`/containerLogs/default/${path}`, { as: admin, method });
    return [status, text];
  };
  assert.deepEqual(await told('p/a'), [200, 'hello\n']);
  assert.deepEqual(await told('p/a?timestamps=true'), [200, '2026-01-01T00:00:00.000000001Z hello\n']);
  assert.deepEqual(await told('p/a', 'HEAD'), [200, '']);
  assert.deepEqual(await told('q/a'), [404, 'pod "q" does not exist']);
  assert.deepEqual(await told('p/b'), [404, 'container "b" not found in pod "p"']);
});
