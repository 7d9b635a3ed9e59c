import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { Pod } from '../kube/pod.ts';
import type { Logger } from '../observe/logger.ts';
import { podNamespace, podUid } from './pod-reference.ts';
import type { Eviction, PodSyncer } from './pod-syncer.ts';
import { PODS, type StatusManager } from './status-manager.ts';
import type { SyncOutcome } from './sync-outcome.ts';

/** Time to the next look at a Pod that is fine, and at one that failed; each is stretched by up to half. The kubelet's values. */
const RESYNC_MS = 60_000;
const BACKOFF_MS = 10_000;
const JITTER = 0.5;

export interface PodWorkerOptions {
  readonly syncer: PodSyncer;
  readonly statuses: StatusManager;
  /** Absent when the agent stands alone. */
  readonly client: KubeClient | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Chooses where in the stretch to be, 0 to 1. */
  readonly random: () => number;
  /** Called when the Pod takes nothing of the node any more. */
  readonly freed?: () => void;
  /** Called once, when the Pod is gone from here. */
  readonly gone: (uid: string) => void;
}

/**
 * Works on one Pod, one thing at a time: syncing → terminating → ended (→ removed from the API when it was deleted).
 * A Pod that ended stays known until it is deleted, so that it is not started again.
 */
export class PodWorker {
  readonly uid: string;
  readonly #options: PodWorkerOptions;
  readonly #stop = new AbortController();
  #pod: Pod;
  #state: 'syncing' | 'ended' = 'syncing';
  #removed = false;
  #deletedFromApi = false;
  #eviction: Eviction | undefined;
  #woken = false;
  #interrupt = new AbortController();
  #sleep = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  readonly #done: Promise<void>;

  /** @param admission says whether the Pod may begin, or why it is ended before; undefined for one that has begun already */
  constructor(
    pod: Pod,
    options: PodWorkerOptions,
    admission: ((signal: AbortSignal) => Promise<Eviction | undefined>) | undefined,
  ) {
    this.uid = podUid(pod);
    this.#pod = pod;
    this.#options = options;
    this.#done = this.#work(admission?.(this.#stop.signal));
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The API knows it no more; what is left of it is being cleared away. */
  get isDeletedFromApi(): boolean {
    return this.#deletedFromApi;
  }

  /** Takes the newest version of the Pod. */
  update(pod: Pod): void {
    const wasDeleting = this.#pod.metadata.deletionTimestamp !== undefined;
    const grace = this.#pod.metadata.deletionGracePeriodSeconds;
    const changed =
      pod.metadata.generation !== this.#pod.metadata.generation ||
      pod.metadata.deletionTimestamp !== this.#pod.metadata.deletionTimestamp;
    this.#pod = pod;
    const deleting = pod.metadata.deletionTimestamp !== undefined;
    // Deletion cannot wait for a pull; a shorter grace cannot wait for a longer one.
    if (deleting && (!wasDeleting || grace !== pod.metadata.deletionGracePeriodSeconds))
      this.#interrupt.abort();
    if (changed || deleting) this.wake();
  }

  /** The Pod is gone from the API: end and forget it. */
  deleted(): void {
    this.#deletedFromApi = true;
    this.#interrupt.abort();
    this.wake();
  }

  /** Ends the Pod for good; only the first call counts. */
  evict(eviction: Eviction): void {
    if (this.#eviction !== undefined || this.#state === 'ended') return;
    this.#eviction = eviction;
    this.#interrupt.abort();
    this.wake();
  }

  /** Resolves once nothing of the Pod runs any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Makes it look again soon. */
  wake(): void {
    this.#woken = true;
    this.#sleep.abort();
  }

  /** Stops working; what runs goes on. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the node agent stops'));
    this.#interrupt.abort();
    this.#sleep.abort();
    await this.#done;
  }

  async #work(admission: Promise<Eviction | undefined> | undefined): Promise<void> {
    try {
      const refused = await admission;
      this.#eviction ??= refused;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      throw error;
    }
    await this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted && !this.#removed) {
      this.#woken = false;
      let pause = RESYNC_MS;
      this.#interrupt = new AbortController();
      const signal = AbortSignal.any([this.#stop.signal, this.#interrupt.signal]);
      try {
        pause = await this.#step(signal);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (!this.#interrupt.signal.aborted) {
          this.#options.logger.warn(
            { pod: this.#pod.metadata.name, error: messageOf(error) },
            'pod sync failed',
          );
          pause = BACKOFF_MS;
        } else pause = 0;
      }
      if (!this.#removed) await this.#rest(pause);
    }
    if (this.#removed) {
      this.#ended.resolve();
      this.#options.gone(this.uid);
      this.#options.freed?.();
    }
  }

  /** Does one thing and returns how long to rest at most. */
  async #step(signal: AbortSignal): Promise<number> {
    const { syncer } = this.#options;
    if (this.#deletedFromApi) {
      await syncer.terminate(this.#pod, undefined, this.#stop.signal);
      await syncer.remove(this.#pod, this.#stop.signal);
      this.#removed = true;
      return 0;
    }
    if (this.#pod.metadata.deletionTimestamp !== undefined) {
      await syncer.terminate(this.#pod, undefined, signal);
      this.#end();
      await this.#deleteFromApi();
      return BACKOFF_MS;
    }
    if (this.#state === 'ended') return RESYNC_MS;
    if (this.#eviction !== undefined) {
      await syncer.evict(this.#pod, this.#eviction, signal);
      this.#end();
      return RESYNC_MS;
    }
    const outcome = await syncer.sync(this.#pod, signal);
    if (outcome.kind === 'ended') {
      await syncer.terminate(this.#pod, undefined, signal);
      this.#end();
    }
    return this.#pauseAfter(outcome);
  }

  #end(): void {
    if (this.#state !== 'ended') this.#options.freed?.();
    this.#state = 'ended';
    this.#ended.resolve();
  }

  #pauseAfter(outcome: SyncOutcome): number {
    if (outcome.kind === 'ended') return RESYNC_MS;
    const at = outcome.kind === 'fine' ? outcome.lookAt : outcome.retryAt;
    if (at === undefined) return outcome.kind === 'fine' ? RESYNC_MS : BACKOFF_MS;
    return Math.min(Math.max(at - this.#options.clock.now(), 0), RESYNC_MS);
  }

  async #rest(pause: number): Promise<void> {
    if (this.#woken) return;
    this.#sleep = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, this.#sleep.signal]);
    const ms = pause * (1 + JITTER * this.#options.random());
    // Being woken is the usual end of a rest.
    await this.#options.clock.sleep(ms, signal).catch(() => undefined);
  }

  /** Lets go of a deleted Pod once its last status is known: only then may the name be used again. */
  async #deleteFromApi(): Promise<void> {
    const { client, statuses } = this.#options;
    await statuses.written(this.uid);
    if (client === undefined) return;
    const name = { namespace: podNamespace(this.#pod), name: this.#pod.metadata.name };
    try {
      await client.delete(PODS, name, this.#stop.signal, {
        gracePeriodSeconds: 0,
        preconditions: { uid: this.uid },
      });
    } catch (error) {
      if (!isApiError(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}
