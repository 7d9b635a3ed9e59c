import { createHash } from 'node:crypto';
import { Limiter } from '../../base/limiter.ts';

/** More stripes would only cost memory: as many pulls hardly ever end at the same moment. */
const MAX_STRIPES = 31;

/** Says how many stripes a node uses (rule 3.35); any number of parallel pulls is fine. */
export function stripesFor(maxParallelImagePulls: number | undefined): number {
  return Math.min(Math.max(maxParallelImagePulls ?? 0, 1), MAX_STRIPES);
}

/** Runs tasks about one key one after the other; keys share a fixed number of locks. */
export class StripedLock {
  readonly #stripes: readonly Limiter[];

  /** @param stripes at least 1 */
  constructor(stripes: number) {
    this.#stripes = Array.from({ length: stripes }, () => new Limiter(1));
  }

  get stripes(): number {
    return this.#stripes.length;
  }

  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const index = createHash('sha256').update(key).digest().readUInt32BE(0) % this.#stripes.length;
    const stripe = this.#stripes[index];
    return stripe === undefined ? task() : stripe.run(task);
  }

  /** Runs a task while no other runs under any key. */
  runAlone<T>(task: () => Promise<T>): Promise<T> {
    const enter = (index: number): Promise<T> => {
      const stripe = this.#stripes[index];
      return stripe === undefined ? task() : stripe.run(() => enter(index + 1));
    };
    return enter(0);
  }
}
