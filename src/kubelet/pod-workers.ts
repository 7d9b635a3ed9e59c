import type { Informer } from '../kube/client/kube-client.ts';
import type { Pod } from '../kube/pod.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { podUid } from './pod-reference.ts';
import { PodWorker, type PodWorkerOptions } from './pod-worker.ts';

/** Gives each Pod of the node a worker and tells it what happens. */
export class PodWorkers {
  readonly #options: Omit<PodWorkerOptions, 'gone'>;
  readonly #workers = new Map<string, PodWorker>();
  #stopped = false;

  constructor(options: Omit<PodWorkerOptions, 'gone'>) {
    this.#options = options;
  }

  /** Follows a set of Pods. */
  follow(pods: Informer<Pod>): void {
    pods.onChange(({ type, object }) => {
      if (this.#stopped) return;
      const uid = podUid(object);
      const worker = this.#workers.get(uid);
      if (type === 'deleted') worker?.deleted();
      else if (worker === undefined) this.#add(object);
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

  has(uid: string): boolean {
    return this.#workers.has(uid);
  }

  /** Returns the Pods that are worked on. */
  pods(): Pod[] {
    return [...this.#workers.values()].map((worker) => worker.pod);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
  }

  #add(pod: Pod): void {
    const worker = new PodWorker(pod, {
      ...this.#options,
      gone: (uid) => {
        if (this.#workers.get(uid) === worker) this.#workers.delete(uid);
      },
    });
    this.#workers.set(worker.uid, worker);
  }
}
