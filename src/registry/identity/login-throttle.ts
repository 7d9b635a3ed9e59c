import type { Clock } from '../../base/clock.ts';
import type { LoginFailureIndex } from '../metadata/identity-index.ts';
import { RegistryError } from '../registry-error.ts';

/** Failures in a row that one account may have from one address before it has to wait: a person who mistypes. */
const FREE_PER_ACCOUNT = 5;
/** Failures that one address may have over all accounts: many nodes may share it. */
const FREE_PER_ADDRESS = 50;
/** First wait; each further failure doubles it. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 5 * 60_000;
/** Clocks of replicas may differ by this much. */
const SKEW_MS = 10_000;
/** Failures older than this are forgotten. */
const FORGET_MS = 60 * 60_000;

/** Slows down guessing of passwords: the longer it goes on, the longer the next try has to wait. */
export class LoginThrottle {
  readonly #failures: LoginFailureIndex;
  readonly #clock: Clock;

  constructor(failures: LoginFailureIndex, clock: Clock) {
    this.#failures = failures;
    this.#clock = clock;
  }

  /** @throws RegistryError `TOOMANYREQUESTS` with `Retry-After` while a wait lasts */
  async admit(account: string, address: string): Promise<void> {
    const keys = keysOf(account, address);
    const now = this.#clock.now();
    let wait = 0;
    for (const { key, failures, lastAt } of await this.#failures.loginFailures([keys.pair, keys.address])) {
      const free = key === keys.pair ? FREE_PER_ACCOUNT : FREE_PER_ADDRESS;
      // A failure in the future was counted before the clock was set back: the wait for it would last until then.
      if (failures < free || lastAt + FORGET_MS < now || lastAt > now + SKEW_MS) continue;
      const pause = Math.min(FIRST_WAIT_MS * 2 ** Math.min(failures - free, 20), LONGEST_WAIT_MS);
      wait = Math.max(wait, lastAt + pause - now);
    }
    if (wait <= 0) return;
    const seconds = String(Math.ceil(wait / 1000));
    throw new RegistryError('TOOMANYREQUESTS', `too many failed logins, retry after ${seconds} s`, {
      headers: { 'Retry-After': seconds },
      retryable: true,
    });
  }

  async failed(account: string, address: string): Promise<void> {
    const keys = keysOf(account, address);
    await this.#failures.recordLoginFailure([keys.pair, keys.address], this.#clock.now() - FORGET_MS);
  }

  /** Forgets the pair's failures. Those of the address stay, or one's own account would pay for guessing at others. */
  async succeeded(account: string, address: string): Promise<void> {
    await this.#failures.clearLoginFailures(keysOf(account, address).pair);
  }
}

function keysOf(account: string, address: string): { pair: string; address: string } {
  return { pair: JSON.stringify([account.slice(0, 256), address]), address: JSON.stringify([address]) };
}
