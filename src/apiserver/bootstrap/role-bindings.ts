import type { PolicyRule } from '../../kube/cluster-role.ts';
import { CONTROLLER_ROLES } from './controller-roles.ts';
import { allow, READ, TELL } from './policy-rules.ts';

/* Who has the default roles, and the default roles of system namespaces. */

/** Whom a default binding is for; accounts are those of `kube-system`. */
export interface Holders {
  readonly groups?: readonly string[];
  readonly users?: readonly string[];
  readonly accounts?: readonly string[];
}

const AUTHENTICATED = 'system:authenticated';

/** ClusterRole → who has it. The bindings have the names of their roles. */
export const CLUSTER_BINDINGS: Readonly<Record<string, Holders>> = {
  'cluster-admin': { groups: ['system:masters'] },
  'system:basic-user': { groups: [AUTHENTICATED] },
  'system:discovery': { groups: [AUTHENTICATED] },
  'system:kube-controller-manager': { users: ['system:kube-controller-manager'] },
  'system:kube-dns': { accounts: ['kube-dns'] },
  'system:kube-scheduler': { users: ['system:kube-scheduler'] },
  'system:monitoring': { groups: ['system:monitoring'] },
  // Nobody since there is a node authorizer; the binding stays, as it does upstream.
  'system:node': {},
  'system:node-proxier': { users: ['system:kube-proxy'] },
  'system:public-info-viewer': { groups: [AUTHENTICATED, 'system:unauthenticated'] },
  'system:service-account-issuer-discovery': { groups: ['system:serviceaccounts'] },
  'system:volume-scheduler': { users: ['system:kube-scheduler'] },
  ...Object.fromEntries(
    Object.keys(CONTROLLER_ROLES).map((name) => [`system:controller:${name}`, { accounts: [name] }]),
  ),
};

/** A role of a namespace and who has it. */
export interface NamespaceRole {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** When it is not that of the role. */
  readonly binding?: string;
  readonly holders: Holders;
}

const leader = (component: string): NamespaceRole => ({
  namespace: 'kube-system',
  name: `system::leader-locking-${component}`,
  rules: [allow('watch', 'core', 'configmaps'), allow('get update', 'core', 'configmaps', component)],
  holders: { users: [`system:${component}`], accounts: [component] },
});

export const NAMESPACE_ROLES: readonly NamespaceRole[] = [
  {
    namespace: 'kube-public',
    name: 'system:controller:bootstrap-signer',
    rules: [
      allow(READ, 'core', 'configmaps'),
      allow('get update', 'core', 'configmaps', 'cluster-info'),
      TELL,
    ],
    holders: { accounts: ['bootstrap-signer'] },
  },
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    rules: [allow(READ, 'core', 'configmaps', 'extension-apiserver-authentication')],
    binding: 'system::extension-apiserver-authentication-reader',
    holders: { users: ['system:kube-controller-manager', 'system:kube-scheduler'] },
  },
  leader('kube-controller-manager'),
  leader('kube-scheduler'),
  {
    namespace: 'kube-system',
    name: 'system:controller:bootstrap-signer',
    rules: [allow(READ, 'core', 'secrets')],
    holders: { accounts: ['bootstrap-signer'] },
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:cloud-provider',
    rules: [allow('create get list watch', 'core', 'configmaps')],
    holders: { accounts: ['cloud-provider'] },
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:token-cleaner',
    rules: [allow('get list watch delete', 'core', 'secrets'), TELL],
    holders: { accounts: ['token-cleaner'] },
  },
];
