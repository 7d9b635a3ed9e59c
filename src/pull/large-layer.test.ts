import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { pullNode } from '../../test/support/pull-node.ts';
import type { Digest } from '../oci/digest.ts';
import { sha256, TYPES } from '../../test/support/fault-registry.ts';

/** What may be on its way in memory at a time, whatever the layer's size: some socket buffers and what the collector lags behind. */
const BOUND = 96 * 1024 * 1024;
const PIECE = randomBytes(1024 * 1024);
const PIECES = 384;

test('a large layer streams through bounded memory', async (t) => {
  const hash = createHash('sha256');
  for (let piece = 0; piece < PIECES; piece++) hash.update(PIECE);
  const layer = {
    mediaType: TYPES.layer,
    digest: `sha256:${hash.digest('hex')}`,
    size: PIECES * PIECE.length,
  };
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config: { mediaType: TYPES.config, digest: sha256(config), size: config.length },
      layers: [layer],
    }),
  );
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    if (path.includes('/manifests/')) {
      response.writeHead(200, {
        'content-type': TYPES.manifest,
        'content-length': manifest.length,
        'docker-content-digest': sha256(manifest),
      });
      response.end(request.method === 'HEAD' ? undefined : manifest);
    } else if (path.endsWith(layer.digest)) {
      response.writeHead(200, { 'content-length': layer.size });
      let sent = 0;
      const more = (): void => {
        while (sent < PIECES) {
          sent++;
          if (!response.write(PIECE)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
    } else {
      response.writeHead(200, { 'content-length': config.length }).end(config);
    }
  }).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const node = await pullNode(t);
  const before = memory();
  let most = 0;
  await node.puller.pull({
    reference: `127.0.0.1:${(server.address() as AddressInfo).port}/app:v1`,
    onProgress: () => {
      most = Math.max(most, memory() - before);
    },
    signal: AbortSignal.timeout(120_000),
  });
  assert.equal((await node.content.stat(layer.digest as Digest)).size, layer.size);
  assert.ok(most < BOUND, `${most} bytes were held at a time`);
});

function memory(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
