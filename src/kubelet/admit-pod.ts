import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import { addTo, hostPorts, podRequests } from '../kube/scheduling/pod-requests.ts';
import { isStaticPod } from './static-pods/static-pod-marks.ts';

/** What a node offers. */
export interface AdmittingNode extends KubeObject {
  readonly status: { readonly allocatable: Readonly<Record<string, string>> };
}

/** Why a Pod may not run here: reason and message of its status. */
export interface PodRefusal {
  readonly reason: string;
  readonly message: string;
}

const OS_LABEL = 'kubernetes.io/os';
const MILLI = 1000;

/**
 * Judges a Pod that was bound to this node as the kubelet does, which trusts no scheduler: system, resources, node selection,
 * ports. Undefined lets it in.
 *
 * @param present Pods that run here or shall, without those that have ended
 * @see Kubernetes, pkg/kubelet/lifecycle/predicate.go
 */
export function refusalOf(pod: Pod, present: readonly Pod[], node: AdmittingNode): PodRefusal | undefined {
  return (
    refusalOfSystem(pod, node) ??
    // The node's own Pods come before those that the API sends.
    (isStaticPod(pod) ? undefined : refusalOfResources(pod, present, node)) ??
    refusalOfPlace(pod, present, node)
  );
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

function refusalOfResources(pod: Pod, present: readonly Pod[], node: AdmittingNode): PodRefusal | undefined {
  const { allocatable } = node.status;
  const capacity = allocatable['pods'];
  if (capacity !== undefined && present.length + 1 > quantityValue(capacity)) {
    return insufficient('pods', 1, present.length, quantityValue(capacity));
  }
  const used = new Map<string, number>();
  for (const other of present) addTo(used, podRequests(other));
  for (const [name, wanted] of podRequests(pod)) {
    // What no node of this kind has is the scheduler's business.
    if (wanted === 0 || !Object.hasOwn(allocatable, name)) continue;
    const scale = name === 'cpu' ? MILLI : 1;
    const units = (value: number): number => Math.round(value * scale);
    const taken = units(used.get(name) ?? 0);
    const offered = units(quantityValue(allocatable[name] ?? '0'));
    if (units(wanted) + taken > offered) return insufficient(name, units(wanted), taken, offered);
  }
  return undefined;
}

function insufficient(resource: string, requested: number, used: number, capacity: number): PodRefusal {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}

function refusalOfPlace(pod: Pod, present: readonly Pod[], node: AdmittingNode): PodRefusal | undefined {
  if (!matchesNodeSelection(pod.spec, node))
    return predicate('NodeAffinity', "node(s) didn't match Pod's node affinity/selector");
  const ports = hostPorts(pod);
  if (present.some((other) => hostPorts(other).some((port) => ports.includes(port))))
    return predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports");
  return undefined;
}

function predicate(name: string, why: string): PodRefusal {
  return { reason: name, message: `Predicate ${name} failed: ${why}` };
}
