import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawRequest, type TestApi } from '../../test/support/test-api.ts';

let api: TestApi;
const NS = '/api/v1/namespaces/default';
const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';

before(async () => {
  api = await startTestApi({
    tokens: [{ token: 'let-me-in', user: { name: 'jane', groups: ['devs'] } }],
  });
  await api.send('POST', `${NS}/serviceaccounts`, { body: { metadata: { name: 'default' } } });
  for (const name of ['n1', 'n2']) await api.send('POST', '/api/v1/nodes', { body: { metadata: { name } } });
});
after(() => api.close());

const bearer = (token: string): RawRequest => ({
  anonymous: true,
  headers: { authorization: `Bearer ${token}` },
});
const messageOf = (text: string): string => (JSON.parse(text) as { message: string }).message;

async function accountToken(name: string, spec: object = {}): Promise<string> {
  const answer = await api.send('POST', `${NS}/serviceaccounts/${name}/token`, { body: { spec } });
  assert.equal(answer.code, 201, answer.text);
  return answer.json<{ status: { token: string } }>().status.token;
}

test('nobody may do nothing but look at health and version', async () => {
  const refused = await api.send('GET', `${NS}/pods`, { anonymous: true });
  assert.equal(refused.code, 403);
  assert.equal(
    messageOf(refused.text),
    'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
  );
  for (const path of ['/healthz', '/livez', '/readyz', '/version']) {
    assert.equal((await api.send('GET', path, { anonymous: true })).code, 200, path);
  }
  assert.equal((await api.send('GET', '/apis', { anonymous: true })).code, 403);
});

test('a token that nobody issued is 401, not anonymous', async () => {
  const answer = await api.send('GET', '/version', bearer('bogus'));
  assert.equal(answer.code, 401);
  assert.equal(messageOf(answer.text), 'Unauthorized');
});

test('a static token is its user, who may only discover until a role is bound', async () => {
  assert.equal((await api.send('GET', '/apis', bearer('let-me-in'))).code, 200);
  assert.equal((await api.send('GET', `${NS}/configmaps`, bearer('let-me-in'))).code, 403);
  const role = {
    metadata: { name: 'reader' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }],
  };
  assert.equal((await api.send('POST', `${RBAC}/roles`, { body: role })).code, 201);
  const binding = {
    metadata: { name: 'devs-read' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'devs' }],
  };
  assert.equal((await api.send('POST', `${RBAC}/rolebindings`, { body: binding })).code, 201);
  assert.equal((await api.send('GET', `${NS}/configmaps`, bearer('let-me-in'))).code, 200);
  const write = await api.send('POST', `${NS}/configmaps`, {
    ...bearer('let-me-in'),
    body: { metadata: { name: 'x' } },
  });
  assert.equal(write.code, 403);
  const elsewhere = await api.send('GET', '/api/v1/namespaces/kube-system/configmaps', bearer('let-me-in'));
  assert.equal(elsewhere.code, 403);
  assert.equal((await api.send('DELETE', `${RBAC}/rolebindings/devs-read`)).code, 200);
  assert.equal(
    (await api.send('GET', `${NS}/configmaps`, bearer('let-me-in'))).code,
    403,
    'taken away at once',
  );
});

test('a service account token names its account, and dies with it', async () => {
  await api.send('POST', `${NS}/serviceaccounts`, { body: { metadata: { name: 'robot' } } });
  const token = await accountToken('robot');
  const refused = await api.send('GET', `${NS}/secrets`, bearer(token));
  assert.equal(
    messageOf(refused.text),
    'secrets is forbidden: User "system:serviceaccount:default:robot" cannot list resource "secrets" in API group "" in the namespace "default"',
  );
  const review = await api.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    ...bearer(token),
    body: {},
  });
  assert.deepEqual(review.json<{ status: { userInfo: { groups: string[] } } }>().status.userInfo.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ]);
  await api.send('DELETE', `${NS}/serviceaccounts/robot`);
  assert.equal((await api.send('GET', '/version', bearer(token))).code, 401);
});

test('a token for another audience does not open this server', async () => {
  const token = await accountToken('default', { audiences: ['https://registry.example'] });
  assert.equal((await api.send('GET', '/version', bearer(token))).code, 401);
});

test('a token bound to a Pod dies with the Pod', async () => {
  const pod = { metadata: { name: 'bound' }, spec: { containers: [{ name: 'a', image: 'x' }] } };
  await api.send('POST', `${NS}/pods`, { body: pod });
  const token = await accountToken('default', {
    boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'bound' },
  });
  assert.equal((await api.send('GET', '/version', bearer(token))).code, 200);
  await api.send('DELETE', `${NS}/pods/bound`);
  assert.equal((await api.send('GET', '/version', bearer(token))).code, 401);
});

test('the administrator may act as somebody else, others may not', async () => {
  const as = (user: string, more: RawRequest = {}): RawRequest => ({
    ...more,
    headers: { ...more.headers, 'impersonate-user': user },
  });
  const refused = await api.send('GET', `${NS}/secrets`, as('system:serviceaccount:default:default'));
  assert.match(messageOf(refused.text), /User "system:serviceaccount:default:default" cannot list/);
  const stranger = await api.send('GET', `${NS}/secrets`, as('kubernetes-admin', bearer('let-me-in')));
  assert.equal(stranger.code, 403);
  assert.match(messageOf(stranger.text), /cannot impersonate resource "users"/);
});

test('a node reads what its Pods refer to, and nothing else', async () => {
  for (const name of ['wanted', 'other'])
    await api.send('POST', `${NS}/secrets`, { body: { metadata: { name } } });
  const spec = (nodeName: string, secret: string): object => ({
    nodeName,
    imagePullSecrets: [{ name: secret }],
    containers: [{ name: 'a', image: 'x' }],
  });
  await api.send('POST', `${NS}/pods`, { body: { metadata: { name: 'mine' }, spec: spec('n1', 'wanted') } });
  await api.send('POST', `${NS}/pods`, { body: { metadata: { name: 'theirs' }, spec: spec('n2', 'other') } });
  const as = await api.certificate('system:node:n1', 'system:nodes');
  const get = (path: string): ReturnType<TestApi['send']> => api.send('GET', path, { as });
  assert.equal((await get(`${NS}/secrets/wanted`)).code, 200);
  assert.equal(
    messageOf((await get(`${NS}/secrets/other`)).text),
    `secrets "other" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object`,
  );
  assert.equal(
    messageOf((await get(`${NS}/secrets`)).text),
    'secrets is forbidden: User "system:node:n1" cannot list resource "secrets" in API group "" in the namespace "default": No Object name found',
  );
  assert.equal((await get(`${NS}/secrets?fieldSelector=metadata.name%3Dwanted`)).code, 200);
  assert.equal((await get(`${NS}/pods/mine`)).code, 200);
  assert.equal((await get(`${NS}/pods/theirs`)).code, 403);
  assert.equal((await get('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1')).code, 200);
  assert.equal((await get('/api/v1/pods')).code, 403);
  assert.equal((await get('/api/v1/nodes/n2')).code, 403);
  await api.send('DELETE', `${NS}/pods/mine?gracePeriodSeconds=0`);
  assert.equal((await get(`${NS}/secrets/wanted`)).code, 403, 'the right ends with the Pod');
});

test('a node writes only what is its own', async () => {
  const as = await api.certificate('system:node:n1', 'system:nodes');
  const create = await api.send('POST', `${NS}/pods`, {
    as,
    body: { metadata: { name: 'e1' }, spec: { containers: [{ name: 'a', image: 'x' }] } },
  });
  assert.equal(
    messageOf(create.text),
    'pods "e1" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
  );
  const merge = {
    as,
    contentType: 'application/merge-patch+json',
    body: { metadata: { labels: { a: 'b' } } },
  };
  assert.equal((await api.send('PATCH', '/api/v1/nodes/n1', merge)).code, 200);
  assert.equal(
    messageOf((await api.send('PATCH', '/api/v1/nodes/n2', merge)).text),
    'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"',
  );
  const status = { as, contentType: 'application/merge-patch+json', body: { status: { phase: 'Failed' } } };
  assert.equal((await api.send('PATCH', `${NS}/pods/theirs/status`, status)).code, 403);
});

test('B7 AlwaysPullImages, when it is on, decides over every policy (rules 2.9, 2.10)', async () => {
  const strict = await startTestApi({ enableAdmissionPlugins: ['AlwaysPullImages'] });
  try {
    await strict.send('POST', `${NS}/serviceaccounts`, { body: { metadata: { name: 'default' } } });
    const body = {
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'a', image: 'x:1', imagePullPolicy: 'Never' }] },
    };
    const made = (await strict.send('POST', `${NS}/pods`, { body })).json<{
      spec: { containers: { imagePullPolicy: string }[] };
    }>();
    assert.equal(made.spec.containers[0]?.imagePullPolicy, 'Always');
  } finally {
    await strict.close();
  }
});

test('the account of a Pod lends it its pull secrets and a token (rules 8.2, 8.3)', async () => {
  await api.send('POST', `${NS}/serviceaccounts`, {
    body: { metadata: { name: 'puller' }, imagePullSecrets: [{ name: 'reg' }] },
  });
  const body = {
    metadata: { name: 'lent' },
    spec: { serviceAccountName: 'puller', containers: [{ name: 'a', image: 'x' }] },
  };
  const made = (await api.send('POST', `${NS}/pods`, { body })).json<{
    spec: {
      imagePullSecrets: object[];
      volumes: { name: string }[];
      containers: { volumeMounts: { name: string }[] }[];
    };
  }>();
  assert.deepEqual(made.spec.imagePullSecrets, [{ name: 'reg' }]);
  assert.match(made.spec.volumes[0]?.name ?? '', /^kube-api-access-/);
  assert.equal(made.spec.containers[0]?.volumeMounts[0]?.name, made.spec.volumes[0]?.name);
});
