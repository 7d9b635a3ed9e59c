import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import { addTo, hostPortsClash, podRequests } from '../kube/scheduling/pod-requests.ts';
import { untolerated, type Taint } from '../kube/scheduling/taints.ts';
import { isStaticPod } from './static-pods/static-pod-marks.ts';

/** What a node offers. */
export interface AdmittingNode extends KubeObject {
  readonly spec?: { readonly taints?: readonly Taint[] };
  readonly status: { readonly allocatable: Readonly<Record<string, string>> };
}

/** Why a Pod may not run here: reason and message of its status. */
export interface PodRefusal {
  readonly reason: string;
  readonly message: string;
  /** What it asks for beyond what is free: room can be made for a critical Pod. */
  readonly lacks?: { readonly resource: string; readonly amount: number };
}

const OS_LABEL = 'kubernetes.io/os';
const MILLI = 1000;

/**
 * Judges a Pod that was bound to this node as the kubelet does, which trusts no scheduler: resources, node selection, ports, taints. Returns
 * all that is against it, in the kubelet's order: the first is what the Pod is told.
 *
 * @param present Pods that run here or shall, without those that have ended
 * @see Kubernetes, pkg/kubelet/lifecycle/predicate.go
 */
export function refusalsOf(pod: Pod, present: readonly Pod[], node: AdmittingNode): PodRefusal[] {
  const system = refusalOfSystem(pod, node);
  if (system !== undefined) return [system];
  return [...lackingResources(pod, present, node), ...refusalsOfPlace(pod, present, node)];
}

/** What a Pod takes of a resource, in the units in which the kubelet counts it: thousandths of a CPU, else bytes or pieces. */
export function amountOf(pod: Pod, resource: string): number {
  return resource === 'pods' ? 1 : inUnits(resource, podRequests(pod).get(resource) ?? 0);
}

function inUnits(resource: string, value: number): number {
  return Math.round(value * (resource === 'cpu' ? MILLI : 1));
}

function refusalOfSystem(pod: Pod, node: AdmittingNode): PodRefusal | undefined {
  const own = node.metadata.labels?.[OS_LABEL] ?? '';
  const selected = pod.spec.nodeSelector?.[OS_LABEL];
  if (selected !== undefined && selected !== own) {
    return {
      reason: 'PodOSSelectorNodeLabelDoesNotMatch',
      message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
    };
  }
  const os = pod.spec['os'] as { name?: string } | undefined;
  if (os?.name === undefined || os.name === own) return undefined;
  return {
    reason: 'PodOSNotSupported',
    message: "Failed to admit pod as the OS field doesn't match node OS",
  };
}

function lackingResources(pod: Pod, present: readonly Pod[], node: AdmittingNode): PodRefusal[] {
  const { allocatable } = node.status;
  const lacking: PodRefusal[] = [];
  const judge = (resource: string, requested: number, used: number, capacity: number): void => {
    if (requested + used > capacity) lacking.push(insufficient(resource, requested, used, capacity));
  };
  const capacity = allocatable['pods'];
  if (capacity !== undefined) judge('pods', 1, present.length, quantityValue(capacity));
  const used = new Map<string, number>();
  for (const other of present) addTo(used, podRequests(other));
  for (const [name, wanted] of podRequests(pod)) {
    // What no node of this kind has is the scheduler's business.
    if (wanted === 0 || !Object.hasOwn(allocatable, name)) continue;
    const offered = quantityValue(allocatable[name] ?? '0');
    judge(name, inUnits(name, wanted), inUnits(name, used.get(name) ?? 0), inUnits(name, offered));
  }
  return lacking;
}

function insufficient(resource: string, requested: number, used: number, capacity: number): PodRefusal {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
    lacks: { resource, amount: requested + used - capacity },
  };
}

function refusalsOfPlace(pod: Pod, present: readonly Pod[], node: AdmittingNode): PodRefusal[] {
  const refusals: PodRefusal[] = [];
  if (!matchesNodeSelection(pod.spec, node))
    refusals.push(predicate(NODE_AFFINITY, "node(s) didn't match Pod's node affinity/selector"));
  if (present.some((other) => hostPortsClash(pod, other)))
    refusals.push(predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports"));
  // A node's own Pods run whatever keeps others away.
  if (isStaticPod(pod)) return refusals;
  if (untolerated(pod.spec.tolerations, node.spec?.taints ?? [], ['NoExecute']) !== undefined)
    refusals.push(predicate('TaintToleration', "node(s) had taints that the pod didn't tolerate"));
  return refusals;
}

/** Reason of a Pod whose node selection the node does not meet. */
export const NODE_AFFINITY = 'NodeAffinity';

function predicate(name: string, why: string): PodRefusal {
  return { reason: name, message: `Predicate ${name} failed: ${why}` };
}
