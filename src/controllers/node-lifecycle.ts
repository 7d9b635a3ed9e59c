import { isDeepStrictEqual } from 'node:util';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod, Toleration } from '../kube/pod.ts';
import { formatTime, parseTime } from '../kube/time.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { isFinished } from './pod-state.ts';
import { LEASES, NODES, PODS } from './resource-types.ts';
import type { Taint } from '../kube/scheduling/taints.ts';
import type { Node } from './scheduling-fit.ts';

interface Lease extends KubeObject {
  spec?: { renewTime?: string };
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastHeartbeatTime?: string;
  lastTransitionTime?: string;
}

const COMPONENT = 'node-controller';
const TTL = 'node.alpha.kubernetes.io/ttl';
const CHECK_MS = 5_000;
/** A node that shows no sign of life for so long is given up for the time being. */
export const GRACE_MS = 50_000;
/** Where nodes show that they are alive. */
const LEASE_NAMESPACE = 'kube-node-lease';

/** Conditions that keep new Pods away, and the taint that does it. */
const PRESSURES: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
};
const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';
const OURS: ReadonlySet<string> = new Set([
  NOT_READY,
  UNREACHABLE,
  UNSCHEDULABLE,
  ...Object.values(PRESSURES),
]);

/** Says of silent nodes that they are unknown, taints nodes by their conditions, and removes Pods that do not bear it. */
export function startNodeLifecycle(context: ControllerContext): void {
  const nodes = context.informer<Node>(NODES);
  const leases = context.informer<Lease>(LEASES);
  const pods = context.informer<Pod>(PODS);
  /** Judged by when a sign arrived here, not by the time in it: clocks of nodes may differ. */
  const signs = new Map<string, { sign: string; at: number }>();

  const queue = context.queue('watch node', async (key, signal) => {
    const { name } = splitKey(key);
    const node = nodes.get(undefined, name);
    if (node === undefined) {
      signs.delete(name);
      return;
    }
    const now = context.clock.now();
    const ready = conditionOf(node, 'Ready');
    const sign = `${leases.get(LEASE_NAMESPACE, name)?.spec?.renewTime ?? ''} ${ready?.lastHeartbeatTime ?? ''}`;
    let seen = signs.get(name);
    if (seen === undefined) register(node);
    if (seen === undefined || seen.sign !== sign) signs.set(name, (seen = { sign, at: now }));
    await setTtl(node, signal);
    const isSilent = now - seen.at >= GRACE_MS;
    if (isSilent && ready?.status !== 'Unknown') await markUnknown(node, signal);
    else await setTaints(node, signal);
    await evict(node, key, signal);
  });

  function register(node: Node): void {
    const { name } = node.metadata;
    context.events.record(COMPONENT, node, {
      type: 'Normal',
      reason: 'RegisteredNode',
      message: `Node ${name} event: Registered Node ${name} in Controller`,
    });
  }

  /** Tells kubelets how long they may keep secrets: not at all, as in every cluster of up to a hundred nodes. */
  async function setTtl(node: Node, signal: AbortSignal): Promise<void> {
    const { name, annotations } = node.metadata;
    if (annotations?.[TTL] === '0') return;
    const patch = { metadata: { annotations: { [TTL]: '0' } } };
    await unless(['NotFound'], context.client.patch(NODES, { name }, patch, 'strategic', signal));
  }

  async function markUnknown(node: Node, signal: AbortSignal): Promise<void> {
    const { name } = node.metadata;
    const time = formatTime(context.clock.now());
    const types = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];
    const conditions = types.map((type): Condition => {
      const old = conditionOf(node, type);
      return {
        type,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        ...(old?.lastHeartbeatTime === undefined ? {} : { lastHeartbeatTime: old.lastHeartbeatTime }),
        lastTransitionTime: time,
      };
    });
    await unless(
      ['NotFound'],
      context.client.patch(NODES, { name }, { status: { conditions } }, 'strategic', signal, {
        subresource: 'status',
      }),
    );
    context.events.record(COMPONENT, node, {
      type: 'Normal',
      reason: 'NodeNotReady',
      message: `Node ${name} status is now: NodeNotReady`,
    });
  }

  async function setTaints(node: Node, signal: AbortSignal): Promise<void> {
    const present = node.spec?.taints ?? [];
    const wanted = wantedTaints(node);
    const time = formatTime(context.clock.now());
    const others = present.filter((taint) => !OURS.has(taint.key));
    const ours = wanted.map((taint) => {
      const old = present.find(
        (candidate) => candidate.key === taint.key && candidate.effect === taint.effect,
      );
      return old ?? (taint.effect === 'NoExecute' ? { ...taint, timeAdded: time } : taint);
    });
    const taints = [...others, ...ours];
    if (isDeepStrictEqual(new Set(taints.map(nameOf)), new Set(present.map(nameOf)))) return;
    const changed: Node = { ...node, spec: { ...node.spec, taints } };
    await unless(['NotFound'], context.client.update(NODES, changed, signal));
  }

  async function evict(node: Node, key: string, signal: AbortSignal): Promise<void> {
    const taints = (node.spec?.taints ?? []).filter((taint) => taint.effect === 'NoExecute');
    if (taints.length === 0) return;
    const now = context.clock.now();
    for (const pod of pods.values()) {
      if (pod.spec.nodeName !== node.metadata.name || isFinished(pod)) continue;
      if (pod.metadata.deletionTimestamp !== undefined) continue;
      const left = timeLeft(pod.spec.tolerations ?? [], taints, now);
      if (left === undefined) continue;
      if (left > 0) {
        queue.addAfter(key, left);
        continue;
      }
      const { name, namespace = '', uid } = pod.metadata;
      context.events.record('taint-eviction-controller', pod, {
        type: 'Normal',
        reason: 'TaintManagerEviction',
        message: `Marking for deletion Pod ${namespace}/${name}`,
      });
      try {
        await context.client.delete(
          PODS,
          { namespace, name },
          signal,
          uid === undefined ? {} : { preconditions: { uid } },
        );
      } catch (error) {
        if (!isApiError(error, 'NotFound', 'Conflict')) throw error;
      }
    }
  }

  const tick = async (): Promise<void> => {
    await context.synced();
    while (!context.signal.aborted) {
      for (const node of nodes.values()) queue.add(queueKey(node));
      await context.clock.sleep(CHECK_MS, context.signal);
    }
  };
  tick().catch((error: unknown) => {
    if (!context.signal.aborted) context.warn('watch nodes', error);
  });
  nodes.onChange(({ object }) => queue.add(queueKey(object)));
  leases.onChange(({ object }) => {
    if (object.metadata.namespace === LEASE_NAMESPACE) queue.add(`/${object.metadata.name}`);
  });
}

function conditionOf(node: Node, type: string): Condition | undefined {
  const conditions: Condition[] | undefined = node.status?.conditions;
  return conditions?.find((condition) => condition.type === type);
}

const nameOf = (taint: Taint): string => `${taint.key} ${taint.effect}`;

/** Returns the taints that a node's state calls for. */
export function wantedTaints(node: Node): Taint[] {
  const taints: Taint[] = [];
  const ready = conditionOf(node, 'Ready')?.status;
  if (ready !== 'True') {
    const key = ready === 'Unknown' ? UNREACHABLE : NOT_READY;
    taints.push({ key, effect: 'NoSchedule' });
    // A node that never said anything has no Pods to lose; one that did may be gone for good.
    if (ready !== undefined) taints.push({ key, effect: 'NoExecute' });
  }
  for (const [type, key] of Object.entries(PRESSURES)) {
    if (conditionOf(node, type)?.status === 'True') taints.push({ key, effect: 'NoSchedule' });
  }
  if (node.spec?.unschedulable === true) taints.push({ key: UNSCHEDULABLE, effect: 'NoSchedule' });
  return taints;
}

/** Returns how long (milliseconds) a Pod may stay under these taints; undefined: for ever. */
export function timeLeft(
  tolerations: readonly Toleration[],
  taints: readonly (Taint & { timeAdded?: string })[],
  now: number,
): number | undefined {
  let least: number | undefined;
  for (const taint of taints) {
    const bearing = tolerations.filter(
      (toleration) =>
        ((toleration.key ?? '') === '' || toleration.key === taint.key) &&
        ((toleration.effect ?? '') === '' || toleration.effect === taint.effect) &&
        (toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '')),
    );
    if (bearing.length === 0) return 0;
    const limits = bearing.flatMap((toleration) => toleration.tolerationSeconds ?? []);
    if (limits.length === 0) continue;
    const since = parseTime(taint.timeAdded ?? '') ?? now;
    const left = Math.max(0, since + Math.max(0, Math.min(...limits)) * 1000 - now);
    least = least === undefined ? left : Math.min(least, left);
  }
  return least;
}
