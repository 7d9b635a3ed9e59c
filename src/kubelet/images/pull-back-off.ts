/** Delay after the first failure (rule 5.1). */
export const INITIAL_DELAY = 10_000;
/** The longest delay (rule 5.1). */
export const MAX_DELAY = 300_000;
/** An entry this long without a failure is forgotten (rule 5.4). */
const EXPIRY = 2 * MAX_DELAY;

interface Entry {
  readonly delay: number;
  readonly failedAt: number;
}

/** Names what is delayed: an image of a Pod (rule 5.2). */
export function backOffKey(podUid: string, image: string): string {
  return `${podUid}_${image}`;
}

/** Counts failures per key and tells how long to leave it alone: 10 s, doubling, at most 300 s, no jitter (section 5). Times are milliseconds. */
export class PullBackOff {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the delay that the last failure earned; 0 without one. */
  delayOf(key: string, now: number): number {
    const entry = this.#entries.get(key);
    return entry === undefined || expired(entry, now) ? 0 : entry.delay;
  }

  /** Tells whether the delay since the last failure still runs (rules 5.3, 5.4). */
  isWaiting(key: string, now: number): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && !expired(entry, now) && now - entry.failedAt < entry.delay;
  }

  /** Returns when the delay ends; undefined when none runs. */
  endsAt(key: string, now: number): number | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.isWaiting(key, now) ? entry.failedAt + entry.delay : undefined;
  }

  /** Books a failure. */
  fail(key: string, now: number): void {
    const entry = this.#entries.get(key);
    const delay =
      entry === undefined || expired(entry, now) ? INITIAL_DELAY : Math.min(entry.delay * 2, MAX_DELAY);
    this.#entries.set(key, { delay, failedAt: now });
  }

  /** Forgets what is expired; nothing else resets a key (rule 5.5). */
  sweep(now: number): readonly string[] {
    const gone = [...this.#entries].filter(([, entry]) => expired(entry, now)).map(([key]) => key);
    for (const key of gone) this.#entries.delete(key);
    return gone;
  }
}

function expired(entry: Entry, now: number): boolean {
  return now - entry.failedAt > EXPIRY;
}
