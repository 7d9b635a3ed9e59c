import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { LruMap } from '../../base/lru-map.ts';
import { RegistryError } from '../registry-error.ts';
import type { Identity } from './identity.ts';
import type { LoginThrottle } from './login-throttle.ts';
import { verifyNobody } from './password.ts';

/** An account that one source of identities knows. */
export interface KnownAccount {
  /** Changes when the secret does, so that a remembered login ends with it. */
  readonly version: string;
  readonly identity: Identity;
  /**
   * Whether the secret is too long to be guessed and quick to be checked. Then it is good whatever was tried before: with many
   * Pods behind one address, each of them could otherwise lock the others out by guessing in their name.
   */
  readonly unguessable?: boolean;
  verify(password: string): Promise<boolean>;
}

/** Knows accounts: managed users, a password file, robots, tokens of a cluster. */
export interface AccountSource {
  find(account: string, password: string): Promise<KnownAccount | undefined>;
}

/** How long a verified pair is believed without computing its hash again. */
const REMEMBER_MS = 5 * 60_000;
/** Pairs remembered; each is a keyed hash and a time. */
const REMEMBER_LIMIT = 10_000;
/** Longest account and password looked at; a service-account token has about 1 KiB. */
const SECRET_LIMIT = 8 * 1024;

/** Verifies account and password against all sources in order; the first that knows the account decides. */
export class Login {
  readonly #sources: readonly AccountSource[];
  readonly #throttle: LoginThrottle;
  readonly #clock: Clock;
  /** Keys of this process only: a memory dump of another one says nothing about them. */
  readonly #key = randomBytes(32);
  readonly #remembered = new LruMap<string, number>(REMEMBER_LIMIT);
  /** The last wrong password of each account and address, as a mark. */
  readonly #wrong = new LruMap<string, string>(REMEMBER_LIMIT);

  constructor(sources: readonly AccountSource[], throttle: LoginThrottle, clock: Clock) {
    this.#sources = sources;
    this.#throttle = throttle;
    this.#clock = clock;
  }

  /**
   * Returns who this is.
   *
   * @param address where the request came from
   * @throws RegistryError `UNAUTHORIZED`; `TOOMANYREQUESTS` after too many failures
   */
  async verify(account: string, password: string, address: string): Promise<Identity> {
    if (account.length > SECRET_LIMIT || password.length > SECRET_LIMIT) throw wrong();
    const known = await this.#find(account, password);
    const mark = known && this.#markOf(account, password, known.version);
    if (known !== undefined && mark !== undefined && this.#isRemembered(mark)) return known.identity;
    if (known?.unguessable === true && (await known.verify(password))) return known.identity;
    await this.#throttle.admit(account, address);
    const right = known === undefined ? await verifyNobody(password) : await known.verify(password);
    if (!right || known === undefined || mark === undefined) {
      await this.#countFailure(account, password, address);
      throw wrong();
    }
    await this.#throttle.succeeded(account, address);
    this.#remembered.set(mark, this.#clock.now() + REMEMBER_MS);
    return known.identity;
  }

  /**
   * Counts a wrong password, once however often it comes: clients try the same one in several ways for one pull, and a
   * node comes again and again with a secret that is out of date. Neither guesses.
   */
  async #countFailure(account: string, password: string, address: string): Promise<void> {
    const key = JSON.stringify([account, address]);
    const mark = this.#markOf(account, password, address);
    if (this.#wrong.get(key) === mark) return;
    this.#wrong.set(key, mark);
    await this.#throttle.failed(account, address);
  }

  async #find(account: string, password: string): Promise<KnownAccount | undefined> {
    for (const source of this.#sources) {
      const known = await source.find(account, password);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  #isRemembered(mark: string): boolean {
    const until = this.#remembered.get(mark);
    if (until === undefined) return false;
    const left = until - this.#clock.now();
    // More than ever was given is left when the clock was set back.
    if (left > 0 && left <= REMEMBER_MS) return true;
    this.#remembered.delete(mark);
    return false;
  }

  #markOf(account: string, password: string, version: string): string {
    const parts = JSON.stringify([account, password, version]);
    return createHmac('sha256', this.#key).update(parts).digest('base64');
  }
}

function wrong(): RegistryError {
  return new RegistryError('UNAUTHORIZED', 'incorrect username or password');
}
