import { formatTime, parseTime } from '../kube/time.ts';
import { rollingLimits } from './deployment-plan.ts';
import {
  setCondition,
  withoutZeros,
  type Condition,
  type Deployment,
  type DeploymentStatus,
  type ReplicaSet,
} from './workloads.ts';

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((total, set) => total + (of(set) ?? 0), 0);

/** Works out a Deployment's status from its sets; pure. */
export function deploymentStatus(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  fresh: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const wanted = deployment.spec.replicas ?? 1;
  const before = deployment.status ?? {};
  const replicas = sum(sets, (set) => set.status?.replicas);
  const available = sum(sets, (set) => set.status?.availableReplicas);
  const updated = fresh?.status?.replicas ?? 0;
  const isComplete = fresh !== undefined && updated === wanted && replicas === wanted && available === wanted;
  const counts = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas,
    updatedReplicas: updated,
    readyReplicas: sum(sets, (set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(sets, (set) => set.spec.replicas ?? 1) - available),
    terminatingReplicas: sum(sets, (set) => set.status?.terminatingReplicas),
    collisionCount: before.collisionCount ?? 0,
  };
  const time = formatTime(now);
  let conditions = setCondition(before.conditions ?? [], availability(deployment, available), time);
  const progress = progressOf(deployment, counts, fresh, isComplete, now);
  if (progress !== undefined) conditions = setCondition(conditions, progress, time);
  const failure = sets
    .flatMap((set) => set.status?.conditions ?? [])
    .find((c) => c.type === 'ReplicaFailure');
  conditions = conditions.filter((condition) => condition.type !== 'ReplicaFailure');
  if (failure !== undefined) conditions = setCondition(conditions, failure, time);
  conditions = conditions.map((condition) => ({
    ...condition,
    lastUpdateTime:
      isSameCondition(condition, before.conditions) && !hasProgressed(counts, before)
        ? (condition.lastUpdateTime ?? time)
        : time,
  }));
  return withoutZeros<DeploymentStatus>({ ...counts, conditions }, ['terminatingReplicas']);
}

function isSameCondition(condition: Condition, before: readonly Condition[] | undefined): boolean {
  const old = before?.find((candidate) => candidate.type === condition.type);
  return (
    old?.status === condition.status && old.reason === condition.reason && old.message === condition.message
  );
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

function progressOf(
  deployment: Deployment,
  counts: DeploymentStatus,
  fresh: ReplicaSet | undefined,
  isComplete: boolean,
  now: number,
): Condition | undefined {
  const deadline = deployment.spec.progressDeadlineSeconds;
  if (deadline === undefined || deadline >= 2 ** 31 - 1) return undefined;
  const before = deployment.status?.conditions?.find((condition) => condition.type === 'Progressing');
  const name = fresh?.metadata.name ?? '';
  const condition = (status: 'True' | 'False' | 'Unknown', reason: string, message: string): Condition => ({
    type: 'Progressing',
    status,
    reason,
    message,
  });
  if (deployment.spec.paused === true) {
    return condition('Unknown', 'DeploymentPaused', 'Deployment is paused');
  }
  if (before?.reason === 'DeploymentPaused') {
    return condition('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  if (isComplete) {
    const what = fresh === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${name}"`;
    return condition('True', 'NewReplicaSetAvailable', `${what} has successfully progressed.`);
  }
  if (before === undefined) {
    return condition('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`);
  }
  if (hasProgressed(counts, deployment.status ?? {}) || before.reason === 'NewReplicaSetAvailable') {
    return condition('True', 'ReplicaSetUpdated', `ReplicaSet "${name}" is progressing.`);
  }
  const since = parseTime(before.lastUpdateTime ?? '') ?? now;
  if (now - since >= deadline * 1000) {
    return condition('False', 'ProgressDeadlineExceeded', `ReplicaSet "${name}" has timed out progressing.`);
  }
  return before;
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
