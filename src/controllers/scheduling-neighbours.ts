import type { Pod } from '../kube/pod.ts';
import { refuse, type NodeJudge } from './scheduling-fit.ts';
import {
  isSpreadOver,
  keyedSelector,
  matcher,
  termsOf,
  type SpreadConstraint,
  type Surroundings,
} from './scheduling-terms.ts';

/* What Pods say of other Pods: spread over a topology, near some, away from others. Pure: no clock, no network. */

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
