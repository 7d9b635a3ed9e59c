import type { Clock } from '../base/clock.ts';
import type { Informer } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf } from '../kube/owner-reference.ts';

/** After so long a write that the informer never showed is forgotten: it may have been undone while nobody watched. */
const EXPIRES_MS = 30_000;

/**
 * Remembers what a controller wrote until its informer shows it, so that it does not decide twice from one old picture.
 * The server names what is created, so creations are counted; deletions are known by uid.
 */
export class Expectations {
  readonly #clock: Clock;
  /** uid of an owner → how many of its creations are still to be seen. */
  readonly #creations = new Map<string, { count: number; at: number }>();
  /** uid of what was deleted → uid of who waits for that. */
  readonly #deletions = new Map<string, { owner: string; at: number }>();

  constructor(clock: Clock, informer: Informer<KubeObject>) {
    this.#clock = clock;
    informer.onChange(({ type, object }) => {
      if (type === 'added') this.#seen(controllerOf(object)?.uid ?? '');
      if (type === 'deleted' || object.metadata.deletionTimestamp !== undefined) this.cancelDelete(object);
    });
  }

  /** Returns true once everything that `owner` wrote has been seen. */
  isMet(owner: KubeObject): boolean {
    const now = this.#clock.now();
    const { uid = '' } = owner.metadata;
    const creations = this.#creations.get(uid);
    if (creations !== undefined) {
      if (now - creations.at <= EXPIRES_MS) return false;
      this.#creations.delete(uid);
    }
    for (const [deleted, pending] of this.#deletions) {
      if (now - pending.at > EXPIRES_MS) this.#deletions.delete(deleted);
      else if (pending.owner === uid) return false;
    }
    return true;
  }

  /** Call before the write is sent: its event may come before its answer. */
  expectCreate(owner: KubeObject): void {
    const { uid = '' } = owner.metadata;
    const count = (this.#creations.get(uid)?.count ?? 0) + 1;
    this.#creations.set(uid, { count, at: this.#clock.now() });
  }

  /** Takes an expectation back when the write failed. */
  cancelCreate(owner: KubeObject): void {
    this.#seen(owner.metadata.uid ?? '');
  }

  expectDelete(owner: KubeObject, object: KubeObject): void {
    const { uid = '' } = owner.metadata;
    this.#deletions.set(object.metadata.uid ?? '', { owner: uid, at: this.#clock.now() });
  }

  cancelDelete(object: KubeObject): void {
    this.#deletions.delete(object.metadata.uid ?? '');
  }

  #seen(owner: string): void {
    const pending = this.#creations.get(owner);
    if (pending === undefined) return;
    if (pending.count <= 1) this.#creations.delete(owner);
    else this.#creations.set(owner, { ...pending, count: pending.count - 1 });
  }
}
