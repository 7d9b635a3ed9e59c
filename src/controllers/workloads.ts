import type { KubeObject } from '../kube/object.ts';
import type { PodTemplate } from '../kube/pod.ts';
import type { LabelSelectorObject } from '../kube/selector/label-selector.ts';

/* The workloads as controllers read and write them. */

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
  lastProbeTime?: string;
}

export interface ReplicaSet extends KubeObject {
  spec: { replicas?: number; minReadySeconds?: number; selector: LabelSelectorObject; template: PodTemplate };
  status?: ReplicaStatus;
}

export interface ReplicationController extends KubeObject {
  spec: {
    replicas?: number;
    minReadySeconds?: number;
    selector?: Record<string, string>;
    template?: PodTemplate;
  };
  status?: ReplicaStatus;
}

export interface ReplicaStatus {
  replicas: number;
  fullyLabeledReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  terminatingReplicas?: number;
  observedGeneration?: number;
  conditions?: Condition[];
}

export interface Deployment extends KubeObject {
  spec: {
    replicas?: number;
    selector: LabelSelectorObject;
    template: PodTemplate;
    strategy?: {
      type?: string;
      rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
    };
    minReadySeconds?: number;
    revisionHistoryLimit?: number;
    paused?: boolean;
    progressDeadlineSeconds?: number;
  };
  status?: DeploymentStatus;
}

export interface DeploymentStatus {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  unavailableReplicas?: number;
  terminatingReplicas?: number;
  conditions?: Condition[];
  collisionCount?: number;
}

/** Leaves out zero counts, as Go's `omitempty` does; `keep` names those that are printed anyway. */
export function withoutZeros<T extends object>(status: T, keep: readonly (keyof T)[] = []): T {
  const entries = Object.entries(status).filter(
    ([key, value]) => (value !== 0 && value !== undefined) || keep.includes(key as keyof T),
  );
  return Object.fromEntries(entries) as T;
}

/** Returns `conditions` with one set, keeping the time of its last change while its status stays. */
export function setCondition(
  conditions: readonly Condition[],
  condition: Condition,
  now: string,
): Condition[] {
  const old = conditions.find((candidate) => candidate.type === condition.type);
  if (old !== undefined && old.status === condition.status && old.reason === condition.reason) {
    if (old.message === condition.message) return [...conditions];
  }
  const changed = old?.status === condition.status ? (old.lastTransitionTime ?? now) : now;
  const next = { ...condition, lastTransitionTime: changed };
  if (old === undefined) return [...conditions, next];
  return conditions.map((candidate) => (candidate === old ? next : candidate));
}
