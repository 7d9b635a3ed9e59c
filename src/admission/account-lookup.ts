import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { DEFAULT_SERVICE_ACCOUNT, type AccountLookup } from './service-account.ts';

/** The `default` account of a new namespace is made by a controller: it may come a moment late (rule 8.2). */
const DEFAULT_ATTEMPTS = 10;
const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 200;

/** Reads service accounts; undefined is "not found". */
export interface AccountSource {
  /** From a watch cache: quick, possibly behind. */
  cached(namespace: string, name: string): ServiceAccount | undefined;
  /** From storage. */
  live(namespace: string, name: string): Promise<ServiceAccount | undefined>;
}

/**
 * Finds the account of a new Pod: in the cache, else live, for `default` up to ten times 100 to 200 ms apart (rule 8.2).
 *
 * @param random a number from 0 to 1, as `Math.random`
 * @throws the signal's reason
 */
export async function lookUpAccount(
  source: AccountSource,
  namespace: string,
  name: string,
  options: { readonly clock: Clock; readonly random: () => number; readonly signal: AbortSignal },
): Promise<AccountLookup> {
  const cached = source.cached(namespace, name);
  if (cached !== undefined) return { found: true, account: cached };
  const attempts = name === DEFAULT_SERVICE_ACCOUNT ? DEFAULT_ATTEMPTS : 1;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) {
      const pause = SHORTEST_PAUSE + Math.floor(options.random() * (LONGEST_PAUSE - SHORTEST_PAUSE));
      await options.clock.sleep(pause, options.signal);
    }
    try {
      const account = await source.live(namespace, name);
      if (account !== undefined) return { found: true, account };
    } catch (error) {
      return { found: false, error: messageOf(error) };
    }
  }
  return { found: false, error: `serviceaccount ${goQuote(name)} not found` };
}
