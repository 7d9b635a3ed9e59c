import { setTimeout as delay } from 'node:timers/promises';

/** Tells the time and waits; passed in wherever time decides, so that tests own it. */
export interface Clock {
  /** Returns milliseconds since the Unix epoch. */
  now(): number;
  /**
   * Waits `ms` milliseconds.
   *
   * @throws the signal's reason when `signal` aborts first
   */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's own clock. A pending sleep does not keep the process alive by itself. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  },
};
