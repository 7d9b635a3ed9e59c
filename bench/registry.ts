import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { has } from './pull-peers.ts';
import type { Done, Job } from './registry-load.ts';
import {
  forgetPeak,
  LoadGenerator,
  memoryOf,
  startDockerRegistry,
  startDray,
  watch,
  type Load,
  type MeasuredRegistry,
} from './registry-servers.ts';
import { median, percentile, type Bench, type Row } from './row.ts';

/** Where both registries keep their files; a directory on a disk, or flushing costs nothing. */
const PLACE = process.env['DRAYAGE_BENCH_DIRECTORY'] ?? tmpdir();
/** Share of the large counts of the issue that set the targets; `DRAYAGE_BENCH_SCALE=0.1` is quick. */
const SCALE = Number(process.env['DRAYAGE_BENCH_SCALE'] ?? 1);
/** Turns of each measurement; the middle one counts. */
const TIMES = Number(process.env['DRAYAGE_BENCH_TIMES'] ?? 5);
/** Seconds of one turn of what is asked for over and over. */
const SECONDS = Number(process.env['DRAYAGE_BENCH_SECONDS'] ?? 2);
/** Rows to measure, separated by commas; all by default. */
const CHOSEN = process.env['DRAYAGE_BENCH_ROWS']?.split(',');

/** A place without a disk, to see what the rest of a push takes. */
const IN_MEMORY = '/dev/shm';
const MB = 1e6;
const BLOB_BYTES = 4 * 1024 * 1024;
const LARGE_BYTES = 300 * MB;
const SMALL_COUNT = Math.round(10_000 * SCALE);
const SMALL_CLIENTS = 16;
const MANIFEST_CLIENTS = 32;
const DOWNLOAD_BYTES = 100 * MB;
const DOWNLOADS = Math.round(500 * SCALE);
const TAGS = Math.round(1_000_000 * SCALE);
const TAG_TIMES = 100;
/** How long a server is left alone before its memory is read. */
const SETTLE_MS = 5000;
/** From which share on a processor counts as used up: the rest is what starting and stopping a turn takes. */
const USED_UP = 0.9;

/** The registry beside Debian's docker-registry, both open, without TLS and with their files in one place. */
export const bench: Bench = async () => {
  const work = mkdtempSync(join(PLACE, 'drayage-bench-registry-'));
  const load = new LoadGenerator();
  const registries: MeasuredRegistry[] = [];
  try {
    registries.push(...(await startAll(work)));
    const rows: Row[] = [];
    const measure = async (name: string, run: () => Promise<Row[]>): Promise<void> => {
      if (CHOSEN === undefined || CHOSEN.includes(name)) rows.push(...(await run()));
    };
    await measure('idle', () => idleRows(registries));
    await measure('manifests', () => manifestRows(registries, load));
    await measure('blobs', () => blobRows(registries, load));
    await measure('push', () => pushRows(registries, load));
    await measure('small', () => smallRows(registries, load));
    await measure('downloads', () => downloadRows(registries, load));
    await measure('tags', () => tagRows(registries.slice(0, 1), load));
    return rows;
  } finally {
    await load.stop();
    for (const each of registries) await each.stop();
    rmSync(work, { recursive: true, force: true });
  }
};

async function startAll(work: string): Promise<MeasuredRegistry[]> {
  // The first start after a change of the sources turns them into JavaScript, and keeps what that took.
  await (await startDray(join(work, 'first'))).stop();
  const own = await startDray(join(work, 'dray'));
  return has('docker-registry') ? [own, await startDockerRegistry(join(work, 'docker'))] : [own];
}

interface Turn extends Done {
  readonly load: Load;
}

/** Gives each registry the same job in turns, so that a busy moment of the machine meets both alike. */
async function turns(
  registries: readonly MeasuredRegistry[],
  load: LoadGenerator,
  job: (registry: MeasuredRegistry) => Job,
  times = TIMES,
): Promise<Turn[][]> {
  const done: Turn[][] = registries.map(() => []);
  for (let time = 0; time < times; time++) {
    for (const [index, registry] of registries.entries()) {
      const busy = watch(registry.pid);
      const result = await load.run(job(registry));
      done[index]?.push({ ...result, load: busy() });
    }
  }
  return done;
}

/** Makes the row of a rate: more is better. */
function rateRow(
  what: string,
  [own = [], peer]: readonly Turn[][],
  target: number,
  rate: { of: (turn: Turn) => number; unit: string; note?: string },
): Row {
  const ours = median(own.map(rate.of));
  const say = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${rate.unit}`;
  const limit = `limit: ${limitOf(own)}`;
  if (peer === undefined) {
    return { what, measured: say(ours), note: `${limit}; docker-registry is not on this machine` };
  }
  const theirs = median(peer.map(rate.of));
  const notes = [`${say(ours)} and ${say(theirs)}`, limit, ...(rate.note === undefined ? [] : [rate.note])];
  return {
    what,
    measured: `${(ours / theirs).toFixed(2)}×`,
    target: `≥ ${target}×`,
    met: ours / theirs >= target,
    note: notes.join('; '),
  };
}

/** Says what kept a registry from being faster. */
function limitOf(own: readonly Turn[]): string {
  const load = own[Math.floor(own.length / 2)];
  if (load === undefined) return 'unknown';
  const { server, thread, machine, waiting } = load.load;
  const client = load.cpuSeconds / load.seconds;
  const others = Math.max(0, machine - server - client);
  const shares = `server ${server.toFixed(2)} (main thread ${thread.toFixed(2)}), client ${client.toFixed(2)}, everything else ${others.toFixed(2)}, waiting for the disk ${waiting.toFixed(2)} of ${availableParallelism()} processors`;
  if (thread >= USED_UP) return `the server's main thread: ${shares}`;
  if (machine >= USED_UP * availableParallelism()) return `processors: ${shares}`;
  return waiting > 0.1 ? `the disk: ${shares}` : `one step after the other: ${shares}`;
}

async function manifestRows(registries: readonly MeasuredRegistry[], load: LoadGenerator): Promise<Row[]> {
  for (const { address } of registries) await load.run({ kind: 'seed', address, blobBytes: 1024, tags: 0 });
  const done = await turns(registries, load, ({ address }) => ({
    kind: 'manifests',
    address,
    connections: MANIFEST_CLIENTS,
    seconds: SECONDS,
  }));
  const of = ({ count, seconds }: Turn): number => count / seconds;
  return [rateRow(`manifest by tag, ${MANIFEST_CLIENTS} connections`, done, 10, { of, unit: 'requests/s' })];
}

async function blobRows(registries: readonly MeasuredRegistry[], load: LoadGenerator): Promise<Row[]> {
  const paths = await seedBlob(registries, load, BLOB_BYTES);
  const rows: Row[] = [];
  for (const [connections, target] of [
    [1, 0.8],
    [32, 1],
  ] as const) {
    const done = await turns(registries, load, (registry) => ({
      kind: 'blobs',
      address: registry.address,
      path: paths.get(registry) ?? '',
      connections,
      seconds: SECONDS,
    }));
    const of = ({ bytes, seconds }: Turn): number => bytes / seconds / MB;
    const what = `blob of 4 MiB, ${connections} connection${connections === 1 ? '' : 's'}`;
    rows.push(rateRow(what, done, target, { of, unit: 'MB/s' }));
  }
  return rows;
}

async function seedBlob(
  registries: readonly MeasuredRegistry[],
  load: LoadGenerator,
  blobBytes: number,
): Promise<Map<MeasuredRegistry, string>> {
  const paths = new Map<MeasuredRegistry, string>();
  for (const registry of registries) {
    const { path = '' } = await load.run({ kind: 'seed', address: registry.address, blobBytes, tags: 0 });
    paths.set(registry, path);
  }
  return paths;
}

/** docker-registry flushes its files, but not the directories that hold their names. */
const DURABILITY = 'both flush their files; dray also its directories and its index, docker-registry neither';

async function pushRows(registries: readonly MeasuredRegistry[], load: LoadGenerator): Promise<Row[]> {
  const rows = [await pushRow('push of 300 MB, 1 client', registries, load, DURABILITY)];
  if (!existsSync(IN_MEMORY)) return rows;
  const work = mkdtempSync(join(IN_MEMORY, 'drayage-bench-registry-'));
  const inMemory: MeasuredRegistry[] = [];
  try {
    inMemory.push(...(await startAll(work)));
    rows.push(await pushRow('push of 300 MB, 1 client, files in memory', inMemory, load));
  } finally {
    for (const each of inMemory) await each.stop();
    rmSync(work, { recursive: true, force: true });
  }
  return rows;
}

async function pushRow(
  what: string,
  registries: readonly MeasuredRegistry[],
  load: LoadGenerator,
  note?: string,
): Promise<Row> {
  const bytes = LARGE_BYTES;
  const done = await turns(registries, load, ({ address }) => ({ kind: 'pushLarge', address, bytes }));
  const of = (turn: Turn): number => turn.bytes / turn.seconds / MB;
  return rateRow(what, done, 1.5, { of, unit: 'MB/s', ...(note === undefined ? {} : { note }) });
}

async function smallRows(registries: readonly MeasuredRegistry[], load: LoadGenerator): Promise<Row[]> {
  const job = { kind: 'pushSmall', count: SMALL_COUNT, clients: SMALL_CLIENTS } as const;
  const done = await turns(registries, load, ({ address }) => ({ ...job, address }), Math.min(TIMES, 3));
  const of = ({ count, seconds }: Turn): number => count / seconds;
  const what = `push of ${SMALL_COUNT} blobs of 4 KiB, ${SMALL_CLIENTS} clients`;
  return [rateRow(what, done, 2, { of, unit: 'blobs/s', note: DURABILITY })];
}

async function idleRows([own, peer]: readonly MeasuredRegistry[]): Promise<Row[]> {
  if (own === undefined) return [];
  await delay(SETTLE_MS);
  const { resident, anonymous } = memoryOf(own.pid);
  const beside =
    peer === undefined ? '' : `; docker-registry ${(memoryOf(peer.pid).resident / MB).toFixed(0)} MB`;
  return [
    {
      what: `resident memory, idle, ${SETTLE_MS / 1000} s after start`,
      measured: `${(resident / MB).toFixed(0)} MB`,
      target: '< 90 MB',
      met: resident < 90 * MB,
      note: `${(anonymous / MB).toFixed(0)} MB of its own, the rest the program's file${beside}`,
    },
  ];
}

async function downloadRows(registries: readonly MeasuredRegistry[], load: LoadGenerator): Promise<Row[]> {
  const paths = await seedBlob(registries, load, DOWNLOAD_BYTES);
  const peaks: number[] = [];
  for (const { pid } of registries) forgetPeak(pid);
  const job = { kind: 'downloads', bytes: DOWNLOAD_BYTES, connections: DOWNLOADS } as const;
  const [own = [], peer] = await turns(
    registries,
    load,
    (registry) => ({ ...job, address: registry.address, path: paths.get(registry) ?? '' }),
    1,
  );
  for (const { pid } of registries) peaks.push(memoryOf(pid).peak);
  const [ours = 0, theirs] = peaks;
  const rate = ([turn]: readonly Turn[]): string =>
    turn === undefined ? '' : `${(turn.bytes / turn.seconds / MB).toFixed(0)} MB/s`;
  const beside =
    peer === undefined || theirs === undefined
      ? ''
      : `; docker-registry ${(theirs / MB).toFixed(0)} MB at ${rate(peer)}`;
  return [
    {
      what: `most resident memory, ${DOWNLOADS} downloads of 100 MB at once`,
      measured: `${(ours / MB).toFixed(0)} MB`,
      target: '< 300 MB',
      met: ours < 300 * MB,
      note: `all ended and every byte was right, ${rate(own)}${beside}; limit: ${limitOf(own)}`,
    },
  ];
}

async function tagRows([own]: readonly MeasuredRegistry[], load: LoadGenerator): Promise<Row[]> {
  if (own === undefined) return [];
  const { address } = own;
  await load.run({ kind: 'seed', address, blobBytes: 1024, tags: TAGS });
  const places = [
    ['first', undefined],
    ['middle', Math.floor(TAGS / 2)],
    ['last', undefined],
  ] as const;
  const rows: Row[] = [];
  for (const count of [100, undefined]) {
    const pages = places.map(([place, after]) => {
      const last = TAGS - 1 - Math.min(count ?? 10_000, TAGS - 1);
      const from = place === 'last' ? last : after;
      return { ...(from === undefined ? {} : { after: from }), ...(count === undefined ? {} : { count }) };
    });
    const { times = [] } = await load.run({ kind: 'tags', address, pages, times: TAG_TIMES });
    const medians = times.map((each) => median(each).toFixed(1));
    const slow = Math.max(...times.map((each) => percentile(each, 0.99)));
    rows.push({
      what: `page of ${count ?? 'the most'} tags of ${TAGS}: first, middle, last`,
      measured: `${medians.join(', ')} ms`,
      target: '< 20 ms',
      met: slow < 20,
      note: `99 of 100 within ${slow.toFixed(1)} ms; limit: the server's main thread`,
    });
  }
  return rows;
}
