import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { ContentError } from '../../src/content/content-error.ts';
import { openFileStore, type FileStore } from '../../src/content/file-store.ts';
import { errorCodes, pushImage, serveRegistry, sha256 } from '../support/serve-registry.ts';

/** Opens a store whose disk is full while `disk.full` says so; everything else of it is the real one. */
async function fillableStore(
  t: TestContext,
  disk: { full: boolean },
): Promise<{ store: FileStore; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-full-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const real = await openFileStore(directory);
  const refuseWhenFull = (): void => {
    if (disk.full) throw new ContentError('NO_SPACE', 'Cannot write to ingest: no space left on device');
  };
  const store = Object.create(real, {
    openIngest: {
      value: async (...args: Parameters<FileStore['openIngest']>) => {
        const ingest = await real.openIngest(...args);
        const write = ingest.writeAll?.bind(ingest);
        ingest.writeAll = async (chunks) => {
          refuseWhenFull();
          await write?.(chunks);
        };
        return ingest;
      },
    },
    putWhole: {
      value: async (...args: Parameters<FileStore['putWhole']>) => {
        refuseWhenFull();
        return real.putWhole(...args);
      },
    },
  }) as FileStore;
  const others = [
    'stat',
    'open',
    'openAt',
    'remove',
    'walk',
    'ingests',
    'abortIngest',
    'hasIngest',
    'pathOf',
  ];
  for (const name of others as (keyof FileStore)[]) {
    Object.defineProperty(store, name, { value: (real[name] as (...args: never[]) => unknown).bind(real) });
  }
  return { store, directory };
}

describe('faults', () => {
  test('a full disk answers 507, leaves nothing of a push in one request, and an upload goes on afterwards', async (t) => {
    const disk = { full: true };
    const { store, directory } = await fillableStore(t, disk);
    const served = await serveRegistry(t, { store });
    const digest = sha256('content');
    const whole = await served.send('POST', `/v2/a/blobs/uploads/?digest=${digest}`, { body: 'content' });
    assert.equal(whole.status, 507);
    assert.deepEqual(await errorCodes(whole), ['DENIED']);
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
    const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
    assert.equal((await served.send('PATCH', location, { body: 'content' })).status, 507);
    disk.full = false;
    assert.equal((await served.send('GET', location)).headers.get('range'), '0-0');
    assert.equal((await served.send('PUT', `${location}?digest=${digest}`, { body: 'content' })).status, 201);
  });

  test('a full disk answers a manifest with 507 and stores no part of it', async (t) => {
    const disk = { full: false };
    const { store } = await fillableStore(t, disk);
    const served = await serveRegistry(t, { store });
    await pushImage(served, 'a', 'v1');
    disk.full = true;
    const index = JSON.stringify({ schemaVersion: 2, manifests: [] });
    const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
    assert.equal((await served.send('PUT', '/v2/a/manifests/v2', { body: index, headers })).status, 507);
    assert.equal((await served.send('GET', '/v2/a/manifests/v2')).status, 404);
    assert.equal((await served.send('GET', '/v2/a/manifests/v1')).status, 200);
  });

  test('a body longer than its length is not read as content', async (t) => {
    const served = await serveRegistry(t);
    const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
    const socket = connect(served.registry.port, '127.0.0.1');
    await once(socket, 'connect');
    let said = '';
    socket.on('data', (data) => {
      said += String(data);
    });
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcXYZ\r\n\r\n`);
    await once(socket, 'close');
    assert.match(said, /^HTTP\/1\.1 400 [^]*"errors"/);
    assert.match((await served.send('GET', location)).headers.get('range') ?? '', /^0-[02]$/);
  });

  test('giant headers answer 431, and two lengths 400', async (t) => {
    const served = await serveRegistry(t);
    const raw = async (text: string): Promise<string> => {
      const socket = connect(served.registry.port, '127.0.0.1');
      await once(socket, 'connect');
      let said = '';
      socket.on('data', (data) => {
        said += String(data);
      });
      socket.on('error', () => {});
      socket.write(text);
      await once(socket, 'close');
      return said;
    };
    assert.match(
      await raw(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(40_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 /,
    );
    const smuggled =
      'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    assert.match(await raw(smuggled), /^HTTP\/1\.1 400 /);
  });

  const hostile = [
    '/v2/../../etc/passwd',
    '/v2/a/blobs/../../../../etc/passwd',
    '/v2/a/blobs/sha256:../../../../../etc/passwd',
    '/v2/a/blobs/sha256%3A%2e%2e%2fregistry.db',
    '/v2/a/manifests/..%2f..%2fregistry.db',
    '/v2/a/blobs/uploads/../../../x',
    '/v2/a/blobs/uploads/%2e%2e%2f%2e%2e',
    '/v2//manifests/v1',
    '/v2/a%00b/manifests/v1',
    '/v2/a\\b/manifests/v1',
    `/v2/${'a/'.repeat(5_000)}manifests/v1`,
    'http://elsewhere/v2/',
    '*',
  ];
  for (const path of hostile) {
    test(`the path ${path.slice(0, 60)} leads nowhere`, async (t) => {
      const served = await serveRegistry(t);
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const { port } = served.registry;
        const sent = request({ host: '127.0.0.1', port, path, method: 'GET' }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        sent.on('error', reject).end();
      });
      assert.ok(status === 400 || status === 404, String(status));
    });
  }

  test('a reader that goes away in the middle leaves no open file behind', async (t) => {
    const served = await serveRegistry(t);
    const digest = await served.pushBlob('a', Buffer.alloc(8_000_000, 1));
    const open = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = await open();
    for (let i = 0; i < 20; i++) {
      const answer = await served.send('GET', `/v2/a/blobs/${digest}`);
      await answer.body?.cancel();
    }
    for (let looks = 0; (await open()) > before + 5 && looks < 10_000; looks++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok((await open()) <= before + 5);
  });
});
