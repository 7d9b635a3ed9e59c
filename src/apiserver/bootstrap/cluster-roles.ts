import type { PolicyRule } from '../../kube/cluster-role.ts';
import { CONTROLLER_ROLES } from './controller-roles.ts';
import { allow, allowPaths, READ, TELL, WRITE } from './policy-rules.ts';

/* The ClusterRoles that every cluster of version 1.36 begins with. */

const VIEW: readonly PolicyRule[] = [
  allow(
    READ,
    'core',
    'pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps',
  ),
  allow(
    READ,
    'core',
    'limitranges resourcequotas bindings events pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log',
  ),
  allow(READ, 'core', 'namespaces'),
  allow(READ, 'discovery.k8s.io', 'endpointslices'),
  allow(
    READ,
    'apps',
    'controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status replicasets/scale',
  ),
  allow(READ, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  allow(READ, 'batch', 'jobs cronjobs cronjobs/status jobs/status'),
  allow(
    READ,
    'extensions',
    'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale networkpolicies',
  ),
  allow(READ, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  allow(READ, 'networking.k8s.io', 'networkpolicies ingresses ingresses/status'),
  allow(READ, 'resource.k8s.io', 'resourceclaims resourceclaims/status resourceclaimtemplates'),
];
const EDIT: readonly PolicyRule[] = [
  allow(READ, 'core', 'pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy'),
  allow('impersonate', 'core', 'serviceaccounts'),
  allow(WRITE, 'core', 'pods pods/attach pods/proxy pods/exec pods/portforward'),
  allow('create', 'core', 'pods/eviction'),
  allow(
    WRITE,
    'core',
    'replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets events',
  ),
  allow('create', 'core', 'serviceaccounts/token'),
  allow(
    WRITE,
    'apps',
    'statefulsets statefulsets/scale daemonsets deployments deployments/scale deployments/rollback replicasets replicasets/scale',
  ),
  allow(WRITE, 'autoscaling', 'horizontalpodautoscalers'),
  allow(WRITE, 'batch', 'jobs cronjobs'),
  allow(
    WRITE,
    'extensions',
    'daemonsets deployments deployments/scale deployments/rollback ingresses replicasets replicasets/scale replicationcontrollers/scale networkpolicies',
  ),
  allow(WRITE, 'policy', 'poddisruptionbudgets'),
  allow(WRITE, 'networking.k8s.io', 'networkpolicies ingresses'),
  allow(`${READ} ${WRITE}`, 'coordination.k8s.io', 'leases'),
  allow(WRITE, 'resource.k8s.io', 'resourceclaims resourceclaimtemplates'),
];
const ADMIN: readonly PolicyRule[] = [
  allow('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
  allow(`${READ} ${WRITE}`, 'rbac.authorization.k8s.io', 'roles rolebindings'),
];
/** Questions that delegating servers ask. */
const ASK: readonly PolicyRule[] = [
  allow('create', 'authentication.k8s.io', 'tokenreviews'),
  allow('create', 'authorization.k8s.io', 'subjectaccessreviews'),
];
const NODE: readonly PolicyRule[] = [
  allow('create', 'authentication.k8s.io', 'tokenreviews'),
  allow('create', 'authorization.k8s.io', 'subjectaccessreviews localsubjectaccessreviews'),
  allow(READ, 'core', 'services'),
  allow('create get list watch', 'core', 'nodes'),
  allow('update patch', 'core', 'nodes/status'),
  allow('update patch', 'core', 'nodes'),
  allow('create update patch', 'core', 'events'),
  allow(READ, 'core', 'pods'),
  allow('create delete', 'core', 'pods'),
  allow('update patch', 'core', 'pods/status'),
  allow('create', 'core', 'pods/eviction'),
  allow(READ, 'core', 'secrets configmaps'),
  allow('get', 'core', 'persistentvolumeclaims persistentvolumes'),
  allow('get', 'core', 'endpoints'),
  allow('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
  allow('get create update patch delete', 'coordination.k8s.io', 'leases'),
  allow('get', 'storage.k8s.io', 'volumeattachments'),
  allow('create', 'core', 'serviceaccounts/token'),
  allow('get update patch', 'core', 'persistentvolumeclaims/status'),
  allow(READ, 'storage.k8s.io', 'csidrivers'),
  allow('get create update patch delete', 'storage.k8s.io', 'csinodes'),
  allow(READ, 'node.k8s.io', 'runtimeclasses'),
  allow('get', 'resource.k8s.io', 'resourceclaims'),
  allow('deletecollection', 'resource.k8s.io', 'resourceslices'),
];
const SCHEDULER: readonly PolicyRule[] = [
  TELL,
  allow('create', 'coordination.k8s.io', 'leases'),
  allow('get update', 'coordination.k8s.io', 'leases', 'kube-scheduler'),
  allow(READ, 'core', 'nodes'),
  allow('get list watch delete', 'core', 'pods'),
  allow('create', 'core', 'pods/binding bindings'),
  allow('patch update', 'core', 'pods/status'),
  allow(READ, 'core', 'services replicationcontrollers'),
  allow(READ, 'apps extensions', 'replicasets'),
  allow(READ, 'apps', 'statefulsets'),
  allow(READ, 'policy', 'poddisruptionbudgets'),
  allow(READ, 'core', 'persistentvolumeclaims persistentvolumes'),
  ...ASK,
  allow(READ, 'storage.k8s.io', 'csinodes'),
  allow(READ, 'core', 'namespaces'),
  allow(READ, 'storage.k8s.io', 'csidrivers'),
  allow(READ, 'storage.k8s.io', 'csistoragecapacities'),
  allow(READ, 'storage.k8s.io', 'volumeattachments'),
  allow(READ, 'resource.k8s.io', 'deviceclasses'),
  allow('get list watch update patch', 'resource.k8s.io', 'resourceclaims'),
  allow('update patch', 'resource.k8s.io', 'resourceclaims/status'),
  allow(READ, 'resource.k8s.io', 'resourceslices'),
];
const CONTROLLER_MANAGER: readonly PolicyRule[] = [
  TELL,
  allow('create', 'coordination.k8s.io', 'leases'),
  allow('get update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
  allow('create', 'core', 'secrets serviceaccounts'),
  allow('delete', 'core', 'secrets'),
  allow('get', 'core', 'namespaces secrets serviceaccounts configmaps'),
  allow('update', 'core', 'secrets serviceaccounts'),
  ...ASK,
  allow('list watch', '*', '*'),
  allow('create', 'core', 'serviceaccounts/token'),
];
const approver = (signer: string): PolicyRule[] => [
  allow('approve', 'certificates.k8s.io', 'signers', `kubernetes.io/${signer}`),
];

/** A role that every cluster begins with: its own rules, or those of the roles whose label it collects. */
export interface DefaultRole {
  readonly rules?: readonly PolicyRule[];
  /** Collects the rules of roles with this label. */
  readonly collects?: string;
  /** Is collected by whoever collects this label. */
  readonly label?: string;
}

const AGGREGATE = 'rbac.authorization.k8s.io/aggregate-to';

export const CLUSTER_ROLES: Readonly<Record<string, DefaultRole>> = {
  'cluster-admin': { rules: [allow('*', '*', '*'), allowPaths('*', '*')] },
  admin: { collects: `${AGGREGATE}-admin` },
  edit: { collects: `${AGGREGATE}-edit`, label: `${AGGREGATE}-admin` },
  view: { collects: `${AGGREGATE}-view`, label: `${AGGREGATE}-edit` },
  'system:aggregate-to-admin': { rules: ADMIN, label: `${AGGREGATE}-admin` },
  'system:aggregate-to-edit': { rules: EDIT, label: `${AGGREGATE}-edit` },
  'system:aggregate-to-view': { rules: VIEW, label: `${AGGREGATE}-view` },
  'system:auth-delegator': { rules: ASK },
  'system:basic-user': {
    rules: [
      allow('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      allow('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': {
    rules: [allow('create', 'certificates.k8s.io', 'certificatesigningrequests/nodeclient')],
  },
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': {
    rules: [allow('create', 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient')],
  },
  'system:certificates.k8s.io:kube-apiserver-client-approver': { rules: approver('kube-apiserver-client') },
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': {
    rules: approver('kube-apiserver-client-kubelet'),
  },
  'system:certificates.k8s.io:kubelet-serving-approver': { rules: approver('kubelet-serving') },
  'system:certificates.k8s.io:legacy-unknown-approver': { rules: approver('legacy-unknown') },
  'system:discovery': {
    rules: [
      allowPaths(
        'get',
        '/livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*',
      ),
    ],
  },
  'system:heapster': {
    rules: [allow(READ, 'core', 'events pods nodes namespaces'), allow(READ, 'extensions', 'deployments')],
  },
  'system:kube-aggregator': { rules: [allow(READ, 'core', 'services endpoints')] },
  'system:kube-controller-manager': { rules: CONTROLLER_MANAGER },
  'system:kube-dns': { rules: [allow('list watch', 'core', 'endpoints services')] },
  'system:kube-scheduler': { rules: SCHEDULER },
  'system:kubelet-api-admin': {
    rules: [
      allow(READ, 'core', 'nodes'),
      allow('proxy', 'core', 'nodes'),
      allow('*', 'core', 'nodes/proxy nodes/metrics nodes/stats nodes/log'),
      allow('*', 'core', 'nodes/configz nodes/healthz nodes/pods'),
    ],
  },
  'system:monitoring': {
    rules: [
      allowPaths('get', '/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/*'),
    ],
  },
  'system:node': { rules: NODE },
  'system:node-bootstrapper': {
    rules: [allow('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests')],
  },
  'system:node-problem-detector': {
    rules: [allow('get', 'core', 'nodes'), allow('patch', 'core', 'nodes/status'), TELL],
  },
  'system:node-proxier': {
    rules: [
      allow('list watch', 'core', 'services endpoints'),
      allow(READ, 'core', 'nodes'),
      TELL,
      allow('list watch', 'discovery.k8s.io', 'endpointslices'),
      allow('list watch', 'networking.k8s.io', 'servicecidrs'),
    ],
  },
  'system:persistent-volume-provisioner': {
    rules: [
      allow('get list watch create delete', 'core', 'persistentvolumes'),
      allow('get list watch update', 'core', 'persistentvolumeclaims'),
      allow(READ, 'storage.k8s.io', 'storageclasses'),
      allow('watch', 'core', 'events'),
      TELL,
    ],
  },
  'system:public-info-viewer': {
    rules: [allowPaths('get', '/livez /readyz /healthz /version /version/')],
  },
  'system:service-account-issuer-discovery': {
    rules: [allowPaths('get', '/.well-known/openid-configuration /openid/v1/jwks')],
  },
  'system:volume-scheduler': {
    rules: [
      allow('get list watch update patch', 'core', 'persistentvolumes'),
      allow(READ, 'storage.k8s.io', 'storageclasses'),
      allow('get list watch update patch', 'core', 'persistentvolumeclaims'),
    ],
  },
  ...Object.fromEntries(
    Object.entries(CONTROLLER_ROLES).map(([name, rules]) => [`system:controller:${name}`, { rules }]),
  ),
};
