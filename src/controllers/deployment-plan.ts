import { intOrPercent } from './int-or-percent.ts';
import type { Deployment, ReplicaSet } from './workloads.ts';

/* How many replicas each set of a Deployment gets next. Pure: sizes in, sizes out. */

/** On a set: how many Pods its Deployment wanted when it was last scaled, and how many there could be at most. */
export const DESIRED = 'deployment.kubernetes.io/desired-replicas';
export const MAXIMUM = 'deployment.kubernetes.io/max-replicas';

export interface Scaling {
  readonly set: ReplicaSet;
  readonly replicas: number;
}

export const sizeOf = (set: ReplicaSet): number => set.spec.replicas ?? 1;
const availableOf = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0;
const total = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number =>
  sets.reduce((sum, set) => sum + of(set), 0);

/** Returns how many Pods may be too many and too few while an update runs. */
export function rollingLimits(deployment: Deployment): { surge: number; unavailable: number } {
  const { strategy, replicas = 1 } = deployment.spec;
  if (strategy?.type === 'Recreate') return { surge: 0, unavailable: 0 };
  const surge = intOrPercent(strategy?.rollingUpdate?.maxSurge, replicas, 'up');
  const unavailable = intOrPercent(strategy?.rollingUpdate?.maxUnavailable, replicas, 'down');
  // Percentages of small numbers may both round to nothing; then one Pod at a time may be missing.
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable };
}

/** Returns the next size of the new set: as much as the surge allows. */
export function newSetSize(deployment: Deployment, all: readonly ReplicaSet[], fresh: ReplicaSet): number {
  const wanted = deployment.spec.replicas ?? 1;
  const size = sizeOf(fresh);
  if (deployment.spec.strategy?.type === 'Recreate') return wanted;
  if (size >= wanted) return wanted;
  const most = wanted + rollingLimits(deployment).surge;
  const current = total(all, sizeOf);
  if (current >= most) return size;
  return size + Math.min(most - current, wanted - size);
}

/** Returns which old sets shrink: first Pods that do not work anyway, then as many as may be missing. */
export function shrinkOldSets(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  fresh: ReplicaSet,
): Scaling[] {
  const wanted = deployment.spec.replicas ?? 1;
  const least = wanted - rollingLimits(deployment).unavailable;
  const all = [...old, fresh];
  const freshUnavailable = sizeOf(fresh) - availableOf(fresh);
  let budget = total(all, sizeOf) - least - freshUnavailable;
  if (budget <= 0) return [];
  const sizes = new Map(old.map((set) => [set, sizeOf(set)]));
  const byAge = [...old].sort((a, b) =>
    (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1,
  );
  for (const set of byAge) {
    const size = sizes.get(set) ?? 0;
    const unhealthy = Math.min(size - availableOf(set), budget);
    if (unhealthy <= 0) continue;
    sizes.set(set, size - unhealthy);
    budget -= unhealthy;
  }
  let spare = total(all, availableOf) - least;
  for (const set of byAge) {
    if (spare <= 0) break;
    const size = sizes.get(set) ?? 0;
    const count = Math.min(size, spare);
    sizes.set(set, size - count);
    spare -= count;
  }
  return old
    .map((set) => ({ set, replicas: sizes.get(set) ?? 0 }))
    .filter(({ set, replicas }) => replicas !== sizeOf(set));
}

/** Spreads a changed size over all sets in proportion, so that a paused or running update keeps its mixture. */
export function scaleInProportion(deployment: Deployment, sets: readonly ReplicaSet[]): Scaling[] {
  const wanted = deployment.spec.replicas ?? 1;
  const active = sets.filter((set) => sizeOf(set) > 0);
  const target = wanted > 0 ? wanted + rollingLimits(deployment).surge : 0;
  const change = target - total(active, sizeOf);
  if (change === 0) return [];
  // Of sets of one size, growing favours the newest, shrinking spares it.
  const order = [...active].sort((a, b) => sizeOf(b) - sizeOf(a) || newer(a, b) * Math.sign(change));
  let done = 0;
  const result = order.map((set): Scaling => {
    const share = shareOf(set, deployment);
    const step = change > 0 ? Math.min(share, change - done) : Math.max(share, change - done);
    done += step;
    return { set, replicas: sizeOf(set) + step };
  });
  const [largest, ...others] = result;
  if (largest === undefined) return [];
  const rest = { set: largest.set, replicas: Math.max(0, largest.replicas + change - done) };
  return [rest, ...others].filter(({ set, replicas }) => replicas !== sizeOf(set));
}

/** By how much a set would grow or shrink if its part of the whole stayed the same. */
function shareOf(set: ReplicaSet, deployment: Deployment): number {
  const wanted = deployment.spec.replicas ?? 1;
  const size = sizeOf(set);
  if (wanted === 0) return -size;
  const before = Number(set.metadata.annotations?.[MAXIMUM] ?? 0) || (deployment.status?.replicas ?? 0);
  if (before === 0) return 0;
  return Math.round((size * (wanted + rollingLimits(deployment).surge)) / before) - size;
}

function newer(a: ReplicaSet, b: ReplicaSet): number {
  return (a.metadata.creationTimestamp ?? '') > (b.metadata.creationTimestamp ?? '') ? -1 : 1;
}
