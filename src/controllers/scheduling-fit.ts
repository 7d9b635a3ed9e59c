import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';
import { matchesNodeSelection, namedNodes } from '../kube/scheduling/node-selection.ts';
import { addTo, hostPortsClash, podRequests } from '../kube/scheduling/pod-requests.ts';
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

export type Fit = { readonly fits: true } | Misfit;

export interface Misfit {
  readonly fits: false;
  readonly reasons: readonly string[];
  /** Other Pods leaving would not help. */
  readonly helpless: boolean;
}

/** Says why a node does not suit; `undefined` when it does. */
export type NodeJudge = (node: Node) => Misfit | undefined;

/**
 * Tells whether `pod` can run on `node`, on which `present` Pods already are.
 *
 * @param judges say whether the node suits for the sake of volumes and of Pods everywhere, asked in order
 */
export function fitPod(
  pod: Pod,
  node: Node,
  present: readonly Pod[],
  judges: readonly NodeJudge[] = [],
): Fit {
  if (namedNodes(pod.spec)?.has(node.metadata.name) === false) {
    return refuse("node(s) didn't satisfy plugin(s) [NodeAffinity]");
  }
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
  if (present.some((other) => hostPortsClash(pod, other))) {
    return refuse("node(s) didn't have free ports for the requested pod ports", false);
  }
  const { reasons, helpless } = insufficient(pod, node, present);
  if (reasons.length > 0) return { fits: false, reasons, helpless };
  for (const judge of judges) {
    const misfit = judge(node);
    if (misfit !== undefined) return misfit;
  }
  return { fits: true };
}

export function refuse(reason: string, helpless = true): Misfit {
  return { fits: false, reasons: [reason], helpless };
}

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
