import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { usedClaims } from '../kube/pod-claims.ts';
import type { Pod } from '../kube/pod.ts';
import { namedNodes } from '../kube/scheduling/node-selection.ts';
import { queueKey, splitKey, type ControllerContext } from './controller-context.ts';
import { isFinished } from './pod-state.ts';
import { BUDGETS, CLAIMS, NAMESPACES, NODES, PODS, STORAGE_CLASSES, VOLUMES } from './resource-types.ts';
import { chooseNode } from './scheduling-choice.ts';
import { fitPod, type Fit, type Node } from './scheduling-fit.ts';
import { neighbourJudges } from './scheduling-neighbours.ts';
import { findVictims, priorityOf, type Budget } from './scheduling-preemption.ts';
import type { Surroundings } from './scheduling-terms.ts';
import { claimFault, delayedClaims, volumeJudges, type Storage } from './scheduling-volumes.ts';
import { nowhereMessage, unschedulableMessage } from './scheduling-words.ts';
import { SchedulerWriter } from './scheduler-writer.ts';
import type { Claim, StorageClass, Volume } from './volume-objects.ts';

const SCHEDULER = 'default-scheduler';
/** A Pod that fits nowhere is tried again after this long even if nothing seems to have changed. */
const RETRY_MS = 60_000;

/** Gives Pods without a node to one that fits, the most important first; a Pod that fits nowhere says why. */
export function startScheduler(context: ControllerContext): void {
  const pods = context.informer<Pod>(PODS);
  const nodes = context.informer<Node>(NODES);
  const claims = context.informer<Claim>(CLAIMS);
  const volumes = context.informer<Volume>(VOLUMES);
  const classes = context.informer<StorageClass>(STORAGE_CLASSES);
  const budgets = context.informer<Budget>(BUDGETS);
  const namespaces = context.informer(NAMESPACES);
  const writer = new SchedulerWriter(context, SCHEDULER);
  /** Bindings sent whose outcome the informer has not shown yet; they count as placed. */
  const assumed = new Map<string, { pod: Pod; node: string }>();
  const unschedulable = new Set<string>();

  const find = (key: string): Pod | undefined => {
    const { namespace, name } = splitKey(key);
    return pods.get(namespace, name);
  };
  const rank = (key: string): number => {
    const pod = find(key);
    return pod === undefined ? 0 : priorityOf(pod);
  };

  const queue = context.queue(
    'schedule pod',
    async (key, signal) => {
      const pod = find(key);
      if (pod === undefined || !isWaiting(pod)) {
        unschedulable.delete(key);
        return;
      }
      if (assumed.has(key)) return;
      const placed = podsByNode(pods.values(), assumed);
      const storage = storageWith(placed);
      const fault = wholeFault(pod, storage);
      if (fault !== undefined) {
        park(key);
        await writer.tellUnschedulable(pod, nowhereMessage(fault, nodes.values().length), signal);
        return;
      }
      const judge = judgeOf(pod, placed);
      const fits = nodes.values().map((node) => ({ node, fit: judge(node) }));
      const fitting = fits.flatMap(({ node, fit }) => (fit.fits ? [node] : []));
      const chosen = chooseNode(pod, fitting, surroundings(placed));
      if (chosen === undefined) {
        park(key);
        await leave(pod, fits, placed, signal);
        return;
      }
      const delayed = delayedClaims(pod, storage);
      if (delayed.length > 0) {
        // The Pod follows its claims, which bind now that they know where.
        park(key);
        for (const claim of delayed) await writer.placeClaim(claim, chosen, volumes.values(), signal);
        return;
      }
      unschedulable.delete(key);
      assumed.set(key, { pod, node: chosen.metadata.name });
      try {
        await writer.bind(pod, chosen.metadata.name, signal);
      } catch (error) {
        assumed.delete(key);
        if (isApiError(error, 'NotFound')) return;
        throw error;
      }
    },
    1,
    rank,
  );

  function park(key: string): void {
    unschedulable.add(key);
    queue.addAfter(key, RETRY_MS);
  }

  function storageWith(placed: ReadonlyMap<string, readonly Pod[]>): Storage {
    return {
      claim: (namespace, name) => claims.get(namespace, name),
      volumes: volumes.values(),
      storageClass: (name) => classes.get(undefined, name),
      placed,
    };
  }

  function surroundings(placed: ReadonlyMap<string, readonly Pod[]>): Surroundings {
    const labelsOfNamespace = (name: string): Record<string, string> | undefined =>
      namespaces.get(undefined, name)?.metadata.labels;
    return { nodes: nodes.values(), placed, labelsOfNamespace };
  }

  /** Judges nodes as they are, and as they will be when those have come that they were promised to. */
  function judgeOf(pod: Pod, placed: ReadonlyMap<string, readonly Pod[]>): (node: Node) => Fit {
    const judge = plainJudge(pod, placed);
    const promised = Map.groupBy(moreImportant(pod), (other) => other.status?.nominatedNodeName ?? '');
    return (node) => {
      const { name } = node.metadata;
      const fit = judge(node);
      const expected = promised.get(name);
      if (!fit.fits || expected === undefined) return fit;
      const later = new Map(placed).set(name, [...(placed.get(name) ?? []), ...expected]);
      return plainJudge(pod, later)(node);
    };
  }

  function plainJudge(pod: Pod, placed: ReadonlyMap<string, readonly Pod[]>): (node: Node) => Fit {
    const judges = [...volumeJudges(pod, storageWith(placed)), ...neighbourJudges(pod, surroundings(placed))];
    return (node) => fitPod(pod, node, placed.get(node.metadata.name) ?? [], judges);
  }

  /** Waiting Pods, no less important, for which others were pushed off a node. */
  function moreImportant(pod: Pod): Pod[] {
    return pods
      .values()
      .filter(
        (other) =>
          (other.status?.nominatedNodeName ?? '') !== '' &&
          other.metadata.uid !== pod.metadata.uid &&
          isWaiting(other) &&
          priorityOf(other) >= priorityOf(pod),
      );
  }

  /** Makes room by pushing others off where that helps, and says why the Pod must wait. */
  async function leave(
    pod: Pod,
    fits: readonly { node: Node; fit: Fit }[],
    placed: ReadonlyMap<string, readonly Pod[]>,
    signal: AbortSignal,
  ): Promise<void> {
    const push = findVictims(pod, {
      fits,
      placed,
      budgets: budgets.values(),
      fitWithout: (node, gone) => {
        const { name } = node.metadata;
        const left = (placed.get(name) ?? []).filter((other) => !gone.has(other));
        return judgeOf(pod, new Map(placed).set(name, left))(node);
      },
    });
    const words = push.node === undefined ? push.words : '';
    const message = unschedulableMessage(
      fits.map(({ fit }) => fit),
      words,
    );
    if (push.node !== undefined) {
      for (const victim of push.victims) await writer.pushOff(victim, pod, push.node, signal);
      for (const other of pods.values()) {
        const isLower = other.status?.nominatedNodeName === push.node && priorityOf(other) < priorityOf(pod);
        if (isLower && isWaiting(other)) await writer.withdrawPromise(other, signal);
      }
    }
    await writer.tellUnschedulable(pod, message, signal, push.node);
  }

  const retryAll = (): void => {
    for (const key of unschedulable) queue.add(key);
  };
  /** Tries those again that wait for something of the sort that has come. */
  const retryWho = (waits: (pod: Pod) => boolean): void => {
    for (const key of unschedulable) {
      const pod = find(key);
      if (pod !== undefined && waits(pod)) queue.add(key);
    }
  };
  void context.synced().then(
    () => {
      pods.onChange(({ type, object, old }) => {
        const key = queueKey(object);
        if (type === 'deleted' || !isWaiting(object)) {
          assumed.delete(key);
          unschedulable.delete(key);
          writer.forget(object);
          // Room may have become free, or somebody to be near has come.
          if (type === 'deleted' || isFinished(object)) retryAll();
          else if (old !== undefined && isWaiting(old)) retryWho(wantsCompany);
        } else if (type === 'added' || old === undefined || isChanged(old, object)) queue.add(key);
      });
      claims.onChange(({ type, object, old }) => {
        if (type !== 'updated' || stateOf(old) !== stateOf(object)) retryWho(usesClaims);
      });
      volumes.onChange(({ type, object, old }) => {
        if (type !== 'updated' || stateOf(old) !== stateOf(object)) retryWho(usesClaims);
      });
      classes.onChange(() => retryWho(usesClaims));
      nodes.onChange(({ type, object, old }) => {
        if (type !== 'updated' || old === undefined || hasMoreRoom(old, object)) retryAll();
      });
    },
    () => undefined,
  );
}

function isWaiting(pod: Pod): boolean {
  return (
    (pod.spec.nodeName ?? '') === '' &&
    pod.metadata.deletionTimestamp === undefined &&
    !isFinished(pod) &&
    (pod.spec.schedulerName ?? SCHEDULER) === SCHEDULER &&
    (pod.spec.schedulingGates ?? []).length === 0
  );
}

/** What a status says of a waiting Pod is our own doing; only what it asks for is a reason to look again. */
function isChanged(old: Pod, pod: Pod): boolean {
  const view = ({ metadata, spec }: Pod): string =>
    JSON.stringify([metadata.labels, metadata.generation, spec]);
  return view(old) !== view(pod);
}

function wholeFault(pod: Pod, storage: Storage): string | undefined {
  if (namedNodes(pod.spec)?.size === 0) return 'pod affinity terms conflict';
  return claimFault(pod, storage);
}

function wantsCompany(pod: Pod): boolean {
  return pod.spec.affinity?.['podAffinity'] !== undefined;
}

function usesClaims(pod: Pod): boolean {
  return usedClaims(pod).length > 0;
}

function stateOf(object: KubeObject | undefined): string {
  const { status } = (object ?? {}) as { status?: { phase?: string } };
  return `${status?.phase ?? ''} ${object?.metadata.deletionTimestamp ?? ''}`;
}

/** Heartbeats change a Node every few seconds; only what decides about Pods matters here. */
function hasMoreRoom(old: Node, node: Node): boolean {
  const view = (n: Node): string => JSON.stringify([n.metadata.labels, n.spec, n.status?.allocatable]);
  return view(old) !== view(node);
}

function podsByNode(
  pods: readonly Pod[],
  assumed: ReadonlyMap<string, { pod: Pod; node: string }>,
): Map<string, Pod[]> {
  const placed = new Map<string, Pod[]>();
  const put = (node: string, pod: Pod): void => {
    const list = placed.get(node);
    if (list === undefined) placed.set(node, [pod]);
    else list.push(pod);
  };
  for (const pod of pods) {
    const node = pod.spec.nodeName ?? '';
    if (node !== '' && !isFinished(pod)) put(node, pod);
  }
  for (const { pod, node } of assumed.values()) put(node, pod);
  return placed;
}
