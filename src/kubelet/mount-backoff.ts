import type { Clock } from '../base/clock.ts';

/** First pause after a volume could not be set up, and the longest. The kubelet's values for operations on volumes. */
const INITIAL_MS = 500;
const MAX_MS = 122_000;

/** Pauses between attempts to set up the volumes of a Pod. */
export class MountBackoff {
  readonly #clock: Clock;
  readonly #pauses = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Books a failure; returns when to try again, milliseconds since the epoch. */
  fail(uid: string): number {
    const before = this.#pauses.get(uid);
    const pause = before === undefined ? INITIAL_MS : Math.min(before * 2, MAX_MS);
    this.#pauses.set(uid, pause);
    return this.#clock.now() + pause;
  }

  /** Forgets the failures of a Pod: it has its volumes, or is gone. */
  forget(uid: string): void {
    this.#pauses.delete(uid);
  }
}
