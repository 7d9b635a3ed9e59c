import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { CredentialError } from '../credential-error.ts';
import { redactOutput } from '../redact-output.ts';
import { goSystemText, type ProviderConfig } from './provider-config.ts';

/** Longest a plug-in may run (rule 9.8). */
export const PLUGIN_TIMEOUT_MS = 60_000;

/** Most that is read of an answer: credentials for some hundred registries fit many times. */
const MAX_STDOUT_BYTES = 4 << 20;

/** Most that is kept of the error output; it only serves a message. */
const MAX_STDERR_BYTES = 16 << 10;

export interface PluginRun {
  readonly provider: ProviderConfig;
  readonly binDirectory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly image: string;
  readonly stdin: string;
  /** Values that must not show up in what is kept of the error output. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
}

/** What a plug-in left behind when it ended well. */
export interface PluginOutput {
  readonly stdout: Buffer;
  /** Redacted. */
  readonly stderr: string;
}

/** A plug-in that could not be started, was stopped or ended with a failure. */
export class PluginRunError extends CredentialError {
  /** `exit status 1`, `signal: killed`, `context deadline exceeded`, or why it did not start. */
  readonly exit: string;
  /** Redacted. */
  readonly stderr: string;

  constructor(run: PluginRun, exit: string, stderr: string) {
    const what = `plugin ${run.provider.name} for image ${run.image}`;
    super('PROVIDER_FAILED', `error execing credential provider ${what}: ${exit}: ${stderr}`, {
      retryable: true,
    });
    this.exit = exit;
    this.stderr = stderr;
  }
}

/**
 * Runs a plug-in once: request on its stdin, answer on its stdout (rule 9.8).
 *
 * @throws PluginRunError with the kubelet's text and the redacted error output (9.11)
 */
export async function execPlugin(run: PluginRun, signal: AbortSignal): Promise<PluginOutput> {
  const path = join(run.binDirectory, run.provider.name);
  const env = { ...run.environment };
  for (const { name, value } of run.provider.env) env[name] = value;
  const child = start(run, path, env);
  const timer = new AbortController();
  const stdout = new Kept(MAX_STDOUT_BYTES);
  const stderr = new Kept(MAX_STDERR_BYTES);
  // The plug-in leads a group of its own, so that what it started dies with it.
  const kill = (): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  };
  let stopped: 'context deadline exceeded' | 'context canceled' | undefined;
  const stop = (why: typeof stopped): void => {
    stopped ??= why;
    kill();
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const onAbort = (): void => stop('context canceled');
  signal.addEventListener('abort', onAbort, { once: true });
  run.clock.sleep(PLUGIN_TIMEOUT_MS, timer.signal).then(
    () => stop('context deadline exceeded'),
    () => undefined,
  );
  try {
    if (signal.aborted) stop('context canceled');
    const ended = new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(goSystemText('fork/exec', path, error)));
      child.once('close', (code, by) => resolve(exitText(code, by)));
    });
    child.stdout.on('data', (chunk: Buffer) => stdout.add(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
    // A plug-in may answer without reading its request: that breaks the pipe, not the answer.
    child.stdin.on('error', () => undefined);
    child.stdin.end(run.stdin);
    const failure = await ended;
    const said = redactOutput(stderr.text(), run.secrets);
    if (stopped !== undefined || failure !== undefined)
      throw new PluginRunError(run, stopped ?? failure ?? '', said);
    if (stdout.overflowed)
      throw new PluginRunError(run, `answer is longer than ${MAX_STDOUT_BYTES} bytes`, said);
    return { stdout: stdout.bytes(), stderr: said };
  } finally {
    timer.abort();
    signal.removeEventListener('abort', onAbort);
  }
}

function start(run: PluginRun, path: string, env: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams {
  try {
    return spawn(path, [...run.provider.args], { env, stdio: 'pipe', detached: true });
  } catch {
    // Node refuses a NUL in arguments and environment, and its message quotes the value, which may be a secret.
    throw new PluginRunError(run, `fork/exec ${path}: invalid argument`, '');
  }
}

function exitText(code: number | null, by: NodeJS.Signals | null): string | undefined {
  if (by !== null) return `signal: ${SIGNAL_TEXTS[by] ?? by}`;
  return code === 0 ? undefined : `exit status ${code ?? 'unknown'}`;
}

/** Go's names of the signals that end plug-ins. */
const SIGNAL_TEXTS: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGKILL: 'killed',
  SIGTERM: 'terminated',
  SIGINT: 'interrupt',
  SIGSEGV: 'segmentation fault',
  SIGABRT: 'aborted',
  SIGPIPE: 'broken pipe',
  SIGHUP: 'hangup',
};

/** Bytes up to a bound; what comes after is counted out, not kept. */
class Kept {
  readonly #chunks: Buffer[] = [];
  readonly #limit: number;
  #size = 0;
  overflowed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(chunk: Buffer): void {
    const room = this.#limit - this.#size;
    if (chunk.length > room) this.overflowed = true;
    if (room <= 0) return;
    this.#chunks.push(chunk.subarray(0, room));
    this.#size += Math.min(room, chunk.length);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }
}
