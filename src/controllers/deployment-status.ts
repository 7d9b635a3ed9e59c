import { formatTime, parseTime } from '../kube/time.ts';
import { rollingLimits } from './deployment-plan.ts';
import {
  withoutZeros,
  type Condition,
  type Deployment,
  type DeploymentStatus,
  type ReplicaSet,
} from './workloads.ts';

/* What a Deployment says of itself, in upstream's words. Pure. */

/** A larger deadline means none. */
const NO_DEADLINE = 2 ** 31 - 1;
const TIMED_OUT = 'ProgressDeadlineExceeded';
const PAUSED = 'DeploymentPaused';
const AVAILABLE = 'NewReplicaSetAvailable';

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((total, set) => total + (of(set) ?? 0), 0);

export interface StatusView {
  readonly now: number;
  /** Something that was done in this round and belongs among the conditions. */
  readonly noted?: Condition | undefined;
  /** Whether a roll-out is under way whose progress is watched; not while paused or only scaled. */
  readonly isRolling: boolean;
}

/** Works out a Deployment's status from its sets. */
export function deploymentStatus(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  fresh: ReplicaSet | undefined,
  { now, noted, isRolling }: StatusView,
): DeploymentStatus {
  const before = deployment.status ?? {};
  const time = formatTime(now);
  const put = (all: readonly Condition[], condition: Condition | undefined): readonly Condition[] =>
    condition === undefined ? all : withCondition(all, condition, time);
  const counts = countsOf(deployment, sets, fresh);
  let conditions = put(before.conditions ?? [], noted);
  const current = conditions.find(({ type }) => type === 'Progressing');
  conditions = put(conditions, availability(deployment, counts.availableReplicas ?? 0));
  if (isRolling) {
    if (deadlineOf(deployment) === undefined) {
      conditions = conditions.filter(({ type }) => type !== 'Progressing');
    } else if (!isSettled(counts, current)) {
      const progress = progressOf(deployment, counts, fresh, current, now);
      // The same words again are news here: the clock of the deadline starts anew.
      if (progress?.reason === 'ReplicaSetUpdated') conditions = renewed(conditions, progress, time);
      else conditions = put(conditions, progress);
    }
    const failure = failureOf(sets, fresh);
    conditions =
      failure === undefined
        ? conditions.filter(({ type }) => type !== 'ReplicaFailure')
        : put(conditions, failure);
  }
  return withoutZeros<DeploymentStatus>({ ...counts, conditions: [...conditions] }, ['terminatingReplicas']);
}

/** The condition to write when a Deployment was paused or resumed since the last look. */
export function pauseCondition({ spec, status }: Deployment): Condition | undefined {
  const reason = status?.conditions?.find(({ type }) => type === 'Progressing')?.reason;
  if (deadlineOf({ spec }) === undefined || reason === TIMED_OUT) return undefined;
  if (spec.paused === true && reason !== PAUSED) {
    return progressing('Unknown', PAUSED, 'Deployment is paused');
  }
  if (spec.paused !== true && reason === PAUSED) {
    return progressing('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  return undefined;
}

/** What the condition `Progressing` says of a set that was made or found for the present template. */
export function newSetCondition(
  deployment: Deployment,
  set: string,
  outcome: { created: true } | { found: true } | { refused: string },
): Condition | undefined {
  if (deadlineOf(deployment) === undefined) return undefined;
  if ('created' in outcome)
    return progressing('True', 'NewReplicaSetCreated', `Created new replica set "${set}"`);
  if ('refused' in outcome) return progressing('False', 'ReplicaSetCreateError', outcome.refused);
  const isKnown = deployment.status?.conditions?.some(({ type }) => type === 'Progressing') === true;
  return isKnown ? undefined : progressing('True', 'FoundNewReplicaSet', `Found new replica set "${set}"`);
}

/** How long (milliseconds) until a roll-out without progress has timed out; undefined: it is not watched. */
export function untilTimeOut(
  deployment: Deployment,
  status: DeploymentStatus,
  now: number,
): number | undefined {
  const deadline = deadlineOf(deployment);
  const current = status.conditions?.find(({ type }) => type === 'Progressing');
  if (deadline === undefined || current === undefined || deployment.spec.paused === true) return undefined;
  if (current.reason === TIMED_OUT || current.reason === AVAILABLE) return undefined;
  const since = parseTime(current.lastUpdateTime ?? '') ?? now;
  return Math.max(0, since + deadline * 1000 - now);
}

/** Tells whether a roll-out has come to its end. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const { replicas = 1 } = deployment.spec;
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function countsOf(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  fresh: ReplicaSet | undefined,
): DeploymentStatus {
  const available = sum(sets, (set) => set.status?.availableReplicas);
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum(sets, (set) => set.status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum(sets, (set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(sets, (set) => set.spec.replicas ?? 1) - available),
    terminatingReplicas: sum(sets, (set) => set.status?.terminatingReplicas),
    collisionCount: deployment.status?.collisionCount ?? 0,
  };
}

function availability(deployment: Deployment, available: number): Condition {
  const wanted = deployment.spec.replicas ?? 1;
  const isEnough = available >= wanted - Math.min(rollingLimits(deployment).unavailable, wanted);
  return {
    type: 'Available',
    status: isEnough ? 'True' : 'False',
    reason: isEnough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: isEnough
      ? 'Deployment has minimum availability.'
      : 'Deployment does not have minimum availability.',
  };
}

/** After a roll-out that has ended, Pods that come and go are no progress. */
function isSettled(counts: DeploymentStatus, current: Condition | undefined): boolean {
  return counts.replicas === counts.updatedReplicas && current?.reason === AVAILABLE;
}

function progressOf(
  deployment: Deployment,
  counts: DeploymentStatus,
  fresh: ReplicaSet | undefined,
  current: Condition | undefined,
  now: number,
): Condition | undefined {
  const what =
    fresh === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${fresh.metadata.name}"`;
  if (isComplete(deployment, counts)) {
    return progressing('True', AVAILABLE, `${what} has successfully progressed.`);
  }
  if (hasProgressed(counts, deployment.status ?? {})) {
    return progressing('True', 'ReplicaSetUpdated', `${what} is progressing.`);
  }
  if (current === undefined || current.reason === AVAILABLE) return undefined;
  const since = parseTime(current.lastUpdateTime ?? '') ?? now;
  const isLate = since + (deadlineOf(deployment) ?? 0) * 1000 < now;
  if (current.reason !== TIMED_OUT && !isLate) return undefined;
  return progressing('False', TIMED_OUT, `${what} has timed out progressing.`);
}

function hasProgressed(counts: DeploymentStatus, before: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (counts.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(counts) < old(before) ||
    (counts.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (counts.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

/** What keeps a set from making Pods, the newest set's first. */
function failureOf(sets: readonly ReplicaSet[], fresh: ReplicaSet | undefined): Condition | undefined {
  const found = [...(fresh === undefined ? [] : [fresh]), ...sets]
    .flatMap((set) => set.status?.conditions ?? [])
    .find(({ type }) => type === 'ReplicaFailure');
  if (found === undefined) return undefined;
  return {
    ...found,
    ...(found.lastTransitionTime === undefined ? {} : { lastUpdateTime: found.lastTransitionTime }),
  };
}

function deadlineOf({ spec }: Pick<Deployment, 'spec'>): number | undefined {
  const { progressDeadlineSeconds: deadline } = spec;
  return deadline === undefined || deadline >= NO_DEADLINE ? undefined : deadline;
}

function progressing(status: Condition['status'], reason: string, message: string): Condition {
  return { type: 'Progressing', status, reason, message };
}

/** Puts a condition last, unless it says with the same reason what is known; other words alone are no news. */
function withCondition(all: readonly Condition[], condition: Condition, time: string): readonly Condition[] {
  const old = all.find(({ type }) => type === condition.type);
  if (old?.status === condition.status && old.reason === condition.reason) return all;
  return renewed(all, condition, time);
}

function renewed(all: readonly Condition[], condition: Condition, time: string): readonly Condition[] {
  const old = all.find(({ type }) => type === condition.type);
  const since = old?.status === condition.status ? old.lastTransitionTime : condition.lastTransitionTime;
  const next: Condition = {
    type: condition.type,
    status: condition.status,
    lastUpdateTime: condition.lastUpdateTime ?? time,
    lastTransitionTime: since ?? time,
    ...(condition.reason === undefined ? {} : { reason: condition.reason }),
    ...(condition.message === undefined ? {} : { message: condition.message }),
  };
  return [...all.filter(({ type }) => type !== condition.type), next];
}
