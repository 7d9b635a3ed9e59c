import type { KubeObject } from '../object.ts';
import { parseApiVersion } from '../resources.ts';

/** What others need comes first. */
const FIRST = [
  'Namespace',
  'ResourceQuota',
  'StorageClass',
  'CustomResourceDefinition',
  'ServiceAccount',
  'PodSecurityPolicy',
  'Role',
  'ClusterRole',
  'RoleBinding',
  'ClusterRoleBinding',
  'ConfigMap',
  'Secret',
  'Endpoints',
  'Service',
  'LimitRange',
  'PriorityClass',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'Deployment',
  'StatefulSet',
  'CronJob',
  'PodDisruptionBudget',
];
/** What could refuse the others comes last. */
const LAST = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

/** Sorts objects as kubectl applies them: by kind, then by group, version, kind, namespace and name. */
export function inApplyOrder(objects: readonly KubeObject[]): KubeObject[] {
  const keys = new Map(objects.map((object) => [object, keyOf(object)]));
  return objects.toSorted((a, b) => {
    const byKind = rankOf(a.kind) - rankOf(b.kind);
    if (byKind !== 0) return byKind;
    const [first = '', second = ''] = [keys.get(a), keys.get(b)];
    return first < second ? -1 : first > second ? 1 : 0;
  });
}

function rankOf(kind: string): number {
  const first = FIRST.indexOf(kind);
  if (first >= 0) return first - FIRST.length;
  return LAST.indexOf(kind) + 1;
}

function keyOf({ apiVersion, kind, metadata }: KubeObject): string {
  const { group, version } = parseApiVersion(apiVersion);
  return [group, version, kind, metadata.namespace ?? '', metadata.name].join('\u0000');
}
