import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import { RegistryError } from '../registry-error.ts';
import { globMatcher } from '../glob.ts';
import { claimedIssuer } from './claimed-issuer.ts';
import type { Grant, Role } from './identity.ts';
import type { AccountSource, KnownAccount } from './login.ts';

/** Gives the service accounts that it matches a role. */
export interface ServiceAccountRule {
  /** Namespace, with `*` for any characters. */
  readonly namespace: string;
  /** Name of the service account, with `*`; any by default. */
  readonly serviceAccount?: string;
  /** Project; `{namespace}` stands for the namespace of the token. */
  readonly project: string;
  readonly role: Role;
}

/** A cluster whose service-account tokens are good here. */
export interface TokenIssuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** The `aud` that a token must have; tokens for other audiences, the API server among them, are refused. */
  readonly audience: string;
  /** Fetches the cluster's public keys. */
  readonly keys: (signal: AbortSignal) => Promise<JSONWebKeySet>;
  readonly rules: readonly ServiceAccountRule[];
}

/** How long keys are believed before they are fetched again. */
const KEYS_MS = 10 * 60_000;
/** Least time between two fetches for a key that is not known: anybody can invent key IDs. */
const REFETCH_MS = 10_000;
/** Longest fetch of keys. */
const FETCH_TIMEOUT_MS = 5_000;
/** Clocks of cluster and registry may differ by this much. */
const CLOCK_SKEW_S = 10;
/** What service-account tokens are signed with. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'EdDSA'];

/** Knows Kubernetes service accounts by the token that each presents as its password, under any user name. */
export class ServiceAccountTokens implements AccountSource {
  readonly #issuers: ReadonlyMap<string, IssuerKeys>;
  readonly #clock: Clock;

  constructor(issuers: readonly TokenIssuer[], clock: Clock) {
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, new IssuerKeys(issuer, clock)]));
    this.#clock = clock;
  }

  async find(_account: string, password: string): Promise<KnownAccount | undefined> {
    const issuer = this.#issuers.get(issuerOf(password) ?? '');
    if (issuer === undefined) return undefined;
    const payload = await this.#verify(issuer, password);
    const subject = payload && serviceAccountOf(payload);
    if (payload === undefined || subject === undefined) return undefined;
    return {
      version: String(payload.exp),
      identity: {
        kind: 'service-account',
        account: `system:serviceaccount:${subject.namespace}:${subject.name}`,
        admin: false,
        grants: grantsOf(issuer.issuer.rules, subject),
      },
      unguessable: true,
      // The signature was the password, and it is good.
      verify: async () => true,
    };
  }

  async #verify({ issuer, key }: IssuerKeys, token: string): Promise<JWTPayload | undefined> {
    const { errors, jwtVerify } = await import('jose');
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ALGORITHMS,
        issuer: issuer.issuer,
        audience: issuer.audience,
        requiredClaims: ['exp', 'sub'],
        currentDate: new Date(this.#clock.now()),
        clockTolerance: CLOCK_SKEW_S,
      });
      return payload;
    } catch (error) {
      // A token that is not good is a wrong password; keys that cannot be had are a fault to be seen.
      if (error instanceof errors.JOSEError) return undefined;
      throw new RegistryError('UNAVAILABLE', `keys of token issuer "${issuer.issuer}" cannot be had`, {
        cause: error,
        retryable: true,
        headers: { 'Retry-After': '10' },
      });
    }
  }
}

class IssuerKeys {
  readonly issuer: TokenIssuer;
  readonly #clock: Clock;
  readonly #flight = new SingleFlight<string, JWTVerifyGetKey>();
  #set: JWTVerifyGetKey | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;

  constructor(issuer: TokenIssuer, clock: Clock) {
    this.issuer = issuer;
    this.#clock = clock;
  }

  /** Finds the key that a token names, fetching keys when they are old or lack it. */
  readonly key: JWTVerifyGetKey = async (header, token) => {
    const known = await this.#keys(KEYS_MS);
    try {
      return await known(header, token);
    } catch (error) {
      const { errors } = await import('jose');
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return (await this.#keys(REFETCH_MS))(header, token);
    }
  };

  async #keys(maxAge: number): Promise<JWTVerifyGetKey> {
    if (this.#set !== undefined && Math.abs(this.#clock.now() - this.#fetchedAt) < maxAge) return this.#set;
    return this.#flight.do('fetch', async () => {
      const { createLocalJWKSet } = await import('jose');
      try {
        this.#set = createLocalJWKSet(await this.issuer.keys(AbortSignal.timeout(FETCH_TIMEOUT_MS)));
      } catch (error) {
        // While the cluster does not answer, the keys that it had are the best there is.
        if (this.#set === undefined) throw error;
      }
      this.#fetchedAt = this.#clock.now();
      return this.#set;
    });
  }
}

function issuerOf(token: string): string | undefined {
  if (!/^ey[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined;
  const claimed = claimedIssuer(token);
  return claimed === 'unreadable' ? undefined : claimed.issuer;
}

interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

function serviceAccountOf(payload: JWTPayload): ServiceAccountName | undefined {
  const match = /^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/.exec(payload.sub ?? '');
  const [, namespace, name] = match ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

/** Returns what the rules give a service account. */
export function grantsOf(
  rules: readonly ServiceAccountRule[],
  { namespace, name }: ServiceAccountName,
): Grant[] {
  return rules
    .filter((rule) => globMatcher(rule.namespace)(namespace) && globMatcher(rule.serviceAccount ?? '*')(name))
    .map(({ project, role }) => ({ project: project.replaceAll('{namespace}', namespace), role }));
}
