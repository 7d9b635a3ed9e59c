import type { Pod } from '../../kube/pod.ts';
import { podUid } from '../pod-reference.ts';
import { fullName } from './static-pod-marks.ts';

/** What static Pods need of the workers. */
export interface StaticPodWorkers {
  has(uid: string): boolean;
  add(pod: Pod): void;
  /** Ends a Pod and forgets it. */
  remove(uid: string): void;
}

/**
 * Keeps the workers at what the files say. A Pod that changed is another Pod of the same name: the old one ends first, as both
 * would take the same ports and files.
 */
export class StaticPods {
  readonly #workers: StaticPodWorkers;
  readonly #changed: (name: string) => void;
  /** What shall run, and which Pod of that name is with the workers. */
  readonly #wanted = new Map<string, Pod>();
  readonly #running = new Map<string, string>();

  /** @param changed told the full name of each Pod that came or went */
  constructor(workers: StaticPodWorkers, changed: (name: string) => void) {
    this.#workers = workers;
    this.#changed = changed;
  }

  /** Takes the Pods that there shall be. */
  set(pods: readonly Pod[]): void {
    const wanted = new Map(pods.map((pod) => [fullName(pod), pod]));
    const names = new Set([...wanted.keys(), ...this.#wanted.keys()]);
    this.#wanted.clear();
    for (const [name, pod] of wanted) this.#wanted.set(name, pod);
    for (const name of names) this.#settle(name);
  }

  /** Tells that a worker has ended and cleared away its Pod. */
  gone(uid: string): void {
    for (const [name, running] of this.#running) {
      if (running !== uid) continue;
      this.#running.delete(name);
      this.#settle(name);
    }
  }

  get(name: string): Pod | undefined {
    return this.#wanted.get(name);
  }

  /** Tells whether something of that name runs or shall run. */
  has(name: string): boolean {
    return this.#wanted.has(name) || this.#running.has(name);
  }

  names(): string[] {
    return [...new Set([...this.#wanted.keys(), ...this.#running.keys()])];
  }

  #settle(name: string): void {
    const wanted = this.#wanted.get(name);
    const running = this.#running.get(name);
    if (running !== undefined && (wanted === undefined || podUid(wanted) !== running)) {
      if (this.#workers.has(running)) this.#workers.remove(running);
      else this.#running.delete(name);
    }
    if (wanted !== undefined && !this.#running.has(name)) {
      this.#running.set(name, podUid(wanted));
      this.#workers.add(wanted);
    }
    this.#changed(name);
  }
}
