import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileStore } from '../src/content/file-store.ts';
import type { BuiltImage } from '../src/images/build-image.ts';
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
import { median, type Bench, type Row } from './row.ts';

/** Size of the images beside those of the issue that set the targets; `DRAYAGE_BENCH_SCALE=0.1` is quick. */
const SCALE = Number(process.env['DRAYAGE_BENCH_SCALE'] ?? 1);
/** Cold pulls of each kind; the middle one counts. */
const TIMES = Number(process.env['DRAYAGE_BENCH_TIMES'] ?? 3);
/** Shapes to measure, separated by commas; all by default. */
const CHOSEN = process.env['DRAYAGE_BENCH_IMAGES']?.split(',');
/** The most memory that a pull may hold. */
const MEMORY_LIMIT = 250e6;
const LOOP_DELAY_LIMIT_MS = 50;

interface Peer {
  readonly name: string;
  readonly program: string;
  readonly pull: ColdPull;
  /** What of the peer's time this program may take. */
  readonly target: number;
}

const PEERS: readonly Peer[] = [
  { name: 'containerd', program: 'containerd', pull: containerdPull, target: 0.25 },
  { name: 'podman', program: 'podman', pull: podmanPull, target: 0.2 },
];
const TAR_TARGET = 0.65;
const SKOPEO_TARGET = 1;

/** Cold pulls from registries on this machine, into a directory in memory where there is one, beside other programs. */
export const bench: Bench = async () => {
  const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const work = mkdtempSync(join(place, 'drayage-bench-pull-'));
  const started: Started[] = [];
  try {
    const own = await ownRegistry(join(work, 'own-registry'));
    started.push(own);
    if (has('docker-registry')) started.push(await dockerRegistry(join(work, 'docker-registry')));
    const rows: Row[] = [];
    for (const shape of SHAPES) {
      if (CHOSEN !== undefined && !CHOSEN.includes(shape.name)) continue;
      rows.push(...(await shapeRows(shape, work, started)));
    }
    return rows;
  } finally {
    for (const each of started) await each.stop();
    clear(work);
  }
};

async function shapeRows(shape: ImageShape, work: string, registries: readonly Started[]): Promise<Row[]> {
  const source = join(work, `source-${shape.name}`);
  const layers = await publish(shape, source, registries);
  const [own, debian] = registries.map(({ host }) => `${host}/bench/${shape.name}:v1`);
  const image = debian ?? own ?? '';
  const cold = async (pull: ColdPull, from = image): Promise<Measured> => {
    const directory = join(work, 'cold');
    try {
      return await pull(from, directory);
    } finally {
      clear(directory);
    }
  };
  const kinds: [string, () => Promise<Measured>][] = [
    ['dray', () => cold(drayPull)],
    ['dray, own registry', () => cold(drayPull, own)],
    ['tar', () => cold((_, directory) => tarAll(layers, directory))],
    ['dray copy', () => cold(drayCopy)],
    ...(has('skopeo') ? [['skopeo', () => cold(skopeoCopy)] as [string, () => Promise<Measured>]] : []),
    ...PEERS.filter(({ program }) => has(program)).map(
      ({ name, pull }): [string, () => Promise<Measured>] => [name, () => cold(pull)],
    ),
  ];
  const runs = new Map<string, Measured[]>(kinds.map(([name]) => [name, []]));
  const failures = new Map<string, string>();
  // In turns, so that a busy moment of the machine meets all alike.
  for (let time = 0; time < TIMES; time++) {
    for (const [name, run] of kinds) {
      if (failures.has(name)) continue;
      try {
        runs.get(name)?.push(await run());
      } catch (error) {
        failures.set(name, error instanceof Error ? error.message : String(error));
      }
    }
  }
  const delayFile = join(work, 'delay');
  await cold((from, directory) => drayLoopDelay(from, directory, delayFile));
  clear(source);
  return rowsOf(shape, runs, failures, Number(readFileSync(delayFile, 'utf8')));
}

/** Builds an image, pushes it to every registry, and returns the files of its layers. */
async function publish(
  shape: ImageShape,
  directory: string,
  registries: readonly Started[],
): Promise<string[]> {
  const signal = new AbortController().signal;
  const store = await openFileStore(directory);
  const image: BuiltImage = await buildShape(store, shape, SCALE, signal);
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

function rowsOf(
  shape: ImageShape,
  runs: ReadonlyMap<string, readonly Measured[]>,
  failures: ReadonlyMap<string, string>,
  loopDelayMs: number,
): Row[] {
  const what = `${shape.name} (${shape.layers} layers, ${Math.round(shape.files * SCALE)} files, ${Math.round((shape.bytes * SCALE) / 1e6)} MB)`;
  const dray = middle(runs.get('dray') ?? []);
  const rows: Row[] = [
    { what: `${what}: dray pull`, measured: facts(dray) },
    memoryRow(`${what}: resident memory of dray pull`, runs.get('dray') ?? []),
    {
      what: `${what}: event loop delay of dray pull, p99`,
      measured: `${loopDelayMs.toFixed(1)} ms`,
      target: `< ${LOOP_DELAY_LIMIT_MS} ms`,
      met: loopDelayMs < LOOP_DELAY_LIMIT_MS,
    },
    {
      what: `${what}: dray pull from its own registry`,
      measured: facts(middle(runs.get('dray, own registry') ?? [])),
    },
  ];
  const beside = (name: string, of: string, target: number): Row => {
    const their = runs.get(name) ?? [];
    const failure = failures.get(name);
    if (their.length === 0) {
      return {
        what: `${what}: ${of} beside ${name}`,
        measured: '-',
        note: failure ?? `${name} is not on this machine`,
      };
    }
    const own = middle(runs.get(of) ?? []);
    const ratio = own.seconds / middle(their).seconds;
    return {
      what: `${what}: ${of} beside ${name}`,
      measured: `${ratio.toFixed(2)}×`,
      target: `≤ ${target}×`,
      met: ratio <= target,
      note: `${name}: ${facts(middle(their))}`,
    };
  };
  for (const peer of PEERS) rows.push(beside(peer.name, 'dray', peer.target));
  rows.push(beside('tar', 'dray', TAR_TARGET));
  rows.push({ what: `${what}: dray copy to a layout`, measured: facts(middle(runs.get('dray copy') ?? [])) });
  rows.push(beside('skopeo', 'dray copy', SKOPEO_TARGET));
  return rows;
}

function memoryRow(what: string, runs: readonly Measured[]): Row {
  const most = Math.max(0, ...runs.map(({ residentBytes }) => residentBytes));
  return {
    what,
    measured: `${(most / 1e6).toFixed(0)} MB`,
    target: `< ${MEMORY_LIMIT / 1e6} MB`,
    met: most < MEMORY_LIMIT,
  };
}

function middle(runs: readonly Measured[]): Measured {
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    cpuSeconds: median(runs.map(({ cpuSeconds }) => cpuSeconds)),
    residentBytes: median(runs.map(({ residentBytes }) => residentBytes)),
  };
}

function facts({ seconds, cpuSeconds, residentBytes }: Measured): string {
  return `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of processor, ${(residentBytes / 1e6).toFixed(0)} MB`;
}
