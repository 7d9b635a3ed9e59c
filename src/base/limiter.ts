interface Waiter {
  readonly start: () => void;
}

/** Lets at most `limit` holders in at a time, first come first served. */
export class Limiter {
  readonly #limit: number;
  #active = 0;
  readonly #queue: Waiter[] = [];

  /** @param limit a positive number; `Infinity` lets everyone in */
  constructor(limit: number) {
    if (!(limit >= 1)) throw new RangeError(`Cannot make a limiter: limit is ${limit}, expected at least 1`);
    this.#limit = limit;
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Runs `task` once a place is free and gives the place back whatever happens.
   *
   * @throws the signal's reason when it aborts while waiting for a place
   */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await task();
    } finally {
      this.#leave();
    }
  }

  #enter(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#active < this.#limit) {
      this.#active++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        const place = this.#queue.indexOf(waiter);
        if (place >= 0) this.#queue.splice(place, 1);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiter);
    });
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#active--;
    else next.start();
  }
}
