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
import { validateApiService, validateApiServiceStatus } from './api-services.ts';
import { validateAutoscaler, validateAutoscalerStatus, validateAutoscalerUpdate } from './autoscalers.ts';
import { validateCertificateRequest, validateDecision } from './certificate-requests.ts';
import type { NameRule } from './metadata.ts';
import { labelNameFaults, pathSegmentFaults } from './name-rules.ts';
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
  /** Checks what is said of an object under its `status`, or another path of its own. */
  readonly checkStatus?: (object: JsonObject, old: JsonObject, subresource: string) => FieldError[];
  /** The kind's own check of an update looks at all metadata again, so its causes appear twice. */
  readonly metadataTwice?: boolean;
}

/** Rules of the kinds that bound, admit and connect others. */
export const policyRules: readonly (readonly [string, KindRules])[] = [
  [
    'APIService',
    { name: pathSegmentFaults, check: validateApiService, checkStatus: validateApiServiceStatus },
  ],
  [
    'HorizontalPodAutoscaler',
    {
      check: validateAutoscaler,
      checkUpdate: validateAutoscalerUpdate,
      checkStatus: validateAutoscalerStatus,
    },
  ],
  // Signers choose the names of what they are asked, so any will do.
  [
    'CertificateSigningRequest',
    {
      name: () => [],
      check: validateCertificateRequest,
      checkUpdate: (request, old) => validateDecision(request, old, ''),
      checkStatus: validateDecision,
      metadataTwice: true,
    },
  ],
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
