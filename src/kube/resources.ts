import type { CustomKind } from './custom/custom-kind.ts';
import { findKindStruct, type StructSchema } from './schema/schema.ts';

/** A part of an object served under its own path, such as `pods/status`. */
export interface SubresourceInfo {
  readonly name: string;
  /** Kind that the path speaks, with its group and version when they differ from the resource's. */
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** One served resource with everything that discovery says about it. */
export interface ResourceInfo {
  readonly group: string;
  readonly version: string;
  /** `v1`, `apps/v1` */
  readonly apiVersion: string;
  /** Plural name as in paths. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** A resource without `list` is answered, not stored: reviews, bindings. */
  readonly verbs: readonly string[];
  readonly subresources: readonly SubresourceInfo[];
  /** Where the same objects are stored when another group serves them too: Events. Absent: under itself. */
  readonly storedAs?: { readonly group: string; readonly version: string };
  /** What every request for the kind is warned of; absent for kinds that are to stay. */
  readonly deprecation?: string;
  /** What a CustomResourceDefinition says of the kind; absent for kinds that are built in. */
  readonly custom?: CustomKind;
}

/** Verbs of a resource that can do everything, in discovery's order. */
export const allVerbs: readonly string[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

const WRITE_STATUS: readonly string[] = ['get', 'patch', 'update'];
const CREATE: readonly string[] = ['create'];
const CONNECT: readonly string[] = ['create', 'get'];
const PASS_ON: readonly string[] = ['create', 'delete', 'get', 'patch', 'update'];

interface Options {
  shortNames?: readonly string[];
  categories?: readonly string[];
  verbs?: readonly string[];
  subresources?: readonly SubresourceInfo[];
  storedAs?: { readonly group: string; readonly version: string };
  deprecation?: string;
  /** Plural of a kind that takes more than an `s`. */
  resource?: string;
}

function declare(
  apiVersion: string,
  kind: string,
  scope: 'Namespaced' | 'Cluster',
  options: Options = {},
): ResourceInfo {
  const { group, version } = parseApiVersion(apiVersion);
  const singular = kind.toLowerCase();
  return {
    group,
    version,
    apiVersion,
    resource: options.resource ?? `${singular}s`,
    singular,
    kind,
    namespaced: scope === 'Namespaced',
    shortNames: options.shortNames ?? [],
    categories: options.categories ?? [],
    verbs: options.verbs ?? allVerbs,
    subresources: options.subresources ?? [],
    ...(options.storedAs === undefined ? {} : { storedAs: options.storedAs }),
    ...(options.deprecation === undefined ? {} : { deprecation: options.deprecation }),
  };
}

const status = (kind: string): SubresourceInfo => ({ name: 'status', kind, verbs: WRITE_STATUS });
const proxy = (kind: string): SubresourceInfo => ({
  name: 'proxy',
  kind: `${kind}ProxyOptions`,
  verbs: PASS_ON,
});
const scale: SubresourceInfo = {
  name: 'scale',
  kind: 'Scale',
  group: 'autoscaling',
  version: 'v1',
  verbs: WRITE_STATUS,
};
const ALL: readonly string[] = ['all'];
const ADMISSION = 'admissionregistration.k8s.io/v1';
const EXTENSIONS: readonly string[] = ['api-extensions'];

const POD_SUBRESOURCES: readonly SubresourceInfo[] = [
  { name: 'attach', kind: 'PodAttachOptions', verbs: CONNECT },
  { name: 'binding', kind: 'Binding', verbs: CREATE },
  { name: 'ephemeralcontainers', kind: 'Pod', verbs: WRITE_STATUS },
  { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: CREATE },
  { name: 'exec', kind: 'PodExecOptions', verbs: CONNECT },
  { name: 'log', kind: 'Pod', verbs: ['get'] },
  { name: 'portforward', kind: 'PodPortForwardOptions', verbs: CONNECT },
  proxy('Pod'),
  { name: 'resize', kind: 'Pod', verbs: WRITE_STATUS },
  status('Pod'),
];

/** Everything the embedded API serves, in discovery's order: groups as a 1.36 server lists them, resources by name. */
export const resources: readonly ResourceInfo[] = [
  declare('v1', 'Binding', 'Namespaced', { verbs: CREATE }),
  declare('v1', 'ComponentStatus', 'Cluster', {
    shortNames: ['cs'],
    verbs: ['get', 'list'],
    resource: 'componentstatuses',
    deprecation: 'v1 ComponentStatus is deprecated in v1.19+',
  }),
  declare('v1', 'ConfigMap', 'Namespaced', { shortNames: ['cm'] }),
  declare('v1', 'Endpoints', 'Namespaced', {
    shortNames: ['ep'],
    resource: 'endpoints',
    deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  }),
  declare('v1', 'Event', 'Namespaced', { shortNames: ['ev'] }),
  declare('v1', 'LimitRange', 'Namespaced', { shortNames: ['limits'] }),
  declare('v1', 'Namespace', 'Cluster', {
    shortNames: ['ns'],
    verbs: allVerbs.filter((verb) => verb !== 'deletecollection'),
    subresources: [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }, status('Namespace')],
  }),
  declare('v1', 'Node', 'Cluster', { shortNames: ['no'], subresources: [proxy('Node'), status('Node')] }),
  declare('v1', 'PersistentVolumeClaim', 'Namespaced', {
    shortNames: ['pvc'],
    subresources: [status('PersistentVolumeClaim')],
  }),
  declare('v1', 'PersistentVolume', 'Cluster', {
    shortNames: ['pv'],
    subresources: [status('PersistentVolume')],
  }),
  declare('v1', 'Pod', 'Namespaced', {
    shortNames: ['po'],
    categories: ALL,
    subresources: POD_SUBRESOURCES,
  }),
  declare('v1', 'PodTemplate', 'Namespaced'),
  declare('v1', 'ReplicationController', 'Namespaced', {
    shortNames: ['rc'],
    categories: ALL,
    subresources: [scale, status('ReplicationController')],
  }),
  declare('v1', 'ResourceQuota', 'Namespaced', {
    shortNames: ['quota'],
    subresources: [status('ResourceQuota')],
  }),
  declare('v1', 'Secret', 'Namespaced'),
  declare('v1', 'Service', 'Namespaced', {
    shortNames: ['svc'],
    categories: ALL,
    subresources: [proxy('Service'), status('Service')],
  }),
  declare('v1', 'ServiceAccount', 'Namespaced', {
    shortNames: ['sa'],
    subresources: [
      {
        name: 'token',
        kind: 'TokenRequest',
        group: 'authentication.k8s.io',
        version: 'v1',
        verbs: CREATE,
      },
    ],
  }),
  declare('apiregistration.k8s.io/v1', 'APIService', 'Cluster', {
    categories: EXTENSIONS,
    subresources: [status('APIService')],
  }),
  declare('apps/v1', 'ControllerRevision', 'Namespaced'),
  declare('apps/v1', 'DaemonSet', 'Namespaced', {
    shortNames: ['ds'],
    categories: ALL,
    subresources: [status('DaemonSet')],
  }),
  declare('apps/v1', 'Deployment', 'Namespaced', {
    shortNames: ['deploy'],
    categories: ALL,
    subresources: [scale, status('Deployment')],
  }),
  declare('apps/v1', 'ReplicaSet', 'Namespaced', {
    shortNames: ['rs'],
    categories: ALL,
    subresources: [scale, status('ReplicaSet')],
  }),
  declare('apps/v1', 'StatefulSet', 'Namespaced', {
    shortNames: ['sts'],
    categories: ALL,
    subresources: [scale, status('StatefulSet')],
  }),
  declare('events.k8s.io/v1', 'Event', 'Namespaced', {
    shortNames: ['ev'],
    storedAs: { group: '', version: 'v1' },
  }),
  declare('authentication.k8s.io/v1', 'SelfSubjectReview', 'Cluster', { verbs: CREATE }),
  declare('authentication.k8s.io/v1', 'TokenReview', 'Cluster', { verbs: CREATE }),
  declare('authorization.k8s.io/v1', 'LocalSubjectAccessReview', 'Namespaced', { verbs: CREATE }),
  declare('authorization.k8s.io/v1', 'SelfSubjectAccessReview', 'Cluster', { verbs: CREATE }),
  declare('authorization.k8s.io/v1', 'SelfSubjectRulesReview', 'Cluster', { verbs: CREATE }),
  declare('authorization.k8s.io/v1', 'SubjectAccessReview', 'Cluster', { verbs: CREATE }),
  declare('autoscaling/v2', 'HorizontalPodAutoscaler', 'Namespaced', {
    shortNames: ['hpa'],
    categories: ALL,
    subresources: [status('HorizontalPodAutoscaler')],
  }),
  declare('autoscaling/v1', 'HorizontalPodAutoscaler', 'Namespaced', {
    shortNames: ['hpa'],
    categories: ALL,
    subresources: [status('HorizontalPodAutoscaler')],
    storedAs: { group: 'autoscaling', version: 'v2' },
  }),
  declare('batch/v1', 'CronJob', 'Namespaced', {
    shortNames: ['cj'],
    categories: ALL,
    subresources: [status('CronJob')],
  }),
  declare('batch/v1', 'Job', 'Namespaced', { categories: ALL, subresources: [status('Job')] }),
  declare('certificates.k8s.io/v1', 'CertificateSigningRequest', 'Cluster', {
    shortNames: ['csr'],
    subresources: [
      { name: 'approval', kind: 'CertificateSigningRequest', verbs: WRITE_STATUS },
      status('CertificateSigningRequest'),
    ],
  }),
  declare('networking.k8s.io/v1', 'IngressClass', 'Cluster', { resource: 'ingressclasses' }),
  declare('networking.k8s.io/v1', 'Ingress', 'Namespaced', {
    shortNames: ['ing'],
    resource: 'ingresses',
    subresources: [status('Ingress')],
  }),
  declare('networking.k8s.io/v1', 'NetworkPolicy', 'Namespaced', {
    shortNames: ['netpol'],
    resource: 'networkpolicies',
  }),
  declare('policy/v1', 'PodDisruptionBudget', 'Namespaced', {
    shortNames: ['pdb'],
    subresources: [status('PodDisruptionBudget')],
  }),
  declare('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'Cluster'),
  declare('rbac.authorization.k8s.io/v1', 'ClusterRole', 'Cluster'),
  declare('rbac.authorization.k8s.io/v1', 'RoleBinding', 'Namespaced'),
  declare('rbac.authorization.k8s.io/v1', 'Role', 'Namespaced'),
  declare('storage.k8s.io/v1', 'StorageClass', 'Cluster', {
    shortNames: ['sc'],
    resource: 'storageclasses',
  }),
  declare(ADMISSION, 'MutatingAdmissionPolicy', 'Cluster', {
    categories: EXTENSIONS,
    resource: 'mutatingadmissionpolicies',
  }),
  declare(ADMISSION, 'MutatingAdmissionPolicyBinding', 'Cluster', { categories: EXTENSIONS }),
  declare(ADMISSION, 'MutatingWebhookConfiguration', 'Cluster', { categories: EXTENSIONS }),
  declare(ADMISSION, 'ValidatingAdmissionPolicy', 'Cluster', {
    categories: EXTENSIONS,
    resource: 'validatingadmissionpolicies',
    subresources: [status('ValidatingAdmissionPolicy')],
  }),
  declare(ADMISSION, 'ValidatingAdmissionPolicyBinding', 'Cluster', { categories: EXTENSIONS }),
  declare(ADMISSION, 'ValidatingWebhookConfiguration', 'Cluster', { categories: EXTENSIONS }),
  declare('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'Cluster', {
    shortNames: ['crd', 'crds'],
    categories: EXTENSIONS,
    subresources: [status('CustomResourceDefinition')],
  }),
  declare('scheduling.k8s.io/v1', 'PriorityClass', 'Cluster', {
    shortNames: ['pc'],
    resource: 'priorityclasses',
  }),
  declare('coordination.k8s.io/v1', 'Lease', 'Namespaced'),
  declare('node.k8s.io/v1', 'RuntimeClass', 'Cluster', { resource: 'runtimeclasses' }),
  declare('discovery.k8s.io/v1', 'EndpointSlice', 'Namespaced'),
];

const byPath = new Map(resources.map((info) => [`${info.apiVersion}/${info.resource}`, info]));
const byKind = new Map(resources.map((info) => [`${info.apiVersion}/${info.kind}`, info]));

/** Finds by path parts; `undefined` when not served. */
export function findResource(group: string, version: string, resource: string): ResourceInfo | undefined {
  return byPath.get(`${formatApiVersion(group, version)}/${resource}`);
}

/** Finds by what a body says: `apps/v1`, `Deployment`. */
export function findKind(apiVersion: string, kind: string): ResourceInfo | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}

/** Returns the struct of a resource's kind, built in or custom. */
export function structOfResource(resource: ResourceInfo): StructSchema | undefined {
  return resource.custom?.struct ?? findKindStruct(resource.group, resource.version, resource.kind);
}

/** Splits `apps/v1` into group and version; `v1` has group `''`. */
export function parseApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  if (slash < 0) return { group: '', version: apiVersion };
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** Joins what `parseApiVersion` splits. */
export function formatApiVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}
