import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { LruMap } from '../../base/lru-map.ts';
import { CredentialError } from '../credential-error.ts';
import type { IssuedToken, ServiceAccountSource, TokenRequest } from './service-accounts.ts';

/** A token is replaced this long after it was issued at the latest (rule 9.19). */
const MAX_AGE_MS = 24 * 60 * 60_000;

/** Share of the lifetime after which a token is replaced. */
const REFRESH_AT = 0.8;

/** Most by which a refresh comes early, so that many Pods do not ask at once. */
const MAX_JITTER_MS = 10_000;

/** Tokens kept: some for each of the Pods that fit on a node. */
const MAX_TOKENS = 2_000;

/** Keeps tokens until they are due for refresh, as the node's token manager does (rule 9.19). */
export class ServiceAccountTokens {
  readonly #source: ServiceAccountSource;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #tokens = new LruMap<string, IssuedToken>(MAX_TOKENS);

  /** @param random 0 ≤ n < 1, spreads refreshes; default Math.random */
  constructor(source: ServiceAccountSource, clock: Clock, random: () => number = Math.random) {
    this.#source = source;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Returns a token that is not due for refresh, or when none can be had, one that is still valid.
   *
   * @throws CredentialError `PROVIDER_FAILED`
   */
  async token(request: TokenRequest, signal: AbortSignal): Promise<string> {
    const key = JSON.stringify([
      request.namespace,
      request.serviceAccountName,
      request.serviceAccountUid,
      request.audience,
      request.pod.name,
      request.pod.uid,
    ]);
    const known = this.#tokens.get(key);
    if (known !== undefined && !this.#isDue(known)) return known.token;
    try {
      const issued = await this.#source.requestToken(request, signal);
      this.#tokens.set(key, issued);
      return issued.token;
    } catch (error) {
      if (known !== undefined && this.#clock.now() < known.expiresAt) return known.token;
      this.#tokens.delete(key);
      throw new CredentialError('PROVIDER_FAILED', `failed to fetch token: ${messageOf(error)}`, {
        cause: error,
        retryable: true,
      });
    }
  }

  #isDue(token: IssuedToken): boolean {
    const jitter = this.#random() * MAX_JITTER_MS;
    const issuedAt = token.expiresAt - token.lifetimeMs;
    const dueAt = Math.min(issuedAt + MAX_AGE_MS, issuedAt + token.lifetimeMs * REFRESH_AT);
    return this.#clock.now() > dueAt - jitter;
  }
}
