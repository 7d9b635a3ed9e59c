import { isDeepStrictEqual } from 'node:util';
import { collectRules, type ClusterRole, type PolicyRule } from '../../kube/cluster-role.ts';
import type { KubeObject, ObjectMeta } from '../../kube/object.ts';
import { CLUSTER_ROLES, type DefaultRole } from './cluster-roles.ts';
import { CLUSTER_BINDINGS, NAMESPACE_ROLES, type Holders } from './role-bindings.ts';

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;
const AUTO_UPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

interface Subject {
  kind: string;
  name: string;
  apiGroup?: string;
  namespace?: string;
}

/** A role or a binding, whatever it has. */
export interface Granting extends KubeObject {
  rules?: PolicyRule[] | null;
  subjects?: Subject[];
  aggregationRule?: object;
}

/** Makes the roles and bindings that every cluster begins with. */
export function defaultRoles(): KubeObject[] {
  const roles = Object.entries(CLUSTER_ROLES).map(([name, role]) => clusterRole(name, role));
  // What their controller would find at first sight; edit collects view, admin collects edit.
  for (const name of ['view', 'edit', 'admin']) {
    const role = roles.find(({ metadata }) => metadata.name === name);
    if (role !== undefined) role.rules = collectRules(role, roles);
  }
  return [
    ...roles,
    ...Object.entries(CLUSTER_BINDINGS).map(([name, holders]) =>
      binding('ClusterRole', name, { name }, holders),
    ),
    ...NAMESPACE_ROLES.flatMap(({ namespace, name, rules, binding: bound = name, holders }) => [
      {
        kind: 'Role',
        apiVersion: API_VERSION,
        metadata: withMarks({ name, namespace }),
        rules,
      } as KubeObject,
      binding('Role', name, { name: bound, namespace }, holders),
    ]),
  ];
}

/**
 * Adds to a default role or binding what this version has and the stored one lacks; `undefined` when it lacks nothing
 * or its owner does not want that.
 */
export function reconciled(stored: KubeObject, wanted: KubeObject): Granting | undefined {
  if (stored.metadata.annotations?.[AUTO_UPDATE] !== 'true') return undefined;
  const old: Granting = stored;
  const { rules, subjects, aggregationRule, metadata }: Granting = wanted;
  const next: Granting = {
    ...old,
    metadata: { ...old.metadata, labels: { ...old.metadata.labels, ...metadata.labels } },
    ...(aggregationRule === undefined ? {} : { aggregationRule }),
    // Those of an aggregated role are its controller's business.
    ...(rules == null || aggregationRule !== undefined ? {} : { rules: union(old.rules ?? [], rules) }),
    ...(subjects === undefined ? {} : { subjects: union(old.subjects ?? [], subjects) }),
  };
  return isDeepStrictEqual(next, old) ? undefined : next;
}

function union<T>(present: readonly T[], wanted: readonly T[]): T[] {
  return [...present, ...wanted.filter((item) => !present.some((known) => isDeepStrictEqual(known, item)))];
}

function clusterRole(name: string, { rules, collects, label }: DefaultRole): ClusterRole {
  return {
    kind: 'ClusterRole',
    apiVersion: API_VERSION,
    metadata: withMarks({ name, ...(label === undefined ? {} : { labels: { [label]: 'true' } }) }),
    ...(collects === undefined
      ? { rules: [...(rules ?? [])] }
      : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [collects]: 'true' } }] } }),
  };
}

function binding(
  kind: 'ClusterRole' | 'Role',
  role: string,
  metadata: ObjectMeta,
  { groups = [], users = [], accounts = [] }: Holders,
): KubeObject {
  const subjects: Subject[] = [
    ...groups.map((name) => ({ kind: 'Group', apiGroup: GROUP, name })),
    ...users.map((name) => ({ kind: 'User', apiGroup: GROUP, name })),
    ...accounts.map((name) => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' })),
  ];
  return {
    kind: `${kind}Binding`,
    apiVersion: API_VERSION,
    metadata: withMarks(metadata),
    roleRef: { apiGroup: GROUP, kind, name: role },
    ...(subjects.length === 0 ? {} : { subjects }),
  } as KubeObject;
}

function withMarks(metadata: ObjectMeta): ObjectMeta {
  return {
    ...metadata,
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...metadata.labels },
    annotations: { [AUTO_UPDATE]: 'true' },
  };
}
