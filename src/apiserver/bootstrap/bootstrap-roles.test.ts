import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allows } from '../rbac-authorizer.ts';
import type { Attempt } from '../authorizer.ts';
import type { ClusterRole } from '../../kube/cluster-role.ts';
import type { KubeObject } from '../../kube/object.ts';
import { defaultRoles, reconciled } from './bootstrap-roles.ts';

const all = defaultRoles();
const find = (kind: string, name: string): ClusterRole & { subjects?: object[] } => {
  const found = all.find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};
const may = (role: string, verb: string, what: string): boolean => {
  const [group = '', resource = '', subresource = ''] = what.split('/');
  const user = { name: 'x', groups: [] };
  const attempt: Attempt = { user, verb, group, resource, subresource, namespace: 'n', name: '' };
  return (find('ClusterRole', role).rules ?? []).some((rule) => allows(rule, attempt));
};

const RIGHTS: readonly (readonly [role: string, verb: string, what: string, allowed: boolean])[] = [
  ['view', 'list', '/pods', true],
  ['view', 'get', '/pods/log', true],
  ['view', 'get', '/secrets', false],
  ['view', 'create', '/pods', false],
  ['view', 'watch', 'apps/deployments/scale', true],
  ['view', 'list', 'autoscaling/horizontalpodautoscalers', true],
  ['edit', 'list', '/pods', true],
  ['edit', 'get', '/secrets', true],
  ['edit', 'create', '/pods/exec', true],
  ['edit', 'create', '/pods/eviction', true],
  ['edit', 'impersonate', '/serviceaccounts', true],
  ['edit', 'update', '/endpoints', false],
  ['edit', 'create', 'rbac.authorization.k8s.io/roles', false],
  ['edit', 'update', '/resourcequotas', false],
  ['admin', 'create', 'rbac.authorization.k8s.io/roles', true],
  ['admin', 'create', 'authorization.k8s.io/localsubjectaccessreviews', true],
  ['admin', 'delete', 'batch/cronjobs', true],
  ['admin', 'create', '/limitranges', false],
  ['system:auth-delegator', 'create', 'authentication.k8s.io/tokenreviews', true],
  ['system:kube-scheduler', 'create', '/pods/binding', true],
  ['system:controller:disruption-controller', 'get', 'example.org/widgets/scale', true],
];

test('default roles allow what upstream’s do, aggregated ones what they collect', () => {
  for (const [role, verb, what, allowed] of RIGHTS) {
    assert.equal(may(role, verb, what), allowed, `${role} ${verb} ${what}`);
  }
});

test('every binding is of a role that is there, and bears the marks of a default', () => {
  const bindings = all.filter(({ kind }) => kind.endsWith('Binding'));
  for (const binding of bindings as (KubeObject & { roleRef: { kind: string; name: string } })[]) {
    find(binding.roleRef.kind, binding.roleRef.name);
    assert.equal(binding.metadata.labels?.['kubernetes.io/bootstrapping'], 'rbac-defaults');
    assert.equal(binding.metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate'], 'true');
  }
  assert.equal(find('ClusterRoleBinding', 'system:node').subjects, undefined);
  assert.deepEqual(find('ClusterRoleBinding', 'system:controller:job-controller').subjects, [
    { kind: 'ServiceAccount', name: 'job-controller', namespace: 'kube-system' },
  ]);
});

test('a stored default gains what it lacks and keeps what was added, unless its owner forbids it', () => {
  const wanted = find('ClusterRole', 'system:auth-delegator');
  const [first] = wanted.rules ?? [];
  assert.ok(first);
  const own = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
  const stored = { ...wanted, rules: [own, first] };
  assert.deepEqual(reconciled(stored, wanted)?.rules, [own, ...(wanted.rules ?? [])]);
  assert.equal(reconciled(wanted, wanted), undefined);
  const kept = { ...stored, metadata: { ...stored.metadata, annotations: {} } };
  assert.equal(reconciled(kept, wanted), undefined);
});

test('a role of before aggregation begins to collect', () => {
  const wanted = find('ClusterRole', 'view');
  const { aggregationRule: _rule, ...old } = wanted;
  const stored: ClusterRole = { ...old, rules: [] };
  const next = reconciled(stored, wanted);
  assert.deepEqual(next?.aggregationRule, wanted.aggregationRule);
});
