import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { LruMap } from '../../base/lru-map.ts';
import type { DockerConfig } from '../docker-config.ts';
import type { ServiceAccountIdentity } from './service-accounts.ts';

/** How often expired answers are thrown out (rule 9.13). */
const SWEEP_INTERVAL_MS = 15 * 60_000;

/** Answers kept for one provider: with key type `Image`, one for each image of a node and account. */
const MAX_ENTRIES = 10_000;

/** An answer that was kept. */
export interface CachedAnswer {
  readonly auth: DockerConfig;
  /** Milliseconds since the epoch; still good at exactly this moment. */
  readonly expiresAt: number;
}

/** Which part of an image an answer holds for. */
export type CacheScope = 'Image' | 'Registry' | 'Global';

/** One provider's answers (rules 9.13, 9.16). */
export class ResponseCache {
  readonly #clock: Clock;
  readonly #entries = new LruMap<string, CachedAnswer>(MAX_ENTRIES);
  #sweptAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sweptAt = clock.now();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the answer for the image, else for its registry, else for everything. */
  get(image: string, account: string): { scope: CacheScope; key: string; answer: CachedAnswer } | undefined {
    this.#sweep();
    for (const scope of ['Image', 'Registry', 'Global'] as const) {
      const key = cacheKey(scope, image);
      const stored = JSON.stringify([key, account]);
      const answer = this.#entries.get(stored);
      if (answer === undefined) continue;
      if (this.#clock.now() <= answer.expiresAt) return { scope, key, answer };
      this.#entries.delete(stored);
    }
    return undefined;
  }

  set(scope: CacheScope, image: string, account: string, answer: CachedAnswer): void {
    this.#entries.set(JSON.stringify([cacheKey(scope, image), account]), answer);
  }

  #sweep(): void {
    const now = this.#clock.now();
    if (now - this.#sweptAt <= SWEEP_INTERVAL_MS) return;
    this.#sweptAt = now;
    // A copy: reading moves an entry to the end, which a running iteration would meet again.
    for (const key of Array.from(this.#entries.keys())) {
      if (now > (this.#entries.get(key)?.expiresAt ?? 0)) this.#entries.delete(key);
    }
  }
}

/** Names what an answer holds for: the image, its registry, or `<global>`. */
export function cacheKey(scope: CacheScope, image: string): string {
  if (scope === 'Image') return image;
  return scope === 'Registry' ? (image.split('/', 1)[0] ?? '') : '<global>';
}

/** The service account's part of the key (rule 9.20): which account, which annotations, with `Token` also which token. */
export function accountKey(account: ServiceAccountIdentity, token: string | undefined): string {
  const annotations = [...account.annotations].sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = token === undefined ? '' : createHash('sha256').update(token).digest('hex');
  return JSON.stringify([account.namespace, account.name, account.uid, annotations, hash]);
}
