import type { Informer } from '../kube/client/kube-client.ts';
import type { Pod } from '../kube/pod.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { untilAborted } from './images/image-request.ts';
import { podNamespace, podUid } from './pod-reference.ts';
import type { Eviction } from './pod-syncer.ts';
import { PodWorker, type PodWorkerOptions } from './pod-worker.ts';

export interface PodWorkersOptions extends Omit<PodWorkerOptions, 'gone'> {
  /** Says why a Pod that is new here may not run; undefined lets it. */
  readonly admit: (pod: Pod, signal: AbortSignal) => Promise<Eviction | undefined>;
  /** Told when a Pod and everything of it is gone from here. */
  readonly left?: (uid: string) => void;
}

/** Gives each Pod of the node a worker and tells it what happens. */
export class PodWorkers {
  readonly #options: PodWorkersOptions;
  readonly #workers = new Map<string, PodWorker>();
  #stopped = false;

  constructor(options: PodWorkersOptions) {
    this.#options = options;
  }

  /** Follows a set of Pods, those for which `mine` holds. */
  follow(pods: Informer<Pod>, mine: (pod: Pod) => boolean = () => true): void {
    pods.onChange(({ type, object }) => {
      if (this.#stopped || !mine(object)) return;
      const uid = podUid(object);
      const worker = this.#workers.get(uid);
      if (type === 'deleted') worker?.deleted();
      else if (worker === undefined) this.add(object);
      else worker.update(object);
    });
  }

  /** Wakes workers whose containers change, until the signal aborts. */
  async followRuntime(runtime: RuntimeService, signal: AbortSignal): Promise<void> {
    for await (const event of runtime.events(signal)) this.wake(event.podUid);
  }

  wake(uid: string): void {
    this.#workers.get(uid)?.wake();
  }

  /** Ends a Pod and forgets it, as when it is deleted from the API. */
  remove(uid: string): void {
    this.#workers.get(uid)?.deleted();
  }

  has(uid: string): boolean {
    return this.#workers.has(uid);
  }

  /** Ends a Pod for good. */
  evict(uid: string, eviction: Eviction): void {
    this.#workers.get(uid)?.evict(eviction);
  }

  /**
   * Returns once nothing of a Pod runs any more.
   *
   * @throws the signal's reason
   */
  async ended(uid: string, signal: AbortSignal): Promise<void> {
    await untilAborted(this.#workers.get(uid)?.ended ?? Promise.resolve(), signal);
  }

  /** Returns the Pods that are worked on. */
  pods(): Pod[] {
    return [...this.#workers.values()].map((worker) => worker.pod);
  }

  /** Returns the Pod that has a name now; one deleted before may still be here, and is not it. */
  named(namespace: string, name: string): Pod | undefined {
    for (const { pod, isDeletedFromApi } of this.#workers.values()) {
      if (isDeletedFromApi || pod.metadata.name !== name || podNamespace(pod) !== namespace) continue;
      return pod;
    }
    return undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
  }

  /** Begins to work on a Pod. */
  add(pod: Pod): void {
    if (this.#stopped) return;
    // One that has begun before is not new, although this agent may be.
    const isNew = pod.status?.startTime === undefined;
    const worker = new PodWorker(
      pod,
      {
        ...this.#options,
        gone: (uid) => {
          if (this.#workers.get(uid) === worker) this.#workers.delete(uid);
          this.#options.left?.(uid);
        },
      },
      isNew ? (signal) => this.#options.admit(pod, signal) : undefined,
    );
    this.#workers.set(worker.uid, worker);
  }
}
