import type { KubeObject } from '../kube/object.ts';
import type { Container, Pod, PodSpec, Toleration } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';

/* Which node fits a Pod, and why another does not, in the words of kube-scheduler. Pure: no clock, no network. */

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

export interface Node extends KubeObject {
  spec?: { taints?: Taint[]; unschedulable?: boolean };
  status?: {
    allocatable?: Record<string, string>;
    capacity?: Record<string, string>;
    conditions?: { type: string; status: string }[];
    images?: { names?: string[] }[];
  };
}

export type Fit = { readonly fits: true } | { readonly fits: false; readonly reasons: readonly string[] };

interface SelectorTerm {
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
  matchFields?: { key: string; operator: string; values?: string[] }[];
}

interface NodeAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: SelectorTerm[] };
  preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; preference: SelectorTerm }[];
}

/** Tells whether `pod` can run on `node`, on which `present` Pods already are. */
export function fitPod(pod: Pod, node: Node, present: readonly Pod[]): Fit {
  if (node.spec?.unschedulable === true && !tolerates(pod.spec.tolerations, UNSCHEDULABLE)) {
    return refuse('node(s) were unschedulable');
  }
  const wanted = pod.spec.nodeName;
  if (wanted !== undefined && wanted !== '' && wanted !== node.metadata.name) {
    return refuse("node(s) didn't match the requested node name");
  }
  const taint = untolerated(pod.spec.tolerations, node.spec?.taints ?? []);
  if (taint !== undefined) {
    return refuse(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
  }
  if (!matchesNodeSelection(pod.spec, node))
    return refuse("node(s) didn't match Pod's node affinity/selector");
  if (hostPorts(pod).some((port) => present.some((other) => hostPorts(other).includes(port)))) {
    return refuse("node(s) didn't have free ports for the requested pod ports");
  }
  const reasons = insufficient(pod, node, present);
  return reasons.length === 0 ? { fits: true } : { fits: false, reasons };
}

const refuse = (reason: string): Fit => ({ fits: false, reasons: [reason] });
const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Tells whether `nodeSelector` and the required node affinity let the Pod onto the node. */
export function matchesNodeSelection(spec: PodSpec, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(spec.nodeSelector ?? {})) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  }
  const required = nodeAffinity(spec)?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return (required.nodeSelectorTerms ?? []).some((term) => matchesTerm(term, node));
}

/** Adds up the weights of the preferences that the node meets. */
export function preference(spec: PodSpec, node: Node): number {
  let score = 0;
  for (const { weight, preference: term } of nodeAffinity(spec)
    ?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesTerm(term, node)) score += weight;
  }
  return score;
}

function nodeAffinity(spec: PodSpec): NodeAffinity | undefined {
  return spec.affinity?.['nodeAffinity'] as NodeAffinity | undefined;
}

function matchesTerm(term: SelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  // A term without requirements matches no node: the API says so, against intuition.
  if (matchExpressions.length + matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  const fields: Record<string, string> = { 'metadata.name': node.metadata.name };
  return (
    matchExpressions.every((requirement) => meets(labels, requirement)) &&
    matchFields.every((requirement) => meets(fields, requirement))
  );
}

function meets(
  labels: Readonly<Record<string, string>>,
  requirement: { key: string; operator: string; values?: string[] },
): boolean {
  const { key, operator, values = [] } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return isInteger(value) && isInteger(values[0]) && BigInt(value) > BigInt(values[0]);
    case 'Lt':
      return isInteger(value) && isInteger(values[0]) && BigInt(value) < BigInt(values[0]);
    default:
      return false;
  }
}

function isInteger(text: string | undefined): text is string {
  return text !== undefined && /^-?\d+$/.test(text);
}

/** Returns the first taint that keeps the Pod away. `PreferNoSchedule` only makes a node less welcome. */
export function untolerated(
  tolerations: readonly Toleration[] | undefined,
  taints: readonly Taint[],
  effects: readonly string[] = ['NoSchedule', 'NoExecute'],
): Taint | undefined {
  return taints.find((taint) => effects.includes(taint.effect) && !tolerates(tolerations, taint));
}

function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some((toleration) => {
    if ((toleration.effect ?? '') !== '' && toleration.effect !== taint.effect) return false;
    if ((toleration.key ?? '') !== '' && toleration.key !== taint.key) return false;
    const operator = toleration.operator ?? 'Equal';
    if (operator === 'Exists') return true;
    return (toleration.key ?? '') !== '' && (toleration.value ?? '') === (taint.value ?? '');
  });
}

/** Returns what a Pod asks of a node: the sum of its containers, or more where an init container needs more at once. */
export function podRequests(pod: Pod): Map<string, number> {
  const total = new Map<string, number>();
  const sidecars = new Map<string, number>();
  for (const container of pod.spec.containers) addTo(total, requests(container));
  const peaks = new Map<string, number>();
  for (const container of pod.spec.initContainers ?? []) {
    const asked = requests(container);
    if (container.restartPolicy === 'Always') {
      // A sidecar keeps running: it counts beside everything that starts after it.
      addTo(sidecars, asked);
      addTo(total, asked);
      maxInto(peaks, sidecars);
    } else {
      const together = new Map(sidecars);
      addTo(together, asked);
      maxInto(peaks, together);
    }
  }
  maxInto(total, peaks);
  const overhead = pod.spec['overhead'] as Record<string, string> | undefined;
  addTo(total, new Map(Object.entries(overhead ?? {}).map(([name, value]) => [name, quantityValue(value)])));
  return total;
}

function requests(container: Container): Map<string, number> {
  const asked = { ...container.resources?.limits, ...container.resources?.requests };
  return new Map(Object.entries(asked).map(([name, value]) => [name, quantityValue(value)]));
}

function addTo(total: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [name, value] of more) total.set(name, (total.get(name) ?? 0) + value);
}

function maxInto(total: Map<string, number>, other: ReadonlyMap<string, number>): void {
  for (const [name, value] of other) total.set(name, Math.max(total.get(name) ?? 0, value));
}

function insufficient(pod: Pod, node: Node, present: readonly Pod[]): string[] {
  const allocatable = node.status?.allocatable ?? node.status?.capacity ?? {};
  const reasons: string[] = [];
  const pods = allocatable['pods'];
  if (pods !== undefined && present.length + 1 > quantityValue(pods)) reasons.push('Too many pods');
  const asked = podRequests(pod);
  const used = new Map<string, number>();
  for (const other of present) addTo(used, podRequests(other));
  for (const [name, value] of [...asked].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === 0) continue;
    const available = Object.hasOwn(allocatable, name) ? quantityValue(allocatable[name] ?? '0') : 0;
    // A tolerance below any real quantity: 0.1 + 0.2 cpu must fit into 0.3.
    if ((used.get(name) ?? 0) + value > available + 1e-9) reasons.push(`Insufficient ${name}`);
  }
  return reasons;
}

function hostPorts(pod: Pod): string[] {
  return pod.spec.containers.flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => (port.hostPort ?? 0) > 0)
      .map((port) => `${port.protocol ?? 'TCP'}/${port.hostPort ?? 0}`),
  );
}

/** Words why no node fits, as `kubectl describe` shows it. */
export function unschedulableMessage(fits: readonly Fit[]): string {
  const total = fits.length;
  if (total === 0) return 'no nodes available to schedule pods';
  const counts = new Map<string, number>();
  let helpless = 0;
  for (const fit of fits) {
    if (fit.fits) continue;
    for (const reason of fit.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    if (!fit.reasons.every((reason) => reason.startsWith('Insufficient') || reason === 'Too many pods'))
      helpless++;
  }
  const words = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  const preemption: string[] = [];
  if (total - helpless > 0)
    preemption.push(`${total - helpless} No preemption victims found for incoming pod`);
  if (helpless > 0) preemption.push(`${helpless} Preemption is not helpful for scheduling`);
  return `0/${total} nodes are available: ${words.join(', ')}. no new claims to deallocate, preemption: 0/${total} nodes are available: ${preemption.sort().join(', ')}.`;
}
