import type { KubeObject } from '../kube/object.ts';
import { findKind } from '../kube/resources.ts';
import { setDefaults, type DefaultOptions } from '../kube/default/set-defaults.ts';
import { newUid } from '../kube/names.ts';
import { prepareForCreate } from '../kube/strategy.ts';
import { formatTime } from '../kube/time.ts';
import { keyOf } from './api-call.ts';
import { SYSTEM_NAMESPACES } from './namespace-lifecycle.ts';
import type { ObjectStore } from './object-store.ts';
import type { PolicyRule } from './rbac-authorizer.ts';

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const rule = (apiGroups: string[], resources: string[], verbs: string[]): PolicyRule => ({
  apiGroups,
  resources,
  verbs,
});

const VIEW: PolicyRule[] = [
  rule(
    [''],
    [
      'bindings',
      'configmaps',
      'endpoints',
      'events',
      'limitranges',
      'namespaces',
      'namespaces/status',
      'persistentvolumeclaims',
      'persistentvolumeclaims/status',
      'pods',
      'pods/log',
      'pods/status',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'replicationcontrollers/status',
      'resourcequotas',
      'resourcequotas/status',
      'serviceaccounts',
      'services',
      'services/status',
    ],
    READ,
  ),
  rule(
    ['apps'],
    [
      'controllerrevisions',
      'daemonsets',
      'daemonsets/status',
      'deployments',
      'deployments/scale',
      'deployments/status',
      'replicasets',
      'replicasets/scale',
      'replicasets/status',
      'statefulsets',
      'statefulsets/scale',
      'statefulsets/status',
    ],
    READ,
  ),
  rule(['autoscaling'], ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'], READ),
  rule(['batch'], ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'], READ),
  rule(['discovery.k8s.io'], ['endpointslices'], READ),
  rule(['networking.k8s.io'], ['ingresses', 'ingresses/status', 'networkpolicies'], READ),
  rule(['policy'], ['poddisruptionbudgets', 'poddisruptionbudgets/status'], READ),
];
const EDIT: PolicyRule[] = [
  rule(
    [''],
    ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'],
    READ,
  ),
  rule([''], ['serviceaccounts'], ['impersonate']),
  rule([''], ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'], WRITE),
  rule([''], ['pods/eviction', 'serviceaccounts/token'], ['create']),
  rule(
    [''],
    [
      'configmaps',
      'events',
      'persistentvolumeclaims',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'secrets',
      'serviceaccounts',
      'services',
      'services/proxy',
    ],
    WRITE,
  ),
  rule(
    ['apps'],
    [
      'daemonsets',
      'deployments',
      'deployments/rollback',
      'deployments/scale',
      'replicasets',
      'replicasets/scale',
      'statefulsets',
      'statefulsets/scale',
    ],
    WRITE,
  ),
  rule(['autoscaling'], ['horizontalpodautoscalers'], WRITE),
  rule(['batch'], ['cronjobs', 'jobs'], WRITE),
  rule(['networking.k8s.io'], ['ingresses', 'networkpolicies'], WRITE),
  rule(['policy'], ['poddisruptionbudgets'], WRITE),
  ...VIEW,
];
const ADMIN: PolicyRule[] = [
  rule(['authorization.k8s.io'], ['localsubjectaccessreviews'], ['create']),
  rule(['rbac.authorization.k8s.io'], ['rolebindings', 'roles'], [...READ, ...WRITE]),
  ...EDIT,
];
/** The classes that every cluster has. */
const PRIORITIES: Readonly<Record<string, { readonly value: number; readonly description: string }>> = {
  'system-cluster-critical': {
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
  'system-node-critical': {
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
};
const DISCOVERY_PATHS = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];

const CLUSTER_ROLES: Readonly<Record<string, PolicyRule[]>> = {
  'cluster-admin': [rule(['*'], ['*'], ['*']), { nonResourceURLs: ['*'], verbs: ['*'] }],
  admin: ADMIN,
  edit: EDIT,
  view: VIEW,
  'system:discovery': [{ nonResourceURLs: DISCOVERY_PATHS, verbs: ['get'] }],
  'system:public-info-viewer': [
    { nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version', '/version/'], verbs: ['get'] },
  ],
  'system:basic-user': [
    rule(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    rule(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
  ],
  'system:service-account-issuer-discovery': [
    { nonResourceURLs: ['/.well-known/openid-configuration', '/openid/v1/jwks'], verbs: ['get'] },
  ],
};

const CLUSTER_BINDINGS: Readonly<Record<string, readonly string[]>> = {
  'cluster-admin': ['system:masters'],
  'system:discovery': ['system:authenticated'],
  'system:public-info-viewer': ['system:authenticated', 'system:unauthenticated'],
  'system:basic-user': ['system:authenticated'],
  'system:service-account-issuer-discovery': ['system:serviceaccounts'],
};

/**
 * Creates what every cluster begins with and is not there yet: the system's namespaces and the default roles.
 * Objects that exist are left as their owner made them.
 */
export function createBootstrapObjects(store: ObjectStore, now: number, defaults: DefaultOptions): void {
  for (const object of bootstrapObjects()) {
    const resource = findKind(object.apiVersion, object.kind);
    if (resource === undefined) throw new Error(`Cannot start: kind "${object.kind}" is not declared`);
    const key = keyOf(resource, '', object.metadata.name);
    if (store.get(key) !== undefined) continue;
    setDefaults(object, defaults);
    prepareForCreate(object, resource);
    object.metadata.uid = newUid();
    object.metadata.creationTimestamp = formatTime(now);
    store.create(key, object);
  }
}

function* bootstrapObjects(): Generator<KubeObject> {
  for (const name of SYSTEM_NAMESPACES) {
    yield {
      kind: 'Namespace',
      apiVersion: 'v1',
      metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    };
  }
  for (const [name, { value, description }] of Object.entries(PRIORITIES)) {
    const metadata = { name };
    const apiVersion = 'scheduling.k8s.io/v1';
    yield { kind: 'PriorityClass', apiVersion, metadata, value, description } as KubeObject;
  }
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = (name: string): KubeObject['metadata'] => ({
    name,
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
    annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  });
  for (const [name, rules] of Object.entries(CLUSTER_ROLES)) {
    yield { kind: 'ClusterRole', apiVersion, metadata: metadata(name), rules } as KubeObject;
  }
  for (const [name, groups] of Object.entries(CLUSTER_BINDINGS)) {
    yield {
      kind: 'ClusterRoleBinding',
      apiVersion,
      metadata: metadata(name),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: groups.map((group) => ({
        kind: 'Group',
        apiGroup: 'rbac.authorization.k8s.io',
        name: group,
      })),
    } as KubeObject;
  }
}
