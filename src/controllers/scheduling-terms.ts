import type { Pod, PodSpec } from '../kube/pod.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import { untolerated } from '../kube/scheduling/taints.ts';
import {
  labelSelectorOf,
  type LabelSelector,
  type LabelSelectorObject,
} from '../kube/selector/label-selector.ts';
import type { Node } from './scheduling-fit.ts';

/* The terms in which Pods speak of other Pods. Pure: no clock, no network. */

export interface AffinityTerm {
  topologyKey: string;
  labelSelector?: LabelSelectorObject;
  namespaces?: string[];
  namespaceSelector?: LabelSelectorObject;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

export interface SpreadConstraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: string;
  labelSelector?: LabelSelectorObject;
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
  matchLabelKeys?: string[];
}

/** What is known of the cluster while one Pod is placed. */
export interface Surroundings {
  readonly nodes: readonly Node[];
  /** Pods by the name of their node, those included that were just sent there. */
  readonly placed: ReadonlyMap<string, readonly Pod[]>;
  labelsOfNamespace(name: string): Readonly<Record<string, string>> | undefined;
}

/** Tells whether a node is one of those over which a constraint spreads. */
export function isSpreadOver(spec: PodSpec, node: Node, constraint: SpreadConstraint): boolean {
  const { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' } = constraint;
  if (nodeAffinityPolicy === 'Honor' && !matchesNodeSelection(spec, node)) return false;
  return nodeTaintsPolicy !== 'Honor' || untolerated(spec.tolerations, node.spec?.taints ?? []) === undefined;
}

/** Lists what a Pod requires of others. */
export function termsOf(pod: Pod, kind: 'podAffinity' | 'podAntiAffinity'): readonly AffinityTerm[] {
  const affinity = pod.spec.affinity?.[kind] as
    | { requiredDuringSchedulingIgnoredDuringExecution?: AffinityTerm[] }
    | undefined;
  return affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

/** Lists what a Pod would rather have of others, with how much it matters. */
export function wishesOf(
  pod: Pod,
  kind: 'podAffinity' | 'podAntiAffinity',
): readonly { weight: number; term: AffinityTerm }[] {
  const affinity = pod.spec.affinity?.[kind] as
    | {
        preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; podAffinityTerm: AffinityTerm }[];
      }
    | undefined;
  return (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
    ({ weight, podAffinityTerm }) => ({ weight, term: podAffinityTerm }),
  );
}

/** Makes the test for whom a term of `owner` is about. */
export function matcher(owner: Pod, term: AffinityTerm, around: Surroundings): (other: Pod) => boolean {
  const selector = keyedSelector(
    term.labelSelector,
    term.matchLabelKeys,
    term.mismatchLabelKeys ?? [],
    owner,
  );
  const named = new Set(term.namespaces ?? []);
  const chosen = term.namespaceSelector === undefined ? undefined : labelSelectorOf(term.namespaceSelector);
  if (named.size === 0 && chosen === undefined) named.add(owner.metadata.namespace ?? '');
  return ({ metadata }) => {
    const namespace = metadata.namespace ?? '';
    const isMeant = named.has(namespace) || chosen?.matches(around.labelsOfNamespace(namespace)) === true;
    return isMeant && selector.matches(metadata.labels);
  };
}

/** Adds to a selector that some labels are to be those of the Pod itself, and some not. */
export function keyedSelector(
  given: LabelSelectorObject | undefined,
  same: readonly string[] | undefined,
  different: readonly string[],
  { metadata }: Pod,
): LabelSelector {
  if (given === undefined) return labelSelectorOf(undefined);
  const own = (
    keys: readonly string[],
    operator: string,
  ): { key: string; operator: string; values: string[] }[] =>
    keys
      .filter((key) => Object.hasOwn(metadata.labels ?? {}, key))
      .map((key) => ({ key, operator, values: [metadata.labels?.[key] ?? ''] }));
  return labelSelectorOf({
    ...given,
    matchExpressions: [
      ...(given.matchExpressions ?? []),
      ...own(same ?? [], 'In'),
      ...own(different, 'NotIn'),
    ],
  });
}
