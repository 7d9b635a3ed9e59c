import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';
import type { Fit, Node } from './scheduling-fit.ts';
import { HELPLESS, neverPush, pushNobody } from './scheduling-words.ts';

/* Whom a Pod that fits nowhere may push off, as kube-scheduler chooses. Pure: no clock, no network. */

/** What a disruption budget allows. */
export interface Budget extends KubeObject {
  spec?: { selector?: LabelSelectorObject };
  status?: { disruptionsAllowed?: number; disruptedPods?: Record<string, string> };
}

/** What is known while one Pod looks for others to push off. */
export interface PushScene {
  /** Why the Pod does not fit, node by node. */
  readonly fits: readonly { readonly node: Node; readonly fit: Fit }[];
  readonly placed: ReadonlyMap<string, readonly Pod[]>;
  readonly budgets: readonly Budget[];
  /** Tells whether the Pod would fit a node without some of the Pods there. */
  fitWithout(node: Node, gone: ReadonlySet<Pod>): Fit;
}

export type Push =
  | { readonly node: string; readonly victims: readonly Pod[] }
  /** Nobody, and why. */
  | { readonly node?: undefined; readonly words: string };

interface Candidate {
  readonly node: string;
  /** The most important first. */
  readonly victims: readonly Pod[];
  readonly violations: number;
}

const NO_VICTIMS: Fit = {
  fits: false,
  reasons: ['No preemption victims found for incoming pod'],
  helpless: true,
};
/** Makes sums of priorities positive, so that fewer Pods are always the smaller sum. */
const OFFSET = 2 ** 31;

export const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;

/** Finds the node where the least is lost when lower Pods make room for `pod`. */
export function findVictims(pod: Pod, scene: PushScene): Push {
  if (pod.spec.preemptionPolicy === 'Never') {
    return { words: neverPush('not eligible due to preemptionPolicy=Never.') };
  }
  if (isWaitingForRoom(pod, scene)) {
    return { words: neverPush('not eligible due to terminating pod on the nominated node.') };
  }
  const candidates: Candidate[] = [];
  const reasons: Fit[] = [];
  for (const { node, fit } of scene.fits) {
    if (fit.fits || fit.helpless) {
      reasons.push(HELPLESS);
      continue;
    }
    const found = victimsOn(node, pod, scene);
    if ('victims' in found) candidates.push(found);
    else reasons.push(found);
  }
  const best = candidates.sort(compare)[0];
  return best === undefined ? { words: pushNobody(reasons) } : best;
}

/** Tells whether somebody is already leaving the node that the Pod was promised. */
function isWaitingForRoom(pod: Pod, { fits, placed }: PushScene): boolean {
  const promised = pod.status?.nominatedNodeName ?? '';
  const there = fits.find(({ node }) => node.metadata.name === promised);
  if (there === undefined || (!there.fit.fits && there.fit.helpless)) return false;
  return (placed.get(promised) ?? []).some(
    (other) =>
      priorityOf(other) < priorityOf(pod) &&
      other.metadata.deletionTimestamp !== undefined &&
      (other.status?.conditions ?? []).some(
        ({ type, reason }) => type === 'DisruptionTarget' && reason === 'PreemptionByScheduler',
      ),
  );
}

/** Takes away everybody lower, then lets as many stay as there is room for, those first that a budget protects. */
function victimsOn(node: Node, pod: Pod, scene: PushScene): Candidate | Fit {
  const lower = (scene.placed.get(node.metadata.name) ?? [])
    .filter((other) => priorityOf(other) < priorityOf(pod))
    .sort(byImportance);
  if (lower.length === 0) return NO_VICTIMS;
  const gone = new Set(lower);
  const empty = scene.fitWithout(node, gone);
  if (!empty.fits) return empty;
  const { violating, others } = splitByBudgets(lower, scene.budgets);
  let violations = 0;
  for (const other of [...violating, ...others]) {
    gone.delete(other);
    if (scene.fitWithout(node, gone).fits) continue;
    gone.add(other);
    if (violating.includes(other)) violations++;
  }
  return { node: node.metadata.name, victims: [...gone].sort(byImportance), violations };
}

/** Tells those apart whose leaving a budget does not bear, counting what it still allows. */
function splitByBudgets(
  pods: readonly Pod[],
  budgets: readonly Budget[],
): { violating: Pod[]; others: Pod[] } {
  const left = new Map(budgets.map((budget) => [budget, budget.status?.disruptionsAllowed ?? 0]));
  const violating: Pod[] = [];
  const others: Pod[] = [];
  for (const pod of pods) {
    let isViolated = false;
    for (const budget of budgets) {
      if (!protects(budget, pod)) continue;
      const allowed = (left.get(budget) ?? 0) - 1;
      left.set(budget, allowed);
      if (allowed < 0) isViolated = true;
    }
    (isViolated ? violating : others).push(pod);
  }
  return { violating, others };
}

function protects({ metadata, spec, status }: Budget, pod: Pod): boolean {
  const { selector } = spec ?? {};
  // A budget that selects everything counts here for nobody, as upstream has it.
  const isEmpty =
    Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions ?? []).length === 0;
  return (
    metadata.namespace === pod.metadata.namespace &&
    !isEmpty &&
    Object.keys(pod.metadata.labels ?? {}).length > 0 &&
    !Object.hasOwn(status?.disruptedPods ?? {}, pod.metadata.name) &&
    labelSelectorOf(selector).matches(pod.metadata.labels)
  );
}

/** Fewest broken budgets, then the lowest highest victim, the lowest sum, the fewest victims, the latest to have begun. */
function compare(a: Candidate, b: Candidate): number {
  const highest = ({ victims }: Candidate): number =>
    victims[0] === undefined ? -OFFSET : priorityOf(victims[0]);
  const sum = ({ victims }: Candidate): number =>
    victims.reduce((total, victim) => total + priorityOf(victim) + OFFSET, 0);
  const begun = (candidate: Candidate): string =>
    candidate.victims
      .filter((victim) => priorityOf(victim) === highest(candidate))
      .map(startOf)
      .sort()[0] ?? '';
  return (
    a.violations - b.violations ||
    highest(a) - highest(b) ||
    sum(a) - sum(b) ||
    a.victims.length - b.victims.length ||
    (begun(a) === begun(b) ? 0 : begun(a) > begun(b) ? -1 : 1)
  );
}

function byImportance(a: Pod, b: Pod): number {
  return priorityOf(b) - priorityOf(a) || (startOf(a) < startOf(b) ? -1 : 1);
}

/** Pods that have not begun come last. */
function startOf(pod: Pod): string {
  return pod.status?.startTime ?? '~';
}
