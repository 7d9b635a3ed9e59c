import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, test } from 'node:test';
import {
  errorCodes,
  manifestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';

const signal = new AbortController().signal;

/** Sends the beginning of a request and goes away. */
async function breakOff(served: ServedRegistry, request: string): Promise<void> {
  const socket = connect(served.registry.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  await new Promise((resolve) => socket.write(request, resolve));
  socket.destroy();
  if (!socket.closed) await once(socket, 'close');
}

/** Files that this process has open below a directory. */
async function openBelow(directory: string): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((link) => link.startsWith(join(directory, 'content')));
}

/** Waits until what was cut off is cleared away. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

async function activeRequests(served: ServedRegistry): Promise<number> {
  const metrics = await (await served.send('GET', '/metrics')).text();
  return Number(/^drayage_registry_active_requests (\d+)$/m.exec(metrics)?.[1]);
}

describe('clients that break off', () => {
  const head = (method: string, path: string, length: number): string =>
    `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

  for (const [name, request] of [
    [
      'in the middle of a push in one request',
      head('POST', `/v2/p/a/blobs/uploads/?digest=${sha256('x')}`, 900_000),
    ],
    ['in the middle of a manifest', head('PUT', '/v2/p/a/manifests/v1', 900_000)],
    [
      'in the middle of a chunked body',
      `POST /v2/p/a/blobs/uploads/?digest=${sha256('x')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40000\r\n`,
    ],
    ['before they get an answer', `GET /v2/p/a/blobs/BLOB HTTP/1.1\r\nHost: x\r\n\r\n`],
  ] as const) {
    test(`${name} leave no file, no upload and no share of the quota behind`, async (t) => {
      const warnings: Error[] = [];
      const onWarning = (warning: Error): void => void warnings.push(warning);
      process.on('warning', onWarning);
      t.after(() => process.off('warning', onWarning));
      const served = await serveRegistry(t);
      await served.registry.admin.createProject('p');
      const blob = await served.pushBlob('p/a', randomBytes(300_000));
      await served.registry.admin.setPolicy('p', { quotaBytes: 2_000_000 });
      for (let i = 0; i < 20; i++) {
        await breakOff(served, `${request.replace('BLOB', blob)}${'y'.repeat(50_000)}`);
      }
      await until(async () => (await activeRequests(served)) === 1);
      await until(async () => (await openBelow(served.directory)).length === 0);
      assert.deepEqual(await readdir(join(served.directory, 'content', 'ingest')), []);
      // The whole rest of the quota can still be had.
      await served.pushBlob('p/a', randomBytes(1_700_000));
      // A file that only the garbage collector closed was forgotten.
      assert.deepEqual(warnings, []);
    });
  }

  test('in the middle of an upload leave what arrived, and the share of it, until they cancel it', async (t) => {
    const served = await serveRegistry(t);
    await served.registry.admin.createProject('p');
    await served.registry.admin.setPolicy('p', { quotaBytes: 1_000_000 });
    const begun = await served.send('POST', '/v2/p/a/blobs/uploads/');
    const location = begun.headers.get('location') ?? '';
    await breakOff(served, `${head('PATCH', location, 900_000)}${'y'.repeat(1_000)}`);
    // Sent is not yet seen.
    await until(async () => (await readdir(join(served.directory, 'content', 'ingest'))).length > 0);
    await until(async () => (await activeRequests(served)) === 1);
    const push = (): Promise<Response> => {
      const content = randomBytes(500_000);
      return served.send('POST', `/v2/p/a/blobs/uploads/?digest=${sha256(content)}`, { body: content });
    };
    assert.equal((await push()).status, 403);
    assert.equal((await served.send('DELETE', location)).status, 204);
    assert.equal((await push()).status, 201);
    assert.deepEqual(await openBelow(served.directory), []);
    assert.deepEqual(await readdir(join(served.directory, 'content', 'ingest')), []);
  });
});

test('a connection whose body was refused in the middle is good for the next request', async (t) => {
  const served = await serveRegistry(t);
  await served.registry.admin.createProject('p');
  await served.registry.admin.setPolicy('p', { quotaBytes: 100_000 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const send = (method: string, path: string, body: Buffer): Promise<{ status: number; socket: Socket }> =>
    new Promise((resolve, reject) => {
      const { port } = served.registry;
      const options = {
        agent,
        port,
        host: '127.0.0.1',
        method,
        path,
        headers: { 'transfer-encoding': 'chunked' },
      };
      const sent = request(options, (answer) => {
        const { socket, statusCode = 0 } = answer;
        answer.resume().once('end', () => resolve({ status: statusCode, socket }));
      });
      sent.once('error', reject);
      sent.end(body);
    });
  const begun = await served.send('POST', '/v2/p/a/blobs/uploads/');
  const first = await send('PATCH', begun.headers.get('location') ?? '', randomBytes(2_000_000));
  assert.equal(first.status, 403);
  const next = await send('PATCH', begun.headers.get('location') ?? '', randomBytes(10));
  assert.equal(next.status, 202);
  assert.equal(next.socket, first.socket);
});

describe('manifests made to hurt', () => {
  const cases: readonly [
    name: string,
    body: Uint8Array | string,
    headers: Record<string, string>,
    code: string,
  ][] = [
    [
      'compressed, a hundred megabytes of nothing',
      gzipSync(Buffer.alloc(100 * 1024 * 1024)),
      { 'content-encoding': 'gzip' },
      'MANIFEST_INVALID',
    ],
    [
      'nested a million levels deep',
      `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`,
      {},
      'MANIFEST_INVALID',
    ],
    ['nested in objects', `${'{"a":'.repeat(500_000)}1${'}'.repeat(500_000)}`, {}, 'MANIFEST_INVALID'],
    [
      'with a prototype in it',
      '{"schemaVersion":2,"__proto__":{"config":{},"layers":[]}}',
      {},
      'MANIFEST_INVALID',
    ],
    [
      'with twenty thousand layers',
      JSON.stringify(
        manifestOf(
          'c',
          Array.from({ length: 20_000 }, (_, at) => `layer ${at}`),
        ),
      ),
      {},
      'MANIFEST_INVALID',
    ],
    [
      'with ten thousand layers that are not there',
      JSON.stringify(
        manifestOf(
          'c',
          Array.from({ length: 10_000 }, (_, at) => `layer ${at}`),
        ),
      ),
      {},
      'MANIFEST_BLOB_UNKNOWN',
    ],
    ['that is no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), {}, 'MANIFEST_INVALID'],
  ];

  for (const [name, body, headers, code] of cases) {
    test(`one ${name} is refused as ${code}, with a short answer`, async (t) => {
      const served = await serveRegistry(t);
      const options = { body, headers: { 'content-type': OCI_MANIFEST, ...headers } };
      const answer = await served.send('PUT', '/v2/a/manifests/x', options);
      const text = await answer.text();
      assert.ok(text.length < 64 * 1024, `${text.length} bytes`);
      const { errors } = JSON.parse(text) as { errors: { code: string }[] };
      assert.ok(errors.every((error) => error.code === code));
      assert.equal((await served.send('GET', '/v2/')).status, 200);
      assert.equal((await served.registry.maintenance.scrub(signal)).checkedBlobs, 0);
    });
  }

  test('an index that names itself, or two that name each other, is no circle for retention and collection', async (t) => {
    const served = await serveRegistry(t);
    await served.registry.admin.createProject('p');
    await served.registry.admin.setPolicy('p', {
      untaggedDays: 0,
      retention: [{ tags: 'gone', keepNewest: 0 }],
    });
    await pushImage(served, 'p/a', 'v1');
    const child = { mediaType: OCI_INDEX, digest: `sha256:${'1'.repeat(64)}`, size: 1 };
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child, child], subject: child };
    await served.pushManifest('p/a', 'gone', index);
    await served.registry.maintenance.retain(signal, { dryRun: false });
    await served.registry.maintenance.collect(signal);
    assert.equal((await served.send('HEAD', '/v2/p/a/manifests/v1')).status, 200);
    assert.deepEqual(await errorCodes(await served.send('GET', '/v2/p/a/manifests/gone')), [
      'MANIFEST_UNKNOWN',
    ]);
  });
});
