import { LruMap } from '../base/lru-map.ts';

/** Similar events (same object and reason) within the interval after which they share one event. client-go's values. */
const AGGREGATE_AFTER = 10;
const AGGREGATE_INTERVAL_MS = 600_000;

/** Groups of events that are remembered; client-go's cache has the same size. */
const MAX_KNOWN = 4096;

/** Finds messages with a changing part, such as a random name, which would fill the server with events that say the same. */
export class SimilarEvents {
  readonly #groups = new LruMap<string, { last: number; messages: Set<string> }>(MAX_KNOWN);

  /**
   * Notes one more event of a group: of one object, type and reason.
   *
   * @param at milliseconds since the epoch
   * @returns the message of the event that the whole group shares from now on; `undefined` when this event stands for itself
   */
  combined(group: string, message: string, at: number): string | undefined {
    let entry = this.#groups.get(group);
    if (entry === undefined || at - entry.last > AGGREGATE_INTERVAL_MS) {
      entry = { last: at, messages: new Set() };
    }
    entry.last = at;
    entry.messages.add(message);
    this.#groups.set(group, entry);
    if (entry.messages.size < AGGREGATE_AFTER) return undefined;
    // One less than the limit is all that must be remembered.
    entry.messages.delete(message);
    return `(combined from similar events): ${message}`;
  }
}
