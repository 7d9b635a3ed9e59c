import type { Pod, PodSpec } from '../kube/pod.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import {
  labelSelectorOf,
  type LabelSelector,
  type LabelSelectorObject,
} from '../kube/selector/label-selector.ts';
import { untolerated } from '../kube/scheduling/taints.ts';
import { refuse, type Node, type NodeJudge } from './scheduling-fit.ts';

/* What Pods say of other Pods: spread over a topology, near some, away from others. Pure: no clock, no network. */

interface AffinityTerm {
  topologyKey: string;
  labelSelector?: LabelSelectorObject;
  namespaces?: string[];
  namespaceSelector?: LabelSelectorObject;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}

interface SpreadConstraint {
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

const SPREAD = "node(s) didn't match pod topology spread constraints";

/** Reads once what other Pods mean for `pod`; the results judge each node. */
export function neighbourJudges(pod: Pod, around: Surroundings): NodeJudge[] {
  return [spreadJudge(pod, around), affinityJudge(pod, around)];
}

function spreadJudge(pod: Pod, { nodes, placed }: Surroundings): NodeJudge {
  const constraints = ((pod.spec['topologySpreadConstraints'] ?? []) as SpreadConstraint[]).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === 'DoNotSchedule',
  );
  if (constraints.length === 0) return () => undefined;
  const keys = constraints.map(({ topologyKey }) => topologyKey);
  const rules = constraints.map((constraint) => {
    const selector = keyedSelector(constraint.labelSelector, constraint.matchLabelKeys, [], pod);
    const counts = new Map<string, number>();
    for (const node of nodes) {
      const labels = node.metadata.labels ?? {};
      if (!keys.every((key) => Object.hasOwn(labels, key)) || !isSpreadOver(pod.spec, node, constraint))
        continue;
      const domain = labels[constraint.topologyKey] ?? '';
      const matching = (placed.get(node.metadata.name) ?? []).filter(
        (other) =>
          other.metadata.namespace === pod.metadata.namespace &&
          other.metadata.deletionTimestamp === undefined &&
          selector.matches(other.metadata.labels),
      );
      counts.set(domain, (counts.get(domain) ?? 0) + matching.length);
    }
    const isShort = counts.size < (constraint.minDomains ?? 1);
    const fewest = isShort ? 0 : Math.min(...counts.values());
    return { constraint, counts, fewest, own: selector.matches(pod.metadata.labels) ? 1 : 0 };
  });
  return (node) => {
    const labels = node.metadata.labels ?? {};
    for (const { constraint, counts, fewest, own } of rules) {
      if (!Object.hasOwn(labels, constraint.topologyKey)) {
        return refuse(`${SPREAD} (missing required label)`, true);
      }
      const here = counts.get(labels[constraint.topologyKey] ?? '') ?? 0;
      if (here + own - fewest > constraint.maxSkew) return refuse(SPREAD, false);
    }
    return undefined;
  };
}

/** Tells whether a node is one of those over which a constraint spreads. */
function isSpreadOver(spec: PodSpec, node: Node, constraint: SpreadConstraint): boolean {
  const { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' } = constraint;
  if (nodeAffinityPolicy === 'Honor' && !matchesNodeSelection(spec, node)) return false;
  return nodeTaintsPolicy !== 'Honor' || untolerated(spec.tolerations, node.spec?.taints ?? []) === undefined;
}

function affinityJudge(pod: Pod, around: Surroundings): NodeJudge {
  const near = termsOf(pod, 'podAffinity').map((term) => ({ term, fits: matcher(pod, term, around) }));
  const away = termsOf(pod, 'podAntiAffinity').map((term) => ({ term, fits: matcher(pod, term, around) }));
  /** Topologies, as `key=value`, that hold a Pod for or against. */
  const friends = new Set<string>();
  const foes = new Set<string>();
  const unwelcome = new Set<string>();
  for (const node of around.nodes) {
    const labels = node.metadata.labels ?? {};
    const mark = (set: Set<string>, key: string): void => {
      if (Object.hasOwn(labels, key)) set.add(`${key}=${labels[key] ?? ''}`);
    };
    for (const other of around.placed.get(node.metadata.name) ?? []) {
      if (near.length > 0 && near.every(({ fits }) => fits(other))) {
        for (const { term } of near) mark(friends, term.topologyKey);
      }
      for (const { term, fits } of away) if (fits(other)) mark(foes, term.topologyKey);
      for (const term of termsOf(other, 'podAntiAffinity')) {
        if (matcher(other, term, around)(pod)) mark(unwelcome, term.topologyKey);
      }
    }
  }
  // The first of a group that wants to be together has nobody to be with.
  const isFirst = friends.size === 0 && near.every(({ fits }) => fits(pod));
  return (node) => {
    const labels = node.metadata.labels ?? {};
    const topology = (key: string): string | undefined =>
      Object.hasOwn(labels, key) ? `${key}=${labels[key] ?? ''}` : undefined;
    for (const { term } of near) {
      const here = topology(term.topologyKey);
      if (here === undefined || (!friends.has(here) && !isFirst)) {
        return refuse("node(s) didn't match pod affinity rules", true);
      }
    }
    const isHere = (set: ReadonlySet<string>): boolean =>
      Object.entries(labels).some(([key, value]) => set.has(`${key}=${value}`));
    if (isHere(foes)) return refuse("node(s) didn't match pod anti-affinity rules", false);
    if (isHere(unwelcome)) return refuse("node(s) didn't satisfy existing pods anti-affinity rules", false);
    return undefined;
  };
}

function termsOf(pod: Pod, kind: 'podAffinity' | 'podAntiAffinity'): readonly AffinityTerm[] {
  const affinity = pod.spec.affinity?.[kind] as
    | { requiredDuringSchedulingIgnoredDuringExecution?: AffinityTerm[] }
    | undefined;
  return affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

/** Makes the test for whom a term of `owner` is about. */
function matcher(owner: Pod, term: AffinityTerm, around: Surroundings): (other: Pod) => boolean {
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
function keyedSelector(
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
