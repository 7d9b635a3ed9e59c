import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ApiLoad, inParallel, type Watcher } from './api-load.ts';
import { median, percentile, type Bench, type Row } from './row.ts';

const DRAY = fileURLToPath(new URL('../bin/dray.js', import.meta.url));
const PODS = 10_000;
/** Requests under way while objects are created: a few clients with a few workers each. */
const WRITERS = 32;
const GETS = 2000;
const PAGES = 40;
const WATCHERS = 100;
const CHANGES = 10_000;
const CHANGES_PER_SECOND = 1000;
/** How long the system is left alone before its memory is read. */
const SETTLE_MS = 5000;
/** Between two questions whether the API is there yet. */
const POLL_MS = 10;
const PODS_PATH = '/api/v1/namespaces/default/pods';

/** The API with 10,000 Pods in it: reads, writes, watches, memory, and a start on that store. */
export const bench: Bench = async () => {
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  return [...(await inMemory(memory)), await onDisk()];
};

async function inMemory(parent: string): Promise<Row[]> {
  const root = mkdtempSync(join(parent, 'drayage-bench-'));
  try {
    const first = await start(root);
    const rows = [await createRow(root, PODS, 1500, `memory-backed (${parent})`)];
    rows.push(...(await readRows(root)), await watchRow(root));
    await stop(first.child);
    const second = await start(root);
    rows.push({
      ...limitRow(`API ready on a store of ${PODS} Pods`, second.apiMs, 1000, 'ms'),
      note: `/readyz from the start of the process; node, registry and controllers: ${second.readyMs.toFixed(0)} ms`,
    });
    await pause(SETTLE_MS);
    rows.push(
      limitRow(
        `resident memory with ${PODS} Pods, ${SETTLE_MS / 1000} s after the start`,
        residentMb(second.child),
        400,
        'MB',
      ),
    );
    await stop(second.child);
    return rows;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function onDisk(): Promise<Row> {
  const root = mkdtempSync(join(tmpdir(), 'drayage-bench-'));
  try {
    const { child } = await start(root);
    const row = await createRow(root, 3000, 300, `durable on disk (${tmpdir()})`);
    await stop(child);
    return row;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function createRow(root: string, count: number, target: number, where: string): Promise<Row> {
  const load = new ApiLoad(join(root, 'kubeconfig'), WRITERS);
  try {
    const before = performance.now();
    await inParallel(count, WRITERS, (index) => load.text('POST', PODS_PATH, podOf(index)));
    const rate = count / ((performance.now() - before) / 1000);
    return {
      what: `Pods created per second, ${where}`,
      measured: rate.toFixed(0),
      target: `≥ ${target}`,
      met: rate >= target,
      note: `${count} Pods, ${WRITERS} requests under way, over TLS`,
    };
  } finally {
    await load.close();
  }
}

async function readRows(root: string): Promise<Row[]> {
  const load = new ApiLoad(join(root, 'kubeconfig'), 1);
  try {
    const gets: number[] = [];
    for (let i = 0; i < GETS; i++) gets.push(await load.time('GET', `${PODS_PATH}/pod-${(i * 37) % PODS}`));
    const pages: number[] = [];
    let token = '';
    for (let i = 0; i < PAGES; i++) {
      const before = performance.now();
      const text = await load.text(
        'GET',
        `${PODS_PATH}?limit=500${token === '' ? '' : `&continue=${token}`}`,
      );
      pages.push(performance.now() - before);
      token = /"continue":"([^"]*)"/.exec(text.slice(0, 1000))?.[1] ?? '';
    }
    return [
      {
        ...limitRow('get of one Pod, p50', median(gets), 2, 'ms'),
        note: `p99 ${percentile(gets, 0.99).toFixed(1)} ms`,
      },
      {
        ...limitRow('list page of 500 Pods, p50', median(pages), 50, 'ms'),
        note: `p99 ${percentile(pages, 0.99).toFixed(0)} ms`,
      },
    ];
  } finally {
    await load.close();
  }
}

async function watchRow(root: string): Promise<Row> {
  const watching = new ApiLoad(join(root, 'kubeconfig'), WATCHERS);
  const writing = new ApiLoad(join(root, 'kubeconfig'), WRITERS);
  try {
    const path = '/api/v1/namespaces/default/configmaps';
    for (let i = 0; i < WRITERS; i++) await writing.text('POST', path, configMapOf(i, 0));
    const version = /"resourceVersion":"(\d+)"/.exec(await writing.text('GET', `${path}?limit=1`))?.[1] ?? '';
    const watchers: Watcher[] = await Promise.all(
      Array.from({ length: WATCHERS }, () => watching.watch(`${path}?watch=1&resourceVersion=${version}`)),
    );
    const before = performance.now();
    const writer = inParallel(CHANGES, WRITERS, async (index) => {
      const due = before + (index / CHANGES_PER_SECOND) * 1000;
      if (due > performance.now()) await pause(due - performance.now());
      await writing.text('PUT', `${path}/map-${index % WRITERS}`, configMapOf(index % WRITERS, index + 1));
    });
    await writer;
    const written = performance.now();
    await Promise.all(watchers.map((watcher) => watcher.events(CHANGES)));
    const lagMs = performance.now() - written;
    const rate = CHANGES / ((written - before) / 1000);
    return {
      what: `${WATCHERS} watchers, each given all of ${CHANGES} changes`,
      measured: `${rate.toFixed(0)} changes/s, none lost`,
      target: `${CHANGES_PER_SECOND} changes/s`,
      met: rate >= CHANGES_PER_SECOND * 0.98,
      note: `the last event came ${lagMs.toFixed(0)} ms after the last answer; one process holds all watchers and the writers`,
    };
  } finally {
    await watching.close();
    await writing.close();
  }
}

function podOf(index: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${index}`, labels: { app: `app-${index % 100}` } },
    // No scheduler of this name is there: the store is measured, not a node with 10,000 Pods.
    spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'registry.example/app:v1' }] },
  });
}

function configMapOf(index: number, value: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `map-${index}` },
    data: { value: String(value) },
  });
}

function limitRow(what: string, value: number, limit: number, unit: string): Row {
  return {
    what,
    measured: `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ${unit}`,
    target: `< ${limit} ${unit}`,
    met: value < limit,
  };
}

interface Started {
  readonly child: ChildProcess;
  /** Until the API answered that it is ready; not a number on a first start, whose port nobody knows. */
  readonly apiMs: number;
  /** Until everything was. */
  readonly readyMs: number;
}

async function start(root: string): Promise<Started> {
  const before = performance.now();
  const ports = existsSync(join(root, 'kubeconfig')) ? [] : ['--api-port', '0', '--registry-port', '0'];
  const child = spawn(process.execPath, [DRAY, 'up', ...ports, '--root', root], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const api = ports.length === 0 ? untilApi(root).then(() => performance.now() - before) : Number.NaN;
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.startsWith('Ready')) continue;
    child.stderr.resume();
    return { child, apiMs: await api, readyMs: performance.now() - before };
  }
  throw new Error('dray up ended before it was ready');
}

async function untilApi(root: string): Promise<void> {
  const load = new ApiLoad(join(root, 'kubeconfig'), 1);
  try {
    for (;;) {
      const answer = await load.text('GET', '/readyz').catch(() => undefined);
      if (answer !== undefined) return;
      await pause(POLL_MS);
    }
  } finally {
    await load.close();
  }
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function residentMb(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return (Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024) / 1e6;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
