import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../../test/support/test-api.ts';

const ROOT = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';
const RULE = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api.close());
beforeEach(async () => {
  for (const kind of ['validating', 'mutating']) {
    await api.send('DELETE', `${ROOT}/${kind}admissionpolicybindings`);
    await api.send('DELETE', `${ROOT}/${kind}admissionpolicies`);
  }
  await api.send('DELETE', MAPS);
});

async function create(path: string, body: object): Promise<RawAnswer> {
  const answer = await api.send('POST', path, { body });
  assert.equal(answer.code, 201, answer.text);
  return answer;
}

async function policy(
  spec: Record<string, unknown>,
  binding: Record<string, unknown> = {},
  kind: 'Validating' | 'Mutating' = 'Validating',
): Promise<void> {
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const plural = `${ROOT}/${kind.toLowerCase()}admissionpolic`;
  const actions = kind === 'Validating' ? { validationActions: ['Deny'] } : {};
  await create(`${plural}ies`, {
    apiVersion,
    kind: `${kind}AdmissionPolicy`,
    metadata: { name: 'p' },
    spec: { matchConstraints: { resourceRules: [RULE] }, ...spec },
  });
  await create(`${plural}ybindings`, {
    apiVersion,
    kind: `${kind}AdmissionPolicyBinding`,
    metadata: { name: 'b' },
    spec: { policyName: 'p', ...actions, ...binding },
  });
}

function createMap(name: string, data: object = {}, labels: object = {}): Promise<RawAnswer> {
  return api.send('POST', MAPS, {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data },
  });
}

const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;
const DENIED = `configmaps "one" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: `;

test('a policy denies with its expression, its message, or one that is made, and its reason', async () => {
  const cases: readonly (readonly [Record<string, unknown>, string, string, number])[] = [
    [{ expression: " 'a' in object.data " }, "failed expression: 'a' in object.data", 'Invalid', 422],
    [{ expression: 'false', message: ' needs a ' }, 'needs a', 'Invalid', 422],
    [
      {
        expression: 'false',
        message: 'fixed',
        messageExpression: "'no ' + object.metadata.name",
        reason: 'Forbidden',
      },
      'no one',
      'Forbidden',
      403,
    ],
    [{ expression: 'false', message: 'fixed', messageExpression: 'object.none' }, 'fixed', 'Invalid', 422],
    [
      { expression: 'false', reason: 'RequestEntityTooLarge' },
      'failed expression: false',
      'RequestEntityTooLarge',
      413,
    ],
    [
      { expression: 'object.none == 1' },
      "expression 'object.none == 1' resulted in error: no such key: none",
      'Invalid',
      422,
    ],
  ];
  await policy({ validations: [{ expression: 'true' }] });
  for (const [validation, message, reason, code] of cases) {
    const patched = await api.send('PATCH', `${ROOT}/validatingadmissionpolicies/p`, {
      contentType: 'application/merge-patch+json',
      body: { spec: { validations: [validation] } },
    });
    assert.equal(patched.code, 200, patched.text);
    const answer = await createMap('one', { b: 'c' });
    const status = answer.json<{ message: string; reason: string; details: object }>();
    assert.equal(status.message, `${DENIED}${message}`);
    assert.deepEqual([status.reason, answer.code], [reason, code]);
    assert.deepEqual(status.details, {
      name: 'one',
      kind: 'configmaps',
      causes: [{ message: status.message.replace(/^.* is forbidden: /, '') }],
    });
  }
});

test('variables, oldObject, request, namespaceObject and authorizer are at hand', async () => {
  await policy({
    variables: [
      { name: 'keys', expression: 'has(object.data) ? object.data.map(k, k) : []' },
      { name: 'count', expression: 'size(variables.keys)' },
    ],
    validations: [
      { expression: 'variables.count <= 2', messageExpression: '"has " + string(variables.count)' },
      { expression: 'oldObject == null || oldObject.metadata.name == request.name' },
      { expression: 'namespaceObject.metadata.labels["kubernetes.io/metadata.name"] == request.namespace' },
      {
        expression:
          'authorizer.group("").resource("configmaps").namespace("default").check("create").allowed()',
      },
      { expression: 'authorizer.requestResource.check("update").allowed()' },
      {
        expression:
          '"system:masters" in request.userInfo.groups && request.resource.resource == "configmaps"',
      },
    ],
  });
  assert.equal((await createMap('one', { a: '1', b: '2' })).code, 201);
  const answer = await api.send('PATCH', `${MAPS}/one`, {
    contentType: 'application/merge-patch+json',
    body: { data: { c: '3' } },
  });
  assert.equal(messageOf(answer), `${DENIED}has 3`);
  assert.equal((await api.send('DELETE', `${MAPS}/one`)).code, 200);
});

test('Warn only warns, Audit says nothing, and a policy without a binding does nothing', async () => {
  await policy(
    { validations: [{ expression: 'false', message: 'tut' }] },
    { validationActions: ['Warn', 'Audit'] },
  );
  const answer = await createMap('one');
  assert.equal(answer.code, 201);
  assert.match(
    String(answer.headers['warning']),
    /Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': tut/,
  );
  await api.send('DELETE', `${ROOT}/validatingadmissionpolicybindings/b`);
  assert.equal((await createMap('two')).headers['warning'], undefined);
});

test('failurePolicy Ignore lets pass what cannot be evaluated, and only that', async () => {
  await policy({
    failurePolicy: 'Ignore',
    validations: [{ expression: 'object.none == 1' }, { expression: '!("bad" in object.data)' }],
  });
  assert.equal((await createMap('ok', { a: 'b' })).code, 201);
  assert.equal((await createMap('one', { bad: 'x' })).code, 422);
});

test('conditions, exclusions, names and selectors of policy and binding narrow what is checked', async () => {
  await policy(
    {
      matchConstraints: {
        resourceRules: [RULE],
        excludeResourceRules: [{ ...RULE, operations: ['CREATE'], resourceNames: ['excluded'] }],
      },
      matchConditions: [{ name: 'c', expression: 'object.metadata.name != "skipped"' }],
      validations: [{ expression: 'false' }],
    },
    {
      matchResources: {
        objectSelector: { matchLabels: { on: 'yes' } },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
      },
    },
  );
  const codes = [];
  for (const [name, labels] of [
    ['one', { on: 'yes' }],
    ['excluded', { on: 'yes' }],
    ['skipped', { on: 'yes' }],
    ['other', {}],
  ] as const) {
    codes.push((await createMap(name, {}, labels)).code);
  }
  assert.deepEqual(codes, [422, 201, 201, 201]);
});

test('parameters come by name or selector, each is checked, and their absence is decided by the binding', async () => {
  const limit = (name: string, max: string): Promise<RawAnswer> =>
    create('/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, labels: { limits: 'yes' } },
      data: { max },
    });
  const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' };
  const validations = [
    {
      expression: 'size(object.data) <= int(params.data.max)',
      messageExpression: '"at most " + params.data.max',
    },
  ];
  const paramRef = { name: 'limit', namespace: 'kube-system', parameterNotFoundAction: 'Deny' };
  const matchResources = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } } };
  await policy({ paramKind, validations }, { paramRef, matchResources });
  const missing = await createMap('one', { a: '1', b: '2' });
  assert.equal(
    messageOf(missing),
    `${DENIED}failed to configure binding: no params found for policy binding with \`Deny\` parameterNotFoundAction`,
  );
  await limit('limit', '1');
  assert.equal(messageOf(await createMap('one', { a: '1', b: '2' })), `${DENIED}at most 1`);
  assert.equal((await createMap('fits', { a: '1' })).code, 201);
  await api.send('PATCH', `${ROOT}/validatingadmissionpolicybindings/b`, {
    contentType: 'application/merge-patch+json',
    body: {
      spec: {
        paramRef: {
          name: null,
          selector: { matchLabels: { limits: 'none' } },
          parameterNotFoundAction: 'Allow',
        },
      },
    },
  });
  assert.equal((await createMap('allowed', { a: '1', b: '2' })).code, 201);
  await api.send('DELETE', `${ROOT}/validatingadmissionpolicies/p`);
  await create(`${ROOT}/validatingadmissionpolicies`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'p' },
    spec: {
      paramKind: { apiVersion: 'x.example/v1', kind: 'Limit' },
      matchConstraints: { resourceRules: [RULE] },
      validations,
    },
  });
  assert.equal(
    messageOf(await createMap('one')),
    `configmaps "one" is forbidden: ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'x.example/v1, Kind=Limit'`,
  );
});

test('a policy whose expression runs away is stopped and denies', async () => {
  const list = Array.from({ length: 400 }, (_, index) => index).join(',');
  await policy({
    variables: [{ name: 'xs', expression: `[${list}]` }],
    validations: [
      { expression: 'variables.xs.all(a, variables.xs.all(b, variables.xs.all(c, a + b + c >= 0)))' },
    ],
  });
  assert.match(messageOf(await createMap('one')), /operation cancelled: actual cost limit exceeded$/);
});

test('the status of a policy says that it was seen, and which fields its kinds do not have', async () => {
  await policy({ validations: [{ expression: 'object.data.a == "b" && object.dta.a == "b"' }] });
  const { status } = (await api.send('GET', `${ROOT}/validatingadmissionpolicies/p`)).json<{
    status: {
      observedGeneration: number;
      typeChecking: { expressionWarnings: { fieldRef: string; warning: string }[] };
    };
  }>();
  assert.equal(status.observedGeneration, 1);
  assert.deepEqual(status.typeChecking.expressionWarnings, [
    {
      fieldRef: 'spec.validations[0].expression',
      warning: `v1, Kind=ConfigMap: ERROR: <input>:1:31: undefined field 'dta'\n | object.data.a == "b" && object.dta.a == "b"\n | ..............................^`,
    },
  ]);
});

test('sessions with Pods are checked as CONNECT, with what they would run', async () => {
  await policy({
    matchConstraints: {
      resourceRules: [
        { operations: ['CONNECT'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/exec'] },
      ],
    },
    validations: [{ expression: "object.command[0] != 'sh'", message: 'no shells' }],
  });
  const path = '/api/v1/namespaces/default/pods/p/exec?command=sh&stdout=true';
  const answer = await api.send('POST', path, { headers: { connection: 'upgrade', upgrade: 'SPDY/3.1' } });
  assert.equal(answer.code, 422);
  assert.equal(
    messageOf(answer),
    `pods "p" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no shells`,
  );
});

test('a mutating policy applies configurations and patches, in order, again when asked to', async () => {
  await policy(
    {
      reinvocationPolicy: 'IfNeeded',
      variables: [{ name: 'owner', expression: 'request.userInfo.username' }],
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              'Object{metadata: Object.metadata{labels: {"owner": variables.owner}}, data: {"made": "by policy"}}',
          },
        },
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression:
              'has(object.data.count) ? [] : [JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("count"), value: string(size(object.data))}]',
          },
        },
      ],
    },
    {},
    'Mutating',
  );
  const answer = await createMap('one', { a: 'b' });
  assert.equal(answer.code, 201, answer.text);
  const { metadata, data } = answer.json<{ metadata: { labels: object }; data: object }>();
  assert.deepEqual(metadata.labels, { owner: 'kubernetes-admin' });
  assert.deepEqual(data, { a: 'b', made: 'by policy', count: '2' });
});

test('a mutating policy that would change who an object is, or makes none, fails the request', async () => {
  const apply = (expression: string): object => ({
    mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression } }],
  });
  await policy({ ...apply('Object{metadata: Object.metadata{name: "other"}}') }, {}, 'Mutating');
  assert.equal(
    messageOf(await createMap('one')),
    `configmaps "one" is forbidden: policy 'p' with binding 'b' denied request: invalid ApplyConfiguration: may not mutate metadata.name`,
  );
  for (const expression of ['Object{nothing: 1}', 'Object{data: "text"}', 'object.none']) {
    await api.send('PATCH', `${ROOT}/mutatingadmissionpolicies/p`, {
      contentType: 'application/merge-patch+json',
      body: { spec: apply(expression) },
    });
    assert.equal((await createMap('one')).code, 422, expression);
  }
});
