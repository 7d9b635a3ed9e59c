import { isDeepStrictEqual } from 'node:util';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod } from '../kube/pod.ts';
import { labelSelectorOf } from '../kube/selector/label-selector.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { DESIRED, newSetSize, scaleInProportion, shrinkOldSets, sizeOf } from './deployment-plan.ts';
import { DeploymentSets, hasTemplate, revisionOf } from './deployment-sets.ts';
import { deploymentStatus, isComplete, pauseCondition, untilTimeOut } from './deployment-status.ts';
import { isFinished } from './pod-state.ts';
import { DEPLOYMENTS, PODS, REPLICA_SETS } from './resource-types.ts';
import type { Deployment, DeploymentStatus, ReplicaSet } from './workloads.ts';

const WORKERS = 4;
const SECOND_MS = 1000;

/** Rolls Deployments out: one ReplicaSet for each template, grown and shrunk in step. */
export function startDeploymentController(context: ControllerContext): void {
  const deployments = context.informer<Deployment>(DEPLOYMENTS);
  const sets = context.informer<ReplicaSet>(REPLICA_SETS);
  const pods = context.informer<Pod>(PODS);
  const queue = context.queue(
    'sync deployment',
    async (key, signal) => {
      const { namespace, name } = splitKey(key);
      const deployment = deployments.get(namespace, name);
      if (deployment === undefined) return;
      const rollout = new Rollout(context, deployment, signal);
      const selector = labelSelectorOf(deployment.spec.selector);
      const owned = await claimObjects(context, REPLICA_SETS, deployment, selector, sets.values(), signal);
      const status = await rollout.run(owned, (set) =>
        pods.values().filter((pod) => controllerOf(pod)?.uid === set.metadata.uid && !isFinished(pod)),
      );
      // Time alone may end a roll-out that makes no progress.
      const left = untilTimeOut(deployment, status, context.clock.now());
      if (left !== undefined) queue.addAfter(key, left + SECOND_MS);
    },
    WORKERS,
  );
  deployments.onChange(({ object, type }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
  });
  sets.onChange(({ object, old }) => {
    for (const set of old === undefined ? [object] : [object, old]) {
      const controller = controllerOf(set);
      if (controller?.kind === 'Deployment') queue.add(`${set.metadata.namespace ?? ''}/${controller.name}`);
      else {
        for (const deployment of deployments.values()) {
          const isNear = deployment.metadata.namespace === set.metadata.namespace;
          const fits = labelSelectorOf(deployment.spec.selector).matches(set.metadata.labels);
          if (isNear && fits) queue.add(queueKey(deployment));
        }
      }
    }
  });
  // Recreate waits for the last old Pod to be gone.
  pods.onChange(({ type, object }) => {
    if (type !== 'deleted' && !isFinished(object)) return;
    const set = sets.get(object.metadata.namespace, controllerOf(object)?.name ?? '');
    const owner = set === undefined ? undefined : controllerOf(set);
    if (owner?.kind === 'Deployment') queue.add(`${object.metadata.namespace ?? ''}/${owner.name}`);
  });
}

class Rollout {
  readonly #context: ControllerContext;
  readonly #deployment: Deployment;
  readonly #signal: AbortSignal;
  readonly #sets: DeploymentSets;

  constructor(context: ControllerContext, deployment: Deployment, signal: AbortSignal) {
    this.#context = context;
    this.#deployment = deployment;
    this.#signal = signal;
    this.#sets = new DeploymentSets(context, deployment, signal);
  }

  async run(
    owned: readonly ReplicaSet[],
    podsOf: (set: ReplicaSet) => readonly Pod[],
  ): Promise<DeploymentStatus> {
    const { spec, metadata } = this.#deployment;
    // Of several with the same template, which only a change of versions can leave behind, the first one counts.
    let fresh = [...owned].sort(byAge).find((set) => hasTemplate(this.#deployment, set));
    const old = owned.filter((set) => set !== fresh);
    if (metadata.deletionTimestamp !== undefined) return this.#writeStatus(owned, fresh, false);
    this.#sets.noted = pauseCondition(this.#deployment);
    if (spec.paused === true || isScaling(this.#deployment, owned)) {
      fresh = fresh === undefined ? undefined : await this.#sets.annotate(fresh, old);
      const all = fresh === undefined ? old : [...old, fresh];
      await this.#scaleAll(all, fresh, old);
      if (spec.paused === true) await this.#sets.cleanUp(old);
      return this.#writeStatus(all, fresh, false);
    }
    const isRecreated = spec.strategy?.type === 'Recreate';
    try {
      fresh = isRecreated
        ? await this.#recreate(fresh, owned, old, podsOf)
        : await this.#roll(fresh, owned, old);
    } catch (error) {
      if (this.#sets.noted !== undefined) await this.#writeStatus(owned, undefined, false);
      throw error;
    }
    if (isComplete(this.#deployment, this.#deployment.status ?? {})) await this.#sets.cleanUp(old);
    return this.#writeStatus(fresh === undefined ? old : [...old, fresh], fresh, true);
  }

  async #recreate(
    found: ReplicaSet | undefined,
    owned: readonly ReplicaSet[],
    old: readonly ReplicaSet[],
    podsOf: (set: ReplicaSet) => readonly Pod[],
  ): Promise<ReplicaSet | undefined> {
    const busy = old.filter((set) => sizeOf(set) > 0);
    for (const set of busy) await this.#sets.scale(set, 0);
    if (busy.length > 0 || old.some((set) => podsOf(set).length > 0)) return found;
    const fresh = await this.#sets.ensureNew(found, owned, old);
    if (fresh !== undefined) await this.#sets.scale(fresh, this.#deployment.spec.replicas ?? 1);
    return fresh;
  }

  async #roll(
    found: ReplicaSet | undefined,
    owned: readonly ReplicaSet[],
    old: readonly ReplicaSet[],
  ): Promise<ReplicaSet | undefined> {
    const fresh = await this.#sets.ensureNew(found, owned, old);
    if (fresh === undefined) return undefined;
    const size = newSetSize(this.#deployment, [...old, fresh], fresh);
    if (size !== sizeOf(fresh)) await this.#sets.scale(fresh, size);
    else
      for (const { set, replicas } of shrinkOldSets(this.#deployment, old, fresh))
        await this.#sets.scale(set, replicas);
    return fresh;
  }

  async #scaleAll(
    all: readonly ReplicaSet[],
    fresh: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<void> {
    const active = all.filter((set) => sizeOf(set) > 0);
    const wanted = this.#deployment.spec.replicas ?? 1;
    if (active.length <= 1) {
      const only = active[0] ?? fresh ?? newest(old);
      if (only !== undefined && sizeOf(only) !== wanted) await this.#sets.scale(only, wanted);
      else if (only !== undefined) await this.#sets.setSizes(only);
      return;
    }
    const isSettled =
      fresh !== undefined && sizeOf(fresh) === wanted && (fresh.status?.availableReplicas ?? 0) === wanted;
    if (isSettled) {
      for (const set of old) if (sizeOf(set) > 0) await this.#sets.scale(set, 0);
      return;
    }
    if (this.#deployment.spec.strategy?.type === 'Recreate') return;
    for (const { set, replicas } of scaleInProportion(this.#deployment, active))
      await this.#sets.scale(set, replicas);
    for (const set of active) await this.#sets.setSizes(set);
  }

  async #writeStatus(
    sets: readonly ReplicaSet[],
    fresh: ReplicaSet | undefined,
    isRolling: boolean,
  ): Promise<DeploymentStatus> {
    const view = { now: this.#context.clock.now(), noted: this.#sets.noted, isRolling };
    const status = deploymentStatus(this.#deployment, sets, fresh, view);
    if (isDeepStrictEqual(status, this.#deployment.status)) return status;
    await unless(
      ['NotFound'],
      this.#context.client.update(DEPLOYMENTS, { ...this.#deployment, status }, this.#signal, 'status'),
    );
    return status;
  }
}

/** Tells whether only the number of replicas changed since the sets were last scaled. */
function isScaling(deployment: Deployment, owned: readonly ReplicaSet[]): boolean {
  return owned.some((set) => {
    if (sizeOf(set) === 0) return false;
    const desired = set.metadata.annotations?.[DESIRED];
    return desired !== undefined && desired !== '' && Number(desired) !== (deployment.spec.replicas ?? 1);
  });
}

function newest(sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort((a, b) => revisionOf(b) - revisionOf(a))[0];
}

function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [left, right] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`);
  return (left ?? '') < (right ?? '') ? -1 : 1;
}
