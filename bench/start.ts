import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { median, type Bench, type Row } from './row.ts';

const DRAY = fileURLToPath(new URL('../bin/dray.js', import.meta.url));
const TIMES = 21;
/** How long the system is left alone before its memory is read. */
const SETTLE_MS = 5000;

/** Start-up: of the smallest command beside an empty Node, and of the whole system until it serves. */
export const bench: Bench = async () => [...versionRows(), ...(await upRows())];

function versionRows(): Row[] {
  const time = (args: readonly string[]): number => {
    const before = performance.now();
    spawnSync(process.execPath, args, { stdio: 'ignore' });
    return performance.now() - before;
  };
  const empty: number[] = [];
  const version: number[] = [];
  // In turns, so that a busy moment of the machine meets both alike.
  for (let i = 0; i < TIMES; i++) {
    empty.push(time(['-e', '0']));
    version.push(time([DRAY, '--version']));
  }
  const ratio = median(version) / median(empty);
  return [
    {
      what: 'dray --version beside node -e 0',
      measured: `${ratio.toFixed(2)}×`,
      target: '≤ 1.5×',
      met: ratio <= 1.5,
      note: `${median(version).toFixed(0)} ms and ${median(empty).toFixed(0)} ms`,
    },
  ];
}

async function upRows(): Promise<Row[]> {
  const root = mkdtempSync(join(tmpdir(), 'drayage-bench-'));
  try {
    const first = await startOnce(root);
    const second = await startOnce(root);
    return [
      {
        what: 'dray up ready, first start on an empty root',
        measured: `${(first.readyMs / 1000).toFixed(2)} s`,
        target: '≤ 2 s',
        met: first.readyMs <= 2000,
      },
      {
        what: 'dray up ready, second start',
        measured: `${(second.readyMs / 1000).toFixed(2)} s`,
        target: '≤ 2 s',
        met: second.readyMs <= 2000,
      },
      {
        what: `resident memory of the idle system (all its processes), ${SETTLE_MS / 1000} s after ready`,
        measured: `${(second.residentBytes / 1e6).toFixed(0)} MB`,
        target: '≤ 150 MB',
        met: second.residentBytes <= 150e6,
      },
    ];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function startOnce(root: string): Promise<{ readyMs: number; residentBytes: number }> {
  const before = performance.now();
  const child = spawn(
    process.execPath,
    [DRAY, 'up', '--api-port', '0', '--registry-port', '0', '--root', root],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const lines = createInterface({ input: child.stderr });
  let readyMs = Number.NaN;
  for await (const line of lines) {
    if (!line.startsWith('Ready')) continue;
    readyMs = performance.now() - before;
    break;
  }
  child.stderr.resume();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const residentBytes = residentOf(child.pid ?? 0);
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { readyMs, residentBytes };
}

/** Sums the resident memory of a process and everything below it. */
function residentOf(pid: number): number {
  const own = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  const tasks = readdirSync(`/proc/${pid}/task`);
  const children = tasks.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children.reduce((sum, child) => sum + residentOf(Number(child)), own);
}
