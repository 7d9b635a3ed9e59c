import type { Clock } from '../base/clock.ts';

/** Spaces out what is done again and again for one key: each pause is twice the one before, up to a limit. */
export class Pauses {
  readonly #clock: Clock;
  readonly #least: number;
  readonly #most: number;
  readonly #taken = new Map<string, { at: number; pause: number }>();

  /** @param range milliseconds */
  constructor(clock: Clock, range: { least: number; most: number }) {
    this.#clock = clock;
    this.#least = range.least;
    this.#most = range.most;
  }

  /** Returns 0 when it may be done now, which begins the next pause; else how many milliseconds are left. */
  take(key: string): number {
    const now = this.#clock.now();
    this.#forget(now);
    const before = this.#taken.get(key);
    const left = before === undefined ? 0 : before.at + before.pause - now;
    if (left > 0) return left;
    const pause = before === undefined ? this.#least : Math.min(before.pause * 2, this.#most);
    this.#taken.set(key, { at: now, pause });
    return 0;
  }

  /** What was quiet for twice the longest pause begins anew; so the map is bounded too. */
  #forget(now: number): void {
    for (const [key, { at }] of this.#taken) if (now - at > 2 * this.#most) this.#taken.delete(key);
  }
}
