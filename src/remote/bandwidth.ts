import { systemClock, type Clock } from '../base/clock.ts';

/** The least that can be asked for, in bytes a second: below it one piece off the wire would outlast every time limit. */
export const MIN_BYTES_PER_SECOND = 1024;

/** Time whose worth of bytes may come at once after a pause, in milliseconds: short enough that nobody else notices. */
const BURST_MS = 100;

/** Holds what arrives from registries below a number of bytes a second, for everybody who shares it. */
export interface Bandwidth {
  /** Whether there is any limit at all. */
  readonly limited: boolean;
  /**
   * Takes note of bytes that arrived and waits until they were due. Of several who wait, those who came first go first.
   *
   * @throws the signal's reason
   */
  take(bytes: number, signal: AbortSignal): Promise<void>;
  /** Returns a limit of its own inside this one; this one itself for undefined. */
  within(bytesPerSecond: number | undefined): Bandwidth;
}

/**
 * Makes a limit.
 *
 * @param bytesPerSecond undefined for none
 * @throws RangeError below {@link MIN_BYTES_PER_SECOND}
 */
export function createBandwidth(bytesPerSecond: number | undefined, clock: Clock = systemClock): Bandwidth {
  return bytesPerSecond === undefined ? new Unlimited(clock) : new TokenBucket(bytesPerSecond, clock);
}

class Unlimited implements Bandwidth {
  readonly limited = false;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(_bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return Promise.resolve();
  }

  within(bytesPerSecond: number | undefined): Bandwidth {
    return createBandwidth(bytesPerSecond, this.#clock);
  }
}

class TokenBucket implements Bandwidth {
  readonly limited = true;
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  readonly #outer: Bandwidth | undefined;
  /** When everything taken so far is due. */
  #due = 0;
  #lastNow = 0;

  constructor(bytesPerSecond: number, clock: Clock, outer?: Bandwidth) {
    if (!(bytesPerSecond >= MIN_BYTES_PER_SECOND)) {
      throw new RangeError(
        `Cannot limit bandwidth to ${bytesPerSecond} bytes a second: the least is ${MIN_BYTES_PER_SECOND}`,
      );
    }
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#outer = outer;
  }

  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#outer?.take(bytes, signal);
    const now = this.#clock.now();
    // A clock that was set back must not have everybody wait for the old time to come.
    if (now < this.#lastNow) this.#due -= this.#lastNow - now;
    this.#lastNow = now;
    this.#due = Math.max(this.#due, now - BURST_MS) + (bytes * 1000) / this.#bytesPerSecond;
    if (this.#due > now) await this.#clock.sleep(this.#due - now, signal);
  }

  within(bytesPerSecond: number | undefined): Bandwidth {
    return bytesPerSecond === undefined ? this : new TokenBucket(bytesPerSecond, this.#clock, this);
  }
}
