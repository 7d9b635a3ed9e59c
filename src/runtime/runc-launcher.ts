import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import type { Command, LaunchedContainer, Launcher, LaunchPlan } from './launcher.ts';
import { ociSpec } from './oci-spec.ts';
import type { ProcessSpec } from './process-spec.ts';
import { RuntimeError } from './runtime-error.ts';
import { lastMessage } from './runtime-log.ts';
import type { ContainerResources } from './runtime-service.ts';
import { oomKills } from './cgroup-oom.ts';

const run = promisify(execFile);

/** Environment of the runtime itself; containers get their own. */
const RUNTIME_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/** Longest wait for the runtime to forget a container. */
const DELETE_TIMEOUT_MS = 30_000;

/** Runs containers with `runc` or `crun` through the OCI runtime command line. */
export class RuncLauncher implements Launcher {
  readonly name: 'runc' | 'crun';
  readonly version: string;
  readonly #program: string;
  readonly #state: string;

  /** @param options.state directory in which the runtime keeps its own records */
  constructor(options: { name: 'runc' | 'crun'; version: string; program: string; state: string }) {
    this.name = options.name;
    this.version = options.version;
    this.#program = options.program;
    this.#state = options.state;
  }

  async prepare(plan: LaunchPlan): Promise<Command> {
    await writeFile(join(plan.directory, 'config.json'), JSON.stringify(ociSpec(plan)), { mode: 0o600 });
    // crun has no --keep: it forgets the container, and with it the count of memory kills, by itself.
    const keep = this.name === 'runc' ? ['--keep'] : [];
    return {
      file: this.#program,
      args: [
        ...this.#global(plan.directory),
        'run',
        ...keep,
        '--pid-file',
        join(plan.directory, 'pid'),
        '--bundle',
        plan.directory,
        plan.id,
      ],
      env: RUNTIME_ENV,
    };
  }

  async startFailure(plan: Pick<LaunchPlan, 'id' | 'directory'>): Promise<string> {
    let text: string;
    try {
      text = await readFile(join(plan.directory, 'runtime.log'), 'utf8');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return `${this.name} ended without a message`;
      throw error;
    }
    const last = lastMessage(text);
    if (last === '') return `${this.name} ended without a message`;
    return last.replace(/^(?:runc|crun) (?:run|create) failed: /, '');
  }

  async exec(container: LaunchedContainer, process: ProcessSpec, terminal: boolean): Promise<Command> {
    const { args, env, cwd, user } = process;
    const prefix = join(container.directory, `exec-${randomUUID()}`);
    const pidFile = `${prefix}.pid`;
    const failureLog = `${prefix}.log`;
    const groups = user.supplementalGroups.flatMap((gid) => ['--additional-gids', String(gid)]);
    return {
      file: this.#program,
      args: [
        '--root',
        this.#state,
        '--log',
        failureLog,
        '--log-format',
        'json',
        'exec',
        ...(terminal ? ['--tty'] : []),
        '--pid-file',
        pidFile,
        '--cwd',
        cwd,
        '--user',
        `${user.uid}:${user.gid}`,
        ...(this.name === 'runc' ? groups : []),
        ...env.flatMap((line) => ['--env', line]),
        container.id,
        ...args,
      ],
      env: RUNTIME_ENV,
      pidFile,
      failureLog,
      ...(terminal ? { bringsTerminal: true } : {}),
    };
  }

  async update(id: string, resources: ContainerResources): Promise<void> {
    const { memoryBytes, cpuShares, cpuQuotaMicros, cpuPeriodMicros } = resources;
    const wanted: readonly (readonly [string, number | undefined])[] = [
      ['--cpu-share', cpuShares],
      ['--cpu-period', cpuPeriodMicros],
      ['--cpu-quota', cpuQuotaMicros],
      ['--memory', memoryBytes],
    ];
    const args = wanted.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]));
    try {
      await run(this.#program, ['--root', this.#state, 'update', ...args, id], { env: RUNTIME_ENV });
    } catch (error) {
      throw new RuntimeError('INVALID', `Cannot update resources of container: ${lastLine(error)}`, {
        cause: error,
      });
    }
  }

  async afterExit(plan: { id: string; directory: string; cgroup: string }): Promise<{ oomKilled: boolean }> {
    const oomKilled = (await oomKills(plan.cgroup)) > 0;
    try {
      await run(this.#program, ['--root', this.#state, 'delete', '--force', plan.id], {
        env: RUNTIME_ENV,
        timeout: DELETE_TIMEOUT_MS,
      });
    } catch (error) {
      // It exits with 1 for a container that it has forgotten already.
      if (!(error instanceof Error) || isSystemError(error)) throw error;
    }
    return { oomKilled };
  }

  #global(directory: string): string[] {
    return ['--root', this.#state, '--log', join(directory, 'runtime.log'), '--log-format', 'json'];
  }
}

/** What a program that failed said last. */
function lastLine(error: unknown): string {
  const { stderr } = error as { stderr?: unknown };
  const lines = typeof stderr === 'string' ? stderr.trim().split('\n') : [];
  return lines.at(-1) || messageOf(error);
}
