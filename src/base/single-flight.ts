/** Joins concurrent calls with the same key into one: all callers get the one outcome. Nothing is remembered afterwards. */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Promise<V>>();

  /** Returns the running call's promise for `key`, or starts `run`. */
  do(key: K, run: () => Promise<V>): Promise<V> {
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const flight = (async () => run())().finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    return flight;
  }

  /** Tells whether a call for `key` is under way. */
  has(key: K): boolean {
    return this.#flights.has(key);
  }
}
