import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { LruMap } from '../../base/lru-map.ts';
import { RegistryError } from '../registry-error.ts';
import type { Access } from './access.ts';
import { isRole, type Grant, type Identity } from './identity.ts';
import { claimedIssuer } from './claimed-issuer.ts';
import type { SigningKeys } from './signing-keys.ts';

/** How long a token is good; clients take 60 s for granted and ask again when it ends. */
export const TOKEN_LIFETIME_S = 300;
/** Clocks of replicas may differ by this much. */
const CLOCK_SKEW_S = 5;
/** Tokens remembered as verified, so that a pull of many blobs verifies one signature. */
const VERIFIED_LIMIT = 10_000;
const IDENTITY_CLAIM = 'drayage';

/** What a verified token says. */
export interface TokenClaims {
  readonly identity: Identity;
  readonly access: readonly Access[];
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly issuedAt: number;
}

/** Makes and verifies the registry's bearer tokens: ES256 JWTs that any replica can verify. */
export class AccessTokens {
  readonly #keys: SigningKeys;
  readonly #service: string;
  readonly #clock: Clock;
  readonly #verified = new LruMap<string, TokenClaims>(VERIFIED_LIMIT);

  /** @param service audience and issuer of the tokens */
  constructor(keys: SigningKeys, service: string, clock: Clock) {
    this.#keys = keys;
    this.#service = service;
    this.#clock = clock;
  }

  async mint(identity: Identity, access: readonly Access[]): Promise<{ token: string; issuedAt: number }> {
    const key = await this.#keys.current();
    const issuedAt = Math.floor(this.#clock.now() / 1000);
    const { kind, admin, grants } = identity;
    const { SignJWT } = await import('jose');
    const token = await new SignJWT({ access, [IDENTITY_CLAIM]: { kind, admin, grants } })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: key.id })
      .setIssuer(this.#service)
      .setAudience(this.#service)
      .setSubject(identity.account)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt - CLOCK_SKEW_S)
      .setExpirationTime(issuedAt + TOKEN_LIFETIME_S)
      .setJti(randomUUID())
      .sign(key.privateKey);
    return { token, issuedAt: issuedAt * 1000 };
  }

  /** Tells whether a token claims to be one of ours, which only {@link verify} can tell for sure. */
  isOurs(token: string): boolean {
    const claimed = claimedIssuer(token);
    // What cannot be read at all is refused as a bad token of ours.
    return claimed === 'unreadable' || claimed.issuer === this.#service;
  }

  /** @throws RegistryError `UNAUTHORIZED` when the token is not ours or has expired */
  async verify(token: string): Promise<TokenClaims> {
    const mark = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(mark);
    if (known !== undefined) {
      const now = this.#clock.now();
      // One of the future was issued before the clock was set back: it would live for longer than it may.
      if (known.expiresAt > now && known.issuedAt <= now + CLOCK_SKEW_S * 1000) return known;
      this.#verified.delete(mark);
      throw new RegistryError('UNAUTHORIZED', 'token has expired');
    }
    const claims = await this.#verifySignature(token);
    this.#verified.set(mark, claims);
    return claims;
  }

  async #verifySignature(token: string): Promise<TokenClaims> {
    const { errors, jwtVerify } = await import('jose');
    try {
      const { payload } = await jwtVerify(token, (header) => this.#keys.verificationKey(header.kid), {
        algorithms: ['ES256'],
        issuer: this.#service,
        audience: this.#service,
        requiredClaims: ['exp', 'iat', 'sub', 'access', IDENTITY_CLAIM],
        currentDate: new Date(this.#clock.now()),
        clockTolerance: CLOCK_SKEW_S,
      });
      return {
        identity: identityOf(payload.sub ?? '', payload[IDENTITY_CLAIM]),
        access: accessOf(payload['access']),
        expiresAt: (payload.exp ?? 0) * 1000,
        issuedAt: (payload.iat ?? 0) * 1000,
      };
    } catch (cause) {
      const says = cause instanceof errors.JWTExpired ? 'token has expired' : 'token is not valid here';
      throw new RegistryError('UNAUTHORIZED', says, { cause });
    }
  }
}

// The signature says that these were written by this registry; their shape is checked because versions differ.
function identityOf(account: string, claim: unknown): Identity {
  const { kind, admin, grants } = claim as Partial<Identity>;
  if (kind !== 'anonymous' && kind !== 'user' && kind !== 'robot' && kind !== 'service-account') {
    throw new TypeError('Cannot read a token: it has no kind of account');
  }
  return {
    kind,
    account,
    admin: admin === true,
    grants: Array.isArray(grants) ? grants.filter(isGrant) : [],
  };
}

function isGrant(value: unknown): value is Grant {
  const { project, role } = (value ?? {}) as Partial<Grant>;
  return typeof project === 'string' && typeof role === 'string' && isRole(role);
}

function accessOf(claim: unknown): Access[] {
  if (!Array.isArray(claim)) throw new TypeError('Cannot read a token: access is not a list');
  return claim.filter((access): access is Access => {
    const { type, name, actions } = (access ?? {}) as Partial<Access>;
    return typeof type === 'string' && typeof name === 'string' && Array.isArray(actions);
  });
}
