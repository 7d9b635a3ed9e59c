import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileStore } from '../src/content/file-store.ts';
import { pushImage } from '../src/pull/push-image.ts';
import { createHostResolver } from '../src/remote/hosts/create-host-resolver.ts';
import { createRemoteClient } from '../src/remote/remote-client.ts';
import { buildShape, SHAPES, type ImageShape } from './pull-images.ts';
import type { Measured } from './pull-measure.ts';
import {
  clear,
  containerdPull,
  dockerRegistry,
  drayCopy,
  drayLoopDelay,
  drayPull,
  has,
  ownRegistry,
  podmanPull,
  skopeoCopy,
  tarAll,
  type ColdPull,
  type Started,
} from './pull-peers.ts';
import { rowsOf, type ShapeRuns } from './pull-rows.ts';
import type { Bench, Row } from './row.ts';

/** Size of the images beside those of the issue that set the targets; `DRAYAGE_BENCH_SCALE=0.1` is quick. */
const SCALE = Number(process.env['DRAYAGE_BENCH_SCALE'] ?? 1);
/** Cold pulls of each kind into memory, of which the middle one counts; into a disk there is one of each. */
const TIMES = Number(process.env['DRAYAGE_BENCH_TIMES'] ?? 3);
/** Shapes to measure, separated by commas; all by default. */
const CHOSEN = process.env['DRAYAGE_BENCH_IMAGES']?.split(',');

/** `memory` or `disk`; both by default. */
const PLACES = process.env['DRAYAGE_BENCH_PLACES']?.split(',');

const PREFIX = 'drayage-bench-pull-';

interface Place {
  readonly name: ShapeRuns['place'];
  readonly directory: string;
  readonly times: number;
}

/** Cold pulls from registries on this machine, into directories in memory and on disk, beside other programs. */
export const bench: Bench = async () => {
  const [memory, disk] = [existsSync('/dev/shm') ? '/dev/shm' : undefined, tmpdir()];
  const isDisk = memory === undefined || statSync(disk).dev !== statSync(memory).dev;
  for (const parent of [memory, disk]) if (parent !== undefined) clearLeftovers(parent);
  const work = mkdtempSync(join(memory ?? disk, `${PREFIX}${process.pid}-`));
  const all: Place[] = [
    ...(memory === undefined
      ? []
      : [{ name: 'memory', directory: join(work, 'cold'), times: TIMES } as const]),
    ...(isDisk
      ? [{ name: 'disk', directory: join(disk, `${PREFIX}${process.pid}-cold`), times: 1 } as const]
      : []),
  ];
  const places = all.filter(({ name }) => PLACES === undefined || PLACES.includes(name));
  const started: Started[] = [];
  const end = async (): Promise<void> => {
    for (const each of started.splice(0)) await each.stop();
    for (const directory of [work, ...places.map((place) => place.directory)]) clear(directory);
  };
  // Gigabytes of memory would stay behind.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void end().finally(() => process.exit(1)));
  try {
    started.push(await ownRegistry(join(work, 'own-registry')));
    if (has('docker-registry')) started.push(await dockerRegistry(join(work, 'docker-registry')));
    const rows: Row[] = [];
    for (const shape of SHAPES) {
      if (CHOSEN !== undefined && !CHOSEN.includes(shape.name)) continue;
      const source = join(work, `source-${shape.name}`);
      const layers = await publish(shape, source, started);
      for (const place of places)
        rows.push(...rowsOf(await measureShape(shape, place, layers, started, work)));
      clear(source);
    }
    return rows;
  } finally {
    await end();
  }
};

async function measureShape(
  shape: ImageShape,
  { name: place, directory, times }: Place,
  layers: readonly string[],
  registries: readonly Started[],
  work: string,
): Promise<ShapeRuns> {
  const [own, debian] = registries.map(({ host }) => `${host}/bench/${shape.name}:v1`);
  const image = debian ?? own ?? '';
  const cold = async (pull: ColdPull, from = image): Promise<Measured> => {
    clear(directory);
    try {
      return await pull(from, directory);
    } finally {
      clear(directory);
    }
  };
  const kinds: readonly (readonly [name: string, run: () => Promise<Measured>])[] = [
    ['dray', () => cold(drayPull)],
    ['dray, own registry', () => cold(drayPull, own)],
    ['tar', () => cold((_, target) => tarAll(layers, target))],
    ['dray copy', () => cold(drayCopy)],
    ...(has('skopeo') ? [['skopeo', () => cold(skopeoCopy)] as const] : []),
    ...(has('containerd') ? [['containerd', () => cold(containerdPull)] as const] : []),
    ...(has('podman') ? [['podman', () => cold(podmanPull)] as const] : []),
  ];
  const runs = new Map<string, Measured[]>(kinds.map(([name]) => [name, []]));
  const failures = new Map<string, string>();
  const attempt = async <T>(name: string, run: () => Promise<T>): Promise<T | undefined> => {
    if (failures.has(name)) return undefined;
    try {
      return await run();
    } catch (error) {
      failures.set(name, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  // In turns, so that a busy moment of the machine meets all alike.
  for (let time = 0; time < times; time++) {
    for (const [name, run] of kinds) {
      const measured = await attempt(name, run);
      if (measured !== undefined) runs.get(name)?.push(measured);
      process.stderr.write(`${shape.name} ${place} ${name}: ${measured?.seconds.toFixed(2) ?? 'failed'}\n`);
    }
  }
  const delayFile = join(work, 'delay');
  const delayed = await attempt('delay', () =>
    cold((from, target) => drayLoopDelay(from, target, delayFile)),
  );
  return {
    shape,
    scale: SCALE,
    place,
    runs,
    failures,
    ...(delayed === undefined ? {} : { loopDelayMs: Number(readFileSync(delayFile, 'utf8')) }),
  };
}

/** Builds an image, pushes it to every registry, and returns the files of its layers. */
async function publish(
  shape: ImageShape,
  directory: string,
  registries: readonly Started[],
): Promise<string[]> {
  const signal = new AbortController().signal;
  mkdirSync(directory, { recursive: true });
  const store = await openFileStore(directory);
  const image = await buildShape(store, shape, SCALE, signal);
  const hosts = createHostResolver({ roots: [], insecureRegistries: registries.map(({ host }) => host) });
  const remote = createRemoteClient({ hosts, environment: {} });
  try {
    for (const { host } of registries) {
      const reference = `${host}/bench/${shape.name}:v1`;
      await pushImage({ remote, content: store, reference, target: image.manifest, signal });
    }
  } finally {
    await remote.close();
  }
  return image.layers.map(({ digest }) => store.pathOf(digest));
}

/** Removes what a run left that was killed. */
function clearLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const pid = Number.parseInt(name.slice(PREFIX.length), 10);
    if (!existsSync(`/proc/${pid}`)) clear(join(parent, name));
  }
}
