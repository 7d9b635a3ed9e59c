import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod, PodCondition } from '../kube/pod.ts';
import { preference } from '../kube/scheduling/node-selection.ts';
import { podRequests } from '../kube/scheduling/pod-requests.ts';
import { formatTime } from '../kube/time.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CLAIMS, NAMESPACES, NODES, PODS } from './resource-types.ts';
import { claimFault } from './scheduling-claims.ts';
import { fitPod, nowhereMessage, unschedulableMessage, type Fit, type Node } from './scheduling-fit.ts';
import { neighbourJudge } from './scheduling-neighbours.ts';

const COMPONENT = 'default-scheduler';
/** A Pod that fits nowhere is tried again after this long even if nothing seems to have changed. */
const RETRY_MS = 60_000;

/** Gives Pods without a node to one that fits; a Pod that fits nowhere says why. */
export function startScheduler(context: ControllerContext): void {
  const pods = context.informer<Pod>(PODS);
  const nodes = context.informer<Node>(NODES);
  const claims = context.informer(CLAIMS);
  const namespaces = context.informer(NAMESPACES);
  /** Bindings sent whose outcome the informer has not shown yet; they count as placed. */
  const assumed = new Map<string, { pod: Pod; node: string }>();
  const unschedulable = new Set<string>();

  const queue = context.queue('schedule pod', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    if (pod === undefined || !isWaiting(pod)) {
      unschedulable.delete(key);
      return;
    }
    if (assumed.has(key)) return;
    const placed = podsByNode(pods.values(), assumed);
    const all = nodes.values();
    const leave = async (message: string): Promise<void> => {
      unschedulable.add(key);
      queue.addAfter(key, RETRY_MS);
      await tellUnschedulable(context, pod, message, signal);
    };
    const fault = claimFault(pod, (claim) => claims.get(namespace, claim));
    if (fault !== undefined) {
      await leave(nowhereMessage(fault, all.length, pod.spec));
      return;
    }
    const labelsOfNamespace = (name: string): Record<string, string> | undefined =>
      namespaces.get(undefined, name)?.metadata.labels;
    const neighbours = neighbourJudge(pod, { nodes: all, placed, labelsOfNamespace });
    const fits: Fit[] = [];
    const fitting: Node[] = [];
    for (const node of all) {
      const fit = fitPod(pod, node, placed.get(node.metadata.name) ?? [], neighbours);
      fits.push(fit);
      if (fit.fits) fitting.push(node);
    }
    const chosen = choose(pod, fitting, placed);
    if (chosen === undefined) {
      await leave(unschedulableMessage(fits, pod.spec));
      return;
    }
    unschedulable.delete(key);
    assumed.set(key, { pod, node: chosen });
    try {
      await bind(context, pod, chosen, signal);
    } catch (error) {
      assumed.delete(key);
      if (isApiError(error, 'NotFound')) return;
      throw error;
    }
  });

  const retryAll = (): void => {
    for (const key of unschedulable) queue.add(key);
  };
  /** Tries those again that wait for something of the sort that has come. */
  const retryWho = (waits: (pod: Pod) => boolean): void => {
    for (const key of unschedulable) {
      const { namespace, name } = splitKey(key);
      const pod = pods.get(namespace, name);
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
          // Room may have become free, or somebody to be near has come.
          if (type === 'deleted' || isFinished(object)) retryAll();
          else if (old !== undefined && isWaiting(old)) retryWho(wantsCompany);
        } else queue.add(key);
      });
      claims.onChange(({ type, object, old }) => {
        if (type !== 'updated' || phaseOf(old) !== phaseOf(object)) retryWho(usesClaims);
      });
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
    (pod.spec.schedulerName ?? COMPONENT) === COMPONENT &&
    (pod.spec.schedulingGates ?? []).length === 0
  );
}

function wantsCompany(pod: Pod): boolean {
  return pod.spec.affinity?.['podAffinity'] !== undefined;
}

function usesClaims(pod: Pod): boolean {
  return (pod.spec.volumes ?? []).some((volume) => volume.persistentVolumeClaim !== undefined);
}

function phaseOf(claim: KubeObject | undefined): string | undefined {
  return (claim as { status?: { phase?: string } } | undefined)?.status?.phase;
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
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

/**
 * Prefers what the Pod prefers, then a node with the fewest of its own siblings (as clusters spread Pods by default), then the
 * emptiest, then one that has its images, then the one with the least asked of it, then the first by name.
 */
function choose(
  pod: Pod,
  fitting: readonly Node[],
  placed: ReadonlyMap<string, readonly Pod[]>,
): string | undefined {
  const owner = controllerUid(pod);
  const images = new Set(pod.spec.containers.map((container) => container.image ?? ''));
  const scored = fitting.map((node) => {
    const present = placed.get(node.metadata.name) ?? [];
    const names = (node.status?.images ?? []).flatMap((image) => image.names ?? []);
    const local = names.filter((name) => images.has(name)).length;
    const cpu = present.reduce((sum, other) => sum + (podRequests(other).get('cpu') ?? 0), 0);
    return {
      name: node.metadata.name,
      prefers: preference(pod.spec, node),
      local,
      siblings: owner === undefined ? 0 : present.filter((other) => controllerUid(other) === owner).length,
      count: present.length,
      cpu,
    };
  });
  scored.sort(
    (a, b) =>
      b.prefers - a.prefers ||
      a.siblings - b.siblings ||
      a.count - b.count ||
      b.local - a.local ||
      a.cpu - b.cpu ||
      (a.name < b.name ? -1 : 1),
  );
  return scored[0]?.name;
}

function controllerUid(pod: Pod): string | undefined {
  return pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
}

async function bind(context: ControllerContext, pod: Pod, node: string, signal: AbortSignal): Promise<void> {
  const { name, namespace = '', uid } = pod.metadata;
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
    target: { kind: 'Node', name: node },
  };
  await context.client.createSubresource(PODS, { namespace, name }, 'binding', binding, signal);
  context.events.record(COMPONENT, pod, {
    type: 'Normal',
    reason: 'Scheduled',
    message: `Successfully assigned ${namespace}/${name} to ${node}`,
    action: 'Binding',
  });
}

async function tellUnschedulable(
  context: ControllerContext,
  pod: Pod,
  message: string,
  signal: AbortSignal,
): Promise<void> {
  const conditions = pod.status?.conditions ?? [];
  const current = conditions.find((condition) => condition.type === 'PodScheduled');
  if (current?.status === 'False' && current.reason === 'Unschedulable' && current.message === message)
    return;
  const { name, namespace = '', generation } = pod.metadata;
  const condition: PodCondition = {
    type: 'PodScheduled',
    status: 'False',
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    lastProbeTime: null,
    lastTransitionTime:
      current?.status === 'False' && current.lastTransitionTime !== undefined
        ? current.lastTransitionTime
        : formatTime(context.clock.now()),
    reason: 'Unschedulable',
    message,
  };
  context.events.record(COMPONENT, pod, {
    type: 'Warning',
    reason: 'FailedScheduling',
    message,
    action: 'Scheduling',
  });
  const patch = { status: { conditions: [condition] } };
  await unless(
    ['NotFound'],
    context.client.patch(PODS, { namespace, name }, patch, 'strategic', signal, { subresource: 'status' }),
  );
}
