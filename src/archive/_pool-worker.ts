import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { TaskResult, ToPool, ToWorker, WorkerTask } from './_unpack-messages.ts';
import { ArchiveError, type ArchiveErrorCode } from './archive-error.ts';
import { takeThread } from './unpack-threads.ts';

/** How long a thread may have nothing to do before it ends: one costs some 40 MB, and starts in a fraction of a second. */
const IDLE_MS = 5_000;
/** Bytes sent to a worker that it has not used yet; the sender waits beyond this. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/**
 * Small chunks of a socket are gathered to this size: one message for many of them. As with the chunks that are inflated, a thread that
 * waits for its turn on a busy machine should find much to do when it comes.
 */
export const MESSAGE_BYTES = 1024 * 1024;
/** Layers from this size on are inflated by a second thread where one has nothing to do; smaller ones are over before it knows. */
const HELPED_BYTES = 4 * 1024 * 1024;

/** A task that a thread has, as its owner sees it. */
export interface Running<T> {
  readonly outcome: Promise<T>;
  /** Sends bytes, which the worker then owns. */
  send(chunk: Uint8Array<ArrayBuffer>): void;
  /** Returns memory for one message, used before where there is some. */
  memory(): ArrayBuffer;
  /** Resolves when less than a window of bytes is unused, or when the job is over. */
  room(): Promise<void>;
  end(): void;
  cancel(): void;
}

interface Pending {
  readonly resolve: (result: TaskResult[keyof TaskResult]) => void;
  readonly reject: (error: Error) => void;
  unused: number;
  /** Memory that came back from the worker; never more than a window of it. */
  readonly free: ArrayBuffer[];
  /** Bytes still to be sent before the help of a second thread is worth its while; none are with a file. */
  beforeHelp: number;
  /** The thread that inflates for it. */
  helper: PoolWorker | undefined;
  wake: () => void;
}

/** One thread of a pool and the tasks that it has. */
export class PoolWorker {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #onGone: () => void;
  readonly #onChange: () => void;
  #idle: NodeJS.Timeout | undefined;
  /** Tasks of other threads for which this one inflates. */
  readonly #served = new Set<Pending>();
  #lastId = 0;

  /**
   * @param onGone told once, before the thread ends by itself or when it ended otherwise: no task may be given to it any more
   * @param onChange told when a task may want help, and when this thread may give it
   */
  constructor(onGone: () => void, onChange: () => void) {
    this.#onGone = onGone;
    this.#onChange = onChange;
    this.#worker = takeThread();
    this.#worker.on('message', (message: ToPool) => this.#take(message));
    this.#worker.on('error', (error) => this.#failAll(error));
    this.#worker.on('exit', () => {
      this.#leave();
      this.#failAll(new Error('the thread ended'));
      this.#onGone();
    });
  }

  get load(): number {
    return this.#pending.size;
  }

  /** Count of other threads' tasks for which it inflates. */
  get serves(): number {
    return this.#served.size;
  }

  /** Whether a second thread would make one of its tasks quicker. */
  get wantsHelp(): boolean {
    return this.#wanting !== undefined;
  }

  get #wanting(): [id: number, pending: Pending] | undefined {
    return [...this.#pending].find(([, { beforeHelp, helper }]) => beforeHelp <= 0 && helper === undefined);
  }

  /** Has another thread inflate for a task that wants help. */
  engage(helper: PoolWorker): void {
    const [id, pending] = this.#wanting ?? [];
    if (id === undefined || pending === undefined) return;
    const { port1, port2 } = new MessageChannel();
    pending.helper = helper;
    this.#post({ kind: 'partner', id, port: port1 }, [port1]);
    helper.#serve(pending, port2);
  }

  #serve(pending: Pending, port: MessagePort): void {
    this.#served.add(pending);
    clearTimeout(this.#idle);
    this.#post({ kind: 'serve', port }, [port]);
  }

  /** Ends the help for a task that is over. */
  #endService(pending: Pending): void {
    this.#served.delete(pending);
    if (this.#pending.size === 0 && this.#served.size === 0) this.#rest();
  }

  /** Lets other threads' tasks do without this one, which has work of its own or is gone. */
  #leave(): void {
    for (const pending of this.#served) pending.helper = undefined;
    this.#served.clear();
  }

  start<K extends WorkerTask['kind']>(task: Extract<WorkerTask, { kind: K }>): Running<TaskResult[K]> {
    const id = ++this.#lastId;
    const { promise: outcome, resolve, reject } = Promise.withResolvers<TaskResult[K]>();
    this.#leave();
    const pending: Pending = {
      // The worker answers a task with the result of its kind.
      resolve: (result) => resolve(result as TaskResult[K]),
      reject,
      unused: 0,
      free: [],
      beforeHelp: beforeHelp(task),
      helper: undefined,
      wake: () => {},
    };
    this.#pending.set(id, pending);
    clearTimeout(this.#idle);
    this.#worker.ref();
    this.#post({ kind: 'start', id, task });
    if (pending.beforeHelp <= 0) this.#onChange();
    return {
      outcome,
      send: (chunk) => {
        if (!this.#pending.has(id)) return;
        pending.unused += chunk.length;
        pending.beforeHelp -= chunk.length;
        if (pending.beforeHelp <= 0 && pending.helper === undefined) this.#onChange();
        this.#post({ kind: 'chunk', id, chunk }, [chunk.buffer]);
      },
      memory: () => pending.free.pop() ?? new ArrayBuffer(MESSAGE_BYTES),
      room: () =>
        new Promise<void>((resolve) => {
          if (pending.unused < WINDOW_BYTES || !this.#pending.has(id)) resolve();
          else pending.wake = resolve;
        }),
      end: () => this.#post({ kind: 'end', id }),
      cancel: () => this.#post({ kind: 'abort', id }),
    };
  }

  async stop(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#worker.terminate();
  }

  #post(message: ToWorker, transfer: (ArrayBuffer | MessagePort)[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #take(message: ToPool): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    if (message.kind === 'used') {
      pending.unused -= message.chunk.length;
      pending.free.push(message.chunk.buffer);
      if (pending.unused < WINDOW_BYTES) pending.wake();
      return;
    }
    if (message.kind === 'done') pending.resolve(message.result);
    else pending.reject(new ArchiveError((message.code ?? 'IO') as ArchiveErrorCode, message.message));
    this.#settle(message.id, pending);
  }

  #failAll(cause: unknown): void {
    for (const [id, pending] of this.#pending) {
      pending.reject(new ArchiveError('IO', 'Cannot unpack layer: its worker thread failed', { cause }));
      this.#settle(id, pending);
    }
  }

  #settle(id: number, pending: Pending): void {
    this.#pending.delete(id);
    pending.wake();
    const { helper } = pending;
    if (helper !== undefined) helper.#endService(pending);
    if (this.#pending.size === 0) this.#rest();
    this.#onChange();
  }

  /** An idle thread does not keep the process alive, and ends after a while. */
  #rest(): void {
    this.#worker.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#onGone();
      void this.stop();
    }, IDLE_MS).unref();
  }
}

/** How much of a task's bytes has to be sent before it wants help. */
function beforeHelp(task: WorkerTask): number {
  if (task.kind !== 'unpack' || (task.job.size ?? 0) < HELPED_BYTES) return Infinity;
  return task.job.source.kind === 'file' ? 0 : HELPED_BYTES / 2;
}
