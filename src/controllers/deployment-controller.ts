import { isDeepStrictEqual } from 'node:util';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { controllerOf, controllerReference } from '../kube/owner-reference.ts';
import type { Pod } from '../kube/pod.ts';
import { labelSelectorOf } from '../kube/selector/label-selector.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { newSetSize, rollingLimits, scaleInProportion, shrinkOldSets, sizeOf } from './deployment-plan.ts';
import { deploymentStatus } from './deployment-status.ts';
import { isFinished } from './pod-state.ts';
import { DEPLOYMENTS, PODS, REPLICA_SETS } from './resource-types.ts';
import { canonical, templateHash } from './template-hash.ts';
import type { Deployment, ReplicaSet } from './workloads.ts';

const COMPONENT = 'deployment-controller';
const HASH_LABEL = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
const DESIRED = 'deployment.kubernetes.io/desired-replicas';
const MAXIMUM = 'deployment.kubernetes.io/max-replicas';
/** Annotations that say something about the Deployment only. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  REVISION,
  REVISION_HISTORY,
  DESIRED,
  MAXIMUM,
]);
const WORKERS = 4;

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
      await rollout.run(owned, (set) =>
        pods.values().filter((pod) => controllerOf(pod)?.uid === set.metadata.uid && !isFinished(pod)),
      );
      // Time alone may end a roll-out that makes no progress.
      const deadline = deployment.spec.progressDeadlineSeconds ?? 0;
      const progressing = deployment.status?.conditions?.find(
        (condition) => condition.type === 'Progressing',
      );
      if (deadline > 0 && progressing?.status === 'True' && progressing.reason !== 'NewReplicaSetAvailable') {
        queue.addAfter(key, deadline * 1000 + 1000);
      }
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

  constructor(context: ControllerContext, deployment: Deployment, signal: AbortSignal) {
    this.#context = context;
    this.#deployment = deployment;
    this.#signal = signal;
  }

  async run(owned: readonly ReplicaSet[], podsOf: (set: ReplicaSet) => readonly Pod[]): Promise<void> {
    const { spec, metadata } = this.#deployment;
    let fresh = newest(owned.filter((set) => this.#hasTemplate(set)));
    const old = owned.filter((set) => set !== fresh);
    if (metadata.deletionTimestamp !== undefined) {
      await this.#writeStatus(owned, fresh);
      return;
    }
    const recreate = spec.strategy?.type === 'Recreate';
    if (spec.paused === true || isScaling(this.#deployment, owned)) {
      fresh = fresh === undefined ? undefined : await this.#annotate(fresh, old);
      const all = fresh === undefined ? old : [...old, fresh];
      await this.#scaleAll(all, fresh, old);
    } else if (recreate) {
      const busy = old.filter((set) => sizeOf(set) > 0);
      for (const set of busy) await this.#scale(set, 0);
      const isQuiet = busy.length === 0 && old.every((set) => podsOf(set).length === 0);
      if (isQuiet) {
        fresh = await this.#ensureNew(fresh, owned, old);
        if (fresh !== undefined) await this.#scale(fresh, spec.replicas ?? 1);
      }
    } else {
      fresh = await this.#ensureNew(fresh, owned, old);
      if (fresh !== undefined) {
        const size = newSetSize(this.#deployment, [...old, fresh], fresh);
        if (size !== sizeOf(fresh)) await this.#scale(fresh, size);
        else
          for (const { set, replicas } of shrinkOldSets(this.#deployment, old, fresh))
            await this.#scale(set, replicas);
      }
    }
    await this.#cleanUp(old, fresh);
    await this.#writeStatus(fresh === undefined ? old : [...old, fresh], fresh);
  }

  #hasTemplate(set: ReplicaSet): boolean {
    const { [HASH_LABEL]: _hash, ...labels } = set.spec.template.metadata?.labels ?? {};
    const template = { ...set.spec.template, metadata: { ...set.spec.template.metadata, labels } };
    return canonical(normal(template)) === canonical(normal(this.#deployment.spec.template));
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
      if (only !== undefined && sizeOf(only) !== wanted) await this.#scale(only, wanted);
      else if (only !== undefined) await this.#setSizes(only);
      return;
    }
    const isSettled =
      fresh !== undefined && sizeOf(fresh) === wanted && (fresh.status?.availableReplicas ?? 0) === wanted;
    if (isSettled) {
      for (const set of old) if (sizeOf(set) > 0) await this.#scale(set, 0);
      return;
    }
    for (const { set, replicas } of scaleInProportion(this.#deployment, active))
      await this.#scale(set, replicas);
    for (const set of active) await this.#setSizes(set);
  }

  async #ensureNew(
    fresh: ReplicaSet | undefined,
    owned: readonly ReplicaSet[],
    old: readonly ReplicaSet[],
  ): Promise<ReplicaSet | undefined> {
    if (fresh !== undefined) return this.#annotate(fresh, old);
    const deployment = this.#deployment;
    const { template, selector, minReadySeconds } = deployment.spec;
    const hash = templateHash(template, deployment.status?.collisionCount ?? 0);
    const { namespace = '' } = deployment.metadata;
    const labels = { ...template.metadata?.labels, [HASH_LABEL]: hash };
    const set: ReplicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        namespace,
        labels,
        annotations: this.#annotations(undefined, old),
        ownerReferences: [controllerReference(deployment)],
      },
      spec: {
        replicas: 0,
        ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH_LABEL]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    };
    set.spec.replicas = newSetSize(deployment, [...owned, set], set);
    try {
      const created = await this.#context.client.create(REPLICA_SETS, set, this.#signal);
      if ((set.spec.replicas ?? 0) > 0) this.#tellScaled(created, 0, set.spec.replicas ?? 0);
      await this.#setRevision(created);
      return created;
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error;
      const taken = await this.#context.client.get<ReplicaSet>(
        REPLICA_SETS,
        { namespace, name: set.metadata.name },
        this.#signal,
      );
      const isOurs = controllerOf(taken)?.uid === deployment.metadata.uid && this.#hasTemplate(taken);
      if (isOurs) return taken;
      const status = { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 };
      await this.#context.client.update(DEPLOYMENTS, { ...deployment, status }, this.#signal, 'status');
      return undefined;
    }
  }

  async #annotate(fresh: ReplicaSet, old: readonly ReplicaSet[]): Promise<ReplicaSet> {
    const annotations = this.#annotations(fresh, old);
    const minReadySeconds = this.#deployment.spec.minReadySeconds ?? 0;
    let set = fresh;
    const isSame =
      isDeepStrictEqual(annotations, fresh.metadata.annotations ?? {}) &&
      (fresh.spec.minReadySeconds ?? 0) === minReadySeconds;
    if (!isSame) {
      const changed: ReplicaSet = {
        ...fresh,
        metadata: { ...fresh.metadata, annotations },
        spec: { ...fresh.spec, minReadySeconds },
      };
      set = await this.#context.client.update(REPLICA_SETS, changed, this.#signal);
    }
    await this.#setRevision(set);
    return set;
  }

  #annotations(fresh: ReplicaSet | undefined, old: readonly ReplicaSet[]): Record<string, string> {
    const own = fresh?.metadata.annotations ?? {};
    const copied = Object.entries(this.#deployment.metadata.annotations ?? {}).filter(
      ([key]) => !NOT_COPIED.has(key),
    );
    const revisions = old.map(revisionOf);
    const next = String(Math.max(0, ...revisions) + 1);
    const current = own[REVISION];
    const annotations: Record<string, string> = {
      ...own,
      ...Object.fromEntries(copied),
      [DESIRED]: own[DESIRED] ?? '',
      [MAXIMUM]: own[MAXIMUM] ?? '',
    };
    if (current === undefined || Number(current) < Number(next)) {
      annotations[REVISION] = next;
      if (current !== undefined) {
        const history = own[REVISION_HISTORY];
        annotations[REVISION_HISTORY] = history === undefined ? current : `${history},${current}`;
      }
    }
    return { ...annotations, ...this.#sizes() };
  }

  #sizes(): Record<string, string> {
    const wanted = this.#deployment.spec.replicas ?? 1;
    return { [DESIRED]: String(wanted), [MAXIMUM]: String(wanted + rollingLimits(this.#deployment).surge) };
  }

  async #setSizes(set: ReplicaSet): Promise<void> {
    const { annotations } = set.metadata;
    const sizes = this.#sizes();
    if (annotations?.[DESIRED] === sizes[DESIRED] && annotations?.[MAXIMUM] === sizes[MAXIMUM]) return;
    await this.#patchSet(set, { metadata: { annotations: sizes } });
  }

  async #setRevision(set: ReplicaSet): Promise<void> {
    const revision = set.metadata.annotations?.[REVISION];
    const { name, namespace = '', annotations } = this.#deployment.metadata;
    if (revision === undefined || annotations?.[REVISION] === revision) return;
    const patch = { metadata: { annotations: { [REVISION]: revision } } };
    await unless(
      ['NotFound'],
      this.#context.client.patch(DEPLOYMENTS, { namespace, name }, patch, 'merge', this.#signal),
    );
  }

  async #scale(set: ReplicaSet, replicas: number): Promise<void> {
    const before = sizeOf(set);
    if (before === replicas) {
      await this.#setSizes(set);
      return;
    }
    await this.#patchSet(set, { metadata: { annotations: this.#sizes() }, spec: { replicas } });
    this.#tellScaled(set, before, replicas);
  }

  async #patchSet(set: ReplicaSet, patch: object): Promise<void> {
    const { name, namespace = '' } = set.metadata;
    await unless(
      ['NotFound'],
      this.#context.client.patch(REPLICA_SETS, { namespace, name }, patch, 'merge', this.#signal),
    );
  }

  #tellScaled(set: ReplicaSet, from: number, to: number): void {
    this.#context.events.record(COMPONENT, this.#deployment, {
      type: 'Normal',
      reason: 'ScalingReplicaSet',
      message: `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${to}`,
    });
  }

  /** Old sets stay for `rollout undo`, as many as the Deployment wants. */
  async #cleanUp(old: readonly ReplicaSet[], fresh: ReplicaSet | undefined): Promise<void> {
    const kept = this.#deployment.spec.revisionHistoryLimit ?? 10;
    const idle = old.filter(
      (set) =>
        sizeOf(set) === 0 &&
        (set.status?.replicas ?? 0) === 0 &&
        set.metadata.deletionTimestamp === undefined,
    );
    const isDone =
      fresh !== undefined && (fresh.status?.availableReplicas ?? 0) === (this.#deployment.spec.replicas ?? 1);
    if (!isDone || idle.length <= kept) return;
    idle.sort((a, b) => revisionOf(a) - revisionOf(b));
    for (const set of idle.slice(0, idle.length - kept)) {
      const { name, namespace = '' } = set.metadata;
      await unless(
        ['NotFound'],
        this.#context.client.delete(REPLICA_SETS, { namespace, name }, this.#signal),
      );
    }
  }

  async #writeStatus(sets: readonly ReplicaSet[], fresh: ReplicaSet | undefined): Promise<void> {
    const status = deploymentStatus(this.#deployment, sets, fresh, this.#context.clock.now());
    if (isDeepStrictEqual(status, this.#deployment.status)) return;
    await unless(
      ['NotFound'],
      this.#context.client.update(DEPLOYMENTS, { ...this.#deployment, status }, this.#signal, 'status'),
    );
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

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0) || 0;
}

function newest(sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort((a, b) => revisionOf(b) - revisionOf(a))[0];
}

/** An absent and an empty map are the same template. */
function normal(template: ReplicaSet['spec']['template']): unknown {
  const { labels = {}, annotations = {} } = template.metadata ?? {};
  return { labels, annotations, spec: template.spec };
}
