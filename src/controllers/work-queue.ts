import type { Clock } from '../base/clock.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Keys worked on at the same time; 1 when absent. */
  readonly workers?: number;
  /** Keys of a higher rank are worked on first, each by what it was worth when it came; all the same when absent. */
  readonly rank?: (key: string) => number;
  /** Told of each failure; the key is tried again by itself. */
  readonly onError: (key: string, error: unknown) => void;
}

const MIN_RETRY_MS = 50;
const MAX_RETRY_MS = 60_000;

/**
 * Works off keys: a key waits at most once, and is never worked on twice at the same time.
 * A failed key comes back after a pause that doubles with each failure in a row.
 */
export class WorkQueue {
  readonly #reconcile: (key: string, signal: AbortSignal) => Promise<void>;
  readonly #options: WorkQueueOptions;
  readonly #signal: AbortSignal;
  /** By rank; only ranks that have somebody waiting. */
  readonly #waiting = new Map<number, Set<string>>();
  readonly #active = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #workers: number;

  constructor(
    reconcile: (key: string, signal: AbortSignal) => Promise<void>,
    options: WorkQueueOptions,
    signal: AbortSignal,
  ) {
    this.#reconcile = reconcile;
    this.#options = options;
    this.#signal = signal;
    this.#workers = options.workers ?? 1;
  }

  add(key: string): void {
    const rank = this.#options.rank?.(key) ?? 0;
    const waiting = this.#waiting.get(rank);
    if (waiting === undefined) this.#waiting.set(rank, new Set([key]));
    else waiting.add(key);
    // Later in the turn: changes that arrive together are then one piece of work.
    queueMicrotask(() => this.#start());
  }

  /** Adds a key after `ms` milliseconds; nothing happens when the signal aborts first. */
  addAfter(key: string, ms: number): void {
    if (ms <= 0) {
      this.add(key);
      return;
    }
    this.#options.clock.sleep(ms, this.#signal).then(
      () => this.add(key),
      () => undefined,
    );
  }

  #start(): void {
    for (const rank of [...this.#waiting.keys()].sort((a, b) => b - a)) {
      const waiting = this.#waiting.get(rank) ?? new Set();
      for (const key of waiting) {
        if (this.#signal.aborted || this.#active.size >= this.#workers) return;
        if (this.#active.has(key)) continue;
        this.#take(key);
        this.#active.add(key);
        void this.#work(key);
      }
    }
  }

  /** A key whose rank changed while it waited may wait twice. */
  #take(key: string): void {
    for (const [rank, waiting] of this.#waiting) {
      waiting.delete(key);
      if (waiting.size === 0) this.#waiting.delete(rank);
    }
  }

  async #work(key: string): Promise<void> {
    try {
      await this.#reconcile(key, this.#signal);
      this.#failures.delete(key);
    } catch (error) {
      if (this.#signal.aborted) return;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.#options.onError(key, error);
      this.addAfter(key, Math.min(MIN_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS));
    } finally {
      this.#active.delete(key);
      this.#start();
    }
  }
}
