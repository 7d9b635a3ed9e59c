import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';

/** How often memory is looked at; the kernel keeps the maximum of each process, so only short-lived ones can be missed. */
const LOOK_MS = 25;
/** Clock ticks in a second as /proc counts them, on every Linux there is. */
const TICKS = 100;

export interface Measured {
  readonly seconds: number;
  /** User and system time of the command, its children and the daemon. */
  readonly cpuSeconds: number;
  /** Most resident memory of a process of the command, or of the daemon. */
  readonly residentBytes: number;
}

/**
 * Runs a command to its end.
 *
 * @param daemon process that does the work for the command
 * @throws with what the command said when it fails
 */
export async function measure(
  command: readonly string[],
  options: { readonly daemon?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Measured> {
  const { daemon } = options;
  if (daemon !== undefined) writeFileSync(`/proc/${daemon}/clear_refs`, '5');
  const daemonBefore = daemon === undefined ? 0 : ticksOf(daemon);
  const started = performance.now();
  // The shell's times are of all processes that it waited for.
  const child = spawn('bash', ['-c', '"$@"; code=$?; times >&3; exit $code', 'bash', ...command], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let said = '';
  let times = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdio[3]?.on('data', (chunk: Buffer) => (times += chunk.toString()));
  let residentBytes = 0;
  const timer = setInterval(() => {
    residentBytes = Math.max(residentBytes, ...[...processesBelow(child.pid), daemon].map(peakOf));
  }, LOOK_MS);
  const [code] = (await once(child, 'close')) as [number];
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`${command.join(' ')}: ${said.trim().slice(-500)}`);
  const spent = times.trim().split(/\s+/).map(secondsOf);
  const daemonTicks = daemon === undefined ? 0 : ticksOf(daemon) - daemonBefore;
  return {
    seconds,
    cpuSeconds: spent.reduce((sum, each) => sum + each, 0) + daemonTicks / TICKS,
    residentBytes: Math.max(residentBytes, peakOf(daemon)),
  };
}

/** Reads `1m2.345s`. */
function secondsOf(text: string): number {
  const [, minutes, rest] = /^(\d+)m([\d.]+)s$/.exec(text) ?? [];
  return Number(minutes ?? 0) * 60 + Number(rest ?? 0);
}

function processesBelow(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return [...children, ...children.flatMap(processesBelow)];
}

function peakOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Sums the ticks of a process and of the children that it waited for. */
function ticksOf(pid: number): number {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Gone between two looks.
    return '';
  }
}
