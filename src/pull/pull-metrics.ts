import type { Clock } from '../base/clock.ts';
import type { Digest } from '../oci/digest.ts';
import type { Hop } from '../remote/exchange.ts';
import type { PullErrorCode } from './pull-error.ts';

/** How a call for an image ended. `joined`: with a pull of the same image that was under way. */
export type PullEnd =
  | { readonly result: 'pulled'; readonly fetchedBytes: number; readonly seconds: number }
  | { readonly result: 'joined' }
  | { readonly result: 'failed'; readonly code: PullErrorCode };

/** What travels: a manifest or index, or anything below it. */
export type FetchedKind = 'manifest' | 'blob';

/**
 * Why something that an image needs did not have to travel: it was here, another pull under way brings it, another pull under way is
 * of the same image, an earlier attempt had got so far.
 */
export type SparedReason = 'held' | 'shared' | 'joined' | 'resumed';

/**
 * Phases of a pull, one after the other: ask what the name means; bring manifests and configuration; bring and unpack the layers;
 * fit them together and record the names.
 */
export type WholePhase = 'resolve' | 'manifest' | 'layers' | 'commit';

/**
 * Phases of one layer, one after the other: wait for a place, or for the pull that brings it; receive and, where it can be done at
 * once, unpack it; check and commit it; unpack what was held.
 */
export type LayerPhase = 'queue' | 'shared' | 'download' | 'verify' | 'unpack';

/** Told by a puller what it does, as it happens, for whoever counts. */
export interface PullMetrics {
  pullBegan(): void;
  /** Every pull that began ends. */
  pullEnded(end: PullEnd): void;
  /** A request was sent, and answered or not. */
  requested(hop: Pick<Hop, 'purpose' | 'status'>): void;
  /** Bytes have arrived, whatever becomes of them. */
  fetched(kind: FetchedKind, bytes: number): void;
  /** @param requests that were not sent for this reason */
  spared(reason: SparedReason, bytes: number, requests: number): void;
  /** A phase is over that did not fail. */
  took(of: 'pull' | 'layer', phase: WholePhase | LayerPhase, seconds: number): void;
}

/** Counts one pull: for the metrics of the node, and for those who join it. */
export class PullCount {
  readonly #metrics: PullMetrics | undefined;
  readonly #clock: Clock;
  readonly #needed = new Set<Digest>();
  #requests = 0;
  #fetchedBytes = 0;

  constructor(metrics: PullMetrics | undefined, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** What this pull has sent and received so far, which whoever joins it does not have to. */
  get sofar(): { readonly requests: number; readonly fetchedBytes: number } {
    return { requests: this.#requests, fetchedBytes: this.#fetchedBytes };
  }

  requested(hop: Hop): void {
    this.#requests++;
    this.#metrics?.requested(hop);
  }

  fetched(kind: FetchedKind, bytes: number): void {
    this.#fetchedBytes += bytes;
    this.#metrics?.fetched(kind, bytes);
  }

  /** Notes that the image needs some content; returns whether it is for the first time: what is needed twice is spared once. */
  needs(digest: Digest): boolean {
    if (this.#needed.has(digest)) return false;
    this.#needed.add(digest);
    return true;
  }

  spared(reason: SparedReason, bytes: number, requests = 1): void {
    this.#metrics?.spared(reason, bytes, requests);
  }

  /** Runs one phase of the pull and notes how long it took, if it did not fail. */
  async during<T>(phase: WholePhase, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now();
    const result = await work();
    this.#metrics?.took('pull', phase, (this.#clock.now() - startedAt) / 1000);
    return result;
  }

  readonly layerTook = (phase: LayerPhase, ms: number): void => {
    this.#metrics?.took('layer', phase, ms / 1000);
  };
}
