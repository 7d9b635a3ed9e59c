import type { Attempt, Authorizer, Verdict } from './authorizer.ts';
import type { NodeGraph } from './node-graph.ts';
import type { PolicyRule } from '../kube/cluster-role.ts';
import { allows } from './rbac-authorizer.ts';
import { nodeNameOf } from './user-info.ts';

const rule = (apiGroup: string, resources: string[], verbs: string[]): PolicyRule => ({
  apiGroups: [apiGroup],
  resources,
  verbs,
});
const READ = ['get', 'list', 'watch'];

/** What every node may do whatever its Pods refer to; the admission plugin NodeRestriction narrows the writes. */
const NODE_RULES: readonly PolicyRule[] = [
  rule('authentication.k8s.io', ['tokenreviews'], ['create']),
  rule('authorization.k8s.io', ['subjectaccessreviews', 'localsubjectaccessreviews'], ['create']),
  rule('', ['services'], READ),
  rule('', ['nodes'], ['create', 'update', 'patch']),
  rule('', ['nodes/status'], ['update', 'patch']),
  rule('', ['events'], ['create', 'update', 'patch']),
  rule('events.k8s.io', ['events'], ['create', 'update', 'patch']),
  rule('', ['pods'], ['create', 'delete']),
  rule('', ['pods/status'], ['update', 'patch']),
  rule('', ['pods/eviction'], ['create']),
  rule('node.k8s.io', ['runtimeclasses'], READ),
  rule('storage.k8s.io', ['storageclasses', 'csidrivers'], READ),
];

const ALLOWED: Verdict = { allowed: true, reason: '' };
const refuse = (reason: string): Verdict => ({ allowed: false, reason });

/**
 * Lets a node read only what the Pods bound to it need, and write only what is its own.
 *
 * @see Kubernetes, "Using Node Authorization"
 */
export class NodeAuthorizer implements Authorizer {
  readonly #graph: NodeGraph;

  constructor(graph: NodeGraph) {
    this.#graph = graph;
  }

  authorize(attempt: Attempt): Verdict {
    const node = nodeNameOf(attempt.user);
    if (node === undefined || attempt.path !== undefined) return refuse('');
    const { group, resource, verb, subresource } = attempt;
    if (group === '') {
      switch (resource) {
        case 'secrets':
        case 'configmaps':
          return this.#readRelated(node, attempt, READ);
        case 'persistentvolumeclaims':
          if (subresource === 'status' && (verb === 'update' || verb === 'patch')) return ALLOWED;
          return this.#readRelated(node, attempt, ['get']);
        case 'persistentvolumes':
          if (verb !== 'get' || subresource !== '')
            return refuse('can only get individual resources of this type');
          return this.#graph.usesVolume(node, attempt.name) ? ALLOWED : unrelated(node);
        case 'serviceaccounts':
          if (subresource === 'token') return this.#createToken(node, attempt);
          return subresource === '' ? this.#readRelated(node, attempt, ['get']) : refuse('');
        case 'nodes':
          if (READ.includes(verb)) return readSelf(node, attempt);
          break;
        case 'pods':
          if (READ.includes(verb)) return this.#readPods(node, attempt);
          break;
        default:
      }
    }
    if (group === 'coordination.k8s.io' && resource === 'leases') return ownLease(node, attempt);
    return NODE_RULES.some((candidate) => allows(candidate, attempt)) ? ALLOWED : refuse('');
  }

  #readRelated(node: string, attempt: ResourceAttempt, verbs: readonly string[]): Verdict {
    if (!verbs.includes(attempt.verb)) return refuse('can only read resources of this type');
    if (attempt.subresource !== '') return refuse('cannot read subresource');
    if (attempt.name === '') return refuse('No Object name found');
    if (attempt.namespace === '') return refuse('can only read namespaced object of this type');
    return this.#graph.refersTo(node, attempt.resource, attempt.namespace, attempt.name)
      ? ALLOWED
      : unrelated(node);
  }

  #createToken(node: string, attempt: ResourceAttempt): Verdict {
    if (attempt.verb !== 'create') return refuse('can only create resources of this type');
    if (attempt.name === '') return refuse('No Object name found');
    return this.#graph.refersTo(node, 'serviceaccounts', attempt.namespace, attempt.name)
      ? ALLOWED
      : unrelated(node);
  }

  #readPods(node: string, attempt: ResourceAttempt): Verdict {
    if (attempt.subresource !== '') return refuse('cannot read subresource');
    if (attempt.verb === 'get') {
      return this.#graph.runs(node, attempt.namespace, attempt.name) ? ALLOWED : unrelated(node);
    }
    if (attempt.fields?.get('spec.nodeName') === node) return ALLOWED;
    if (attempt.name !== '' && this.#graph.runs(node, attempt.namespace, attempt.name)) return ALLOWED;
    return refuse('can only list/watch pods with spec.nodeName field selector');
  }
}

type ResourceAttempt = Extract<Attempt, { resource: string }>;

function readSelf(node: string, attempt: ResourceAttempt): Verdict {
  if (attempt.subresource !== '' && attempt.subresource !== 'status')
    return refuse('cannot read subresource');
  if (attempt.name === node) return ALLOWED;
  return refuse(`node '${node}' cannot read all nodes, only its own Node object`);
}

function ownLease(node: string, attempt: ResourceAttempt): Verdict {
  if (attempt.namespace !== 'kube-node-lease') {
    return refuse('can only access leases in the "kube-node-lease" system namespace');
  }
  if (attempt.verb === 'create') return ALLOWED;
  const mayUse = ['get', 'update', 'patch', 'delete'].includes(attempt.verb);
  if (!mayUse) return refuse('can only get, create, update, patch, or delete a node lease');
  return attempt.name === node
    ? ALLOWED
    : refuse('can only access node lease with the same name as the requesting node');
}

function unrelated(node: string): Verdict {
  return refuse(`no relationship found between node '${node}' and this object`);
}
