import { spawn } from 'node:child_process';
import type { RunningSystem } from './running-system.ts';

export interface KubectlOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A kubectl that talks to one system. */
export class Kubectl {
  readonly #binary: string;
  readonly #kubeconfig: string;

  constructor(binary: string, system: Pick<RunningSystem, 'kubeconfig'>) {
    this.#binary = binary;
    this.#kubeconfig = system.kubeconfig;
  }

  /** Runs kubectl to its end, whatever that is. */
  try(args: readonly string[], input?: string): Promise<KubectlOutcome> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.#binary, args, {
        env: { ...process.env, KUBECONFIG: this.#kubeconfig, HOME: '/nonexistent' },
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, stdout, stderr }));
      child.stdin.on('error', () => {});
      child.stdin.end(input ?? '');
    });
  }

  /** Runs kubectl and returns what it printed; a failure is an error with all that it said. */
  async run(args: readonly string[], input?: string): Promise<string> {
    const outcome = await this.try(args, input);
    if (outcome.code === 0) return outcome.stdout;
    throw new Error(
      `kubectl ${args.join(' ')} ended with ${outcome.code}: ${outcome.stderr}${outcome.stdout}`,
    );
  }

  /** Asks again until the output is as wanted: for facts that kubectl cannot wait for by itself. */
  async until(args: readonly string[], wanted: (stdout: string) => boolean, seconds = 60): Promise<string> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const { stdout, stderr } = await this.try(args);
      if (wanted(stdout)) return stdout;
      if (Date.now() > end)
        throw new Error(`kubectl ${args.join(' ')} never said what was wanted: ${stdout}${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
