import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.ts';
import type { Done, Job } from './registry-load.ts';

/** Clock ticks in a second as /proc counts them, on every Linux there is. */
const TICKS = 100;
/** A foreign program tells nobody when it listens: it is asked this often, for so long. */
const ASK_MS = 25;
const ASK_TIMES = 400;

const DRAY = fileURLToPath(new URL('../bin/dray.js', import.meta.url));

/** A registry that is being measured. */
export interface MeasuredRegistry {
  readonly name: string;
  readonly address: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Serves this program's registry as its users do, open to everybody as the other one is. */
export async function startDray(directory: string): Promise<MeasuredRegistry> {
  mkdirSync(directory, { recursive: true });
  const config = join(directory, 'config.yaml');
  writeFileSync(
    config,
    `directory: ${join(directory, 'data')}\nlisten: {host: 127.0.0.1, port: 0}\nauth: none\n`,
  );
  const child = spawn(
    process.execPath,
    [DRAY, 'registry', 'serve', '--config', config, '--log-level', 'error'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [url] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error('Cannot measure: the registry did not start'))),
  ])) as [string];
  return { name: 'dray', address: new URL(url).host, pid: child.pid ?? 0, stop: () => end(child) };
}

/** Serves Debian's docker-registry, with no log of requests. */
export async function startDockerRegistry(directory: string): Promise<MeasuredRegistry> {
  mkdirSync(directory, { recursive: true });
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(directory, 'config.yml');
  writeFileSync(
    config,
    [
      'version: 0.1',
      'log: {level: error, accesslog: {disabled: true}}',
      `storage: {filesystem: {rootdirectory: ${join(directory, 'data')}}, delete: {enabled: true}}`,
      `http: {addr: "${address}"}`,
    ].join('\n'),
  );
  const child = spawn('docker-registry', ['serve', config], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' },
  });
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined);
    if (answer?.ok === true) break;
    if (tries === ASK_TIMES) throw new Error('Cannot measure: docker-registry did not start');
    await delay(ASK_MS);
  }
  return { name: 'docker-registry', address, pid: child.pid ?? 0, stop: () => end(child) };
}

/** The process that sends the requests. */
export class LoadGenerator {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('registry-load.ts', import.meta.url)));

  async run(job: Job): Promise<Done> {
    this.#child.send(job);
    const [answer] = (await once(this.#child, 'message')) as [{ done?: Done; error?: string }];
    if (answer.done === undefined) throw new Error(answer.error);
    return answer.done;
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Processors used by whom while something was measured; 1 is one processor. */
export interface Load {
  readonly server: number;
  /** The server's busiest thread. */
  readonly thread: number;
  /** All processes of the machine. */
  readonly machine: number;
  /** Idle while something was being written. */
  readonly waiting: number;
}

/** Begins to watch a server and returns what tells how busy everything was since. */
export function watch(pid: number): () => Load {
  const started = performance.now();
  const server = ticksOf(`/proc/${pid}/stat`);
  const thread = ticksOf(`/proc/${pid}/task/${pid}/stat`);
  const machine = machineTicks();
  return () => {
    const ticks = ((performance.now() - started) / 1000) * TICKS;
    const now = machineTicks();
    return {
      server: (ticksOf(`/proc/${pid}/stat`) - server) / ticks,
      thread: (ticksOf(`/proc/${pid}/task/${pid}/stat`) - thread) / ticks,
      machine: (now.busy - machine.busy) / ticks,
      waiting: (now.waiting - machine.waiting) / ticks,
    };
  };
}

function ticksOf(path: string): number {
  const fields = readFileSync(path, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function machineTicks(): { busy: number; waiting: number } {
  const [, ...fields] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, , waiting = 0, interrupt = 0, soft = 0] = fields;
  return { busy: user + nice + system + interrupt + soft, waiting };
}

/** Bytes of memory of a process. */
export interface Memory {
  readonly resident: number;
  /** What is its own; the rest is the program's file, which the kernel can drop. */
  readonly anonymous: number;
  /** Most that was resident since {@link forgetPeak}. */
  readonly peak: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0) * 1024;
  return { resident: field('VmRSS'), anonymous: field('RssAnon'), peak: field('VmHWM') };
}

/** Lets the kernel count the most resident memory of a process anew. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
