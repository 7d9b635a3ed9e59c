import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endContainers } from './end-containers.ts';

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
/** A start takes a second or two; a machine that is busy with other tests takes longer. */
const READY_MS = 60_000;

/** `dray up` as a process of its own, as a user runs it. */
export interface RunningSystem {
  readonly root: string;
  readonly kubeconfig: string;
  /** `localhost:PORT` */
  readonly registry: string;
  readonly certsDirectory: string;
  readonly adminPassword: string;
  readonly process: ChildProcess;
  /** What the program has said so far. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Makes a root of its own for a test; give it to {@link removeRoot} at the end. */
export function makeRoot(): string {
  return mkdtempSync(join(tmpdir(), 'drayage-system-'));
}

/** Kills what containers are left below a root, unmounts, removes. */
export function removeRoot(root: string): void {
  spawnSync('pkill', ['-KILL', '-f', root]);
  endContainers(root);
  for (let again = 0; again < 3; again++) {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => point.startsWith(`${root}/`));
    for (const point of mounts.reverse()) spawnSync('umount', ['-l', point]);
  }
  rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** Starts the system on a root and waits until it is ready. */
export async function startUp(
  root: string,
  args: readonly string[] = ['--api-port', '0', '--registry-port', '0'],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningSystem> {
  const child = spawn(process.execPath, [DRAY, 'up', '--root', root, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`dray up was not ready in time: ${said}`)), READY_MS);
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (!/^Ready in/m.test(said)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`dray up ended with ${code}: ${said}`));
    });
  });
  child.stdout.resume();
  await ready;
  const registry = /registry https:\/\/(\S+?),/.exec(said)?.[1] ?? '';
  return {
    root,
    kubeconfig: join(root, 'kubeconfig'),
    registry,
    certsDirectory: join(root, 'certs.d', registry),
    adminPassword: readFileSync(join(root, 'registry', 'admin-password'), 'utf8').trim(),
    process: child,
    output: () => said,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      child.kill(signal);
      await once(child, 'exit');
      return child.exitCode;
    },
  };
}

/** Runs `dray up --tour --exit` on a root to its end. */
export async function runTour(root: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(
    process.execPath,
    [
      DRAY,
      'up',
      '--tour',
      '--exit',
      '--root',
      root,
      ...(existsSync(join(root, 'ports.json')) ? [] : ['--api-port', '0', '--registry-port', '0']),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'exit');
  return { code: child.exitCode, output };
}
