import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';

const AUTHN = '/apis/authentication.k8s.io/v1';
const AUTHZ = '/apis/authorization.k8s.io/v1';
let api: TestApi;
before(async () => {
  api = await startTestApi({ tokens: [{ token: 'fixed-t0ken', user: { name: 'jane', groups: ['devs'] } }] });
});
after(() => api.close());

function review(path: string, kind: string, spec: object, metadata: object = {}): Promise<RawAnswer> {
  const apiVersion = path.startsWith(AUTHN) ? 'authentication.k8s.io/v1' : 'authorization.k8s.io/v1';
  return api.send('POST', path, { body: { apiVersion, kind, metadata, spec } });
}

interface Answered {
  status: {
    allowed?: boolean;
    authenticated?: boolean;
    error?: string;
    audiences?: string[];
    user?: { username?: string; uid?: string; groups?: string[] };
    resourceRules?: object[];
    incomplete?: boolean;
  };
}

const statusOf = (answer: RawAnswer): Answered['status'] => answer.json<Answered>().status;
const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;

test('a token is reviewed: whose it is, for which audience, or that it is nobody’s', async () => {
  const path = `${AUTHN}/tokenreviews`;
  const fixed = statusOf(await review(path, 'TokenReview', { token: 'fixed-t0ken' }));
  assert.deepEqual(
    [fixed.authenticated, fixed.user?.username, fixed.user?.groups],
    [true, 'jane', ['devs', 'system:authenticated']],
  );
  const elsewhere = statusOf(
    await review(path, 'TokenReview', { token: 'fixed-t0ken', audiences: ['other'] }),
  );
  assert.equal(elsewhere.authenticated, undefined);
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
  await api.send('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
  const issued = await review('/api/v1/namespaces/default/serviceaccounts/robot/token', 'TokenRequest', {
    audiences: ['vault'],
  });
  assert.equal(issued.code, 400, 'the body must be of its own group');
  const token = (
    await api.send('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['vault'] } },
    })
  ).json<{ status: { token: string } }>().status.token;
  const vault = statusOf(await review(path, 'TokenReview', { token, audiences: ['vault', 'x'] }));
  assert.equal(vault.user?.username, 'system:serviceaccount:default:robot');
  assert.equal(statusOf(await review(path, 'TokenReview', { token })).authenticated, undefined);
  assert.equal(statusOf(await review(path, 'TokenReview', { token: 'wrong' })).authenticated, undefined);
  const empty = await review(path, 'TokenReview', { token: '' });
  assert.deepEqual(
    [empty.code, messageOf(empty)],
    [400, 'token is required for TokenReview in authentication'],
  );
});

test('access of others is reviewed by what they are, and questions that make no sense are refused', async () => {
  const path = `${AUTHZ}/subjectaccessreviews`;
  const pods = { resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } };
  assert.equal(statusOf(await review(path, 'SubjectAccessReview', { ...pods, user: 'x' })).allowed, false);
  const masters = { ...pods, user: 'x', groups: ['system:masters'] };
  assert.equal(statusOf(await review(path, 'SubjectAccessReview', masters)).allowed, true);
  const paths = {
    nonResourceAttributes: { verb: 'get', path: '/version' },
    user: 'x',
    groups: ['system:authenticated'],
  };
  assert.equal(statusOf(await review(path, 'SubjectAccessReview', paths)).allowed, true);
  const cases: readonly (readonly [object, string])[] = [
    [
      { user: 'x' },
      'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    ],
    [
      pods,
      'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified',
    ],
    [
      { ...pods, nonResourceAttributes: { path: '/x' }, user: 'x' },
      'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":""}: cannot be specified in combination with resourceAttributes',
    ],
  ];
  for (const [spec, why] of cases) {
    const answer = await review(path, 'SubjectAccessReview', spec);
    assert.deepEqual([answer.code, messageOf(answer)], [422, why]);
  }
  const local = `${AUTHZ}/namespaces/default/localsubjectaccessreviews`;
  const inside = { ...masters };
  assert.equal(statusOf(await review(local, 'LocalSubjectAccessReview', inside)).allowed, true);
  const outside = { ...masters, resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'other' } };
  assert.match(
    messageOf(await review(local, 'LocalSubjectAccessReview', outside)),
    /spec\.resourceAttributes\.namespace: Invalid value: "other": must match metadata\.namespace$/,
  );
});

test('an answer tells who set what, but for the two kinds that are answered anew', async () => {
  interface Reviewed {
    metadata: {
      creationTimestamp?: string;
      labels?: object;
      managedFields?: { fieldsV1: object; subresource?: string }[];
    };
    spec?: object;
  }
  const owned = ({ metadata }: Reviewed): unknown =>
    metadata.managedFields?.map(({ fieldsV1, subresource }) => [fieldsV1, subresource]);
  const asked = async (path: string, kind: string, spec: object, metadata = {}): Promise<Reviewed> =>
    (await review(path, kind, spec, metadata)).json<Reviewed>();
  const access = await asked(`${AUTHZ}/selfsubjectaccessreviews`, 'SelfSubjectAccessReview', {
    resourceAttributes: { verb: 'get' },
  });
  assert.deepEqual(owned(access), [
    [{ 'f:spec': { 'f:resourceAttributes': { '.': {}, 'f:verb': {} } } }, undefined],
  ]);
  const labelled = { labels: { a: 'b' } };
  const token = await asked(`${AUTHN}/tokenreviews`, 'TokenReview', { token: 'x' }, labelled);
  assert.deepEqual(owned(token), [
    [{ 'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } }, 'f:spec': { 'f:token': {} } }, undefined],
  ]);
  const self = await asked(`${AUTHN}/selfsubjectreviews`, 'SelfSubjectReview', {}, labelled);
  assert.deepEqual(Object.keys(self.metadata), ['creationTimestamp']);
  const rules = await asked(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', {
    namespace: 'default',
  });
  assert.deepEqual([rules.metadata, rules.spec], [{}, {}]);
  const issued = await api.send('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', {
    body: { spec: { expirationSeconds: 600 } },
  });
  assert.deepEqual(owned(issued.json<Reviewed>()), [[{ 'f:spec': { 'f:expirationSeconds': {} } }, 'token']]);
});

test('everybody may ask what they may do', async () => {
  const rules = statusOf(
    await review(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', { namespace: 'default' }),
  );
  assert.ok((rules.resourceRules ?? []).length > 0);
  assert.equal(rules.incomplete, false);
  const none = await review(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', {});
  assert.deepEqual([none.code, messageOf(none)], [400, 'no namespace on request']);
});

test('an answer says which binding allows it', async () => {
  const path = `${AUTHZ}/subjectaccessreviews`;
  const reasonFor = async (attributes: object, who: object): Promise<unknown> =>
    (await review(path, 'SubjectAccessReview', { ...attributes, ...who })).json<{
      status: { reason?: string };
    }>().status.reason;
  const discovery = { nonResourceAttributes: { path: '/apis', verb: 'get' } };
  assert.equal(
    await reasonFor(discovery, { user: 'jane', groups: ['system:authenticated'] }),
    'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated"',
  );
  const bound = {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    metadata: { name: 'readers' },
    subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace: 'default' }],
  };
  const made = await api.send('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
    body: bound,
  });
  assert.equal(made.code, 201, made.text);
  const pods = { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } };
  assert.equal(
    await reasonFor(pods, { user: 'system:serviceaccount:default:robot' }),
    'RBAC: allowed by RoleBinding "readers/default" of ClusterRole "view" to ServiceAccount "robot/default"',
  );
});

test('a token is not bound to an object of the same name that is another one', async () => {
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name: 's', uid: 'another' } },
  };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } };
  const { metadata } = (await api.send('POST', '/api/v1/namespaces/default/secrets', { body: secret })).json<{
    metadata: { uid: string };
  }>();
  const answer = await api.send('POST', '/api/v1/namespaces/default/serviceaccounts/robot/token', { body });
  assert.equal(answer.code, 409);
  assert.equal(
    messageOf(answer),
    `Operation cannot be fulfilled on Secret "s": the UID in the bound object reference (another) does not match the UID in record. The object might have been deleted and then recreated`,
  );
  assert.ok(metadata.uid);
});

test('a node gets tokens only for Pods that it runs, and gives itself neither taints nor reserved labels', async () => {
  const node = await api.certificate('system:node:n1', 'system:nodes');
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  await api.send('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
  const pod = (name: string, nodeName: string): Promise<RawAnswer> =>
    api.send('POST', '/api/v1/namespaces/default/pods', {
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { nodeName, containers: [{ name: 'c', image: 'i' }] },
      },
    });
  const uidOf = async (made: Promise<RawAnswer>): Promise<string> =>
    (await made).json<{ metadata: { uid: string } }>().metadata.uid;
  const mine = await uidOf(pod('mine', 'n1'));
  const other = await uidOf(pod('other', 'n2'));
  const token = (boundObjectRef?: object): Promise<RawAnswer> =>
    api.send('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      as: node,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { boundObjectRef } },
    });
  const ref = (name: string, uid?: string): object => ({ apiVersion: 'v1', kind: 'Pod', name, uid });
  assert.equal((await token(ref('mine', mine))).code, 201);
  const cases: readonly (readonly [object | undefined, string])[] = [
    [undefined, 'node requested token not bound to a pod'],
    [ref('mine'), 'node requested token with a pod binding without a uid'],
    [ref('other', other), 'node requested token bound to a pod scheduled on a different node'],
  ];
  for (const [bound, why] of cases) {
    const answer = await token(bound);
    assert.deepEqual(
      [answer.code, messageOf(answer)],
      [403, `serviceaccounts "default" is forbidden: ${why}`],
    );
  }
  const register = (labels: object): Promise<RawAnswer> =>
    api.send('POST', '/api/v1/nodes', {
      as: node,
      body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', labels } },
    });
  assert.match(
    messageOf(await register({ 'x.node-restriction.kubernetes.io/a': 'b' })),
    /node "n1" is not allowed to set the following labels: x\.node-restriction\.kubernetes\.io\/a$/,
  );
  assert.equal((await register({ 'kubernetes.io/os': 'linux' })).code, 201);
  const change = (body: object): Promise<RawAnswer> =>
    api.send('PATCH', '/api/v1/nodes/n1', { as: node, contentType: 'application/merge-patch+json', body });
  assert.equal((await change({ metadata: { labels: { a: 'b' } } })).code, 200);
  assert.match(
    messageOf(await change({ spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } })),
    /nodes "n1" is forbidden: node "n1" is not allowed to modify taints$/,
  );
  assert.match(
    messageOf(await change({ metadata: { labels: { 'node-restriction.kubernetes.io/a': 'b' } } })),
    /node "n1" is not allowed to modify labels: node-restriction\.kubernetes\.io\/a$/,
  );
});
