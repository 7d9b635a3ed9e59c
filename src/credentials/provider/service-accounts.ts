import type { PodIdentity } from '../candidates.ts';
import type { TokenAttributes } from './provider-config.ts';

/** The part of a ServiceAccount that plug-ins use. */
export interface ServiceAccountInfo {
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What is asked of the API for a token (rule 9.19). */
export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccountName: string;
  /** Precondition: the account must still be this one. */
  readonly serviceAccountUid: string;
  readonly audience: string;
  /** The Pod to which the token is bound. */
  readonly pod: { readonly name: string; readonly uid: string };
}

export interface IssuedToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Lifetime in milliseconds that was granted. */
  readonly lifetimeMs: number;
}

/** The node's access to service accounts; handed in, since this layer knows no API. */
export interface ServiceAccountSource {
  /** @throws when the account does not exist or cannot be read */
  getServiceAccount(namespace: string, name: string, signal: AbortSignal): Promise<ServiceAccountInfo>;
  /** Issues a token of default lifetime; no caching is expected: `ServiceAccountTokens` does that. */
  requestToken(request: TokenRequest, signal: AbortSignal): Promise<IssuedToken>;
}

/** For whom a provider is run. */
export interface ServiceAccountIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Those that the configuration names and the account has. */
  readonly annotations: ReadonlyMap<string, string>;
}

/** How one lookup of one provider goes on, given the Pod and its account. */
export type AccountDecision =
  | { readonly kind: 'without-account' }
  | { readonly kind: 'with-account'; readonly account: ServiceAccountIdentity }
  /** Skipped silently (9.17, 9.18). */
  | { readonly kind: 'skip'; readonly rule: string; readonly says: string };

/**
 * Decides whether and for which account a provider runs (9.17, 9.18). The account is read anew each time, also when the
 * answer is cached: its annotations are part of the cache key.
 *
 * @throws what the source throws
 */
export async function decideAccount(
  attributes: TokenAttributes | undefined,
  pod: PodIdentity | undefined,
  source: ServiceAccountSource | undefined,
  signal: AbortSignal,
): Promise<AccountDecision> {
  if (attributes === undefined) return { kind: 'without-account' };
  const name = pod?.serviceAccountName ?? '';
  if (pod === undefined || name === '') {
    if (attributes.requireServiceAccount !== true) return { kind: 'without-account' };
    return { kind: 'skip', rule: '9.17', says: 'requires a service account and the Pod has none' };
  }
  if (source === undefined) return { kind: 'skip', rule: '9.18', says: 'no access to service accounts' };
  const account = await source.getServiceAccount(pod.namespace, name, signal);
  const annotations = new Map<string, string>();
  for (const key of attributes.requiredServiceAccountAnnotationKeys) {
    if (!Object.hasOwn(account.annotations, key)) {
      return {
        kind: 'skip',
        rule: '9.18',
        says: `ServiceAccount ${pod.namespace}/${name} lacks annotation "${key}"`,
      };
    }
    annotations.set(key, account.annotations[key] ?? '');
  }
  for (const key of attributes.optionalServiceAccountAnnotationKeys) {
    if (Object.hasOwn(account.annotations, key)) annotations.set(key, account.annotations[key] ?? '');
  }
  return { kind: 'with-account', account: { namespace: pod.namespace, name, uid: account.uid, annotations } };
}
