import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod, PodSpec, PodTemplate, Toleration } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';
import { matchesNodeSelection } from '../kube/scheduling/node-selection.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import {
  keepRevisions,
  REVISION_HASH_LABEL,
  revisionHash,
  type ControllerRevision,
} from './controller-revisions.ts';
import { Expectations } from './expectations.ts';
import { intOrPercent } from './int-or-percent.ts';
import { PodControl } from './pod-control.ts';
import { isAvailable, isFinished, isReady, untilAvailable } from './pod-state.ts';
import { CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS } from './resource-types.ts';
import { untolerated } from '../kube/scheduling/taints.ts';
import type { Node } from './scheduling-fit.ts';
import { withoutZeros } from './workloads.ts';

interface DaemonSet extends KubeObject {
  spec: {
    selector: LabelSelectorObject;
    template: PodTemplate;
    updateStrategy?: {
      type?: string;
      rollingUpdate?: { maxUnavailable?: number | string; maxSurge?: number | string };
    };
    minReadySeconds?: number;
    revisionHistoryLimit?: number;
  };
  status?: DaemonSetStatus;
}

interface DaemonSetStatus {
  currentNumberScheduled: number;
  numberMisscheduled: number;
  desiredNumberScheduled: number;
  numberReady: number;
  observedGeneration?: number;
  updatedNumberScheduled?: number;
  numberAvailable?: number;
  numberUnavailable?: number;
}

const COMPONENT = 'daemonset-controller';
const GENERATION_LABEL = 'pod-template-generation';

/** What a Pod that belongs to its node bears, so that it stays when others have to go. */
const TOLERATIONS: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];

/** Keeps one Pod of each DaemonSet on every node that fits. */
export function startDaemonSetController(context: ControllerContext): void {
  const sets = context.informer<DaemonSet>(DAEMON_SETS);
  const pods = context.informer<Pod>(PODS);
  const nodes = context.informer<Node>(NODES);
  context.informer<ControllerRevision>(CONTROLLER_REVISIONS);
  const expectations = new Expectations(context.clock, pods);
  const control = new PodControl(context, expectations, COMPONENT);

  const queue = context.queue('sync daemon set', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (set === undefined || !expectations.isMet(key)) return;
    const selector = labelSelectorOf(set.spec.selector);
    const owned = await claimObjects(context, PODS, set, selector, pods.values(), signal);
    const { current } = await keepRevisions(
      context,
      set,
      set.spec.template,
      {
        limit: set.spec.revisionHistoryLimit ?? 10,
        inUse: new Set(owned.map((pod) => pod.metadata.labels?.[REVISION_HASH_LABEL] ?? '')),
        hashName: (hash) => hash,
      },
      signal,
    );
    const hash = revisionHash(current);
    if (set.metadata.deletionTimestamp === undefined) {
      await place(set, key, owned, hash, signal);
      if (expectations.isMet(key)) await update(set, key, owned, hash, signal);
    }
    await writeStatus(set, owned, hash, signal);
    const now = context.clock.now();
    const waits = owned.map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) ?? 0);
    const wait = Math.min(...waits.filter((ms) => ms > 0));
    if (Number.isFinite(wait)) queue.addAfter(key, wait);
  });

  async function place(
    set: DaemonSet,
    key: string,
    owned: readonly Pod[],
    hash: string,
    signal: AbortSignal,
  ): Promise<void> {
    const byNode = Map.groupBy(owned, targetNode);
    for (const node of nodes.values()) {
      const present = byNode.get(node.metadata.name) ?? [];
      const { run, stay } = fits(set, node);
      const live = present.filter((pod) => pod.metadata.deletionTimestamp === undefined);
      for (const pod of live) {
        if (pod.status?.phase !== 'Failed' && pod.status?.phase !== 'Succeeded') continue;
        context.events.record(COMPONENT, set, {
          type: 'Warning',
          reason: 'FailedDaemonPod',
          message: `Found failed daemon pod ${pod.metadata.namespace ?? ''}/${pod.metadata.name} on node ${node.metadata.name}, will try to kill it`,
        });
        await control.delete(set, key, pod, signal);
      }
      const running = live.filter((pod) => !isFinished(pod));
      if (!stay) for (const pod of running) await control.delete(set, key, pod, signal);
      else if (run && present.length === 0) await createPod(set, key, node, hash, signal);
      else for (const pod of oldestFirst(running).slice(1)) await control.delete(set, key, pod, signal);
    }
    const known = new Set(nodes.values().map((node) => node.metadata.name));
    for (const pod of owned) {
      const node = targetNode(pod);
      if (known.has(node) || pod.metadata.deletionTimestamp !== undefined) continue;
      await control.delete(set, key, pod, signal);
    }
  }

  async function createPod(
    set: DaemonSet,
    key: string,
    node: Node,
    hash: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { template } = set.spec;
    const spec = boundTo(template.spec, node.metadata.name);
    const labels = { [REVISION_HASH_LABEL]: hash, [GENERATION_LABEL]: String(set.metadata.generation ?? 1) };
    await control.create(set, key, { ...template, spec }, signal, { labels });
  }

  async function update(
    set: DaemonSet,
    key: string,
    owned: readonly Pod[],
    hash: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (set.spec.updateStrategy?.type === 'OnDelete') return;
    const now = context.clock.now();
    const minReady = set.spec.minReadySeconds ?? 0;
    const wanted = nodes.values().filter((node) => fits(set, node).run);
    const limit = set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1;
    const most = Math.max(1, intOrPercent(limit, wanted.length, 'up'));
    const live = owned.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isFinished(pod));
    const available = live.filter((pod) => isAvailable(pod, minReady, now));
    let budget = most - (wanted.length - available.length);
    for (const pod of live) {
      if (pod.metadata.labels?.[REVISION_HASH_LABEL] === hash) continue;
      const isOut = !isAvailable(pod, minReady, now);
      // What does not work anyway costs nothing to replace.
      if (!isOut && budget <= 0) continue;
      await control.delete(set, key, pod, signal);
      if (!isOut) budget--;
    }
  }

  async function writeStatus(
    set: DaemonSet,
    owned: readonly Pod[],
    hash: string,
    signal: AbortSignal,
  ): Promise<void> {
    const now = context.clock.now();
    const minReady = set.spec.minReadySeconds ?? 0;
    const byNode = Map.groupBy(
      owned.filter((pod) => !isFinished(pod)),
      targetNode,
    );
    const counts = { desired: 0, current: 0, missed: 0, ready: 0, updated: 0, available: 0 };
    for (const node of nodes.values()) {
      const [pod] = oldestFirst(byNode.get(node.metadata.name) ?? []);
      const wants = fits(set, node).run;
      if (wants) counts.desired++;
      if (pod === undefined) continue;
      if (!wants) {
        counts.missed++;
        continue;
      }
      counts.current++;
      if (isReady(pod)) counts.ready++;
      if (isAvailable(pod, minReady, now)) counts.available++;
      if (pod.metadata.labels?.[REVISION_HASH_LABEL] === hash) counts.updated++;
    }
    const status = withoutZeros<DaemonSetStatus>(
      {
        currentNumberScheduled: counts.current,
        numberMisscheduled: counts.missed,
        desiredNumberScheduled: counts.desired,
        numberReady: counts.ready,
        observedGeneration: set.metadata.generation ?? 0,
        updatedNumberScheduled: counts.updated,
        numberAvailable: counts.available,
        numberUnavailable: counts.desired - counts.available,
      },
      ['currentNumberScheduled', 'numberMisscheduled', 'desiredNumberScheduled', 'numberReady'],
    );
    if (isDeepStrictEqual(status, set.status)) return;
    await unless(['NotFound'], context.client.update(DAEMON_SETS, { ...set, status }, signal, 'status'));
  }

  sets.onChange(({ object }) => queue.add(queueKey(object)));
  pods.onChange(({ object }) => {
    const controller = controllerOf(object);
    if (controller?.kind === 'DaemonSet') queue.add(`${object.metadata.namespace ?? ''}/${controller.name}`);
  });
  nodes.onChange(({ type, object, old }) => {
    const view = (node: Node): string => JSON.stringify([node.metadata.labels, node.spec]);
    if (type === 'updated' && old !== undefined && view(old) === view(object)) return;
    for (const set of sets.values()) queue.add(queueKey(set));
  });
}

/** Tells whether a node should get the Pod, and whether one that is there may stay. */
function fits(set: DaemonSet, node: Node): { run: boolean; stay: boolean } {
  const spec = boundTo(set.spec.template.spec, node.metadata.name);
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
function boundTo(spec: PodSpec, node: string): PodSpec {
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
function targetNode(pod: Pod): string {
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

function oldestFirst(pods: readonly Pod[]): Pod[] {
  const bound = (pod: Pod): number => ((pod.spec.nodeName ?? '') === '' ? 1 : 0);
  return [...pods].sort(
    (a, b) =>
      bound(a) - bound(b) ||
      ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1),
  );
}
