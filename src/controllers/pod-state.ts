import type { Pod, PodCondition } from '../kube/pod.ts';
import { parseTime } from '../kube/time.ts';

/* What controllers conclude from a Pod's status. */

export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Tells whether a Pod counts as one of its controller's: not finished, not on its way out. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

export function isReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Returns how long (milliseconds) until a ready Pod counts as available; 0: it does; undefined: it is not ready. */
export function untilAvailable(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const ready = podCondition(pod, 'Ready');
  if (ready?.status !== 'True') return undefined;
  if (minReadySeconds === 0) return 0;
  const since = parseTime(ready.lastTransitionTime ?? '');
  if (since === undefined) return undefined;
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  return untilAvailable(pod, minReadySeconds, now) === 0;
}

/**
 * Sorts Pods by how little is lost when they go: without a node first, then pending, not ready, costing less by annotation,
 * on a node with more of the same, ready for the shortest time, restarted more often, youngest.
 *
 * @param related Pods of the same purpose, the Pods themselves among them
 */
export function sortForDeletion(pods: readonly Pod[], related: readonly Pod[]): Pod[] {
  const crowd = new Map<string, number>();
  for (const { spec } of related) crowd.set(spec.nodeName ?? '', (crowd.get(spec.nodeName ?? '') ?? 0) + 1);
  const rank = (pod: Pod): number[] => [
    (pod.spec.nodeName ?? '') === '' ? 0 : 1,
    ['Pending', 'Unknown', 'Running'].indexOf(pod.status?.phase ?? 'Pending'),
    isReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0),
    -(crowd.get(pod.spec.nodeName ?? '') ?? 0),
  ];
  return [...pods].sort((a, b) => {
    const right = rank(b);
    for (const [index, value] of rank(a).entries()) {
      const other = right[index] ?? 0;
      if (value !== other) return value - other;
    }
    return compareByAge(a, b);
  });
}

function compareByAge(a: Pod, b: Pod): number {
  const readySince = (pod: Pod): string => podCondition(pod, 'Ready')?.lastTransitionTime ?? '';
  if (isReady(a) && isReady(b) && readySince(a) !== readySince(b))
    return readySince(a) > readySince(b) ? -1 : 1;
  const restarts = (pod: Pod): number =>
    (pod.status?.containerStatuses ?? []).reduce((most, status) => Math.max(most, status.restartCount), 0);
  if (restarts(a) !== restarts(b)) return restarts(b) - restarts(a);
  const created = (pod: Pod): string => pod.metadata.creationTimestamp ?? '';
  if (created(a) !== created(b)) return created(a) > created(b) ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
