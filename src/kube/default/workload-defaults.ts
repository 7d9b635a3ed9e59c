import { objectAt, objectsAt, type JsonObject } from '../json/json-object.ts';
import { setDefault, setDefaultText } from './_set-default.ts';
import type { DefaultOptions } from './default-options.ts';
import { setPodSpecDefaults } from './pod-defaults.ts';

const MAX_INT32 = 2_147_483_647;

/** Fills in a Deployment. */
export function setDeploymentDefaults(spec: JsonObject, options: DefaultOptions): void {
  setTemplateDefaults(spec, options);
  setDefault(spec, 'replicas', 1);
  const strategy = ensure(spec, 'strategy');
  setDefaultText(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensure(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', '25%');
    setDefault(rolling, 'maxSurge', '25%');
  }
  setDefault(spec, 'revisionHistoryLimit', 10);
  setDefault(spec, 'progressDeadlineSeconds', 600);
}

/** Fills in a DaemonSet. */
export function setDaemonSetDefaults(spec: JsonObject, options: DefaultOptions): void {
  setTemplateDefaults(spec, options);
  const strategy = ensure(spec, 'updateStrategy');
  setDefaultText(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling = ensure(strategy, 'rollingUpdate');
    setDefault(rolling, 'maxUnavailable', 1);
    setDefault(rolling, 'maxSurge', 0);
  }
  setDefault(spec, 'revisionHistoryLimit', 10);
}

/** Fills in a StatefulSet, claims included. */
export function setStatefulSetDefaults(spec: JsonObject, options: DefaultOptions): void {
  setTemplateDefaults(spec, options);
  setDefaultText(spec, 'podManagementPolicy', 'OrderedReady');
  const strategy = ensure(spec, 'updateStrategy');
  setDefaultText(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') setDefault(ensure(strategy, 'rollingUpdate'), 'partition', 0);
  const retention = ensure(spec, 'persistentVolumeClaimRetentionPolicy');
  setDefaultText(retention, 'whenDeleted', 'Retain');
  setDefaultText(retention, 'whenScaled', 'Retain');
  setDefault(spec, 'replicas', 1);
  setDefault(spec, 'revisionHistoryLimit', 10);
  for (const claim of objectsAt(spec, 'volumeClaimTemplates')) {
    claim['apiVersion'] = 'v1';
    claim['kind'] = 'PersistentVolumeClaim';
    setClaimDefaults(claim);
  }
}

/** Fills in a ReplicaSet. */
export function setReplicaSetDefaults(spec: JsonObject, options: DefaultOptions): void {
  setTemplateDefaults(spec, options);
  setDefault(spec, 'replicas', 1);
}

/** Fills in a ReplicationController, whose selector and labels come from its template. */
export function setReplicationControllerDefaults(object: JsonObject, options: DefaultOptions): void {
  const spec = ensure(object, 'spec');
  setTemplateDefaults(spec, options);
  setDefault(spec, 'replicas', 1);
  const labels = objectAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  if (labels === undefined) return;
  if (isEmpty(objectAt(spec, 'selector'))) spec['selector'] = { ...labels };
  inheritLabels(object, labels);
}

/** Fills in a Job. */
export function setJobDefaults(object: JsonObject, options: DefaultOptions): void {
  const spec = ensure(object, 'spec');
  setTemplateDefaults(spec, options);
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  setDefault(spec, 'parallelism', 1);
  setDefault(spec, 'backoffLimit', spec['backoffLimitPerIndex'] === undefined ? 6 : MAX_INT32);
  setDefault(spec, 'completionMode', 'NonIndexed');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'manualSelector', false);
  const failurePolicy = objectAt(spec, 'podFailurePolicy');
  setDefault(spec, 'podReplacementPolicy', failurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed');
  for (const rule of objectsAt(failurePolicy, 'rules')) {
    for (const pattern of objectsAt(rule, 'onPodConditions')) setDefaultText(pattern, 'status', 'True');
  }
  const labels = objectAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  if (labels !== undefined) inheritLabels(object, labels);
}

/** Fills in a CronJob; its Job template only gets the defaults of Pods. */
export function setCronJobDefaults(spec: JsonObject, options: DefaultOptions): void {
  setDefaultText(spec, 'concurrencyPolicy', 'Allow');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'successfulJobsHistoryLimit', 3);
  setDefault(spec, 'failedJobsHistoryLimit', 1);
  const jobSpec = objectAt(objectAt(spec, 'jobTemplate'), 'spec');
  if (jobSpec !== undefined) setTemplateDefaults(jobSpec, options);
}

/** Fills in a PersistentVolumeClaim. */
export function setClaimDefaults(claim: JsonObject): void {
  setDefaultText(ensure(claim, 'status'), 'phase', 'Pending');
  setDefault(ensure(claim, 'spec'), 'volumeMode', 'Filesystem');
}

/** Gives an object without labels those of its template. */
export function inheritLabels(object: JsonObject, labels: JsonObject): void {
  const metadata = ensure(object, 'metadata');
  if (isEmpty(objectAt(metadata, 'labels')) && !isEmpty(labels)) metadata['labels'] = { ...labels };
}

function setTemplateDefaults(spec: JsonObject, options: DefaultOptions): void {
  const podSpec = objectAt(objectAt(spec, 'template'), 'spec');
  if (podSpec !== undefined) setPodSpecDefaults(podSpec, options);
}

function ensure(parent: JsonObject, key: string): JsonObject {
  const found = objectAt(parent, key);
  if (found !== undefined) return found;
  const made: JsonObject = {};
  parent[key] = made;
  return made;
}

function isEmpty(map: JsonObject | undefined): boolean {
  return map === undefined || Object.keys(map).length === 0;
}
