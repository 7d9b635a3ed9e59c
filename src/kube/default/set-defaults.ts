import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import { setAutoscalerDefaults, setOlderAutoscalerDefaults } from './autoscaler-defaults.ts';
import { setDefault, setDefaultText } from './_set-default.ts';
import type { DefaultOptions } from './default-options.ts';
import { setPodOnlyDefaults, setPodSpecDefaults } from './pod-defaults.ts';
import { setIngressClassDefaults, setNetworkPolicyDefaults } from './networking-defaults.ts';
import {
  setAdmissionPolicyDefaults,
  setLimitRangeDefaults,
  setPolicyBindingDefaults,
  setPriorityClassDefaults,
  setStorageClassDefaults,
  setWebhookDefaults,
} from './policy-defaults.ts';
import { setEndpointsDefaults, setEndpointSliceDefaults, setServiceDefaults } from './service-defaults.ts';
import {
  setClaimDefaults,
  setCronJobDefaults,
  setDaemonSetDefaults,
  setDeploymentDefaults,
  setJobDefaults,
  setReplicaSetDefaults,
  setReplicationControllerDefaults,
  setStatefulSetDefaults,
} from './workload-defaults.ts';
import { setSourceDefaults } from './volume-defaults.ts';

export type { DefaultOptions } from './default-options.ts';

type SetKindDefaults = (object: JsonObject, options: DefaultOptions) => void;

const RBAC = 'rbac.authorization.k8s.io';
const ADMISSION = 'admissionregistration.k8s.io/v1';

/** Turns a function over a spec into one over an object; a missing spec gets nothing. */
function onSpec(set: SetKindDefaults): SetKindDefaults {
  return (object, options) => {
    const spec = objectAt(object, 'spec');
    if (spec !== undefined) set(spec, options);
  };
}

const byKind = new Map<string, SetKindDefaults>([
  [
    'v1/Pod',
    onSpec((spec, options) => {
      setPodSpecDefaults(spec, options);
      setPodOnlyDefaults(spec);
    }),
  ],
  ['v1/ReplicationController', setReplicationControllerDefaults],
  ['v1/Secret', (secret) => setDefaultText(secret, 'type', 'Opaque')],
  ['v1/Namespace', setNamespaceDefaults],
  ['v1/PersistentVolumeClaim', setClaimDefaults],
  ['v1/PersistentVolume', setVolumeDefaults],
  ['apps/v1/Deployment', onSpec(setDeploymentDefaults)],
  ['apps/v1/DaemonSet', onSpec(setDaemonSetDefaults)],
  ['apps/v1/StatefulSet', onSpec(setStatefulSetDefaults)],
  ['apps/v1/ReplicaSet', onSpec(setReplicaSetDefaults)],
  ['autoscaling/v1/HorizontalPodAutoscaler', onSpec(setOlderAutoscalerDefaults)],
  ['autoscaling/v2/HorizontalPodAutoscaler', onSpec(setAutoscalerDefaults)],
  ['batch/v1/Job', setJobDefaults],
  ['batch/v1/CronJob', onSpec(setCronJobDefaults)],
  ['apiextensions.k8s.io/v1/CustomResourceDefinition', onSpec(setDefinitionDefaults)],
  [`${RBAC}/v1/RoleBinding`, setBindingDefaults],
  [`${RBAC}/v1/ClusterRoleBinding`, setBindingDefaults],
  ['v1/Service', setServiceDefaults],
  ['v1/Endpoints', setEndpointsDefaults],
  ['v1/LimitRange', setLimitRangeDefaults],
  [
    'v1/PodTemplate',
    (object, options) => {
      const template = objectAt(objectAt(object, 'template'), 'spec');
      if (template !== undefined) setPodSpecDefaults(template, options);
    },
  ],
  [
    'apiregistration.k8s.io/v1/APIService',
    onSpec((spec) => {
      const service = objectAt(spec, 'service');
      if (service !== undefined) setDefault(service, 'port', 443);
    }),
  ],
  ['discovery.k8s.io/v1/EndpointSlice', setEndpointSliceDefaults],
  ['networking.k8s.io/v1/IngressClass', onSpec(setIngressClassDefaults)],
  ['networking.k8s.io/v1/NetworkPolicy', onSpec(setNetworkPolicyDefaults)],
  ['scheduling.k8s.io/v1/PriorityClass', setPriorityClassDefaults],
  ['storage.k8s.io/v1/StorageClass', setStorageClassDefaults],
  [`${ADMISSION}/ValidatingWebhookConfiguration`, setWebhookDefaults],
  [`${ADMISSION}/MutatingWebhookConfiguration`, setWebhookDefaults],
  [`${ADMISSION}/ValidatingAdmissionPolicy`, setAdmissionPolicyDefaults],
  [`${ADMISSION}/MutatingAdmissionPolicy`, setAdmissionPolicyDefaults],
  [`${ADMISSION}/ValidatingAdmissionPolicyBinding`, setPolicyBindingDefaults],
  [`${ADMISSION}/MutatingAdmissionPolicyBinding`, setPolicyBindingDefaults],
  ['authentication.k8s.io/v1/TokenRequest', onSpec((spec) => setDefault(spec, 'expirationSeconds', 60 * 60))],
]);

/**
 * Fills in, in place, every default of the object's kind (dispatches on apiVersion and kind): what the API does
 * whenever it decodes. Kinds without defaults are left as they are. What admission adds is not here.
 */
export function setDefaults(object: KubeObject, options: DefaultOptions): void {
  byKind.get(`${object.apiVersion}/${object.kind}`)?.(object as unknown as JsonObject, options);
}

/** Each namespace carries its own name as a label, so that selectors can name it. */
function setNamespaceDefaults(object: JsonObject): void {
  const metadata = objectAt(object, 'metadata');
  const name = stringAt(metadata, 'name');
  if (metadata === undefined || name === '') return;
  metadata['labels'] = { ...objectAt(metadata, 'labels'), 'kubernetes.io/metadata.name': name };
}

function setVolumeDefaults(object: JsonObject): void {
  const spec = objectAt(object, 'spec');
  if (spec !== undefined) {
    setDefaultText(spec, 'persistentVolumeReclaimPolicy', 'Retain');
    setDefault(spec, 'volumeMode', 'Filesystem');
    setSourceDefaults(spec);
  }
  const status = objectAt(object, 'status') ?? {};
  object['status'] = status;
  setDefaultText(status, 'phase', 'Pending');
}

function setBindingDefaults(object: JsonObject): void {
  const roleRef = objectAt(object, 'roleRef');
  if (roleRef !== undefined) setDefaultText(roleRef, 'apiGroup', RBAC);
  for (const subject of objectsAt(object, 'subjects')) {
    const kind = stringAt(subject, 'kind');
    if (kind === 'User' || kind === 'Group') setDefaultText(subject, 'apiGroup', RBAC);
  }
}

function setDefinitionDefaults(spec: JsonObject): void {
  const names = objectAt(spec, 'names');
  const kind = stringAt(names, 'kind');
  if (names !== undefined && kind !== '') {
    setDefaultText(names, 'listKind', `${kind}List`);
    setDefaultText(names, 'singular', kind.toLowerCase());
  }
  spec['conversion'] ??= { strategy: 'None' };
}
