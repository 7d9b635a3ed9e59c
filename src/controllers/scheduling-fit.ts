import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import { addTo, hostPorts, podRequests } from '../kube/scheduling/pod-requests.ts';
import { tolerates, untolerated, type Taint } from '../kube/scheduling/taints.ts';

/* Which node fits a Pod, and why another does not, in the words of kube-scheduler. Pure: no clock, no network. */

export interface Node extends KubeObject {
  spec?: { taints?: Taint[]; unschedulable?: boolean };
  status?: {
    allocatable?: Record<string, string>;
    capacity?: Record<string, string>;
    conditions?: { type: string; status: string }[];
    images?: { names?: string[] }[];
  };
}

export type Fit =
  | { readonly fits: true }
  | {
      readonly fits: false;
      readonly reasons: readonly string[];
      /** Other Pods leaving would not help. */
      readonly helpless: boolean;
    };

/**
 * Tells whether `pod` can run on `node`, on which `present` Pods already are.
 *
 * @param neighbours says whether the node suits for the sake of Pods everywhere
 */
export function fitPod(
  pod: Pod,
  node: Node,
  present: readonly Pod[],
  neighbours: (node: Node) => Fit | undefined = () => undefined,
): Fit {
  if (node.spec?.unschedulable === true && !tolerates(pod.spec.tolerations, UNSCHEDULABLE)) {
    return refuse('node(s) were unschedulable');
  }
  const wanted = pod.spec.nodeName;
  if (wanted !== undefined && wanted !== '' && wanted !== node.metadata.name) {
    return refuse("node(s) didn't match the requested node name");
  }
  const taint = untolerated(pod.spec.tolerations, node.spec?.taints ?? []);
  if (taint !== undefined) {
    return refuse('node(s) had untolerated taint(s)');
  }
  if (!matchesNodeSelection(pod.spec, node))
    return refuse("node(s) didn't match Pod's node affinity/selector");
  if (hostPorts(pod).some((port) => present.some((other) => hostPorts(other).includes(port)))) {
    return refuse("node(s) didn't have free ports for the requested pod ports", false);
  }
  const { reasons, helpless } = insufficient(pod, node, present);
  if (reasons.length > 0) return { fits: false, reasons, helpless };
  return neighbours(node) ?? { fits: true };
}

const refuse = (reason: string, helpless = true): Fit => ({ fits: false, reasons: [reason], helpless });
const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Says what a node lacks. A Pod that asks for more than the whole node has would not fit an empty one. */
function insufficient(
  pod: Pod,
  node: Node,
  present: readonly Pod[],
): { reasons: string[]; helpless: boolean } {
  const allocatable = node.status?.allocatable ?? node.status?.capacity ?? {};
  const reasons: string[] = [];
  let helpless = false;
  const pods = allocatable['pods'];
  if (pods !== undefined && present.length + 1 > quantityValue(pods)) reasons.push('Too many pods');
  const asked = podRequests(pod);
  const used = new Map<string, number>();
  for (const other of present) addTo(used, podRequests(other));
  for (const [name, value] of [...asked].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === 0) continue;
    const available = Object.hasOwn(allocatable, name) ? quantityValue(allocatable[name] ?? '0') : 0;
    // A tolerance below any real quantity: 0.1 + 0.2 cpu must fit into 0.3.
    if ((used.get(name) ?? 0) + value <= available + 1e-9) continue;
    reasons.push(`Insufficient ${name}`);
    if (value > available + 1e-9) helpless = true;
  }
  return { reasons, helpless };
}

/** What of a Pod says whether it could push others off. */
interface Pushing {
  readonly preemptionPolicy?: string;
}

/** Words why no node fits, as `kubectl describe` shows it. */
export function unschedulableMessage(fits: readonly Fit[], pod: Pushing = {}): string {
  const total = fits.length;
  if (total === 0) return 'no nodes available to schedule pods';
  const counts = new Map<string, number>();
  let helpless = 0;
  for (const fit of fits) {
    if (fit.fits) continue;
    for (const reason of fit.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    if (fit.helpless) helpless++;
  }
  const words = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${total} nodes are available: ${words.join(', ')}. ${preemption(total, helpless, pod)}`;
}

/** Words what keeps a Pod from every node at once. */
export function nowhereMessage(why: string, total: number, pod: Pushing = {}): string {
  if (total === 0) return 'no nodes available to schedule pods';
  return `0/${total} nodes are available: ${why}. ${preemption(total, total, pod)}`;
}

function preemption(total: number, helpless: number, { preemptionPolicy }: Pushing): string {
  const start = 'no new claims to deallocate, preemption:';
  if (preemptionPolicy === 'Never') return `${start} not eligible due to preemptionPolicy=Never.`;
  const parts: string[] = [];
  if (total > helpless) parts.push(`${total - helpless} No preemption victims found for incoming pod`);
  if (helpless > 0) parts.push(`${helpless} Preemption is not helpful for scheduling`);
  return `${start} 0/${total} nodes are available: ${parts.sort().join(', ')}.`;
}
