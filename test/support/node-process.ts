import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const DRAY = fileURLToPath(new URL('../../bin/dray.js', import.meta.url));
/** A start takes a second; a machine that is busy with other tests takes longer. */
const READY_MS = 60_000;

/** `dray node` as a process of its own, as a user runs it. */
export interface NodeProcess {
  readonly process: ChildProcess;
  /** What the program has said so far. */
  output(): string;
  /** Ends it with a signal and waits until it has gone; containers go on. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts a node and waits until it is ready, or until it says that it cannot be. */
export async function startNodeProcess(args: readonly string[]): Promise<NodeProcess> {
  const child = spawn(process.execPath, [DRAY, 'node', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`dray node was not ready in time: ${said}`)), READY_MS);
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (!/^Ready in/m.test(said)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`dray node ended with ${code}: ${said}`));
    });
  });
  return {
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
