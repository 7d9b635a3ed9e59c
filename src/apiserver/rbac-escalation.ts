import { isDeepStrictEqual } from 'node:util';
import { goQuote } from '../base/go-quote.ts';
import type { PolicyRule } from '../kube/cluster-role.ts';
import type { KubeObject } from '../kube/object.ts';
import { forbidden, notFound } from '../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';
import type { Authorizer } from './authorizer.ts';
import type { RbacAuthorizer } from './rbac-authorizer.ts';
import { MASTERS_GROUP } from './user-info.ts';

const GROUP = 'rbac.authorization.k8s.io';
const ROLES: ReadonlySet<string> = new Set(['Role', 'ClusterRole']);
const BINDINGS: ReadonlySet<string> = new Set(['RoleBinding', 'ClusterRoleBinding']);

interface Granting extends KubeObject {
  rules?: PolicyRule[];
  aggregationRule?: object;
  roleRef?: { kind: string; name: string };
}

/**
 * Lets nobody grant what they may not do themselves, by a role or by binding one, unless they may `escalate` the role
 * or `bind` it. Otherwise whoever manages roles in a namespace would be its master, and more.
 */
export function noEscalation(rbac: RbacAuthorizer, authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    admit: (request) => {
      const { resource, operation, object, oldObject, user } = request;
      const isWrite = operation === 'CREATE' || operation === 'UPDATE';
      if (resource.group !== GROUP || !isWrite || object === undefined) return;
      if (user.groups.includes(MASTERS_GROUP)) return;
      if (oldObject !== undefined && isOnlyCollection(object, oldObject)) return;
      if (ROLES.has(resource.kind)) checkRole(rbac, authorizer, request, object);
      else if (BINDINGS.has(resource.kind)) checkBinding(rbac, authorizer, request, object);
    },
  };
}

function checkRole(
  rbac: RbacAuthorizer,
  authorizer: Authorizer,
  request: AdmissionRequest,
  role: Granting,
): void {
  const { resource, namespace, name } = request;
  const { group } = resource;
  const attempt = { verb: 'escalate', group, resource: resource.resource, subresource: '', namespace, name };
  if (authorizer.authorize({ ...attempt, user: request.user }).allowed) return;
  const before: Granting | undefined = request.oldObject;
  const gathers = role.aggregationRule !== undefined || before?.aggregationRule !== undefined;
  // What a role that gathers others will grant is known to nobody.
  if (resource.kind === 'ClusterRole' && gathers && missing(rbac, request, [EVERYTHING]).length > 0) {
    throw forbidden(
      resource,
      role.metadata.name,
      'must have cluster-admin privileges to use an aggregationRule',
    );
  }
  confirm(rbac, request, role.rules ?? []);
}

const EVERYTHING: PolicyRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };

function checkBinding(
  rbac: RbacAuthorizer,
  authorizer: Authorizer,
  request: AdmissionRequest,
  binding: Granting,
): void {
  const { kind = '', name = '' } = binding.roleRef ?? {};
  const { namespace, user } = request;
  const resource = kind === 'Role' ? 'roles' : 'clusterroles';
  const attempt = { verb: 'bind', group: GROUP, resource, subresource: '', namespace, name };
  if (authorizer.authorize({ ...attempt, user }).allowed) return;
  const rules = rbac.rulesOfRole(kind, namespace, name);
  if (rules === undefined) throw notFound({ group: GROUP, resource }, name);
  confirm(rbac, request, rules);
}

/** The collector of garbage may change owners and finalizers of what it could not grant. */
function isOnlyCollection(object: KubeObject, old: KubeObject): boolean {
  const rest = ({ metadata, ...other }: KubeObject): object => {
    const { ownerReferences: _owners, finalizers: _finalizers, managedFields: _fields, ...more } = metadata;
    return { ...other, metadata: more };
  };
  return isDeepStrictEqual(rest(object), rest(old));
}

function confirm(rbac: RbacAuthorizer, request: AdmissionRequest, rules: readonly PolicyRule[]): void {
  const lacking = missing(rbac, request, rules);
  if (lacking.length === 0) return;
  const { user, resource, object } = request;
  const groups = user.groups.map(goQuote).join(' ');
  const list = [...new Set(compact(lacking).map(printRule))].toSorted().join('\n');
  const why = `user ${goQuote(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${list}`;
  throw forbidden(resource, object?.metadata.name ?? '', why);
}

/** Returns the single rights among `rules` that the user does not have. */
function missing(
  rbac: RbacAuthorizer,
  request: AdmissionRequest,
  rules: readonly PolicyRule[],
): PolicyRule[] {
  const owned = [...rbac.rulesOf(request.user, request.namespace)];
  return rules.flatMap(breakDown).filter((right) => !owned.some((rule) => covers(rule, right)));
}

/** Takes a rule apart: each result has one verb on one resource, or on one path. */
function breakDown(rule: PolicyRule): PolicyRule[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const onResources = apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb): PolicyRule[] => {
        const right = { apiGroups: [group], resources: [resource], verbs: [verb] };
        return resourceNames.length === 0
          ? [right]
          : resourceNames.map((name) => ({ ...right, resourceNames: [name] }));
      }),
    ),
  );
  const onPaths = nonResourceURLs.flatMap((url) =>
    verbs.map((verb): PolicyRule => ({ nonResourceURLs: [url], verbs: [verb] })),
  );
  return [...onResources, ...onPaths];
}

/** Tells whether a rule grants a single right. */
function covers(rule: PolicyRule, right: PolicyRule): boolean {
  if (!holds(rule.verbs, right.verbs?.[0])) return false;
  const [url] = right.nonResourceURLs ?? [];
  if (url !== undefined) {
    return (rule.nonResourceURLs ?? []).some(
      (own) => own === url || (own.endsWith('*') && url.startsWith(own.slice(0, -1))),
    );
  }
  if (!holds(rule.apiGroups, right.apiGroups?.[0])) return false;
  const [resource = ''] = right.resources ?? [];
  const slash = resource.indexOf('/');
  const wildcard = slash < 0 ? undefined : `*/${resource.slice(slash + 1)}`;
  const own = rule.resources ?? [];
  if (!holds(own, resource) && !(wildcard !== undefined && own.includes(wildcard))) return false;
  const names = rule.resourceNames ?? [];
  const [name] = right.resourceNames ?? [];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

function holds(wanted: readonly string[] | undefined, value: string | undefined): boolean {
  return (wanted ?? []).some((item) => item === '*' || item === value);
}

/** Puts together again what differs by its verb only. */
function compact(rights: readonly PolicyRule[]): PolicyRule[] {
  const merged = new Map<string, PolicyRule>();
  for (const { verbs = [], ...rest } of rights) {
    const isPlain = rest.resourceNames === undefined && rest.nonResourceURLs === undefined;
    const key = JSON.stringify(isPlain ? rest : [rest, verbs]);
    const before = merged.get(key);
    if (before === undefined) merged.set(key, { ...rest, verbs: [...verbs] });
    else before.verbs?.push(...verbs);
  }
  return [...merged.values()];
}

function printRule(rule: PolicyRule): string {
  const parts = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ] as const;
  const printed = parts
    .filter(([, values]) => values !== undefined && values.length > 0)
    .map(([name, values]) => `${name}:[${(values ?? []).map(goQuote).join(' ')}]`);
  return `{${printed.join(', ')}}`;
}
