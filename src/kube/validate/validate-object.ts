import {
  validateApproval,
  validateDefinition,
  validateDefinitionUpdate,
} from '../custom/validate-definition.ts';
import { validateRules as validateCustomRules } from '../custom/validation-rules.ts';
import { validateValue } from '../custom/validate-value.ts';
import type { FieldError } from '../field-error.ts';
import type { JsonObject } from '../json/json-object.ts';
import { objectAt, stringAt } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';
import { validateCronJob, validateCronJobName, validateJob, validateJobUpdate } from './jobs.ts';
import { policyRules, type KindRules } from './kind-rules.ts';
import {
  metadataOf,
  validateCommonMetadata,
  validateFinalizerOwners,
  validateMetadata,
  validateMetadataUpdate,
} from './metadata.ts';
import { labelNameFaults, pathSegmentFaults, subdomainFaults } from './name-rules.ts';
import { validateClaim, validateClaimUpdate } from './claims.ts';
import {
  validateBinding,
  validateClusterRole,
  validateConfigMap,
  validateConfigMapUpdate,
  validateLease,
  validateNamespace,
  validateNamespaceFinalizers,
  validateNamespacePhase,
  validateRevision,
  validateRevisionUpdate,
  validateRoleRefKept,
  validateRules,
} from './other-kinds.ts';
import { validateNode, validateNodeUpdate } from './nodes.ts';
import { validateEvent, validateNewerEvent, validateNewerEventUpdate } from './events.ts';
import { validateJobStatus } from './job-status.ts';
import { validatePersistentVolume, validatePersistentVolumeUpdate } from './persistent-volumes.ts';
import { validatePodResize } from './pod-resize.ts';
import { validatePodStatus } from './pod-status.ts';
import { validateEphemeralUpdate, validatePod, validatePodUpdate } from './pod.ts';
import { validateSecret, validateSecretUpdate } from './secret.ts';
import { validateStatefulSet, validateStatefulSetUpdate } from './stateful-sets.ts';
import { finalizerWarnings, warningsFor } from './warnings.ts';
import { validateWorkloadStatus } from './workload-status.ts';
import {
  validateDaemonSet,
  validateDeployment,
  validatePodTemplate,
  validateReplicaSet,
  validateReplicationController,
  validateSelectorKept,
} from './workloads.ts';

const both =
  (
    check: (object: JsonObject) => FieldError[],
    update: (object: JsonObject, old: JsonObject) => FieldError[],
  ) =>
  (object: JsonObject, old: JsonObject): FieldError[] => [...check(object), ...update(object, old)];

const rules: ReadonlyMap<string, KindRules> = new Map<string, KindRules>([
  ['Pod', { check: validatePod, checkUpdate: validatePodUpdate }],
  ['Secret', { check: validateSecret, checkUpdate: validateSecretUpdate, metadataTwice: true }],
  ['ConfigMap', { check: validateConfigMap, checkUpdate: validateConfigMapUpdate, metadataTwice: true }],
  ['Namespace', { name: labelNameFaults, check: validateNamespace, checkUpdate: () => [] }],
  ['ServiceAccount', { metadataTwice: true }],
  ['Node', { check: validateNode, checkUpdate: validateNodeUpdate, checkStatus: validateNodeUpdate }],
  ['Event', { check: validateEvent }],
  ['PersistentVolumeClaim', { check: validateClaim, checkUpdate: validateClaimUpdate }],
  ['PersistentVolume', { check: validatePersistentVolume, checkUpdate: validatePersistentVolumeUpdate }],
  ['ReplicationController', { check: validateReplicationController }],
  ['Deployment', { check: validateDeployment, checkUpdate: both(validateDeployment, validateSelectorKept) }],
  ['ReplicaSet', { check: validateReplicaSet, checkUpdate: both(validateReplicaSet, validateSelectorKept) }],
  ['DaemonSet', { check: validateDaemonSet, checkUpdate: both(validateDaemonSet, validateSelectorKept) }],
  [
    'StatefulSet',
    { check: validateStatefulSet, checkUpdate: both(validateStatefulSet, validateStatefulSetUpdate) },
  ],
  [
    'ControllerRevision',
    {
      check: validateRevision,
      checkUpdate: both(validateRevision, validateRevisionUpdate),
      metadataTwice: true,
    },
  ],
  ['Job', { check: validateJob, checkUpdate: validateJobUpdate, checkStatus: validateJobStatus }],
  ['CronJob', { check: validateCronJob }],
  ['Role', { name: pathSegmentFaults, check: (role) => validateRules(role, true), metadataTwice: true }],
  ['ClusterRole', { name: pathSegmentFaults, check: validateClusterRole, metadataTwice: true }],
  [
    'RoleBinding',
    {
      name: pathSegmentFaults,
      check: (binding) => validateBinding(binding, true),
      checkUpdate: both((binding) => validateBinding(binding, true), validateRoleRefKept),
      metadataTwice: true,
    },
  ],
  [
    'ClusterRoleBinding',
    {
      name: pathSegmentFaults,
      check: (binding) => validateBinding(binding, false),
      checkUpdate: both((binding) => validateBinding(binding, false), validateRoleRefKept),
      metadataTwice: true,
    },
  ],
  ['Lease', { check: validateLease }],
  [
    'PodTemplate',
    { check: (template) => validatePodTemplate(objectAt(template, 'template') ?? {}, 'template') },
  ],
  ...policyRules,
  [
    'CustomResourceDefinition',
    {
      check: (definition) => [...validateDefinition(definition), ...validateApproval(definition)],
      checkUpdate: (definition, old) => [
        ...validateDefinition(definition),
        ...validateDefinitionUpdate(definition, old),
        ...validateApproval(definition, old),
      ],
    },
  ],
]);

/** Built-in kinds whose finalizers need no domain, as those of custom kinds. */
const LOOSE_FINALIZERS: ReadonlySet<string> = new Set([
  'APIService',
  'CertificateSigningRequest',
  'CustomResourceDefinition',
  'Lease',

  'MutatingWebhookConfiguration',
  'PodDisruptionBudget',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'ValidatingWebhookConfiguration',
]);

/** Checks a defaulted new object, metadata included; empty when it is valid. Pass the result to `invalid`. */
export function validateCreate(object: KubeObject, resource: ResourceInfo): FieldError[] {
  const json = object as unknown as JsonObject;
  const { custom } = resource;
  if (custom !== undefined) {
    const errors = [
      ...validateMetadata(metadataOf(json), resource.namespaced, subdomainFaults),
      ...validateValue(json, custom.schema, ''),
    ];
    return [...errors, ...validateCustomRules(json, undefined, custom.schema, errors)];
  }
  const kind = rulesOf(resource);
  const errors = validateMetadata(metadataOf(json), resource.namespaced, kind.name ?? subdomainFaults);
  if (!LOOSE_FINALIZERS.has(resource.kind)) errors.push(...validateFinalizerOwners(metadataOf(json)));
  errors.push(...(kind.check?.(json) ?? []));
  if (resource.kind === 'CronJob') errors.push(...validateCronJobName(stringAt(metadataOf(json), 'name')));
  return errors;
}

/** Checks a defaulted changed object against the stored one, immutable fields included. */
export function validateUpdate(
  object: KubeObject,
  old: KubeObject,
  resource: ResourceInfo,
  subresource?: string,
): FieldError[] {
  const json = object as unknown as JsonObject;
  const before = old as unknown as JsonObject;
  const kind = rulesOf(resource);
  const metadata = metadataOf(json);
  const changed = validateMetadataUpdate(metadata, metadataOf(before));
  const errors = [...validateCommonMetadata(metadata, resource.namespaced), ...changed, ...changed];
  if (resource.custom !== undefined) {
    const { schema } = resource.custom;
    const found = [...errors, ...validateValue(json, schema, '')];
    return [...found, ...validateCustomRules(json, before, schema, found)];
  }
  if (!LOOSE_FINALIZERS.has(resource.kind)) errors.push(...validateFinalizerOwners(metadata));
  // A binding is the server's own change: it has been checked as what it is.
  if (resource.kind === 'Namespace' && subresource === 'status') {
    return [...errors, ...validateNamespacePhase(json)];
  }
  if (resource.kind === 'Namespace' && subresource === 'finalize') {
    return [...errors, ...validateNamespaceFinalizers(json)];
  }
  if (subresource === 'status' || subresource === 'approval') {
    if (resource.kind === 'Pod') errors.push(...validatePodStatus(json, before));
    errors.push(...validateWorkloadStatus(resource.kind, json, before));
    return [...errors, ...(kind.checkStatus?.(json, before, subresource) ?? [])];
  }
  if (subresource === 'finalize' || subresource === 'binding') return errors;
  if (subresource === 'resize') return [...errors, ...validatePodResize(json, before)];
  if (subresource === 'ephemeralcontainers') return [...errors, ...validateEphemeralUpdate(json, before)];
  if (kind.metadataTwice === true) {
    errors.push(...validateMetadata(metadata, resource.namespaced, kind.name ?? subdomainFaults));
  }
  errors.push(...(kind.checkUpdate?.(json, before) ?? kind.check?.(json) ?? []));
  return errors;
}

/** Returns texts for `Warning` headers that a valid object still deserves (rule 2.8, doubled env, …). */
export function warningsOf(object: KubeObject, resource: ResourceInfo, old?: KubeObject): string[] {
  const json = object as unknown as JsonObject;
  const before = old === undefined ? undefined : (old as unknown as JsonObject);
  if (resource.custom !== undefined) return finalizerWarnings(json, before);
  return warningsFor(json, resource.kind, before);
}

const newerEventRules: KindRules = {
  check: validateNewerEvent,
  checkUpdate: validateNewerEventUpdate,
  metadataTwice: true,
};

/** Events are of two groups, each with rules of its own. */
function rulesOf(resource: ResourceInfo): KindRules {
  if (resource.kind === 'Event' && resource.group !== '') return newerEventRules;
  return rules.get(resource.kind) ?? {};
}
