import { ChunkedSink } from './_chunked-sink.ts';
import { PoolWorker, type Running } from './_pool-worker.ts';
import type { TaskResult, WorkerTask } from './_unpack-messages.ts';
import type { UnpackedLayer } from './apply-options.ts';
import type { SettleRequest } from './settle-layer.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';
import type { UnpackSink } from './unpack-sink.ts';
import { THREADS } from './unpack-threads.ts';

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
