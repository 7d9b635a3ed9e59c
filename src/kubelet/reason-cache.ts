import { LruMap } from '../base/lru-map.ts';

/** Start failures remembered (rule 4.13). */
const MAX_REASONS = 1000;

export interface WaitingReason {
  readonly reason: string;
  readonly message: string;
}

/** Remembers why each container could not be started last time, for its status (rules 4.11 and 4.13). */
export class ReasonCache {
  readonly #reasons = new LruMap<string, WaitingReason>(MAX_REASONS);

  get(podUid: string, container: string): WaitingReason | undefined {
    return this.#reasons.get(`${podUid}_${container}`);
  }

  set(podUid: string, container: string, reason: WaitingReason): void {
    this.#reasons.set(`${podUid}_${container}`, reason);
  }

  remove(podUid: string, container: string): void {
    this.#reasons.delete(`${podUid}_${container}`);
  }
}
