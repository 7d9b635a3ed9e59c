import type { Pod } from '../kube/pod.ts';
import { qosClassOf } from '../kube/strategy.ts';
import { amountOf } from './admit-pod.ts';
import { mayPreempt } from './critical-pods.ts';

/** So much of a resource must become free. */
export interface Need {
  readonly resource: string;
  readonly amount: number;
}

/** Resources in which Pods are compared that are equally far from what is needed. */
const COMPARED = ['memory', 'cpu'];

/**
 * Chooses whom to end so that a critical Pod fits: as few as can be of those that promise most, and of each kind those whose requests come
 * nearest to what is needed. Returns why nobody helps, in the kubelet's words, when all together are not enough.
 *
 * @see Kubernetes, pkg/kubelet/preemption/preemption.go
 */
export function podsToPreempt(
  critical: Pod,
  present: readonly Pod[],
  needs: readonly Need[],
): Pod[] | string {
  const level = (name: string): Pod[] =>
    present.filter((pod) => mayPreempt(critical, pod) && qosClassOf(pod.spec) === name);
  const [bestEffort, burstable, guaranteed] = [level('BestEffort'), level('Burstable'), level('Guaranteed')];
  const missing = without(needs, [...bestEffort, ...burstable, ...guaranteed]);
  if (missing.length > 0) {
    const list = missing.map(({ resource, amount }) => `(res: ${resource}, q: ${amount}), `).join('');
    return `preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [${list}]`;
  }
  // Each kind is asked for what is still missing when all that promise less were gone.
  const fromGuaranteed = nearest(guaranteed, without(needs, [...bestEffort, ...burstable]));
  const fromBurstable = nearest(burstable, without(needs, [...bestEffort, ...fromGuaranteed]));
  const fromBestEffort = nearest(bestEffort, without(needs, [...fromBurstable, ...fromGuaranteed]));
  return [...fromBestEffort, ...fromBurstable, ...fromGuaranteed];
}

/** What is still needed when these Pods are gone. */
function without(needs: readonly Need[], gone: readonly Pod[]): Need[] {
  return needs
    .map(({ resource, amount }) => ({
      resource,
      amount: gone.reduce((rest, pod) => rest - amountOf(pod, resource), amount),
    }))
    .filter(({ amount }) => amount > 0);
}

function nearest(pods: readonly Pod[], needs: readonly Need[]): Pod[] {
  const left = [...pods];
  const chosen: Pod[] = [];
  for (let rest = needs; rest.length > 0;) {
    const [first, ...others] = left;
    if (first === undefined) break;
    let best = first;
    for (const pod of others) {
      const difference = distance(pod, rest) - distance(best, rest);
      if (difference < 0 || (difference === 0 && asksForLess(pod, best))) best = pod;
    }
    chosen.push(best);
    left.splice(left.indexOf(best), 1);
    rest = without(rest, [best]);
  }
  return chosen;
}

/** How far a Pod's requests are from what is needed: 0 covers all of it, each resource not touched at all adds 1. */
function distance(pod: Pod, needs: readonly Need[]): number {
  return needs.reduce((sum, { resource, amount }) => {
    const rest = Math.max(0, amount - amountOf(pod, resource));
    return sum + (rest / amount) ** 2;
  }, 0);
}

function asksForLess(pod: Pod, other: Pod): boolean {
  for (const resource of COMPARED) {
    const difference = amountOf(pod, resource) - amountOf(other, resource);
    if (difference !== 0) return difference < 0;
  }
  return true;
}
