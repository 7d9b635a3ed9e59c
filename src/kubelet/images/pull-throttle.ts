import type { Clock } from '../../base/clock.ts';

/** Admits pulls at a steady rate with a burst; never waits (rule 5.9). */
export class PullThrottle {
  readonly #qps: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  /** @param qps tokens per second; 0 admits everything */
  constructor(qps: number, burst: number, clock: Clock) {
    this.#qps = qps;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#filledAt = clock.now();
  }

  /** Takes a token if there is one. */
  tryAccept(): boolean {
    if (this.#qps === 0) return true;
    const now = this.#clock.now();
    const gained = (Math.max(0, now - this.#filledAt) * this.#qps) / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
