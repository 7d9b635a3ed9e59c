interface Flight<V> {
  readonly outcome: Promise<V>;
  readonly stop: AbortController;
  waiting: number;
  settled: boolean;
}

/**
 * Joins callers that want the same work into one run of it. A caller whose signal aborts leaves alone; the work stops only when
 * the last caller has left.
 */
export class JoinedFlights<K, V> {
  readonly #flights = new Map<K, Flight<V>>();

  /** Tells whether work for `key` is under way. */
  has(key: K): boolean {
    return this.#flights.has(key);
  }

  /**
   * Waits for the work of `key`, starting it when nobody did.
   *
   * @param run gets the signal of the flight, not of one caller
   * @throws the signal's reason when this caller leaves
   */
  async join(key: K, run: (signal: AbortSignal) => Promise<V>, signal: AbortSignal): Promise<V> {
    signal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, run);
    flight.waiting++;
    try {
      return await untilAborted(flight.outcome, signal);
    } finally {
      flight.waiting--;
      if (flight.waiting === 0) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        // Whoever left last still owns the work: nothing of it may run on after the caller was told.
        if (!flight.settled) {
          flight.stop.abort(signal.reason);
          await flight.outcome.catch(() => undefined);
        }
      }
    }
  }

  #start(key: K, run: (signal: AbortSignal) => Promise<V>): Flight<V> {
    const stop = new AbortController();
    const outcome = (async () => run(stop.signal))();
    const flight: Flight<V> = { outcome, stop, waiting: 0, settled: false };
    this.#flights.set(key, flight);
    const forget = (): void => {
      flight.settled = true;
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    outcome.then(forget, forget);
    return flight;
  }
}

/** Settles as `work` does, or rejects with the signal's reason if that comes first. */
async function untilAborted<V>(work: Promise<V>, signal: AbortSignal): Promise<V> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
