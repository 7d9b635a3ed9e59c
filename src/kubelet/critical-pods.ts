import type { Pod } from '../kube/pod.ts';
import { isMirrorPod, isStaticPod } from './static-pods/static-pod-marks.ts';

/** Priority from which on a Pod is critical. @see Kubernetes, scheduling.SystemCriticalPriority */
const CRITICAL_PRIORITY = 2_000_000_000;

/** Tells whether the node cannot do without a Pod: it is never evicted, and others go to make room for it. */
export function isCritical(pod: Pod): boolean {
  return isStaticPod(pod) || isMirrorPod(pod) || (pod.spec.priority ?? 0) >= CRITICAL_PRIORITY;
}

/** Tells whether `other` may be ended to make room for a critical Pod. */
export function mayPreempt(critical: Pod, other: Pod): boolean {
  if (!isCritical(other)) return true;
  const { priority } = critical.spec;
  const theirs = other.spec.priority;
  return priority !== undefined && theirs !== undefined && priority > theirs;
}
