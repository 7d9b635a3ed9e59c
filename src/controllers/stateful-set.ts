import type { KubeObject } from '../kube/object.ts';
import type { Pod, PodTemplate } from '../kube/pod.ts';
import type { LabelSelectorObject } from '../kube/selector/label-selector.ts';
import type { Claim } from './volume-objects.ts';
import type { Condition } from './workloads.ts';

/* StatefulSets as their controller reads and writes them. */

export type ClaimTemplate = Pick<Claim, 'metadata' | 'spec'>;

/** What becomes of the claims of Pods that are gone with the set, or because it has shrunk. */
export interface RetentionPolicy {
  whenDeleted?: string;
  whenScaled?: string;
}

export interface StatefulSetStatus {
  observedGeneration?: number;
  replicas: number;
  readyReplicas?: number;
  currentReplicas?: number;
  updatedReplicas?: number;
  availableReplicas?: number;
  currentRevision?: string;
  updateRevision?: string;
  collisionCount?: number;
  conditions?: Condition[];
}

export interface StatefulSet extends KubeObject {
  spec: {
    replicas?: number;
    selector: LabelSelectorObject;
    template: PodTemplate;
    serviceName?: string;
    volumeClaimTemplates?: ClaimTemplate[];
    podManagementPolicy?: string;
    updateStrategy?: {
      type?: string;
      rollingUpdate?: { partition?: number; maxUnavailable?: number | string };
    };
    revisionHistoryLimit?: number;
    minReadySeconds?: number;
    ordinals?: { start?: number };
    persistentVolumeClaimRetentionPolicy?: RetentionPolicy;
  };
  status?: StatefulSetStatus;
}

/** The number of a Pod, from its name; `undefined` when it is none of the set's. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  if (pod.metadata.namespace !== set.metadata.namespace) return undefined;
  const prefix = `${set.metadata.name}-`;
  const { name } = pod.metadata;
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^\d+$/.test(rest) ? Number(rest) : undefined;
}

/** Which numbers the Pods of a set have. */
export function range({ spec }: StatefulSet): { first: number; end: number } {
  const first = spec.ordinals?.start ?? 0;
  return { first, end: first + (spec.replicas ?? 1) };
}

/** The number from which on Pods get the new template; partitions count from the first Pod. */
export function firstUpdated({ spec }: StatefulSet): number {
  return (spec.ordinals?.start ?? 0) + (spec.updateStrategy?.rollingUpdate?.partition ?? 0);
}
