import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { sha256, TYPES } from '../../test/support/fault-registry.ts';
import { makeTar } from '../archive/make-tar.ts';

/** The most memory that a pull may hold, in bytes. */
const LIMIT = 250e6;
/** Size of the layer uncompressed; `LARGE_LAYER_GB=20` for the long form, which needs half of that on the disk. */
const GIGABYTES = Number(process.env['LARGE_LAYER_GB'] ?? 0.5);
const PART = 64 * 1024 * 1024;
const LOOK_MS = 25;
const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));

/**
 * A layer that is made while it is sent: one file of 64 MB again and again, each time in a gzip member of its own, half of it noise. The
 * later entry of a path replaces the earlier one, so that the layer's size is not needed on the disk.
 */
interface Generated {
  readonly member: Buffer;
  readonly end: Buffer;
  readonly members: number;
  readonly digest: string;
  readonly size: number;
  readonly diffId: string;
}

async function generate(bytes: number): Promise<Generated> {
  const noise = randomBytes(1024 * 1024);
  const content = Buffer.concat(
    Array.from({ length: PART / noise.length }, (_, i) => (i % 2 === 0 ? noise : Buffer.alloc(noise.length))),
  );
  const pieces: Buffer[] = [];
  const source = { kind: 'bytes', path: 'data', bytes: content, mtime: 0 } as const;
  for await (const piece of makeTar([source], new AbortController().signal)) pieces.push(Buffer.from(piece));
  const tar = Buffer.concat(pieces);
  // Without the two blocks of zeros that end it.
  const entry = tar.subarray(0, 512 + PART);
  const zeros = Buffer.alloc(1024);
  const member = gzipSync(entry, { level: 1 });
  const end = gzipSync(zeros);
  const members = Math.ceil(bytes / PART);
  const digest = createHash('sha256');
  const diffId = createHash('sha256');
  for (let index = 0; index < members; index++) {
    digest.update(member);
    diffId.update(entry);
  }
  return {
    member,
    end,
    members,
    size: members * member.length + end.length,
    digest: `sha256:${digest.update(end).digest('hex')}`,
    diffId: `sha256:${diffId.update(zeros).digest('hex')}`,
  };
}

async function send(response: ServerResponse, layer: Generated): Promise<void> {
  for (let index = 0; index < layer.members; index++) {
    if (!response.write(layer.member)) await once(response, 'drain');
  }
  response.end(layer.end);
}

async function serve(t: TestContext, layer: Generated): Promise<string> {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    }),
  );
  const descriptor = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: layer.digest,
    size: layer.size,
  };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config: { mediaType: TYPES.config, digest: sha256(config), size: config.length },
      layers: [descriptor],
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
      // The pull may leave early when the test has failed.
      send(response, layer).catch(() => response.destroy());
    } else {
      response.writeHead(200, { 'content-length': config.length }).end(config);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test(
  `a pull of a layer of ${GIGABYTES} GB holds less than ${LIMIT / 1e6} MB`,
  { skip: !existsSync('/proc/self/status') && 'needs /proc to see the memory of a process' },
  async (t) => {
    const layer = await generate(GIGABYTES * 1e9);
    const host = await serve(t, layer);
    const root = await mkdtemp(join(process.env['LARGE_LAYER_DIRECTORY'] ?? tmpdir(), 'dray-memory-'));
    t.after(() => rm(root, { recursive: true, force: true }));
    const started = performance.now();
    const args = ['pull', '--quiet', '--insecure-registry', host, '--root', root, `${host}/app:v1`];
    const child = spawn(process.execPath, [DRAY, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    let most = 0;
    const looking = setInterval(() => (most = Math.max(most, peakOf(child.pid))), LOOK_MS);
    const [code] = (await once(child, 'close')) as [number | null];
    clearInterval(looking);
    assert.equal(code, 0, said);
    t.diagnostic(`${(most / 1e6).toFixed(0)} MB, ${((performance.now() - started) / 1000).toFixed(1)} s`);
    const [algorithm = '', hex = ''] = layer.diffId.split(':');
    const file = await stat(join(root, 'layers', algorithm, hex, 'fs', 'data'));
    assert.equal(file.size, PART);
    assert.ok(most > 0 && most < LIMIT, `${most} bytes were resident`);
  },
);

/** The kernel keeps each process's maximum. */
function peakOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    // Gone between two looks.
    return 0;
  }
}
