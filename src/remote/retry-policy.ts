import type { RemoteError } from './remote-error.ts';

/** Attempts one request gets on one host (rule 17.4). */
export const MAX_ATTEMPTS = 5;

/** Attempts after server errors: an outage is better waited out by the caller's own back-off. */
const MAX_SERVER_ERROR_ATTEMPTS = 3;

/** First wait after 408, 429 and server errors without `Retry-After`; doubled each time, half of it random. */
const FIRST_WAIT_MS = 500;

/** First wait after a cut connection (rule 17.4). */
const FIRST_RECONNECT_MS = 50;

/** The longest `Retry-After` that is waited for inside one request; a longer one is reported, so that the caller can plan. */
export const MAX_WAIT_MS = 20_000;

/** What a request that did not succeed met. */
export type Setback =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'transport'; readonly error: RemoteError };

/**
 * Decides whether to send a request again, and returns how many milliseconds to wait first; undefined: give up here.
 * While another host can be asked, it is asked instead of waiting.
 *
 * @param attempt attempts made so far, from 1
 * @param random in 0…1; spreads the nodes that were turned away together
 */
export function retryDelay(
  setback: Setback,
  attempt: number,
  lastHost: boolean,
  random: number,
): number | undefined {
  if (!lastHost || attempt >= MAX_ATTEMPTS) return undefined;
  if (setback.kind === 'transport') {
    return setback.error.retryable ? spread(FIRST_RECONNECT_MS, attempt, random) : undefined;
  }
  const { status, retryAfterMs } = setback;
  const throttled = status === 408 || status === 429;
  const failed = [500, 502, 503, 504].includes(status) && attempt < MAX_SERVER_ERROR_ATTEMPTS;
  if (!throttled && !failed) return undefined;
  if (retryAfterMs === undefined) return spread(FIRST_WAIT_MS, attempt, random);
  return retryAfterMs > MAX_WAIT_MS ? undefined : retryAfterMs + Math.round(random * FIRST_WAIT_MS);
}

function spread(first: number, attempt: number, random: number): number {
  const full = first * 2 ** (attempt - 1);
  return Math.round(full / 2 + (full / 2) * random);
}
