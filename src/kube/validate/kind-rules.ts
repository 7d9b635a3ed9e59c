import type { FieldError } from '../field-error.ts';
import type { JsonObject } from '../json/json-object.ts';
import {
  validateMutatingPolicy,
  validatePolicyBinding,
  validateValidatingPolicy,
} from './admission-policies.ts';
import {
  validateRuntimeClass,
  validateRuntimeClassUpdate,
  validateStorageClass,
  validateStorageClassUpdate,
} from './classes.ts';
import type { NameRule } from './metadata.ts';
import { labelNameFaults } from './name-rules.ts';
import {
  validateIngress,
  validateIngressClass,
  validateIngressClassUpdate,
  validateNetworkPolicy,
} from './networking.ts';
import {
  validateDisruptionBudget,
  validateLimitRange,
  validatePriorityClass,
  validatePriorityClassUpdate,
  validateResourceQuota,
  validateResourceQuotaUpdate,
} from './quotas.ts';
import {
  validateEndpoints,
  validateEndpointSlice,
  validateEndpointSliceUpdate,
  validateService,
  validateServiceUpdate,
} from './services.ts';
import { validateWebhookConfiguration } from './webhooks.ts';

/** How the objects of one kind are checked. */
export interface KindRules {
  /** Rule for names; `subdomainFaults` when absent. */
  readonly name?: NameRule;
  /** Checks everything but metadata. */
  readonly check?: (object: JsonObject) => FieldError[];
  /** Checks a change; `check` alone when absent. */
  readonly checkUpdate?: (object: JsonObject, old: JsonObject) => FieldError[];
  /** The kind's own check of an update looks at all metadata again, so its causes appear twice. */
  readonly metadataTwice?: boolean;
}

/** Rules of the kinds that bound, admit and connect others. */
export const policyRules: readonly (readonly [string, KindRules])[] = [
  ['Service', { name: labelNameFaults, check: validateService, checkUpdate: validateServiceUpdate }],
  ['Endpoints', { check: validateEndpoints }],
  ['EndpointSlice', { check: validateEndpointSlice, checkUpdate: validateEndpointSliceUpdate }],
  ['Ingress', { check: validateIngress }],
  ['IngressClass', { check: validateIngressClass, checkUpdate: validateIngressClassUpdate }],
  ['NetworkPolicy', { check: validateNetworkPolicy }],
  ['ResourceQuota', { check: validateResourceQuota, checkUpdate: validateResourceQuotaUpdate }],
  ['LimitRange', { check: validateLimitRange }],
  ['PodDisruptionBudget', { check: validateDisruptionBudget }],
  ['PriorityClass', { check: validatePriorityClass, checkUpdate: validatePriorityClassUpdate }],
  ['RuntimeClass', { check: validateRuntimeClass, checkUpdate: validateRuntimeClassUpdate }],
  ['StorageClass', { check: validateStorageClass, checkUpdate: validateStorageClassUpdate }],
  ['MutatingWebhookConfiguration', { check: validateWebhookConfiguration }],
  ['ValidatingWebhookConfiguration', { check: validateWebhookConfiguration }],
  ['ValidatingAdmissionPolicy', { check: validateValidatingPolicy }],
  ['MutatingAdmissionPolicy', { check: validateMutatingPolicy }],
  ['ValidatingAdmissionPolicyBinding', { check: validatePolicyBinding }],
  ['MutatingAdmissionPolicyBinding', { check: validatePolicyBinding }],
];
