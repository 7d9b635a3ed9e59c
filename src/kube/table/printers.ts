import { autoscaler } from './_autoscaler-printer.ts';
import { binding, generic, lease, plain, role } from './_access-printers.ts';
import { event, namespace, node } from './_cluster-printers.ts';
import type { Printer } from './_columns.ts';
import { apiService, certificateRequest, componentStatus } from './_control-plane-printers.ts';
import {
  endpoints,
  endpointSlice,
  ingress,
  ingressClass,
  networkPolicy,
  service,
} from './_network-printers.ts';
import {
  disruptionBudget,
  limitRange,
  mutatingPolicy,
  podTemplate,
  policyBinding,
  priorityClass,
  resourceQuota,
  runtimeClass,
  storageClass,
  validatingPolicy,
  webhookConfiguration,
} from './_policy-printers.ts';
import { pod } from './_pod-printer.ts';
import { claim, configMap, secret, volume } from './_storage-printers.ts';
import {
  cronJob,
  daemonSet,
  deployment,
  job,
  replicas,
  revision,
  scale,
  statefulSet,
} from './_workload-printers.ts';

const printers: ReadonlyMap<string, Printer> = new Map([
  ['Pod', pod],
  ['ReplicationController', replicas],
  ['ReplicaSet', replicas],
  ['Scale', scale],
  ['Deployment', deployment],
  ['StatefulSet', statefulSet],
  ['DaemonSet', daemonSet],
  ['Job', job],
  ['CronJob', cronJob],
  ['Secret', secret],
  ['ConfigMap', configMap],
  ['ServiceAccount', plain],
  ['Namespace', namespace],
  ['Node', node],
  ['Event', event],
  ['PersistentVolumeClaim', claim],
  ['PersistentVolume', volume],
  ['Lease', lease],
  ['RoleBinding', binding],
  ['ClusterRoleBinding', binding],
  ['Role', role],
  ['ClusterRole', role],
  ['ControllerRevision', revision],
  ['Service', service],
  ['Endpoints', endpoints],
  ['EndpointSlice', endpointSlice],
  ['Ingress', ingress],
  ['IngressClass', ingressClass],
  ['NetworkPolicy', networkPolicy],
  ['LimitRange', limitRange],
  ['ResourceQuota', resourceQuota],
  ['PodDisruptionBudget', disruptionBudget],
  ['PriorityClass', priorityClass],
  ['RuntimeClass', runtimeClass],
  ['StorageClass', storageClass],
  ['ValidatingWebhookConfiguration', webhookConfiguration],
  ['MutatingWebhookConfiguration', webhookConfiguration],
  ['ValidatingAdmissionPolicy', validatingPolicy],
  ['ValidatingAdmissionPolicyBinding', policyBinding],
  ['MutatingAdmissionPolicy', mutatingPolicy],
  ['MutatingAdmissionPolicyBinding', policyBinding],
  ['PodTemplate', podTemplate],
  ['ComponentStatus', componentStatus],
  ['APIService', apiService],
  ['HorizontalPodAutoscaler', autoscaler],
  ['CertificateSigningRequest', certificateRequest],
]);

/** Returns how a kind is printed: name and creation time when it has no columns of its own. */
export function printerOf(kind: string): Printer {
  return printers.get(kind) ?? generic;
}
