import type { Clock } from '../base/clock.ts';
import { LruMap } from '../base/lru-map.ts';

/** First pause after a container ended for the second time, and the longest. The kubelet's values. */
const INITIAL_MS = 10_000;
const MAX_MS = 300_000;

/** A container that stayed up this long after its last end starts again at the first pause. */
const FORGET_MS = 2 * MAX_MS;

/** Containers remembered; the kubelet forgets by time instead. */
const MAX_ENTRIES = 10_000;

/** Pauses before a container is started again: none, then 10 s, doubling to 5 min. */
export class ContainerBackoff {
  readonly #clock: Clock;
  readonly #entries = new LruMap<string, { pause: number; updatedAt: number }>(MAX_ENTRIES);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Asks to start a container that ended at `finishedAt`. Returns the pause under way and when it is over, or undefined when
   * it may start now; the next pause is then longer.
   */
  enter(key: string, finishedAt: number): { pauseMs: number; until: number } | undefined {
    const now = this.#clock.now();
    const entry = this.#entries.get(key);
    if (entry === undefined || finishedAt - entry.updatedAt > FORGET_MS) {
      this.#entries.set(key, { pause: INITIAL_MS, updatedAt: now });
      return undefined;
    }
    if (now - finishedAt < entry.pause) return { pauseMs: entry.pause, until: finishedAt + entry.pause };
    this.#entries.set(key, { pause: Math.min(entry.pause * 2, MAX_MS), updatedAt: now });
    return undefined;
  }
}
