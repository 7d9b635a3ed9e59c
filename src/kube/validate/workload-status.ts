import { invalidValue, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, type JsonObject } from '../json/json-object.ts';
import { validateNonNegative } from './metadata.ts';

/** How many Pods a controller says there are of each sort: none is negative, and no part is larger than its whole. */
interface CountRules {
  readonly counts: readonly string[];
  /** Part, whole, and the whole as the text names it. */
  readonly parts: readonly (readonly [part: string, whole: string, named: string])[];
}

const ofReplicas = (...parts: string[]): [string, string, string][] =>
  parts.map((part) => [part, 'replicas', 'status.replicas']);

const REPLICA_SET: CountRules = {
  counts: [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'terminatingReplicas',
    'observedGeneration',
  ],
  parts: [
    ...ofReplicas('fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'),
    ['availableReplicas', 'readyReplicas', 'readyReplicas'],
  ],
};

const RULES: Readonly<Record<string, CountRules | undefined>> = {
  ReplicaSet: REPLICA_SET,
  ReplicationController: REPLICA_SET,
  Deployment: {
    counts: [
      'observedGeneration',
      'replicas',
      'updatedReplicas',
      'readyReplicas',
      'availableReplicas',
      'unavailableReplicas',
      'terminatingReplicas',
      'collisionCount',
    ],
    parts: [
      ...ofReplicas('updatedReplicas', 'readyReplicas', 'availableReplicas'),
      ['availableReplicas', 'readyReplicas', 'readyReplicas'],
    ],
  },
  StatefulSet: {
    counts: [
      'replicas',
      'readyReplicas',
      'currentReplicas',
      'updatedReplicas',
      'availableReplicas',
      'observedGeneration',
      'collisionCount',
    ],
    parts: [
      ...ofReplicas('readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'),
      ['availableReplicas', 'readyReplicas', 'status.readyReplicas'],
    ],
  },
  DaemonSet: {
    counts: [
      'currentNumberScheduled',
      'numberMisscheduled',
      'desiredNumberScheduled',
      'numberReady',
      'observedGeneration',
      'updatedNumberScheduled',
      'numberAvailable',
      'numberUnavailable',
      'collisionCount',
    ],
    parts: [],
  },
  Job: { counts: ['active', 'succeeded', 'failed', 'ready', 'terminating'], parts: [] },
};

/** Checks what a controller says of its Pods; kinds that count none pass. */
export function validateWorkloadStatus(kind: string, object: JsonObject, old: JsonObject): FieldError[] {
  const rules = RULES[kind];
  if (rules === undefined) return [];
  const status = objectAt(object, 'status');
  const errors = rules.counts.flatMap((key) => validateNonNegative(status, key, 'status'));
  for (const [part, whole, named] of rules.parts) {
    const value = numberAt(status, part) ?? 0;
    if (value <= (numberAt(status, whole) ?? 0)) continue;
    errors.push(invalidValue(`status.${part}`, value, `cannot be greater than ${named}`));
  }
  const collisions = numberAt(status, 'collisionCount');
  const before = numberAt(objectAt(old, 'status'), 'collisionCount');
  if (before !== undefined && (kind === 'Deployment' || kind === 'DaemonSet')) {
    if ((collisions ?? 0) < before) {
      errors.push(invalidValue('status.collisionCount', collisions ?? 0, 'cannot be decremented'));
    }
  }
  return errors;
}
