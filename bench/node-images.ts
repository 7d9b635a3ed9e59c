import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { criImageService, type CriImageService } from '../src/cri/cri-image-service.ts';
import { openNodeStores } from '../src/daemon/node-stores.ts';
import { silentLogger } from '../src/observe/logger.ts';
import { findProgram } from '../src/runtime/find-program.ts';
import { startNodeProcess } from '../test/support/node-process.ts';
import { makeRoot, removeRoot } from '../test/support/running-system.ts';
import { putManyImages } from './node-many-images.ts';
import { median, type Row } from './row.ts';

const IMAGES = 1000;
const ROUNDS = 5;
const ROUND_MS = 2000;
const START_TRIES = 100;
const LIMIT_MS = 300_000;
const MIN_RATIO = 0.5;

/** How many lists of a thousand images a client gets in a second: the same client of this node and of containerd, in turns. */
export async function listRows(): Promise<Row[]> {
  const what = `CRI ListImages of ${IMAGES} images beside containerd's`;
  if ((await findProgram('containerd')) === undefined || process.getuid?.() !== 0)
    return [{ what, measured: 'not measured', note: 'needs containerd and root' }];
  const root = makeRoot();
  const signal = AbortSignal.timeout(LIMIT_MS);
  const own = join(root, 'own');
  mkdirSync(own);
  const stores = await openNodeStores({ root: own, logger: silentLogger });
  await putManyImages(stores.images, IMAGES);
  await stores.close();
  const node = await startNodeProcess(['--standalone', '--root', own]);
  const peer = await startContainerd(join(root, 'peer'), signal);
  try {
    const clients = [await criImageService(`unix://${join(own, 'cri.sock')}`, signal), peer.client] as const;
    const rates: [number[], number[]] = [[], []];
    for (const client of clients) await rateOf(client, signal);
    // In turns, so that a busy moment of the machine meets both alike.
    for (let round = 0; round < ROUNDS; round++) {
      rates[0].push(await rateOf(clients[0], signal));
      rates[1].push(await rateOf(clients[1], signal));
    }
    for (const client of clients) client.close();
    const [ours, theirs] = [median(rates[0]), median(rates[1])];
    const ratio = ours / theirs;
    return [
      {
        what,
        measured: `${ratio.toFixed(2)}×`,
        target: `≥ ${MIN_RATIO}×`,
        met: ratio >= MIN_RATIO,
        note: `${ours.toFixed(0)} and ${theirs.toFixed(0)} lists a second, one call at a time; the client's own work is in both`,
      },
    ];
  } finally {
    await peer.stop();
    await node.stop();
    removeRoot(root);
  }
}

async function rateOf(client: CriImageService, signal: AbortSignal): Promise<number> {
  const begun = performance.now();
  let calls = 0;
  while (performance.now() - begun < ROUND_MS) {
    const images = await client.listImages(undefined, signal);
    if (images.length !== IMAGES) throw new Error(`there are ${images.length} images, expected ${IMAGES}`);
    calls++;
  }
  return calls / ((performance.now() - begun) / 1000);
}

/** Starts containerd with a state of its own and so many images in it. */
async function startContainerd(
  directory: string,
  signal: AbortSignal,
): Promise<{ client: CriImageService; stop(): Promise<void> }> {
  mkdirSync(directory);
  const socket = join(directory, 'c.sock');
  writeFileSync(
    join(directory, 'config.toml'),
    `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
address = "${socket}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
`,
  );
  const daemon = spawn('containerd', ['--config', join(directory, 'config.toml')], { stdio: 'ignore' });
  const stop = async (): Promise<void> => {
    daemon.kill('SIGTERM');
    if (daemon.exitCode === null) await once(daemon, 'exit');
  };
  try {
    const archive = writeLayout(directory);
    let client: CriImageService | undefined;
    for (let tries = 0; client === undefined && tries < START_TRIES; tries++) {
      await delay(100);
      client = await criImageService(`unix://${socket}`, signal).catch(() => undefined);
    }
    if (client === undefined) throw new Error('containerd does not answer');
    execFileSync('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', '--no-unpack', archive], {
      stdio: 'ignore',
    });
    // Its image service learns of them from events.
    while ((await client.listImages(undefined, signal)).length < IMAGES) await delay(100);
    return { client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Writes an archive of images in OCI layout that share one empty layer. */
function writeLayout(directory: string): string {
  const layout = join(directory, 'layout');
  const blobs = join(layout, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: string | Buffer, mediaType: string): object => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(bytes) };
  };
  const empty = Buffer.alloc(1024);
  const layer = put(empty, 'application/vnd.oci.image.layer.v1.tar');
  const diffId = `sha256:${createHash('sha256').update(empty).digest('hex')}`;
  const manifests = Array.from({ length: IMAGES }, (_, number) => {
    const config = put(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: { Labels: { number: String(number) } },
        rootfs: { type: 'layers', diff_ids: [diffId] },
      }),
      'application/vnd.oci.image.config.v1+json',
    );
    const manifest = put(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config,
        layers: [layer],
      }),
      'application/vnd.oci.image.manifest.v1+json',
    );
    const name = `registry.example/team/image-${number}:1`;
    return { ...manifest, annotations: { 'io.containerd.image.name': name } };
  });
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  const archive = join(directory, 'images.tar');
  execFileSync('tar', ['-C', layout, '-cf', archive, '.']);
  return archive;
}
