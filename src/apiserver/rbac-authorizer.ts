import { goQuote } from '../base/go-quote.ts';
import type { PolicyRule } from '../kube/cluster-role.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Attempt, Authorizer, Verdict } from './authorizer.ts';
import type { ObjectStore } from './object-store.ts';
import { SERVICE_ACCOUNT_PREFIX, type UserInfo } from './user-info.ts';

interface Subject {
  kind: string;
  name: string;
  namespace?: string;
}

interface Role extends KubeObject {
  rules?: PolicyRule[] | null;
}

interface Binding extends KubeObject {
  subjects?: Subject[];
  roleRef: { kind: string; name: string };
}

const GROUP = 'rbac.authorization.k8s.io';
const RESOURCES = ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'].map(
  (r) => `${r}.${GROUP}`,
);

interface Policy {
  readonly clusterRoles: ReadonlyMap<string, readonly PolicyRule[]>;
  /** Keyed `namespace/name`. */
  readonly roles: ReadonlyMap<string, readonly PolicyRule[]>;
  readonly clusterBindings: readonly Binding[];
  readonly bindings: ReadonlyMap<string, readonly Binding[]>;
}

interface Grant {
  readonly rule: PolicyRule;
  /** Words whom the rule comes from. */
  readonly source: () => string;
}

/** Honours Role, ClusterRole and their bindings as they are stored. */
export class RbacAuthorizer implements Authorizer {
  readonly #store: ObjectStore;
  readonly #stops: (() => void)[];
  #policy: Policy | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
    this.#stops = RESOURCES.map((resource) =>
      store.subscribe(resource, () => {
        this.#policy = undefined;
      }),
    );
  }

  authorize(attempt: Attempt): Verdict {
    for (const { rule, source } of this.#grants(
      attempt.user,
      attempt.path === undefined ? attempt.namespace : '',
    )) {
      if (allows(rule, attempt)) return { allowed: true, reason: `RBAC: allowed by ${source()}` };
    }
    return { allowed: false, reason: '' };
  }

  /** Returns the rules that hold for a user in a namespace, those of cluster-wide bindings first. */
  *rulesOf(user: UserInfo, namespace: string): Generator<PolicyRule> {
    for (const { rule } of this.#grants(user, namespace)) yield rule;
  }

  *#grants(user: UserInfo, namespace: string): Generator<Grant> {
    const policy = (this.#policy ??= this.#load());
    for (const binding of policy.clusterBindings) {
      const subject = binding.subjects?.find((candidate) => isSubject(candidate, user, ''));
      if (subject === undefined) continue;
      const source = (): string => describe(binding, subject);
      for (const rule of policy.clusterRoles.get(binding.roleRef.name) ?? []) yield { rule, source };
    }
    if (namespace === '') return;
    for (const binding of policy.bindings.get(namespace) ?? []) {
      const subject = binding.subjects?.find((candidate) => isSubject(candidate, user, namespace));
      if (subject === undefined) continue;
      const { kind, name } = binding.roleRef;
      const rules =
        kind === 'ClusterRole' ? policy.clusterRoles.get(name) : policy.roles.get(`${namespace}/${name}`);
      const source = (): string => describe(binding, subject);
      for (const rule of rules ?? []) yield { rule, source };
    }
  }

  /** Returns what a role grants; `undefined` when there is none. */
  rulesOfRole(kind: string, namespace: string, name: string): readonly PolicyRule[] | undefined {
    const policy = (this.#policy ??= this.#load());
    return kind === 'Role' ? policy.roles.get(`${namespace}/${name}`) : policy.clusterRoles.get(name);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #load(): Policy {
    const all = <T extends KubeObject>(resource: string): T[] =>
      this.#store.list(`${resource}.${GROUP}`).items.map((item) => item.object as T);
    const clusterRoles = new Map(
      all<Role>('clusterroles').map((role) => [role.metadata.name, role.rules ?? []]),
    );
    const bindings = new Map<string, Binding[]>();
    for (const binding of all<Binding>('rolebindings')) {
      const namespace = binding.metadata.namespace ?? '';
      const list = bindings.get(namespace);
      if (list === undefined) bindings.set(namespace, [binding]);
      else list.push(binding);
    }
    return {
      clusterRoles,
      roles: new Map(
        all<Role>('roles').map((role) => [
          `${role.metadata.namespace ?? ''}/${role.metadata.name}`,
          role.rules ?? [],
        ]),
      ),
      clusterBindings: all<Binding>('clusterrolebindings'),
      bindings,
    };
  }
}

/** Says of a binding what it gives to whom, as answers to access reviews quote it. */
function describe({ kind, metadata, roleRef }: Binding, subject: Subject): string {
  const { namespace } = metadata;
  const name = namespace === undefined ? metadata.name : `${metadata.name}/${namespace}`;
  const who =
    subject.kind === 'ServiceAccount'
      ? `${subject.name}/${subject.namespace ?? namespace ?? ''}`
      : subject.name;
  return `${kind} ${goQuote(name)} of ${roleRef.kind} ${goQuote(roleRef.name)} to ${subject.kind} ${goQuote(who)}`;
}

/** Tells whether a rule covers an attempt. */
export function allows(rule: PolicyRule, attempt: Attempt): boolean {
  if (!holds(rule.verbs, attempt.verb)) return false;
  if (attempt.path !== undefined) {
    const { path } = attempt;
    return (rule.nonResourceURLs ?? []).some(
      (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
    );
  }
  if (!holds(rule.apiGroups, attempt.group)) return false;
  const { resource, subresource } = attempt;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const resourceMatches = (rule.resources ?? []).some(
    (wanted) => wanted === '*' || wanted === full || (subresource !== '' && wanted === `*/${subresource}`),
  );
  if (!resourceMatches) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(attempt.name);
}

function holds(wanted: readonly string[] | undefined, value: string): boolean {
  return wanted?.some((item) => item === '*' || item === value) ?? false;
}

function isSubject(subject: Subject, user: UserInfo, bindingNamespace: string): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.name === user.name;
    case 'Group':
      return user.groups.includes(subject.name);
    case 'ServiceAccount': {
      const namespace = subject.namespace ?? bindingNamespace;
      return namespace !== '' && user.name === `${SERVICE_ACCOUNT_PREFIX}${namespace}:${subject.name}`;
    }
    default:
      return false;
  }
}
