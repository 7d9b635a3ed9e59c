import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KeyPair } from '../daemon/pki.ts';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const DEMO = `${RBAC}/namespaces/demo`;
const group = 'rbac.authorization.k8s.io';
const rbac = { apiGroups: [group], verbs: ['create', 'update', 'patch', 'get'] };
const LACKS =
  'user "bob" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n';

let api: TestApi;
let bob: KeyPair;

const send = (method: string, path: string, body: object, contentType?: string): Promise<RawAnswer> =>
  api.send(method, path, { body, as: bob, ...(contentType === undefined ? {} : { contentType }) });
const role = (name: string, rules: object[]): object => ({ metadata: { name }, rules });
const binding = (name: string, kind: string, to: string): object => ({
  metadata: { name },
  roleRef: { apiGroup: group, kind, name: to },
  subjects: [{ kind: 'User', name: 'eve', apiGroup: group }],
});

before(async () => {
  api = await startTestApi();
  bob = await api.certificate('bob', 'devs');
  const make = async (path: string, body: object): Promise<void> => {
    const answer = await api.send('POST', path, { body });
    assert.equal(answer.code, 201, answer.text);
  };
  await make('/api/v1/namespaces', { metadata: { name: 'demo' } });
  await make(`${RBAC}/clusterroles`, {
    metadata: { name: 'manager' },
    rules: [
      { ...rbac, resources: ['roles', 'rolebindings', 'clusterroles'] },
      { apiGroups: [''], resources: ['pods', '*/log'], verbs: ['get', 'list'] },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'], verbs: ['*'] },
      { nonResourceURLs: ['/healthz/*'], verbs: ['get'] },
    ],
  });
  await make(
    `${RBAC}/clusterroles`,
    role('binder', [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]),
  );
  await make(`${RBAC}/clusterrolebindings`, {
    ...binding('manager', 'ClusterRole', 'manager'),
    subjects: [{ kind: 'User', name: 'bob', apiGroup: group }],
  });
});
after(() => api.close());

test('what one may do oneself can be granted, by name, by subresource and by path too', async () => {
  const rules = [
    { apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list'] },
    { apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'], verbs: ['delete'] },
  ];
  assert.equal((await send('POST', `${DEMO}/roles`, role('fine', rules))).code, 201);
  const paths = [{ nonResourceURLs: ['/healthz/ping'], verbs: ['get'] }];
  assert.equal((await send('POST', `${RBAC}/clusterroles`, role('paths', paths))).code, 201);
});

test('nobody grants by a role what they may not do: each missing right is named, verbs together', async () => {
  const rules = [
    { apiGroups: [''], resources: ['secrets', 'pods'], verbs: ['get', 'delete'] },
    { apiGroups: [''], resources: ['configmaps'], resourceNames: ['one', 'two'], verbs: ['get'] },
  ];
  const answer = await send('POST', `${DEMO}/roles`, role('more', rules));
  assert.equal(answer.code, 403);
  assert.equal(
    answer.json()['message'],
    `roles.${group} "more" is forbidden: ${LACKS}` +
      '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["two"], Verbs:["get"]}\n' +
      '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n' +
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}',
  );
});

test('nor by changing one, nor by applying it', async () => {
  const rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
  const merge = await send('PATCH', `${DEMO}/roles/fine`, { rules }, 'application/merge-patch+json');
  assert.equal(merge.code, 403);
  const applied = { apiVersion: `${group}/v1`, kind: 'Role', ...role('fine', rules) };
  const path = `${DEMO}/roles/fine?fieldManager=bob&force=true`;
  assert.equal((await send('PATCH', path, applied, 'application/apply-patch+yaml')).code, 403);
});

test('nor by a role that gathers what others grant', async () => {
  const answer = await send('POST', `${RBAC}/clusterroles`, {
    metadata: { name: 'gathers' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
  });
  assert.equal(
    answer.json()['message'],
    `clusterroles.${group} "gathers" is forbidden: must have cluster-admin privileges to use an aggregationRule`,
  );
});

test('nor by binding a role, unless they may bind it', async () => {
  const refused = await send('POST', `${DEMO}/rolebindings`, binding('b', 'ClusterRole', 'binder'));
  assert.equal(
    refused.json()['message'],
    `rolebindings.${group} "b" is forbidden: ${LACKS}{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`,
  );
  assert.equal((await send('POST', `${DEMO}/rolebindings`, binding('f', 'Role', 'fine'))).code, 201);
  const missing = await send('POST', `${DEMO}/rolebindings`, binding('m', 'Role', 'nosuch'));
  assert.equal(missing.json()['message'], `roles.${group} "nosuch" not found`);
  const rules = [
    { apiGroups: [group], resources: ['clusterroles'], resourceNames: ['binder'], verbs: ['bind'] },
  ];
  await api.send('POST', `${DEMO}/roles`, { body: role('may-bind', rules) });
  await api.send('POST', `${DEMO}/rolebindings`, {
    body: {
      ...binding('may-bind', 'Role', 'may-bind'),
      subjects: [{ kind: 'Group', name: 'devs', apiGroup: group }],
    },
  });
  assert.equal((await send('POST', `${DEMO}/rolebindings`, binding('b', 'ClusterRole', 'binder'))).code, 201);
});

test('owners and finalizers of what one could not grant may be changed', async () => {
  await api.send('POST', `${DEMO}/roles`, {
    body: role('strong', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]),
  });
  const change = (metadata: object): Promise<RawAnswer> =>
    send('PATCH', `${DEMO}/roles/strong`, { metadata }, 'application/merge-patch+json');
  assert.equal((await change({ finalizers: ['a.b/c'] })).code, 200);
  assert.equal((await change({ labels: { a: 'b' } })).code, 403);
});
