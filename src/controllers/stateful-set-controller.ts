import { isDeepStrictEqual } from 'node:util';
import { controllerOf } from '../kube/owner-reference.ts';
import type { Pod, Volume } from '../kube/pod.ts';
import { labelSelectorOf } from '../kube/selector/label-selector.ts';
import { claimObjects } from './claim-objects.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import {
  keepRevisions,
  REVISION_HASH_LABEL,
  revisionHash,
  type ControllerRevision,
  type Revisions,
} from './controller-revisions.ts';
import { Expectations } from './expectations.ts';
import { intOrPercent } from './int-or-percent.ts';
import { PodControl } from './pod-control.ts';
import { isAvailable, isFinished, isReady, untilAvailable } from './pod-state.ts';
import { CONTROLLER_REVISIONS, PODS, STATEFUL_SETS } from './resource-types.ts';
import { StatefulSetClaims } from './stateful-set-claims.ts';
import { firstUpdated, ordinalOf, range, type StatefulSet, type StatefulSetStatus } from './stateful-set.ts';
import { withoutZeros } from './workloads.ts';

const COMPONENT = 'statefulset-controller';
const POD_NAME = 'statefulset.kubernetes.io/pod-name';
const POD_INDEX = 'apps.kubernetes.io/pod-index';

/** Keeps numbered Pods with claims of their own: made in order, removed in reverse, replaced from the highest down. */
export function startStatefulSetController(context: ControllerContext): void {
  const sets = context.informer<StatefulSet>(STATEFUL_SETS);
  const pods = context.informer<Pod>(PODS);
  const claims = new StatefulSetClaims(context, COMPONENT);
  context.informer<ControllerRevision>(CONTROLLER_REVISIONS);
  const expectations = new Expectations(context.clock, pods);
  const control = new PodControl(context, expectations, COMPONENT, {
    created: (pod, owner) => `Create Pod ${pod} in StatefulSet ${owner} successful`,
    deleted: (pod, owner) => `Delete Pod ${pod} in StatefulSet ${owner} successful`,
    notCreated: (pod, owner, why) => `Create Pod ${pod} in StatefulSet ${owner} failed error: ${why}`,
    notDeleted: (pod, owner, why) => `Delete Pod ${pod} in StatefulSet ${owner} failed error: ${why}`,
  });

  const queue = context.queue('sync stateful set', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (set === undefined || !expectations.isMet(set)) return;
    const candidates = pods.values().filter((pod) => ordinalOf(set, pod) !== undefined);
    const selector = labelSelectorOf(set.spec.selector);
    const owned = await claimObjects(context, PODS, set, selector, candidates, signal);
    const revisions = await keepRevisions(
      context,
      set,
      set.spec.template,
      {
        limit: set.spec.revisionHistoryLimit ?? 10,
        inUse: new Set([
          ...owned.map((pod) => pod.metadata.labels?.[REVISION_HASH_LABEL] ?? ''),
          set.status?.currentRevision ?? '',
        ]),
        hashName: (hash) => `${name}-${hash}`,
      },
      signal,
    );
    if (set.metadata.deletionTimestamp === undefined) await progress(set, owned, revisions, signal);
    await writeStatus(set, owned, revisions, signal);
    const now = context.clock.now();
    const waits = owned.map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) ?? 0);
    const wait = Math.min(...waits.filter((ms) => ms > 0));
    if (Number.isFinite(wait)) queue.addAfter(key, wait);
  });

  /** Takes the next step only: the event of its outcome brings the one after it. */
  async function progress(
    set: StatefulSet,
    owned: readonly Pod[],
    revisions: Revisions,
    signal: AbortSignal,
  ): Promise<void> {
    const { minReadySeconds = 0 } = set.spec;
    const { first, end } = range(set);
    const now = context.clock.now();
    const isParallel = set.spec.podManagementPolicy === 'Parallel';
    const byOrdinal = new Map(owned.map((pod) => [ordinalOf(set, pod) ?? -1, pod]));
    for (const pod of owned) await claims.settleOwners(set, pod, signal);
    for (let ordinal = first; ordinal < end; ordinal++) {
      const pod = byOrdinal.get(ordinal);
      if (pod === undefined) {
        await createPod(set, ordinal, revisionFor(set, ordinal, revisions), signal);
        if (isParallel) continue;
        return;
      }
      if (isFinished(pod) && pod.metadata.deletionTimestamp === undefined) {
        tellEnded(set, pod);
        await control.delete(set, pod, signal);
        if (isParallel) continue;
        return;
      }
      const isSettled =
        pod.metadata.deletionTimestamp === undefined && isAvailable(pod, minReadySeconds, now);
      if (!isSettled && !isParallel) {
        // A Pod that never became ready may be replaced when its template was repaired meanwhile.
        await replaceBroken(set, pod, ordinal, revisions, signal);
        return;
      }
    }
    const surplus = [...byOrdinal]
      .filter(([ordinal]) => ordinal < first || ordinal >= end)
      .sort(([a], [b]) => b - a)
      .map(([, pod]) => pod);
    for (const pod of surplus) {
      if (pod.metadata.deletionTimestamp === undefined) await control.delete(set, pod, signal);
      if (!isParallel) return;
    }
    await update(set, byOrdinal, revisions, signal);
  }

  function tellEnded(set: StatefulSet, { metadata, status }: Pod): void {
    const isFailed = status?.phase === 'Failed';
    const which = `StatefulSet ${set.metadata.namespace ?? ''}/${set.metadata.name}`;
    context.events.record(COMPONENT, set, {
      type: isFailed ? 'Warning' : 'Normal',
      reason: isFailed ? 'RecreatingFailedPod' : 'RecreatingTerminatedPod',
      message: `${which} is recreating ${isFailed ? 'failed' : 'terminated'} Pod ${metadata.name}`,
    });
  }

  async function replaceBroken(
    set: StatefulSet,
    pod: Pod,
    ordinal: number,
    revisions: Revisions,
    signal: AbortSignal,
  ): Promise<void> {
    if (set.spec.updateStrategy?.type === 'OnDelete' || pod.metadata.deletionTimestamp !== undefined) return;
    const isOld = pod.metadata.labels?.[REVISION_HASH_LABEL] !== revisionHash(revisions.current);
    if (isOld && ordinal >= firstUpdated(set) && !isReady(pod)) await control.delete(set, pod, signal);
  }

  async function update(
    set: StatefulSet,
    byOrdinal: ReadonlyMap<number, Pod>,
    revisions: Revisions,
    signal: AbortSignal,
  ): Promise<void> {
    const strategy = set.spec.updateStrategy;
    if (strategy?.type === 'OnDelete') return;
    const most = Math.max(
      1,
      intOrPercent(strategy?.rollingUpdate?.maxUnavailable ?? 1, set.spec.replicas ?? 1, 'up'),
    );
    const now = context.clock.now();
    let unavailable = 0;
    for (const [ordinal, pod] of [...byOrdinal].sort(([a], [b]) => b - a)) {
      const isOut =
        pod.metadata.deletionTimestamp !== undefined || !isAvailable(pod, set.spec.minReadySeconds ?? 0, now);
      if (isOut) unavailable++;
      if (unavailable >= most) return;
      const isOld = pod.metadata.labels?.[REVISION_HASH_LABEL] !== revisionHash(revisions.current);
      if (ordinal < firstUpdated(set) || !isOld || isOut) continue;
      await control.delete(set, pod, signal);
      unavailable++;
      if (unavailable >= most) return;
    }
  }

  async function createPod(
    set: StatefulSet,
    ordinal: number,
    revision: ControllerRevision,
    signal: AbortSignal,
  ): Promise<void> {
    const name = `${set.metadata.name}-${ordinal}`;
    await claims.create(set, name, signal);
    const template = revision.data?.spec?.template ?? set.spec.template;
    const own = (set.spec.volumeClaimTemplates ?? []).map((claim): Volume => ({
      name: claim.metadata.name,
      persistentVolumeClaim: { claimName: `${claim.metadata.name}-${name}` },
    }));
    const names = new Set(own.map((volume) => volume.name));
    const volumes = [...own, ...(template.spec.volumes ?? []).filter((volume) => !names.has(volume.name))];
    const spec = {
      ...template.spec,
      hostname: name,
      ...(set.spec.serviceName === undefined ? {} : { subdomain: set.spec.serviceName }),
      ...(volumes.length === 0 ? {} : { volumes }),
    };
    const labels = {
      [REVISION_HASH_LABEL]: revisionHash(revision),
      [POD_NAME]: name,
      [POD_INDEX]: String(ordinal),
    };
    const { $patch: _patch, ...plain } = { $patch: undefined, ...template };
    await control.create(set, { ...plain, spec }, signal, { name, labels });
  }

  async function writeStatus(
    set: StatefulSet,
    owned: readonly Pod[],
    revisions: Revisions,
    signal: AbortSignal,
  ): Promise<void> {
    const now = context.clock.now();
    const minReady = set.spec.minReadySeconds ?? 0;
    const live = owned.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const updateRevision = revisionHash(revisions.current);
    const madeFrom = (hash: string): number =>
      live.filter((pod) => pod.metadata.labels?.[REVISION_HASH_LABEL] === hash).length;
    const ready = owned.filter(isReady).length;
    const updated = madeFrom(updateRevision);
    const isDone =
      set.spec.updateStrategy?.type !== 'OnDelete' &&
      updated === live.length &&
      updated === (set.spec.replicas ?? 1) &&
      ready === live.length;
    const currentRevision = isDone ? updateRevision : (set.status?.currentRevision ?? updateRevision);
    const status = {
      ...withoutZeros<StatefulSetStatus>(
        {
          observedGeneration: set.metadata.generation ?? 0,
          replicas: owned.length,
          readyReplicas: ready,
          currentReplicas: madeFrom(currentRevision),
          updatedReplicas: updated,
          currentRevision,
          updateRevision,
        },
        ['replicas'],
      ),
      collisionCount: set.status?.collisionCount ?? 0,
      availableReplicas: owned.filter((pod) => isAvailable(pod, minReady, now)).length,
      ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
    };
    if (isDeepStrictEqual(status, set.status)) return;
    await unless(['NotFound'], context.client.update(STATEFUL_SETS, { ...set, status }, signal, 'status'));
  }

  sets.onChange(({ object }) => queue.add(queueKey(object)));
  pods.onChange(({ object }) => {
    const controller = controllerOf(object);
    if (controller?.kind === 'StatefulSet')
      queue.add(`${object.metadata.namespace ?? ''}/${controller.name}`);
  });
}

/** While an update runs, Pods below the partition and those not yet reached keep the old template. */
function revisionFor(set: StatefulSet, ordinal: number, revisions: Revisions): ControllerRevision {
  const strategy = set.spec.updateStrategy;
  if (strategy?.type === 'OnDelete' || ordinal >= firstUpdated(set)) return revisions.current;
  const wanted = set.status?.currentRevision;
  return revisions.all.find((revision) => revisionHash(revision) === wanted) ?? revisions.current;
}
