import type { Pod, PodSpec, Toleration } from '../kube/pod.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import { untolerated } from '../kube/scheduling/taints.ts';
import type { Node } from './scheduling-fit.ts';

/* Which nodes the Pods of a DaemonSet belong to. Pure: no clock, no network. */

/** What a Pod that belongs to its node bears, so that it stays when others have to go. */
const TOLERATIONS: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];

/** Tells whether a node should get the Pod, and whether one that is there may stay. */
export function fits(template: PodSpec, node: Node): { run: boolean; stay: boolean } {
  const spec = boundTo(template, node.metadata.name);
  const named = spec.nodeName ?? '';
  if ((named !== '' && named !== node.metadata.name) || !matchesNodeSelection(spec, node)) {
    return { run: false, stay: false };
  }
  const taints = node.spec?.taints ?? [];
  return {
    run: untolerated(spec.tolerations, taints) === undefined,
    stay: untolerated(spec.tolerations, taints, ['NoExecute']) === undefined,
  };
}

/** Pins a Pod to one node in a way that leaves the last word to the scheduler. */
export function boundTo(spec: PodSpec, node: string): PodSpec {
  const field = { key: 'metadata.name', operator: 'In', values: [node] };
  const affinity = (spec.affinity ?? {}) as {
    nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: object[] } };
  };
  const terms = affinity.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const pinned = terms === undefined || terms.length === 0 ? [{}] : terms;
  const tolerations = [...(spec.tolerations ?? [])];
  const extra =
    spec.hostNetwork === true
      ? [
          ...TOLERATIONS,
          { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' },
        ]
      : TOLERATIONS;
  for (const toleration of extra) {
    const has = tolerations.some(
      (own) => own.key === toleration.key && own.effect === toleration.effect && own.operator === 'Exists',
    );
    if (!has) tolerations.push(toleration);
  }
  return {
    ...spec,
    tolerations,
    affinity: {
      ...affinity,
      nodeAffinity: {
        ...affinity.nodeAffinity,
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: pinned.map((term) => ({ ...term, matchFields: [field] })),
        },
      },
    },
  };
}

/** The node that a Pod is for, also before it was bound. */
export function targetNode(pod: Pod): string {
  if ((pod.spec.nodeName ?? '') !== '') return pod.spec.nodeName ?? '';
  const affinity = pod.spec.affinity as
    | {
        nodeAffinity?: {
          requiredDuringSchedulingIgnoredDuringExecution?: {
            nodeSelectorTerms?: { matchFields?: { key: string; values?: string[] }[] }[];
          };
        };
      }
    | undefined;
  const [term] =
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return term?.matchFields?.find((field) => field.key === 'metadata.name')?.values?.[0] ?? '';
}

/** Puts those first that have a node, then the older ones. */
export function oldestFirst(pods: readonly Pod[]): Pod[] {
  const bound = (pod: Pod): number => ((pod.spec.nodeName ?? '') === '' ? 1 : 0);
  return [...pods].sort(
    (a, b) =>
      bound(a) - bound(b) ||
      ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1),
  );
}
