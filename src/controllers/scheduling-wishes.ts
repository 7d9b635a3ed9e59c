import type { Pod } from '../kube/pod.ts';
import { preference } from '../kube/scheduling/node-selection.ts';
import { tolerates } from '../kube/scheduling/taints.ts';
import type { Node } from './scheduling-fit.ts';
import {
  isSpreadOver,
  keyedSelector,
  matcher,
  wishesOf,
  type SpreadConstraint,
  type Surroundings,
} from './scheduling-terms.ts';

/* What a Pod would rather have, in kube-scheduler's marks and weights. Pure: no clock, no network. */

const BEST = 100;
/** How much each sort of wish counts beside the others. */
const WEIGHTS = { taints: 3, nodes: 2, spread: 2, pods: 2 };

/** Gives each node that fits a sum of marks; a node with more of them is the better one. */
export function gradeNodes(
  pod: Pod,
  fitting: readonly Node[],
  around: Surroundings,
): ReadonlyMap<string, number> {
  const taints = upsideDown(fitting.map((node) => unwelcome(pod, node)));
  const nodes = byHighest(fitting.map((node) => preference(pod.spec, node)));
  const spread = spreadMarks(pod, fitting, around);
  const pods = byRange(companyOf(pod, fitting, around));
  return new Map(
    fitting.map((node, index) => [
      node.metadata.name,
      WEIGHTS.taints * (taints[index] ?? 0) +
        WEIGHTS.nodes * (nodes[index] ?? 0) +
        WEIGHTS.spread * (spread[index] ?? 0) +
        WEIGHTS.pods * (pods[index] ?? 0),
    ]),
  );
}

/** Counts the taints that only make a node less welcome. */
function unwelcome(pod: Pod, node: Node): number {
  const taints = node.spec?.taints ?? [];
  return taints.filter(
    (taint) => taint.effect === 'PreferNoSchedule' && !tolerates(pod.spec.tolerations, taint),
  ).length;
}

/** Weighs the Pods that are near: those that the Pod wishes for, and those that wish for the Pod. */
function companyOf(pod: Pod, fitting: readonly Node[], around: Surroundings): number[] {
  /** `key=value` → weight. */
  const weights = new Map<string, number>();
  const near = wishesOf(pod, 'podAffinity').map((wish) => ({ ...wish, sign: 1 }));
  const away = wishesOf(pod, 'podAntiAffinity').map((wish) => ({ ...wish, sign: -1 }));
  const own = [...near, ...away].map((wish) => ({ ...wish, fits: matcher(pod, wish.term, around) }));
  for (const node of around.nodes) {
    const labels = node.metadata.labels ?? {};
    const add = (key: string, weight: number): void => {
      if (!Object.hasOwn(labels, key)) return;
      const domain = `${key}=${labels[key] ?? ''}`;
      weights.set(domain, (weights.get(domain) ?? 0) + weight);
    };
    for (const other of around.placed.get(node.metadata.name) ?? []) {
      for (const { term, weight, sign, fits } of own) {
        if (fits(other)) add(term.topologyKey, sign * weight);
      }
      for (const [kind, sign] of [
        ['podAffinity', 1],
        ['podAntiAffinity', -1],
      ] as const) {
        for (const { term, weight } of wishesOf(other, kind)) {
          if (matcher(other, term, around)(pod)) add(term.topologyKey, sign * weight);
        }
      }
    }
  }
  return fitting.map(({ metadata }) =>
    Object.entries(metadata.labels ?? {}).reduce(
      (sum, [key, value]) => sum + (weights.get(`${key}=${value}`) ?? 0),
      0,
    ),
  );
}

/** Marks the emptier places of a topology higher; a node that is in none of them gets nothing. */
function spreadMarks(pod: Pod, fitting: readonly Node[], { nodes, placed }: Surroundings): number[] {
  const constraints = ((pod.spec['topologySpreadConstraints'] ?? []) as SpreadConstraint[]).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === 'ScheduleAnyway',
  );
  if (constraints.length === 0) return [];
  const isPlaced = ({ metadata }: Node): boolean =>
    constraints.every(({ topologyKey }) => Object.hasOwn(metadata.labels ?? {}, topologyKey));
  const raw = fitting.map(() => 0);
  for (const constraint of constraints) {
    const selector = keyedSelector(constraint.labelSelector, constraint.matchLabelKeys, [], pod);
    const counts = new Map<string, number>();
    const domainOf = ({ metadata }: Node): string => metadata.labels?.[constraint.topologyKey] ?? '';
    for (const node of fitting) if (isPlaced(node)) counts.set(domainOf(node), 0);
    for (const node of nodes) {
      if (!isPlaced(node) || !counts.has(domainOf(node)) || !isSpreadOver(pod.spec, node, constraint))
        continue;
      const matching = (placed.get(node.metadata.name) ?? []).filter(
        (other) =>
          other.metadata.namespace === pod.metadata.namespace &&
          other.metadata.deletionTimestamp === undefined &&
          selector.matches(other.metadata.labels),
      );
      counts.set(domainOf(node), (counts.get(domainOf(node)) ?? 0) + matching.length);
    }
    // The more places there are, the less does one Pod more in one of them mean.
    const weight = Math.log(counts.size + 2);
    fitting.forEach((node, index) => {
      const count = counts.get(domainOf(node)) ?? 0;
      raw[index] = (raw[index] ?? 0) + count * weight + constraint.maxSkew - 1;
    });
  }
  const marked = raw.filter((_, index) => fitting[index] !== undefined && isPlaced(fitting[index]));
  const [least, most] = [Math.min(...marked), Math.max(...marked)];
  return fitting.map((node, index) => {
    if (!isPlaced(node)) return 0;
    return most === 0 ? BEST : Math.floor((BEST * (most + least - (raw[index] ?? 0))) / most);
  });
}

/** The highest gets all marks, nothing gets none. */
function byHighest(values: readonly number[]): number[] {
  const most = Math.max(0, ...values);
  return values.map((value) => (most === 0 ? 0 : Math.floor((BEST * value) / most)));
}

/** Nothing gets all marks, the highest gets none. */
function upsideDown(values: readonly number[]): number[] {
  return byHighest(values).map((mark) => BEST - mark);
}

/** The highest gets all marks, the lowest none; all alike get none. */
function byRange(values: readonly number[]): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (most === least ? 0 : Math.floor((BEST * (value - least)) / (most - least))));
}
