import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openFileStore, type FileStore } from '../../src/content/file-store.ts';
import { UnpackPool } from '../../src/archive/unpack-pool.ts';
import { openLayerStore, type LayerStore } from '../../src/images/layer-store.ts';
import { openImageStore, type SqliteImageStore } from '../../src/images/sqlite-image-store.ts';
import { FlightRecords } from '../../src/pull/flight-record.ts';
import { Puller, type PullerOptions } from '../../src/pull/pull-image.ts';
import type { Bandwidth } from '../../src/remote/bandwidth.ts';
import type { HostResolver } from '../../src/remote/host-config.ts';
import { createHostResolver } from '../../src/remote/hosts/create-host-resolver.ts';
import { createRemoteClient, type RemoteClient } from '../../src/remote/remote-client.ts';
import { sha256 } from './fault-registry.ts';

/** A node's stores and registry client in a temporary directory. */
export interface PullNode {
  readonly root: string;
  readonly content: FileStore;
  readonly images: SqliteImageStore;
  readonly remote: RemoteClient;
  readonly puller: Puller;
  readonly records: FlightRecords;
  /** Present when the node unpacks. */
  readonly layerStore: LayerStore | undefined;
}

/** Makes a node that is gone when the test ends. Waits between retries are short, whatever the clock. */
export async function pullNode(
  t: Pick<TestContext, 'after'>,
  options: Partial<PullerOptions> & {
    hosts?: HostResolver;
    bodySilenceMs?: number;
    bandwidth?: Bandwidth;
    forwardCredentialsToMirrors?: boolean;
    unpacks?: boolean;
    root?: string;
  } = {},
): Promise<PullNode> {
  const { hosts, bodySilenceMs, bandwidth, forwardCredentialsToMirrors, unpacks, ...pullerOptions } = options;
  const root = options.root ?? (await mkdtemp(join(tmpdir(), 'dray-pull-')));
  const content = await openFileStore(join(root, 'content'));
  const pool = unpacks === true ? new UnpackPool(1) : undefined;
  const layerStore =
    pool === undefined ? undefined : await openLayerStore(join(root, 'layers'), { pool, content });
  const images = await openImageStore(join(root, 'images.db'));
  const clock = impatientClock();
  const remote = createRemoteClient({
    hosts: hosts ?? createHostResolver({ roots: [] }),
    environment: {},
    random: () => 0,
    clock,
    ...(bodySilenceMs === undefined ? {} : { bodySilenceMs }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(forwardCredentialsToMirrors === undefined ? {} : { forwardCredentialsToMirrors }),
  });
  const records = new FlightRecords(join(root, 'pulls'));
  const puller = new Puller({
    remote,
    content,
    images,
    records,
    clock,
    platform: { os: 'linux', architecture: 'amd64' },
    unpacker: layerStore,
    // The clock's sleeps take no time, so a watch would never rest.
    progressTimeoutMs: 0,
    ...pullerOptions,
  });
  t.after(async () => {
    await remote.close();
    await layerStore?.synced();
    await pool?.close();
    images.close();
    await rm(root, { recursive: true, force: true });
  });
  return { root, content, images, remote, puller, records, layerStore };
}

/** Real time for the eye, none for waiting: retries follow at once. */
export function impatientClock(): {
  now: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  slept: number[];
} {
  const slept: number[] = [];
  return {
    slept,
    now: Date.now,
    sleep: async (ms, signal) => {
      slept.push(ms);
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    },
  };
}

/** Makes a layer of pseudo-random bytes that does not compress, so that sizes are predictable. The tar inside is one file. */
export function layerOf(seed: string, size = 4096): { bytes: Buffer; diffId: string; tar: Buffer } {
  const body = Buffer.alloc(size);
  let state = Buffer.from(seed).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7);
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    body[at] = state >>> 24;
  }
  const tar = Buffer.concat([
    header(`${seed}.bin`, size),
    body,
    Buffer.alloc((512 - (size % 512)) % 512),
    Buffer.alloc(1024),
  ]);
  return { bytes: gzipSync(tar, { level: 1 }), diffId: sha256(tar), tar };
}

function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\0', 257);
  block.write('00', 263);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
