import { createPrivateKey, createPublicKey, randomUUID, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, errors, exportJWK, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import type { Clock } from '../base/clock.ts';
import type { KubeObject } from '../kube/object.ts';
import { serviceAccountUser, type UserInfo } from './user-info.ts';

/** What a token may be tied to besides its account; it dies with it. */
export interface BoundObject {
  readonly kind: 'Pod' | 'Secret' | 'Node';
  readonly name: string;
  readonly uid: string;
}

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly bound?: BoundObject;
  /** Node that the bound Pod runs on. */
  readonly node?: { readonly name: string; readonly uid?: string };
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
}

/** Looks an object up as it is stored now. */
export type ObjectLookup = (resource: string, namespace: string, name: string) => KubeObject | undefined;

const BOUND_RESOURCE = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' } as const;
const BOUND_CLAIM = { Pod: 'pod', Secret: 'secret', Node: 'node' } as const;

/** Issues and recognises the bearer tokens of service accounts: JWTs signed with the server's own key. */
export class ServiceAccountTokens {
  readonly issuer: string;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #algorithm: 'ES256' | 'RS256';
  readonly #lookup: ObjectLookup;
  readonly #clock: Clock;
  #keyId: Promise<string> | undefined;

  /** @param options.signingKey PEM of a P-256 or RSA private key */
  constructor(options: { signingKey: string; issuer: string; lookup: ObjectLookup; clock: Clock }) {
    this.issuer = options.issuer;
    this.#privateKey = createPrivateKey(options.signingKey);
    this.#publicKey = createPublicKey(this.#privateKey);
    this.#algorithm = this.#privateKey.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256';
    this.#lookup = options.lookup;
    this.#clock = options.clock;
  }

  /** Signs a token; returns it with the time it ends (milliseconds). */
  async issue(claims: TokenClaims): Promise<{ token: string; expires: number }> {
    const now = Math.floor(this.#clock.now() / 1000);
    const end = now + claims.expirationSeconds;
    const { bound } = claims;
    const payload: JWTPayload = {
      'kubernetes.io': {
        namespace: claims.namespace,
        serviceaccount: claims.serviceAccount,
        ...(bound === undefined ? {} : { [BOUND_CLAIM[bound.kind]]: { name: bound.name, uid: bound.uid } }),
        ...(claims.node === undefined ? {} : { node: claims.node }),
      },
    };
    const token = await new SignJWT(payload)
      .setProtectedHeader({ alg: this.#algorithm, kid: await this.keyId() })
      .setIssuer(this.issuer)
      .setSubject(`system:serviceaccount:${claims.namespace}:${claims.serviceAccount.name}`)
      .setAudience([...claims.audiences])
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(end)
      .setJti(randomUUID())
      .sign(this.#privateKey);
    return { token, expires: end * 1000 };
  }

  /** Recognises a token of ours for one of `audiences`, whose account and bound object still exist. */
  async authenticate(token: string, audiences: readonly string[]): Promise<UserInfo | undefined> {
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, this.#publicKey, {
        issuer: this.issuer,
        audience: [...audiences],
        algorithms: [this.#algorithm],
        currentDate: new Date(this.#clock.now()),
      }));
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
    const claims = record(payload['kubernetes.io']);
    const account = record(claims?.['serviceaccount']);
    const namespace = claims?.['namespace'];
    const name = account?.['name'];
    if (typeof namespace !== 'string' || typeof name !== 'string') return undefined;
    if (!this.#lives('serviceaccounts', namespace, account)) return undefined;
    const extra: Record<string, string[]> = {
      'authentication.kubernetes.io/credential-id': [`JTI=${payload.jti ?? ''}`],
    };
    for (const kind of ['Pod', 'Secret', 'Node'] as const) {
      const bound = record(claims?.[BOUND_CLAIM[kind]]);
      if (bound === undefined) continue;
      const isInfo = kind === 'Node' && claims?.['pod'] !== undefined;
      if (!isInfo && !this.#lives(BOUND_RESOURCE[kind], kind === 'Node' ? '' : namespace, bound))
        return undefined;
      if (kind === 'Secret') continue;
      const key = `authentication.kubernetes.io/${BOUND_CLAIM[kind]}`;
      if (typeof bound['name'] === 'string') extra[`${key}-name`] = [bound['name']];
      if (typeof bound['uid'] === 'string') extra[`${key}-uid`] = [bound['uid']];
    }
    const uid = account?.['uid'];
    return serviceAccountUser(namespace, name, typeof uid === 'string' ? { uid, extra } : { extra });
  }

  /** Returns the public key as the JWKS document that others verify these tokens with. */
  async keySet(): Promise<object> {
    const jwk = await exportJWK(this.#publicKey);
    return { keys: [{ use: 'sig', ...jwk, kid: await this.keyId(), alg: this.#algorithm }] };
  }

  keyId(): Promise<string> {
    this.#keyId ??= exportJWK(this.#publicKey).then((jwk) => calculateJwkThumbprint(jwk));
    return this.#keyId;
  }

  #lives(resource: string, namespace: string, claim: Record<string, unknown> | undefined): boolean {
    const name = claim?.['name'];
    if (typeof name !== 'string') return false;
    return this.#lookup(resource, namespace, name)?.metadata.uid === claim?.['uid'];
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
