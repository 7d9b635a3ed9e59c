import type { ResourceType } from '../kube/client/kube-client.ts';
import { findResource } from '../kube/resources.ts';

function typeOf(group: string, version: string, resource: string): ResourceType {
  const found = findResource(group, version, resource);
  if (found === undefined) throw new Error(`Cannot control ${resource}: it is not declared`);
  return found;
}

/* The resources that controllers work with. */
export const PODS = typeOf('', 'v1', 'pods');
export const NODES = typeOf('', 'v1', 'nodes');
export const NAMESPACES = typeOf('', 'v1', 'namespaces');
export const CONFIG_MAPS = typeOf('', 'v1', 'configmaps');
export const SECRETS = typeOf('', 'v1', 'secrets');
export const SERVICE_ACCOUNTS = typeOf('', 'v1', 'serviceaccounts');
export const EVENTS = typeOf('', 'v1', 'events');
export const CLAIMS = typeOf('', 'v1', 'persistentvolumeclaims');
export const VOLUMES = typeOf('', 'v1', 'persistentvolumes');
export const REPLICATION_CONTROLLERS = typeOf('', 'v1', 'replicationcontrollers');
export const REPLICA_SETS = typeOf('apps', 'v1', 'replicasets');
export const DEPLOYMENTS = typeOf('apps', 'v1', 'deployments');
export const STATEFUL_SETS = typeOf('apps', 'v1', 'statefulsets');
export const DAEMON_SETS = typeOf('apps', 'v1', 'daemonsets');
export const CONTROLLER_REVISIONS = typeOf('apps', 'v1', 'controllerrevisions');
export const AUTOSCALERS = typeOf('autoscaling', 'v2', 'horizontalpodautoscalers');
export const JOBS = typeOf('batch', 'v1', 'jobs');
export const CRON_JOBS = typeOf('batch', 'v1', 'cronjobs');
export const BUDGETS = typeOf('policy', 'v1', 'poddisruptionbudgets');
export const CERTIFICATE_REQUESTS = typeOf('certificates.k8s.io', 'v1', 'certificatesigningrequests');
export const LEASES = typeOf('coordination.k8s.io', 'v1', 'leases');
export const DEFINITIONS = typeOf('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
export const CLUSTER_ROLES = typeOf('rbac.authorization.k8s.io', 'v1', 'clusterroles');
export const STORAGE_CLASSES = typeOf('storage.k8s.io', 'v1', 'storageclasses');
