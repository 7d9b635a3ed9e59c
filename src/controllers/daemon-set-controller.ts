import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod, PodTemplate } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import {
  keepRevisions,
  REVISION_HASH_LABEL,
  revisionHash,
  type ControllerRevision,
} from './controller-revisions.ts';
import { boundTo, fits, oldestFirst, targetNode } from './daemon-set-nodes.ts';
import { placePods, updatePods, type Scene, type Steps, type UpdateStrategy } from './daemon-set-plan.ts';
import { Expectations } from './expectations.ts';
import { Pauses } from './pauses.ts';
import { PodControl } from './pod-control.ts';
import { isAvailable, isReady, untilAvailable } from './pod-state.ts';
import { CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS } from './resource-types.ts';
import type { Node } from './scheduling-fit.ts';
import { withoutZeros } from './workloads.ts';

interface DaemonSet extends KubeObject {
  spec: {
    selector: LabelSelectorObject;
    template: PodTemplate;
    updateStrategy?: UpdateStrategy;
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
const GENERATION_ANNOTATION = 'deprecated.daemonset.template.generation';
/** Between the removals of Pods that fail again and again on one node. */
const FAILED_PAUSE_MS = { least: 1000, most: 15 * 60_000 };

/** Keeps one Pod of each DaemonSet on every node that fits. */
export function startDaemonSetController(context: ControllerContext): void {
  const sets = context.informer<DaemonSet>(DAEMON_SETS);
  const pods = context.informer<Pod>(PODS);
  const nodes = context.informer<Node>(NODES);
  context.informer<ControllerRevision>(CONTROLLER_REVISIONS);
  const expectations = new Expectations(context.clock, pods);
  const control = new PodControl(context, expectations, COMPONENT);
  const pauses = new Pauses(context.clock, FAILED_PAUSE_MS);

  const queue = context.queue('sync daemon set', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (set === undefined || !expectations.isMet(set)) return;
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
    const scene = sceneOf(set, owned, hash);
    if (set.metadata.deletionTimestamp === undefined) {
      await place(set, key, scene, owned, signal);
      if (set.spec.updateStrategy?.type !== 'OnDelete' && expectations.isMet(set)) {
        await act(set, updatePods(scene), hash, signal);
      }
    }
    await writeStatus(set, scene, signal);
    const now = context.clock.now();
    const waits = owned.map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) ?? 0);
    const wait = Math.min(...waits.filter((ms) => ms > 0));
    if (Number.isFinite(wait)) queue.addAfter(key, wait);
  });

  function sceneOf(set: DaemonSet, owned: readonly Pod[], hash: string): Scene {
    const now = context.clock.now();
    return {
      template: set.spec.template.spec,
      strategy: set.spec.updateStrategy ?? {},
      hash,
      nodes: nodes.values(),
      byNode: Map.groupBy(owned, targetNode),
      isAvailable: (pod) => isAvailable(pod, set.spec.minReadySeconds ?? 0, now),
    };
  }

  async function place(
    set: DaemonSet,
    key: string,
    scene: Scene,
    owned: readonly Pod[],
    signal: AbortSignal,
  ): Promise<void> {
    const steps = placePods(scene);
    const ended: Pod[] = [];
    for (const { pod, node } of steps.ended) {
      const wait = pauses.take(`${set.metadata.uid ?? ''}/${node}`);
      if (wait > 0) queue.addAfter(key, wait);
      else {
        tellEnded(set, pod, node);
        ended.push(pod);
      }
    }
    // Nothing will ever place a Pod whose node went before it came.
    const known = new Set(scene.nodes.map((node) => node.metadata.name));
    const lost = owned.filter(
      (pod) =>
        (pod.spec.nodeName ?? '') === '' &&
        pod.metadata.deletionTimestamp === undefined &&
        !known.has(targetNode(pod)),
    );
    await act(set, { remove: [...steps.remove, ...ended, ...lost], fill: steps.fill }, scene.hash, signal);
  }

  function tellEnded(set: DaemonSet, pod: Pod, node: string): void {
    const isFailed = pod.status?.phase === 'Failed';
    const name = `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
    context.events.record(COMPONENT, set, {
      type: isFailed ? 'Warning' : 'Normal',
      reason: isFailed ? 'FailedDaemonPod' : 'SucceededDaemonPod',
      message: isFailed
        ? `Found failed daemon pod ${name} on node ${node}, will try to kill it`
        : `Found succeeded daemon pod ${name} on node ${node}, will try to delete it`,
    });
  }

  async function act(
    set: DaemonSet,
    { remove, fill }: Pick<Steps, 'remove' | 'fill'>,
    hash: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { template } = set.spec;
    const generation =
      set.metadata.annotations?.[GENERATION_ANNOTATION] ?? String(set.metadata.generation ?? 1);
    const labels = { [REVISION_HASH_LABEL]: hash, [GENERATION_LABEL]: generation };
    for (const node of fill) {
      const spec = boundTo(template.spec, node);
      await control.create(set, { ...template, spec }, signal, { labels });
    }
    for (const pod of remove) await control.delete(set, pod, signal);
  }

  async function writeStatus(set: DaemonSet, scene: Scene, signal: AbortSignal): Promise<void> {
    const counts = { desired: 0, current: 0, missed: 0, ready: 0, updated: 0, available: 0 };
    for (const node of scene.nodes) {
      const [pod] = oldestFirst(scene.byNode.get(node.metadata.name) ?? []);
      const wants = fits(scene.template, node).run;
      if (wants) counts.desired++;
      if (pod === undefined) continue;
      if (!wants) {
        counts.missed++;
        continue;
      }
      counts.current++;
      if (isReady(pod)) counts.ready++;
      if (scene.isAvailable(pod)) counts.available++;
      if (pod.metadata.labels?.[REVISION_HASH_LABEL] === scene.hash) counts.updated++;
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
