import type { Pod } from '../kube/pod.ts';
import type { StartFailure } from './container-starter.ts';
import { formatPod } from './pod-reference.ts';

/** What a sync came to. Times are milliseconds. */
export type SyncOutcome =
  | { readonly kind: 'fine'; readonly lookAt?: number }
  /** The Pod has ended: nothing may start again. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly error: string; readonly retryAt?: number };

/** A Pod with a deadline is looked at again by then. */
export function lookedAtBy(outcome: SyncOutcome, deadline: number | undefined): SyncOutcome {
  if (deadline === undefined || outcome.kind === 'ended') return outcome;
  if (outcome.kind === 'fine') return { kind: 'fine', lookAt: deadline };
  return outcome.retryAt === undefined
    ? outcome
    : { ...outcome, retryAt: Math.min(outcome.retryAt, deadline) };
}

/** A Pod is tried again when the shortest pause of its containers is over, or after the usual time when one failed otherwise. */
export function outcomeOf(pod: Pod, failures: readonly StartFailure[]): SyncOutcome {
  if (failures.length === 0) return { kind: 'fine' };
  const error = failures
    .map(({ reason, message }) => `failed to start container of ${formatPod(pod)}: ${reason}: ${message}`)
    .join('; ');
  const pauses = failures.flatMap(({ retryAt }) => (retryAt === undefined ? [] : [retryAt]));
  return pauses.length === 0
    ? { kind: 'failed', error }
    : { kind: 'failed', error, retryAt: Math.min(...pauses) };
}
