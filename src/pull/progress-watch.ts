import type { Clock } from '../base/clock.ts';

/** Time without a new byte after which a pull is ended, in milliseconds; containerd's `image_pull_progress_timeout` (rule 17.1). */
export const DEFAULT_PROGRESS_TIMEOUT_MS = 5 * 60_000;

/** How often the watch looks, unless half of the limit is shorter (rule 17.1). */
const CHECK_INTERVAL_MS = 10_000;

/** Watches one pull: while it has requests open, bytes must arrive. */
export class ProgressWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #trip = new AbortController();
  #active = 0;
  #lastProgress: number;

  /** @param timeoutMs 0 turns the watch off */
  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#lastProgress = clock.now();
  }

  /** Aborts when the pull made no progress for too long. */
  get signal(): AbortSignal {
    return this.#trip.signal;
  }

  /** Notes that bytes arrived. */
  progress(): void {
    this.#lastProgress = this.#clock.now();
  }

  /** Runs `work` as something that must make progress. Time before it, when nothing was open, does not count. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#active === 0) this.progress();
    this.#active++;
    try {
      return await work();
    } finally {
      this.#active--;
      this.progress();
    }
  }

  /** Looks until `signal` aborts or the watch trips. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#timeoutMs <= 0) return;
    const interval = Math.min(CHECK_INTERVAL_MS, this.#timeoutMs / 2);
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(interval, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (this.#active > 0 && this.#clock.now() - this.#lastProgress >= this.#timeoutMs) {
        this.#trip.abort();
        return;
      }
    }
  }
}
