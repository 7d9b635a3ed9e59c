import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../../test/support/test-api.ts';
import type { KubeObject } from '../object.ts';
import { findResource } from '../resources.ts';
import { HttpKubeClient } from './http-kube-client.ts';
import { createInformer } from './informer.ts';
import { isApiError, KubeApiError } from './kube-api-error.ts';
import type { ResourceType, WatchEvent } from './kube-client.ts';
import { KubeconfigError, loadKubeconfig } from './kubeconfig.ts';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

let api: TestApi;
const signal = new AbortController().signal;
const MAPS = findResource('', 'v1', 'configmaps') as ResourceType;
const map = (
  name: string,
  data: Record<string, string> = {},
  labels: Record<string, string> = {},
): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels },
  data,
});

before(async () => {
  api = await startTestApi();
});
after(() => api.close());

test('an object is created, read, listed, changed, patched and deleted', async () => {
  const { client } = api;
  const name = { namespace: 'default', name: 'life' };
  const made = await client.create(MAPS, map('life', { a: '1' }), signal);
  assert.equal((await client.get<ConfigMap>(MAPS, name, signal)).data?.['a'], '1');
  const changed = await client.update(MAPS, { ...made, data: { a: '2' } }, signal);
  assert.equal(changed.data?.['a'], '2');
  const patched = await client.patch<ConfigMap>(MAPS, name, { data: { b: '3' } }, 'merge', signal);
  assert.deepEqual(patched.data, { a: '2', b: '3' });
  const list = await client.list<ConfigMap>(
    MAPS,
    { namespace: 'default', fieldSelector: 'metadata.name=life' },
    signal,
  );
  assert.equal(list.items[0]?.kind, 'ConfigMap', 'items say what they are');
  await client.delete(MAPS, name, signal, { preconditions: { uid: made.metadata.uid ?? '' } });
  await assert.rejects(client.get(MAPS, name, signal), (error) => isApiError(error, 'NotFound'));
});

test('a failure carries the Status of the server', async () => {
  await api.client.create(MAPS, map('twice'), signal);
  await assert.rejects(api.client.create(MAPS, map('twice'), signal), (error: unknown) => {
    assert.ok(error instanceof KubeApiError);
    assert.equal(error.code, 'AlreadyExists');
    assert.equal(error.retryable, false);
    assert.equal(error.status?.details?.name, 'twice');
    return true;
  });
});

test('a server that is not there is a transport failure that may be tried again', async () => {
  const client = new HttpKubeClient({ server: 'http://127.0.0.1:1' });
  await assert.rejects(
    client.get(MAPS, { namespace: 'default', name: 'x' }, signal),
    (error) => isApiError(error, 'Transport') && error.retryable,
  );
  await client.close();
});

test('many requests at once share few connections, and watches take none of them', async () => {
  const waiting: ServerResponse[] = [];
  let connections = 0;
  const all = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    if (request.url?.includes('watch=true') === true) {
      response.writeHead(200).flushHeaders();
      return;
    }
    waiting.push(response);
    if (waiting.length === 16) all.resolve();
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new HttpKubeClient({ server: `http://127.0.0.1:${port}` });
  const end = new AbortController();
  const watches = Array.from({ length: 20 }, () => client.watch(MAPS, {}, end.signal).next());
  const reads = Array.from({ length: 200 }, (_, index) =>
    client.get(MAPS, { namespace: 'default', name: `m${index}` }, signal),
  );
  await all.promise;
  // One read after another is answered; the rest come on the same connections.
  const answered = (async () => {
    let count = 0;
    while (count < reads.length) {
      const response = waiting.shift();
      if (response === undefined) await once(server, 'request');
      else {
        response.end('{"metadata":{"name":"x"}}');
        count++;
      }
    }
  })();
  await Promise.all([...reads, answered]);
  assert.ok(connections <= 20 + 16, `${connections} connections`);
  end.abort(new Error('enough'));
  for (const watch of watches) await assert.rejects(watch, /enough/);
  await client.close();
  server.closeAllConnections();
  server.close();
});

test('a watch delivers events until it is aborted, and then throws the reason', async () => {
  const stop = new AbortController();
  const events: WatchEvent<ConfigMap>[] = [];
  const reason = new Error('enough');
  const drain = async (): Promise<void> => {
    const options = { namespace: 'default', labelSelector: 'w=1' };
    for await (const event of api.client.watch<ConfigMap>(MAPS, options, stop.signal)) {
      events.push(event);
      if (events.length === 2) stop.abort(reason);
    }
  };
  const refused = assert.rejects(drain(), reason);
  await api.client.create(MAPS, map('w1', {}, { w: '1' }), signal);
  await api.client.create(MAPS, map('w2', {}, { w: '1' }), signal);
  await refused;
  assert.deepEqual(
    events.map((event) => event.type),
    ['ADDED', 'ADDED'],
  );
});

/** A server of one answer, for what a real one does not do on demand. */
async function serve(
  answer: (response: ServerResponse, count: number) => void,
): Promise<{ url: string; server: Server }> {
  let count = 0;
  const server = createServer((_request, response) => answer(response, count++));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

test('a watch on which nothing arrives is given up', async () => {
  const { url, server } = await serve((response) => response.writeHead(200).flushHeaders());
  const client = new HttpKubeClient({ server: url, inactivityMs: 50 });
  await assert.rejects(
    (async () => {
      for await (const event of client.watch(MAPS, {}, signal)) assert.fail(event.type);
    })(),
    (error) => isApiError(error, 'Transport') && /nothing arrived for 50 ms/.test(error.message),
  );
  await client.close();
  server.close();
});

test('an ERROR event and a cut line both fail loudly', async () => {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    reason: 'Expired',
    message: 'too old resource version: 1 (5)',
    code: 410,
  };
  const { url, server } = await serve((response, count) => {
    if (count === 0) response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    else response.end('{"type":"ADDED","obj\n');
  });
  const client = new HttpKubeClient({ server: url });
  const drain = async (): Promise<void> => {
    for await (const event of client.watch(MAPS, {}, signal)) assert.fail(event.type);
  };
  await assert.rejects(drain(), (error) => isApiError(error, 'Expired'));
  await assert.rejects(drain(), (error) => isApiError(error, 'Transport'));
  await client.close();
  server.close();
});

test('an informer keeps up through a restart of the server and through 410', async () => {
  const stop = new AbortController();
  const own = await startTestApi();
  const made = await own.client.create(MAPS, map('first', {}, { i: '1' }), signal);
  const client = new HttpKubeClient({
    server: own.server.url,
    ca: own.pki.ca.cert,
    ...(await own.certificate('a', 'system:masters')),
  });
  const informer = createInformer<ConfigMap>(
    client,
    MAPS,
    { namespace: 'default', labelSelector: 'i=1' },
    stop.signal,
  );
  const seen: string[] = [];
  let wake = (): void => undefined;
  informer.onChange(({ type, object }) => {
    seen.push(`${type} ${object.metadata.name}`);
    wake();
  });
  const until = async (text: string): Promise<void> => {
    while (!seen.includes(text)) await new Promise<void>((resolve) => (wake = resolve));
  };
  await informer.synced();
  assert.equal(informer.get('default', 'first')?.metadata.uid, made.metadata.uid);
  await own.client.create(MAPS, map('second', {}, { i: '1' }), signal);
  await until('added second');
  await own.client.patch(
    MAPS,
    { namespace: 'default', name: 'first' },
    { metadata: { labels: { i: '2' } } },
    'merge',
    signal,
  );
  await until('deleted first');
  await own.restart();
  await own.client.create(MAPS, map('third', {}, { i: '1' }), signal);
  await until('added third');
  // While the server is down, an object goes and history is forgotten: only a new list can tell.
  await own.restart((path) => {
    const store = new DatabaseSync(path);
    store.exec("DELETE FROM versions WHERE name = 'second'");
    store.exec("UPDATE facts SET value = (SELECT max(revision) FROM versions) WHERE name = 'compacted'");
    store.exec("UPDATE sqlite_sequence SET seq = seq + 10 WHERE name = 'versions'");
    store.exec("UPDATE facts SET value = value + 5 WHERE name = 'compacted'");
    store.close();
  });
  await until('deleted second');
  assert.deepEqual(
    informer.values().map((object) => object.metadata.name),
    ['third'],
  );
  stop.abort();
  await assert.doesNotReject(informer.synced(), 'once in sync, always was');
  await client.close();
  await own.close();
});

test('a kubeconfig is read: inline data, files beside it, contexts by name', async () => {
  const config = await loadKubeconfig(api.kubeconfig);
  assert.equal(config.server, api.server.url);
  assert.match(config.ca ?? '', /BEGIN CERTIFICATE/);
  const client = new HttpKubeClient(config);
  assert.equal(await client.isReady(signal), true);
  await client.close();
  const directory = await mkdtemp(join(tmpdir(), 'drayage-config-'));
  try {
    const path = join(directory, 'config');
    await writeFile(join(directory, 'token'), 'secret\n');
    await writeFile(
      path,
      'clusters: [{name: c, cluster: {server: "https://x"}}]\nusers: [{name: u, user: {tokenFile: token}}, {name: e, user: {exec: {}}}]\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: n}}, {name: b, context: {cluster: c, user: e}}]\n',
    );
    const chosen = await loadKubeconfig(path, 'a');
    assert.deepEqual({ ...chosen }, { server: 'https://x', namespace: 'n', token: 'secret' });
    const code = (wanted: string) => (error: unknown) =>
      error instanceof KubeconfigError && error.code === wanted;
    await assert.rejects(loadKubeconfig(path), code('NO_CONTEXT'));
    await assert.rejects(loadKubeconfig(path, 'zz'), code('NO_CONTEXT'));
    await assert.rejects(loadKubeconfig(path, 'b'), code('UNSUPPORTED'));
    await assert.rejects(loadKubeconfig(join(directory, 'nosuch')), code('UNREADABLE'));
    await writeFile(path, 'a: [b');
    await assert.rejects(loadKubeconfig(path), code('MALFORMED'));
  } finally {
    await rm(directory, { recursive: true });
  }
});
