import type { Pod, PodSpec } from '../kube/pod.ts';
import { REVISION_HASH_LABEL } from './controller-revisions.ts';
import { fits, oldestFirst } from './daemon-set-nodes.ts';
import { intOrPercent } from './int-or-percent.ts';
import { isReady } from './pod-state.ts';
import type { Node } from './scheduling-fit.ts';

/* What a DaemonSet does next on its nodes. Pure: no clock, no network. */

/** How a DaemonSet replaces Pods of an older template. */
export interface UpdateStrategy {
  type?: string;
  rollingUpdate?: { maxUnavailable?: number | string; maxSurge?: number | string };
}

/** What is known while one DaemonSet is looked at. */
export interface Scene {
  readonly template: PodSpec;
  readonly strategy: UpdateStrategy;
  /** Of the present template; Pods bear it as a label. */
  readonly hash: string;
  readonly nodes: readonly Node[];
  readonly byNode: ReadonlyMap<string, readonly Pod[]>;
  isAvailable(pod: Pod): boolean;
}

export interface Steps {
  readonly remove: readonly Pod[];
  /** Nodes that get a Pod. */
  readonly fill: readonly string[];
  /** Pods that have ended by themselves; what is left of them goes, not too often. */
  readonly ended: readonly { readonly pod: Pod; readonly node: string }[];
}

const isLeaving = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;
const isOf = (pod: Pod, hash: string): boolean => pod.metadata.labels?.[REVISION_HASH_LABEL] === hash;

/** Sees to one Pod on each node that fits; while an update may surge, to two as long as the new one is not available. */
export function placePods(scene: Scene): Steps {
  const steps = { remove: [] as Pod[], fill: [] as string[], ended: [] as { pod: Pod; node: string }[] };
  for (const node of scene.nodes) {
    const { name } = node.metadata;
    const present = scene.byNode.get(name) ?? [];
    const live = present.filter((pod) => !isLeaving(pod));
    const { run, stay } = fits(scene.template, node);
    if (run && present.length === 0) steps.fill.push(name);
    else if (!stay) steps.remove.push(...live);
    else {
      const running: Pod[] = [];
      for (const pod of live) {
        if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded')
          steps.ended.push({ pod, node: name });
        else running.push(pod);
      }
      steps.remove.push(...surplus(scene, oldestFirst(running)));
    }
  }
  return steps;
}

/** Which of several Pods on one node are too many. */
function surplus(scene: Scene, running: readonly Pod[]): Pod[] {
  if (limits(scene).surge === 0) return running.slice(1);
  const fresh = running.find((pod) => isOf(pod, scene.hash));
  const old = running.find((pod) => !isOf(pod, scene.hash));
  const extra = running.filter((pod) => pod !== fresh && pod !== old);
  const isReplaced = fresh !== undefined && old !== undefined && (!isReady(old) || scene.isAvailable(fresh));
  return isReplaced ? [...extra, old] : extra;
}

/** Takes the next step of a rolling update: as many old Pods go, or new ones come beside them, as the strategy bears. */
export function updatePods(scene: Scene): Omit<Steps, 'ended'> {
  const { surge, unavailable } = limits(scene);
  const wanted = scene.nodes
    .filter((node) => fits(scene.template, node).run)
    .map(({ metadata }) => metadata.name);
  const places = [...new Set([...wanted, ...scene.byNode.keys()])];
  return surge > 0 ? updateBySurge(scene, places, surge) : updateInPlace(scene, places, unavailable);
}

function updateInPlace(scene: Scene, places: readonly string[], limit: number): Omit<Steps, 'ended'> {
  const broken: Pod[] = [];
  const candidates: Pod[] = [];
  let out = 0;
  for (const place of places) {
    const pair = pairOn(scene, place);
    if (pair === undefined || (pair.fresh === undefined) === (pair.old === undefined)) {
      // A Pod comes or goes here anyway.
      out++;
    } else if (pair.old === undefined) {
      if (pair.fresh !== undefined && !scene.isAvailable(pair.fresh)) out++;
    } else if (scene.isAvailable(pair.old)) candidates.push(pair.old);
    else {
      // What does not work anyway costs nothing to replace.
      broken.push(pair.old);
      out++;
    }
  }
  return { remove: [...broken, ...candidates.slice(0, Math.max(0, limit - out))], fill: [] };
}

function updateBySurge(scene: Scene, places: readonly string[], limit: number): Omit<Steps, 'ended'> {
  const remove: Pod[] = [];
  const free: string[] = [];
  const candidates: string[] = [];
  let extra = 0;
  for (const place of places) {
    const pair = pairOn(scene, place);
    if (pair === undefined) extra++;
    else if (pair.old === undefined) continue;
    else if (pair.fresh === undefined) (scene.isAvailable(pair.old) ? candidates : free).push(place);
    else if (scene.isAvailable(pair.fresh)) remove.push(pair.old);
    else extra++;
  }
  return { remove, fill: [...free, ...candidates.slice(0, Math.max(0, limit - extra))] };
}

/** The Pod of the present template on a node and that of an older one; `undefined` when there are several of a sort. */
function pairOn(scene: Scene, place: string): { fresh?: Pod; old?: Pod } | undefined {
  const live = (scene.byNode.get(place) ?? []).filter((pod) => !isLeaving(pod));
  const fresh = live.filter((pod) => isOf(pod, scene.hash));
  const old = live.filter((pod) => !isOf(pod, scene.hash));
  if (fresh.length > 1 || old.length > 1) return undefined;
  return {
    ...(fresh[0] === undefined ? {} : { fresh: fresh[0] }),
    ...(old[0] === undefined ? {} : { old: old[0] }),
  };
}

/** How many Pods there may be too many and too few while an update runs. */
function limits({ strategy, nodes, template }: Scene): { surge: number; unavailable: number } {
  if (strategy.type === 'OnDelete') return { surge: 0, unavailable: 0 };
  const total = nodes.filter((node) => fits(template, node).run).length;
  const surge = intOrPercent(strategy.rollingUpdate?.maxSurge, total, 'up');
  const unavailable = intOrPercent(strategy.rollingUpdate?.maxUnavailable ?? 1, total, 'up');
  return { surge, unavailable: surge === 0 ? Math.max(1, unavailable) : unavailable };
}
