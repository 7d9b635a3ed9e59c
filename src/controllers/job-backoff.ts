import type { Pod } from '../kube/pod.ts';
import { parseTime } from '../kube/time.ts';
import { podCondition } from './pod-state.ts';

/* How long the next Pod of a Job waits after failures in a row. */

const BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 600_000;

/** Failures since the last success, and when the last of them was. */
export interface FailureRow {
  readonly count: number;
  /** Milliseconds. */
  readonly last: number;
}

const NO_FAILURES: FailureRow = { count: 0, last: 0 };

/** Remembers the failures in a row of each Job. They are forgotten with the process, as upstream's are. */
export class FailureRows {
  readonly #rows = new Map<string, FailureRow>();

  /** Returns the row as it is once Pods that have just ended are added to it. */
  after(job: string, succeeded: readonly Pod[], failed: readonly Pod[]): FailureRow {
    const before = this.#rows.get(job) ?? NO_FAILURES;
    const lastSuccess = Math.max(-1, ...succeeded.map(endOf));
    const ends = failed.map(endOf).filter((end) => end > lastSuccess);
    const count = (succeeded.length > 0 ? 0 : before.count) + ends.length;
    return { count, last: Math.max(count > ends.length ? before.last : 0, ...ends) };
  }

  /** Call once the status that counts the Pods is stored, or a lost write would count them twice. */
  set(job: string, row: FailureRow): void {
    if (row.count === 0) this.#rows.delete(job);
    else this.#rows.set(job, row);
  }

  forget(job: string): void {
    this.#rows.delete(job);
  }
}

/** How long the next Pod waits: 10 s, 20 s, 40 s, up to ten minutes after the last failure. */
export function pauseAfter({ count, last }: FailureRow, now: number): number {
  if (count === 0) return 0;
  return Math.max(0, last + Math.min(BACKOFF_MS * 2 ** (count - 1), MAX_BACKOFF_MS) - now);
}

/** When a Pod ended: as its containers tell, or when it was not ready any more, or when it was told to go. */
export function endOf(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map(
    (status) => parseTime(status.state?.terminated?.finishedAt ?? '') ?? Infinity,
  );
  const last = Math.max(0, ...ends);
  if (ends.length > 0 && Number.isFinite(last)) return last;
  const ready = podCondition(pod, 'Ready');
  const unready = ready?.status === 'False' ? parseTime(ready.lastTransitionTime ?? '') : undefined;
  if (unready !== undefined) return unready;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata;
  const gone = parseTime(deletionTimestamp ?? '');
  if (gone !== undefined) return gone - deletionGracePeriodSeconds * 1000;
  return parseTime(creationTimestamp ?? '') ?? 0;
}
