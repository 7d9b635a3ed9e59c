import { randomBytes } from 'node:crypto';
import type { CryptoKey, JWK } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { SigningKeyRecord, TokenIndex } from '../metadata/identity-index.ts';

/** Age at which a signing key is replaced. */
const ROTATE_MS = 30 * 24 * 3_600_000;
/** How long a replaced key still verifies: far longer than any token lives. */
const KEEP_MS = 24 * 3_600_000;
/** Least time between two looks at the shared keys for an unknown key ID, which anybody can invent. */
const RELOAD_MS = 1_000;

export interface SigningKey {
  readonly id: string;
  readonly createdAt: number;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

/** The keys that sign tokens, shared by all processes of a registry through its metadata. */
export class SigningKeys {
  readonly #index: TokenIndex;
  readonly #clock: Clock;
  readonly #flight = new SingleFlight<string, SigningKey>();
  #keys: readonly SigningKey[] = [];
  #loadedAt = Number.NEGATIVE_INFINITY;

  constructor(index: TokenIndex, clock: Clock) {
    this.#index = index;
    this.#clock = clock;
  }

  /** Returns the key to sign with, making one when there is none or the newest is old. */
  async current(): Promise<SigningKey> {
    const newest = this.#keys[0];
    if (newest !== undefined && newest.createdAt > this.#clock.now() - ROTATE_MS) return newest;
    return this.#flight.do('rotate', () => this.rotate(ROTATE_MS));
  }

  /**
   * Makes a new key unless there is one younger than `maxAge` milliseconds, and forgets those that nothing can be
   * signed with any more.
   */
  async rotate(maxAge = 0): Promise<SigningKey> {
    const now = this.#clock.now();
    const { exportJWK, generateKeyPair } = await import('jose');
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const record: SigningKeyRecord = {
      id: randomBytes(12).toString('base64url'),
      privateJwk: JSON.stringify(await exportJWK(privateKey)),
      createdAt: now,
    };
    const newest = await this.#index.addSigningKey(record, now - maxAge);
    await this.#index.removeSigningKeys(now - ROTATE_MS - KEEP_MS);
    await this.#load();
    return this.#keys.find((key) => key.id === newest.id) ?? keyOf(newest);
  }

  /** @throws Error when no key has this ID */
  async verificationKey(id: string | undefined): Promise<CryptoKey> {
    const known = this.#find(id);
    if (known !== undefined) return known;
    if (Math.abs(this.#clock.now() - this.#loadedAt) >= RELOAD_MS) await this.#load();
    const found = this.#find(id);
    if (found === undefined) throw new Error('Cannot verify a token: its key is unknown');
    return found;
  }

  #find(id: string | undefined): CryptoKey | undefined {
    return this.#keys.find((key) => key.id === id)?.publicKey;
  }

  async #load(): Promise<void> {
    this.#loadedAt = this.#clock.now();
    this.#keys = await Promise.all((await this.#index.signingKeys()).map(keyOf));
  }
}

async function keyOf(record: SigningKeyRecord): Promise<SigningKey> {
  const { d, ...open } = JSON.parse(record.privateJwk) as JWK;
  if (d === undefined) throw new Error(`Cannot use signing key "${record.id}": it has no private part`);
  const { importJWK } = await import('jose');
  const privateKey = (await importJWK({ ...open, d }, 'ES256')) as CryptoKey;
  const publicKey = (await importJWK(open, 'ES256')) as CryptoKey;
  return { id: record.id, createdAt: record.createdAt, privateKey, publicKey };
}
