import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod, PodTemplate } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelector } from '../kube/selector/label-selector.ts';
import { formatTime } from '../kube/time.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, type ControllerContext } from './controller-context.ts';
import { Expectations } from './expectations.ts';
import { isTerminating, PodControl } from './pod-control.ts';
import { isActive, isReady, sortForDeletion, untilAvailable } from './pod-state.ts';
import { PODS, REPLICA_SETS, REPLICATION_CONTROLLERS } from './resource-types.ts';
import {
  setCondition,
  withoutZeros,
  type ReplicaSet,
  type ReplicaStatus,
  type ReplicationController,
} from './workloads.ts';

/** Pods made or removed in one round; the rest follows when these were seen. */
const BURST = 500;
const WORKERS = 4;

/** What tells the two kinds of replica keepers apart. */
interface Keeper<T extends KubeObject> {
  readonly type: ResourceType;
  readonly kind: string;
  readonly component: string;
  replicas(owner: T): number;
  minReadySeconds(owner: T): number;
  selector(owner: T): LabelSelector;
  template(owner: T): PodTemplate | undefined;
  status(owner: T): ReplicaStatus | undefined;
}

/** Keeps the number of Pods that each ReplicaSet asks for. */
export function startReplicaSetController(context: ControllerContext): void {
  start<ReplicaSet>(context, {
    type: REPLICA_SETS,
    kind: 'ReplicaSet',
    component: 'replicaset-controller',
    replicas: (set) => set.spec.replicas ?? 1,
    minReadySeconds: (set) => set.spec.minReadySeconds ?? 0,
    selector: (set) => labelSelectorOf(set.spec.selector),
    template: (set) => set.spec.template,
    status: (set) => set.status,
  });
}

/** Keeps the number of Pods that each ReplicationController asks for. */
export function startReplicationController(context: ControllerContext): void {
  start<ReplicationController>(context, {
    type: REPLICATION_CONTROLLERS,
    kind: 'ReplicationController',
    component: 'replication-controller',
    replicas: (controller) => controller.spec.replicas ?? 1,
    minReadySeconds: (controller) => controller.spec.minReadySeconds ?? 0,
    selector: (controller) => labelSelectorOf({ matchLabels: controller.spec.selector ?? {} }),
    template: (controller) => controller.spec.template,
    status: (controller) => controller.status,
  });
}

function start<T extends KubeObject>(context: ControllerContext, keeper: Keeper<T>): void {
  const owners = context.informer<T>(keeper.type);
  const pods = context.informer<Pod>(PODS);
  const expectations = new Expectations(context.clock, pods);
  const control = new PodControl(context, expectations, keeper.component);
  const queue = context.queue(
    `sync ${keeper.kind}`,
    async (key, signal) => {
      const { namespace, name } = splitKey(key);
      const owner = owners.get(namespace, name);
      if (owner === undefined || !expectations.isMet(owner)) return;
      const selector = keeper.selector(owner);
      const claimed = await claimObjects(context, PODS, owner, selector, pods.values(), signal);
      const active = claimed.filter(isActive);
      let failure: unknown;
      if (owner.metadata.deletionTimestamp === undefined) {
        try {
          await scale(owner, active, signal);
        } catch (error) {
          failure = error;
        }
      }
      const wait = await writeStatus(owner, claimed, active, failure, signal);
      if (wait !== undefined) queue.addAfter(key, wait);
      if (failure !== undefined && !isTerminating(failure)) throw failure;
    },
    WORKERS,
  );

  async function scale(owner: T, active: readonly Pod[], signal: AbortSignal): Promise<void> {
    const template = keeper.template(owner);
    const missing = keeper.replicas(owner) - active.length;
    if (missing > 0 && template !== undefined) {
      let left = Math.min(missing, BURST);
      // Slow start: when the first one is refused, the others would be as well.
      for (let batch = 1; left > 0; batch *= 2) {
        const count = Math.min(batch, left);
        await Promise.all(Array.from({ length: count }, () => control.create(owner, template, signal)));
        left -= count;
      }
    } else if (missing < 0) {
      const doomed = sortForDeletion(active, relatedTo(owner, active)).slice(0, Math.min(-missing, BURST));
      await Promise.all(doomed.map((pod) => control.delete(owner, pod, signal)));
    }
  }

  /** During a roll-out the Pods of all sets of a Deployment serve one purpose. */
  function relatedTo(owner: T, active: readonly Pod[]): readonly Pod[] {
    const above = controllerOf(owner)?.uid;
    if (above === undefined) return active;
    const siblings = new Set(
      owners
        .values()
        .filter((other) => controllerOf(other)?.uid === above)
        .map(({ metadata }) => metadata.uid),
    );
    return pods.values().filter((pod) => isActive(pod) && siblings.has(controllerOf(pod)?.uid));
  }

  async function writeStatus(
    owner: T,
    claimed: readonly Pod[],
    active: readonly Pod[],
    failure: unknown,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const now = context.clock.now();
    const minReady = keeper.minReadySeconds(owner);
    const waits = active.map((pod) => untilAvailable(pod, minReady, now));
    const labels = Object.entries(keeper.template(owner)?.metadata?.labels ?? {});
    const terminating = claimed.filter(
      (pod) =>
        pod.metadata.deletionTimestamp !== undefined &&
        pod.status?.phase !== 'Succeeded' &&
        pod.status?.phase !== 'Failed',
    );
    const before = keeper.status(owner);
    const isSet = keeper.kind === 'ReplicaSet';
    const known = before?.conditions ?? [];
    let conditions = known.filter((condition) => condition.type !== 'ReplicaFailure');
    if (failure !== undefined) {
      // The first failure stays: the next would name another Pod, and each write would call for another try at once.
      const isKnown = conditions.length < known.length;
      const condition = {
        type: 'ReplicaFailure',
        status: 'True' as const,
        reason: active.length < keeper.replicas(owner) ? 'FailedCreate' : 'FailedDelete',
        message: messageOf(failure),
      };
      conditions = isKnown ? [...known] : setCondition(known, condition, formatTime(now));
    }
    const status: ReplicaStatus = withoutZeros<ReplicaStatus>(
      {
        replicas: active.length,
        fullyLabeledReplicas: active.filter((pod) =>
          labels.every(([name, value]) => pod.metadata.labels?.[name] === value),
        ).length,
        readyReplicas: active.filter(isReady).length,
        availableReplicas: waits.filter((wait) => wait === 0).length,
        ...(isSet ? { terminatingReplicas: terminating.length } : {}),
        observedGeneration: owner.metadata.generation ?? 0,
        ...(conditions.length === 0 ? {} : { conditions }),
      },
      ['replicas', 'terminatingReplicas'],
    );
    if (!isDeepStrictEqual(status, before)) {
      try {
        await context.client.update(keeper.type, { ...owner, status }, signal, 'status');
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
      }
    }
    const later = waits.filter((wait): wait is number => wait !== undefined && wait > 0);
    return later.length === 0 ? undefined : Math.min(...later);
  }

  owners.onChange(({ object }) => queue.add(queueKey(object)));
  pods.onChange(({ type, object, old }) => {
    for (const pod of old === undefined ? [object] : [object, old]) {
      const controller = controllerOf(pod);
      if (controller?.kind === keeper.kind) queue.add(`${pod.metadata.namespace ?? ''}/${controller.name}`);
    }
    if (type === 'deleted' || controllerOf(object) !== undefined) return;
    // A Pod without a controller may fit one.
    for (const owner of owners.values()) {
      const isNear = owner.metadata.namespace === object.metadata.namespace;
      if (isNear && keeper.selector(owner).matches(object.metadata.labels)) queue.add(queueKey(owner));
    }
  });
}
