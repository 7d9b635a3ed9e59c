import type { Clock } from '../base/clock.ts';
import type { Informer } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { queueKey } from './controller-context.ts';

/** After so long a write that the informer never showed is forgotten: it may have been undone while nobody watched. */
const EXPIRES_MS = 30_000;

interface Pending {
  readonly owner: string;
  readonly at: number;
}

/**
 * Remembers what a controller wrote until its informer shows it, so that it does not decide twice from one old picture.
 */
export class Expectations {
  readonly #clock: Clock;
  /** `create NAMESPACE/NAME`, `delete NAMESPACE/NAME` → who waits. */
  readonly #pending = new Map<string, Pending>();

  constructor(clock: Clock, informer: Informer<KubeObject>) {
    this.#clock = clock;
    informer.onChange(({ type, object }) => {
      const key = queueKey(object);
      this.#pending.delete(`create ${key}`);
      if (type === 'deleted' || object.metadata.deletionTimestamp !== undefined) {
        this.#pending.delete(`delete ${key}`);
      }
    });
  }

  /** Returns true once everything that `owner` wrote has been seen. */
  isMet(owner: string): boolean {
    const now = this.#clock.now();
    for (const [key, pending] of this.#pending) {
      if (now - pending.at > EXPIRES_MS) this.#pending.delete(key);
      else if (pending.owner === owner) return false;
    }
    return true;
  }

  /** Call before the write is sent: its event may come before its answer. */
  expect(owner: string, kind: 'create' | 'delete', object: KubeObject): void {
    this.#pending.set(`${kind} ${queueKey(object)}`, { owner, at: this.#clock.now() });
  }

  /** Takes an expectation back when the write failed. */
  cancel(kind: 'create' | 'delete', object: KubeObject): void {
    this.#pending.delete(`${kind} ${queueKey(object)}`);
  }
}
