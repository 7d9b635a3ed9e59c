import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { TaskResult, ToPool, ToWorker, WorkerTask } from './_unpack-messages.ts';
import type { UnpackedLayer } from './apply-options.ts';
import { ArchiveError, type ArchiveErrorCode } from './archive-error.ts';
import type { SettleRequest } from './settle-layer.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';
import { takeThread, THREADS } from './unpack-threads.ts';

/** How long a thread may have nothing to do before it ends: one costs some 40 MB, and starts in a fraction of a second. */
const IDLE_MS = 5_000;
/** Bytes sent to a worker that it has not used yet; the sender waits beyond this. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/**
 * Small chunks of a socket are gathered to this size: one message for many of them. As with the chunks that are inflated, a thread that
 * waits for its turn on a busy machine should find much to do when it comes.
 */
const MESSAGE_BYTES = 1024 * 1024;
/** Layers from this size on are inflated by a second thread where one has nothing to do; smaller ones are over before it knows. */
const HELPED_BYTES = 4 * 1024 * 1024;

/** Takes the compressed bytes of one layer and unpacks it as they come. */
export interface UnpackSink {
  /** Takes a chunk; resolves when there is room for the next. Rejects once the job has failed. */
  write(chunk: Uint8Array): Promise<void>;
  /** Says that all bytes were written and waits for the outcome. */
  finish(): Promise<UnpackResult>;
  /** Stops the job and waits until it no longer touches the disk; harmless after its end. */
  abort(): Promise<void>;
}

/** Runs unpack jobs in worker threads, so that digests, inflation and files stay off the event loop. */
export class UnpackPool {
  readonly #limit: number;
  readonly #workers: PoolWorker[] = [];
  #closed = false;

  /** @param limit count of threads, by default one a processor; they start when they are needed */
  constructor(limit = THREADS) {
    this.#limit = limit;
  }

  /** Unpacks a layer that lies in a file. @throws ArchiveError; the signal's reason when it aborts */
  unpack(job: UnpackJob, signal: AbortSignal): Promise<UnpackResult> {
    return this.#run({ kind: 'unpack', job }, signal);
  }

  /** Puts right for one stack what a layer left open; see {@link settleLayer}. */
  settle(request: SettleRequest, signal: AbortSignal): Promise<UnpackedLayer | undefined> {
    return this.#run({ kind: 'settle', request }, signal);
  }

  /** Copies a stack of layers, base first, into one tree; see {@link mergeLayers}. */
  async merge(layers: readonly UnpackedLayer[], target: string, signal: AbortSignal): Promise<void> {
    await this.#run({ kind: 'merge', layers, target }, signal);
  }

  /** Removes a tree, whatever its permissions, following no link. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#run({ kind: 'remove', path }, signal);
  }

  /** Begins to unpack a layer whose bytes the caller writes. */
  open(job: UnpackJob): UnpackSink {
    const task = this.#start({ kind: 'unpack', job });
    // A failure is reported by the next write or by finish; without either it must not end the process.
    task.outcome.catch(() => undefined);
    return new ChunkedSink(task);
  }

  /** Ends all threads; jobs under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#workers.splice(0).map((worker) => worker.stop()));
  }

  async #run<K extends WorkerTask['kind']>(
    task: Extract<WorkerTask, { kind: K }>,
    signal: AbortSignal,
  ): Promise<TaskResult[K]> {
    signal.throwIfAborted();
    const running = this.#start(task);
    const onAbort = (): void => running.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await running.outcome;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #start<K extends WorkerTask['kind']>(task: Extract<WorkerTask, { kind: K }>): Running<TaskResult[K]> {
    if (this.#closed) throw new Error('Cannot unpack: the pool is closed');
    const idle = this.#workers.toSorted((a, b) => a.load - b.load)[0];
    if (idle !== undefined && (idle.load === 0 || this.#workers.length >= this.#limit))
      return idle.start(task);
    return this.#addWorker().start(task);
  }

  #addWorker(): PoolWorker {
    const worker = new PoolWorker(
      () => {
        const place = this.#workers.indexOf(worker);
        if (place >= 0) this.#workers.splice(place, 1);
      },
      () => this.#help(),
    );
    this.#workers.push(worker);
    return worker;
  }

  /** Has threads without work inflate for those that have a large layer. */
  #help(): void {
    if (this.#closed) return;
    for (let busy = this.#wanting(); busy !== undefined; busy = this.#wanting()) {
      const free = this.#workers.filter(({ load }) => load === 0).toSorted((a, b) => a.serves - b.serves)[0];
      const helper = free ?? (this.#workers.length < this.#limit ? this.#addWorker() : undefined);
      if (helper === undefined) return;
      busy.engage(helper);
    }
  }

  #wanting(): PoolWorker | undefined {
    return this.#workers.find((worker) => worker.wantsHelp);
  }
}

interface Running<T> {
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

class PoolWorker {
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

class ChunkedSink implements UnpackSink {
  readonly #task: Running<UnpackResult>;
  #buffer: Uint8Array<ArrayBuffer>;
  #filled = 0;
  #over = false;

  constructor(task: Running<UnpackResult>) {
    this.#task = task;
    this.#buffer = new Uint8Array(task.memory());
    const over = (): void => {
      this.#over = true;
    };
    task.outcome.then(over, over);
  }

  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      // A job that is over before its bytes has failed, and says why.
      if (this.#over) await this.#task.outcome;
      const take = Math.min(rest.length, MESSAGE_BYTES - this.#filled);
      this.#buffer.set(rest.subarray(0, take), this.#filled);
      this.#filled += take;
      rest = rest.subarray(take);
      if (this.#filled === MESSAGE_BYTES) {
        this.#flush();
        await this.#task.room();
      }
    }
  }

  async finish(): Promise<UnpackResult> {
    this.#flush();
    this.#task.end();
    return this.#task.outcome;
  }

  async abort(): Promise<void> {
    this.#task.cancel();
    await this.#task.outcome.catch(() => undefined);
  }

  #flush(): void {
    if (this.#filled === 0) return;
    // The worker takes the whole buffer over: what was gathered is sent, never copied again.
    this.#task.send(this.#buffer.subarray(0, this.#filled));
    this.#buffer = new Uint8Array(this.#task.memory());
    this.#filled = 0;
  }
}
