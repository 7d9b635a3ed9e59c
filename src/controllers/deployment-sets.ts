import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { controllerOf, controllerReference } from '../kube/owner-reference.ts';
import { unless, type ControllerContext } from './controller-context.ts';
import { DESIRED, MAXIMUM, newSetSize, rollingLimits, sizeOf } from './deployment-plan.ts';
import { newSetCondition } from './deployment-status.ts';
import { isTerminating } from './pod-control.ts';
import { DEPLOYMENTS, REPLICA_SETS } from './resource-types.ts';
import { canonical, templateHash } from './template-hash.ts';
import type { Condition, Deployment, ReplicaSet } from './workloads.ts';

export const COMPONENT = 'deployment-controller';
const HASH_LABEL = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
/** Annotations that say something about the Deployment only. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  REVISION,
  REVISION_HISTORY,
  DESIRED,
  MAXIMUM,
]);

/** Makes, scales, annotates and forgets the ReplicaSets of one Deployment, with the events that tell of it. */
export class DeploymentSets {
  readonly #context: ControllerContext;
  readonly #deployment: Deployment;
  readonly #signal: AbortSignal;
  /** What was done and belongs among the Deployment's conditions. */
  noted: Condition | undefined;

  constructor(context: ControllerContext, deployment: Deployment, signal: AbortSignal) {
    this.#context = context;
    this.#deployment = deployment;
    this.#signal = signal;
  }

  /** Returns the set of the present template, made or brought up to date; `undefined` when its name was taken. */
  async ensureNew(
    fresh: ReplicaSet | undefined,
    owned: readonly ReplicaSet[],
    old: readonly ReplicaSet[],
  ): Promise<ReplicaSet | undefined> {
    const deployment = this.#deployment;
    if (fresh !== undefined) {
      this.noted ??= newSetCondition(deployment, fresh.metadata.name, { found: true });
      return this.annotate(fresh, old);
    }
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
      this.noted = newSetCondition(deployment, created.metadata.name, { created: true });
      await this.#setRevision(created);
      return created;
    } catch (error) {
      if (isTerminating(error)) throw error;
      if (!isApiError(error, 'AlreadyExists')) {
        this.#tellRefused(set.metadata.name, messageOf(error));
        throw error;
      }
      const taken = await this.#context.client.get<ReplicaSet>(
        REPLICA_SETS,
        { namespace, name: set.metadata.name },
        this.#signal,
      );
      const isOurs = controllerOf(taken)?.uid === deployment.metadata.uid && hasTemplate(deployment, taken);
      if (isOurs) return taken;
      const status = { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 };
      await this.#context.client.update(DEPLOYMENTS, { ...deployment, status }, this.#signal, 'status');
      return undefined;
    }
  }

  #tellRefused(name: string, why: string): void {
    const message = `Failed to create new replica set "${name}": ${why}`;
    this.noted = newSetCondition(this.#deployment, name, { refused: message });
    this.#context.events.record(COMPONENT, this.#deployment, {
      type: 'Warning',
      reason: 'ReplicaSetCreateError',
      message,
    });
  }

  async annotate(fresh: ReplicaSet, old: readonly ReplicaSet[]): Promise<ReplicaSet> {
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
    };
    if (current === undefined || Number(current) < Number(next)) {
      annotations[REVISION] = next;
      if (current !== undefined) {
        const history = own[REVISION_HISTORY];
        annotations[REVISION_HISTORY] = history === undefined ? current : `${history},${current}`;
      }
    }
    // The sizes of a set that is there tell how it was scaled last; only scaling changes them.
    return fresh === undefined ? { ...annotations, ...this.#sizes() } : annotations;
  }

  #sizes(): Record<string, string> {
    const wanted = this.#deployment.spec.replicas ?? 1;
    return { [DESIRED]: String(wanted), [MAXIMUM]: String(wanted + rollingLimits(this.#deployment).surge) };
  }

  async setSizes(set: ReplicaSet): Promise<void> {
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

  async scale(set: ReplicaSet, replicas: number): Promise<void> {
    const before = sizeOf(set);
    if (before === replicas) {
      await this.setSizes(set);
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
  async cleanUp(old: readonly ReplicaSet[]): Promise<void> {
    const kept = this.#deployment.spec.revisionHistoryLimit ?? 10;
    const alive = old
      .filter((set) => set.metadata.deletionTimestamp === undefined)
      .sort((a, b) => revisionOf(a) - revisionOf(b));
    for (const set of alive.slice(0, Math.max(0, alive.length - kept))) {
      const isIdle = sizeOf(set) === 0 && (set.status?.replicas ?? 0) === 0;
      const isSeen = (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0);
      if (!isIdle || !isSeen) continue;
      const { name, namespace = '' } = set.metadata;
      await unless(
        ['NotFound'],
        this.#context.client.delete(REPLICA_SETS, { namespace, name }, this.#signal),
      );
    }
  }
}

/** Tells whether a set is that of the Deployment's present template. */
export function hasTemplate(deployment: Deployment, set: ReplicaSet): boolean {
  const { [HASH_LABEL]: _hash, ...labels } = set.spec.template.metadata?.labels ?? {};
  const template = { ...set.spec.template, metadata: { ...set.spec.template.metadata, labels } };
  return canonical(normal(template)) === canonical(normal(deployment.spec.template));
}

/** The number under which `rollout history` knows a set. */
export function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0) || 0;
}

/** An absent and an empty map are the same template. */
function normal(template: ReplicaSet['spec']['template']): unknown {
  const { labels = {}, annotations = {} } = template.metadata ?? {};
  return { labels, annotations, spec: template.spec };
}
