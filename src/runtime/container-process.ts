import { watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { readRecord, writeRecord, type ContainerEnd, type ContainerRecord } from './container-record.ts';
import type { Command, Launcher } from './launcher.ts';
import { LogPump } from './log-pump.ts';
import { identifyProcess, isRunning, signalProcess, type ProcessIdentity } from './process-identity.ts';
import { KILLED_CODE, START_FAILED_CODE, UNKNOWN_CODE } from './exit-codes.ts';
import { readNumber, readPid, readShim } from './process-files.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ContainerState } from './runtime-service.ts';
import { spawnShim } from './spawn-shim.ts';
import { startErrorMessage } from './start-messages.ts';

/** How often to look although nothing was reported: notifications can be lost; and while a process takes its last step inside. */
const LOOK_MS = 500;
const ENTER_LOOK_MS = 5;

/**
 * Follows one container's process through the files of its directory, whether this agent started it or an earlier one.
 * States go created → running → exited, never back.
 */
export class ContainerProcess {
  readonly record: ContainerRecord;
  readonly directory: string;
  readonly #launcher: Launcher;
  readonly #clock: Clock;
  readonly #pump: LogPump;
  readonly #changed: (kind: 'started' | 'stopped') => void;
  readonly #failed: (error: unknown) => void;
  #state: ContainerState = 'created';
  #startedAt = 0;
  #end: ContainerEnd | undefined;
  #shim: ProcessIdentity | undefined;
  #init: ProcessIdentity | undefined;
  #watcher: FSWatcher | undefined;
  #checking: Promise<void> | undefined;
  #checkAgain = false;
  #closed = false;
  #launched = false;
  #entering = false;
  readonly #waiters = new Set<() => void>();

  constructor(options: {
    record: ContainerRecord;
    directory: string;
    launcher: Launcher;
    clock: Clock;
    changed: (kind: 'started' | 'stopped') => void;
    failed: (error: unknown) => void;
  }) {
    this.record = options.record;
    this.directory = options.directory;
    this.#launcher = options.launcher;
    this.#clock = options.clock;
    this.#changed = options.changed;
    this.#failed = options.failed;
    this.#pump = new LogPump({
      directory: options.directory,
      logPath: options.record.logPath,
      clock: options.clock,
    });
  }

  get state(): ContainerState {
    return this.#state;
  }

  get startedAt(): number {
    return this.#end?.startedAt ?? this.#startedAt;
  }

  get end(): ContainerEnd | undefined {
    return this.#end;
  }

  get init(): ProcessIdentity | undefined {
    return this.#init;
  }

  /** Takes up what is on disk: a finished container stays finished, a running one is followed again. */
  async adopt(): Promise<void> {
    this.#end = await readRecord<ContainerEnd>(this.directory, 'end.json');
    if (this.#end !== undefined) {
      this.#state = 'exited';
      return;
    }
    this.#shim = await readShim(this.directory);
    if (this.#shim === undefined) return;
    this.#launched = true;
    this.#watch();
    await this.check();
    await this.#pump.pump();
  }

  /**
   * Starts the process and returns once it runs. When the signal aborts, the start goes on but is not waited for.
   *
   * @throws RuntimeError `START_FAILED`; the container has then exited with code 128 and reason `StartError`
   */
  async start(command: Command, shimScript: string, signal: AbortSignal): Promise<void> {
    if (this.#state !== 'created' || this.#launched) {
      throw new RuntimeError(
        'INVALID',
        `Cannot start container "${this.record.id}": it is ${this.#state} already`,
      );
    }
    this.#watch();
    this.#launched = true;
    await spawnShim(this.directory, command, shimScript, () => this.#checkSoon());
    // The kernel may drop notifications when its queue overflows; looking again now and then costs next to nothing.
    while (this.#state === 'created') {
      signal.throwIfAborted();
      if (this.#closed) {
        throw new RuntimeError('NOT_RUNNING', `Cannot start container "${this.record.id}": it was removed`);
      }
      await this.#changeOr(this.#entering ? ENTER_LOOK_MS : LOOK_MS, signal);
      await this.check();
    }
    if (this.#end?.reason === 'StartError') throw new RuntimeError('START_FAILED', this.#end.message);
  }

  /** Records that the process cannot be started at all. */
  async failStart(message: string): Promise<void> {
    await this.#finish({
      exitCode: START_FAILED_CODE,
      startedAt: 0,
      finishedAt: this.#clock.now(),
      reason: 'StartError',
      message,
    });
  }

  /** Sends a signal to the container's first process; false when it is gone. */
  async signal(signal: number): Promise<boolean> {
    return this.#init !== undefined && (await signalProcess(this.#init, signal));
  }

  /** Waits until it has exited; false when `ms` went by first. */
  async exited(ms: number, signal: AbortSignal): Promise<boolean> {
    const end = performance.now() + ms;
    while (this.#state !== 'exited') {
      signal.throwIfAborted();
      const left = end - performance.now();
      if (left <= 0) return false;
      await this.#changeOr(Math.min(left, LOOK_MS), signal);
      await this.check();
    }
    return true;
  }

  /** Waits until a start under way has led to something; at once when there is none. */
  async settled(ms: number, signal: AbortSignal): Promise<void> {
    const end = performance.now() + ms;
    while (this.#launched && this.#state === 'created' && performance.now() < end) {
      signal.throwIfAborted();
      await this.#changeOr(this.#entering ? ENTER_LOOK_MS : LOOK_MS, signal);
      await this.check();
    }
  }

  reopenLog(): Promise<void> {
    return this.#pump.reopen();
  }

  /** Brings the log up to date with the output so far. */
  async syncLog(): Promise<void> {
    if (this.#state === 'running') await this.#pump.pump();
  }

  /** Stops following; the container itself goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    this.#watcher = undefined;
    await this.#checking;
    await this.#pump.close();
  }

  /** Looks at the files and the processes; calls while one is under way make it look once more. */
  check(): Promise<void> {
    if (this.#checking !== undefined) {
      this.#checkAgain = true;
      return this.#checking;
    }
    this.#checking = (async () => {
      try {
        do {
          this.#checkAgain = false;
          await this.#look();
        } while (this.#checkAgain);
      } finally {
        this.#checking = undefined;
      }
    })();
    return this.#checking;
  }

  async #look(): Promise<void> {
    if (this.#state === 'exited' || this.#closed) return;
    this.#shim ??= await readShim(this.directory);
    // Order matters: a shim that was gone before we looked for the exit code has written it by then, and a process that has
    // an exit code had a pid before.
    const shimAlive = this.#shim !== undefined && (await isRunning(this.#shim));
    const exit = await readNumber(join(this.directory, 'exit'));
    const pid = await readPid(join(this.directory, 'pid'));
    const entered =
      pid === undefined || exit !== undefined || ((await this.#launcher.hasEntered?.(pid.value)) ?? true);
    this.#entering = !entered;
    if (pid !== undefined && entered && this.#state === 'created') {
      this.#init = pid.identity ?? (shimAlive ? await identifyProcess(pid.value) : undefined);
      this.#startedAt = pid.writtenAt;
      this.#state = 'running';
      if (exit === undefined) this.#notify('started');
    }
    if (exit !== undefined) await this.#ended(exit.value, exit.writtenAt, pid !== undefined);
    else if (this.#shim !== undefined && !shimAlive) {
      await this.#signalLeftover();
      await this.#ended(UNKNOWN_CODE, this.#clock.now(), pid !== undefined);
    }
  }

  /** Without its shim nobody would see the process end: it must not go on unseen. */
  async #signalLeftover(): Promise<void> {
    if (this.#init !== undefined) await signalProcess(this.#init, 'SIGKILL');
  }

  async #ended(exitCode: number, finishedAt: number, ran: boolean): Promise<void> {
    const { oomKilled } = await this.#launcher.afterExit({
      id: this.record.id,
      directory: this.directory,
      cgroup: this.record.cgroup,
    });
    if (!ran) {
      const failure = await this.#launcher.startFailure({ id: this.record.id, directory: this.directory });
      await this.failStart(startErrorMessage(failure));
      return;
    }
    const killed = oomKilled && exitCode === KILLED_CODE;
    await this.#finish({
      exitCode,
      startedAt: this.#startedAt,
      finishedAt,
      reason: killed ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error',
      message: '',
    });
  }

  async #finish(end: ContainerEnd): Promise<void> {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (end.reason === 'StartError') await this.#pump.close();
    else await this.#pump.finish();
    await writeRecord(this.directory, 'end.json', end);
    this.#end = end;
    this.#state = 'exited';
    this.#notify('stopped');
  }

  #notify(kind: 'started' | 'stopped'): void {
    for (const wake of this.#waiters) wake();
    this.#changed(kind);
  }

  #changeOr(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiters.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  #watch(): void {
    this.#watcher = watch(this.directory, { persistent: false }, (_event, name) => {
      if (name === 'stdout' || name === 'stderr') this.#pump.pump().catch(this.#failed);
      else if (name === 'pid' || name === 'exit') this.#checkSoon();
    });
    this.#watcher.on('error', this.#failed);
  }

  #checkSoon(): void {
    this.check()
      .then(() => {
        for (const wake of this.#waiters) wake();
      })
      .catch(this.#failed);
  }
}
