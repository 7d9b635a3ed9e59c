import type { Digest } from '../oci/digest.ts';

/** Layers of a node that are downloaded at a time, as containerd's default (rule 17.2). */
export const DEFAULT_PARALLEL_DOWNLOADS = 3;

/** Places in the queue told of: who is further behind learns it when it comes nearer, and nobody is told hundreds of times. */
const PLACES_TOLD = 10;

/** Layers named as what one waits for; there are hardly ever more downloads at a time. */
const MAX_NAMED = 16;

/** How many downloads may go on at a time. */
export interface DownloadLimits {
  /** Of the whole node; {@link DEFAULT_PARALLEL_DOWNLOADS} when absent. */
  readonly parallelDownloads?: number;
  /** Of one registry, by the name that images are called with; no limit of its own when absent. */
  readonly parallelDownloadsPerRegistry?: number;
}

/** One download, for those who wait for it. */
export interface QueuedLayer {
  /** Normalised name of the image. */
  readonly image: string;
  readonly digest: Digest;
}

/** What a part of a pull waits for. */
export interface PullWait {
  /** `node`, `registry`: its limit is reached. `layer`: another pull brings the same. `unpack`: a place for unpacking. */
  readonly for: 'node' | 'registry' | 'layer' | 'unpack';
  /** The limit that is reached. */
  readonly limit?: number;
  /** Who waits for the same and came earlier. */
  readonly ahead?: number;
  /** What has to end first, or one of it. */
  readonly behind: readonly QueuedLayer[];
}

interface Waiter {
  readonly layer: QueuedLayer;
  readonly registry: string;
  readonly start: () => void;
  readonly tell: (wait: PullWait) => void;
  told: string;
}

/**
 * Lets downloads of one node start: first come, first served, so many at a time for the node and for each registry. Who waits for
 * a busy registry holds nobody up who wants another.
 */
export class DownloadQueue {
  readonly #node: number;
  readonly #registry: number;
  readonly #running = new Map<Waiter, true>();
  readonly #waiting: Waiter[] = [];

  /** @throws RangeError for a limit below 1 */
  constructor(limits: DownloadLimits = {}) {
    this.#node = checked('parallelDownloads', limits.parallelDownloads ?? DEFAULT_PARALLEL_DOWNLOADS);
    this.#registry = checked(
      'parallelDownloadsPerRegistry',
      limits.parallelDownloadsPerRegistry ?? Number.POSITIVE_INFINITY,
    );
  }

  /**
   * Runs `task` once it may start and gives its place back whatever happens.
   *
   * @param tell told what it waits for, while it does
   * @throws the signal's reason when it aborts meanwhile
   */
  async run<T>(
    wanted: {
      readonly layer: QueuedLayer;
      readonly registry: string;
      readonly tell: (wait: PullWait) => void;
    },
    task: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const own = await this.#enter(wanted, signal);
    try {
      return await task();
    } finally {
      this.#running.delete(own);
      this.#admit();
    }
  }

  #enter(
    { layer, registry, tell }: Parameters<DownloadQueue['run']>[0],
    signal: AbortSignal,
  ): Promise<Waiter> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const own: Waiter = {
        layer,
        registry,
        told: '',
        tell,
        start: () => {
          signal.removeEventListener('abort', leave);
          resolve(own);
        },
      };
      const leave = (): void => {
        const place = this.#waiting.indexOf(own);
        if (place >= 0) this.#waiting.splice(place, 1);
        reject(signal.reason as Error);
        this.#admit();
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(own);
      this.#admit();
    });
  }

  /** Starts all that may start, and tells the others what they wait for. */
  #admit(): void {
    let place = 0;
    while (place < this.#waiting.length && this.#running.size < this.#node) {
      const next = this.#waiting[place];
      if (next === undefined || this.#of(next.registry).length >= this.#registry) {
        place++;
        continue;
      }
      this.#waiting.splice(place, 1);
      this.#running.set(next, true);
      next.start();
    }
    const nodeIsFull = this.#running.size >= this.#node;
    const ahead = new Map<string, number>();
    for (const [index, waiter] of this.#waiting.entries()) {
      const before = nodeIsFull ? index : (ahead.get(waiter.registry) ?? 0);
      ahead.set(waiter.registry, before + 1);
      if (before < PLACES_TOLD || waiter.told === '') this.#tell(waiter, nodeIsFull, before);
    }
  }

  #tell(waiter: Waiter, nodeIsFull: boolean, ahead: number): void {
    const running = nodeIsFull ? [...this.#running.keys()] : this.#of(waiter.registry);
    const wait: PullWait = {
      for: nodeIsFull ? 'node' : 'registry',
      limit: nodeIsFull ? this.#node : this.#registry,
      ahead,
      behind: running.slice(0, MAX_NAMED).map(({ layer }) => layer),
    };
    const text = JSON.stringify(wait);
    if (text === waiter.told) return;
    waiter.told = text;
    waiter.tell(wait);
  }

  #of(registry: string): Waiter[] {
    return [...this.#running.keys()].filter((each) => each.registry === registry);
  }
}

function checked(name: string, limit: number): number {
  if (!(limit >= 1)) throw new RangeError(`Cannot limit downloads: ${name} is ${limit}, expected at least 1`);
  return limit;
}
