import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawRequest, type TestApi } from '../../test/support/test-api.ts';

/* Answers as recorded from Kubernetes 1.36.2: code, reason and message. */

let api: TestApi;
const NS = '/api/v1/namespaces/demo';
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p1' },
  spec: { containers: [{ name: 'a', image: 'x:1' }] },
};
const map = (name: string, rest: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: {},
  ...rest,
});

before(async () => {
  api = await startTestApi();
  await api.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'demo' } } });
  await api.send('POST', `${NS}/serviceaccounts`, { body: { metadata: { name: 'default' } } });
  const made = await api.send('POST', `${NS}/configmaps`, { body: map('c1') });
  assert.equal(made.code, 201, made.text);
});
after(() => api.close());

interface Row {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly send?: RawRequest;
  readonly code: number;
  readonly reason?: string;
  readonly message: string;
}

const MERGE = 'application/merge-patch+json';
const rows: readonly Row[] = [
  {
    name: 'a missing object',
    path: `${NS}/pods/nosuch`,
    code: 404,
    reason: 'NotFound',
    message: 'pods "nosuch" not found',
  },
  {
    name: 'a missing object of a named group',
    path: '/apis/apps/v1/namespaces/demo/deployments/nosuch',
    code: 404,
    reason: 'NotFound',
    message: 'deployments.apps "nosuch" not found',
  },
  {
    name: 'a create in a missing namespace',
    method: 'POST',
    path: '/api/v1/namespaces/nosuchns/pods',
    send: { body: pod },
    code: 404,
    reason: 'NotFound',
    message: 'namespaces "nosuchns" not found',
  },
  {
    name: 'a second create',
    method: 'POST',
    path: `${NS}/configmaps`,
    send: { body: map('c1') },
    code: 409,
    reason: 'AlreadyExists',
    message: 'configmaps "c1" already exists',
  },
  {
    name: 'a stale resourceVersion in a patch',
    method: 'PATCH',
    path: `${NS}/configmaps/c1`,
    send: { body: { metadata: { resourceVersion: '1' } }, contentType: MERGE },
    code: 409,
    reason: 'Conflict',
    message:
      'Operation cannot be fulfilled on configmaps "c1": the object has been modified; please apply your changes to the latest version and try again',
  },
  {
    name: 'another name in the body',
    method: 'PUT',
    path: `${NS}/configmaps/c1`,
    send: { body: map('c2') },
    code: 400,
    reason: 'BadRequest',
    message: 'the name of the object (c2) does not match the name on the URL (c1)',
  },
  {
    name: 'another namespace in the body',
    method: 'POST',
    path: `${NS}/configmaps`,
    send: { body: map('x', { metadata: { name: 'x', namespace: 'default' } }) },
    code: 400,
    reason: 'BadRequest',
    message: 'the namespace of the provided object does not match the namespace sent on the request',
  },
  {
    name: 'a resourceVersion on create',
    method: 'POST',
    path: `${NS}/configmaps`,
    send: { body: map('rv', { metadata: { name: 'rv', resourceVersion: '5' } }) },
    code: 500,
    message: 'resourceVersion should not be set on objects to be created',
  },
  {
    name: 'a bad label selector',
    path: `${NS}/pods?labelSelector=a%3D%3Db%3D%3Dc`,
    code: 400,
    reason: 'BadRequest',
    message: "found '==', expected: ',' or 'end of string'",
  },
  {
    name: 'a field that is not selectable',
    path: `${NS}/pods?fieldSelector=spec.foo%3Dbar`,
    code: 400,
    reason: 'BadRequest',
    message: 'field label not supported: spec.foo',
  },
  {
    name: 'a bad limit',
    path: `${NS}/configmaps?limit=x`,
    code: 400,
    reason: 'BadRequest',
    message: 'strconv.ParseInt: parsing "x": invalid syntax',
  },
  {
    name: 'a bad resourceVersion',
    path: `${NS}/configmaps?resourceVersion=abc`,
    code: 400,
    reason: 'BadRequest',
    message:
      'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
  },
  {
    name: 'a match without a resourceVersion',
    path: `${NS}/configmaps?resourceVersionMatch=Exact`,
    code: 422,
    reason: 'Invalid',
    message:
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
  },
  {
    name: 'a continue token that is none',
    path: `${NS}/configmaps?continue=abc&limit=1`,
    code: 400,
    reason: 'BadRequest',
    message:
      "invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value",
  },
  {
    name: 'an unknown dryRun',
    method: 'POST',
    path: `${NS}/configmaps?dryRun=Some`,
    send: { body: map('x') },
    code: 422,
    reason: 'Invalid',
    message:
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
  },
  {
    name: 'an unknown fieldValidation',
    method: 'POST',
    path: `${NS}/configmaps?fieldValidation=Bogus`,
    send: { body: map('x') },
    code: 422,
    reason: 'Invalid',
    message:
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": supported values: "", "Ignore", "Strict", "Warn"',
  },
  {
    name: 'an unknown field under strict validation',
    method: 'POST',
    path: `${NS}/pods?fieldValidation=Strict`,
    send: { body: { ...pod, spec: { ...pod.spec, bogus: 1 } } },
    code: 400,
    reason: 'BadRequest',
    message:
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.bogus"',
  },
  {
    name: 'an unknown propagation policy',
    method: 'DELETE',
    path: `${NS}/configmaps/c1?propagationPolicy=Bogus`,
    code: 422,
    reason: 'Invalid',
    message:
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Bogus": supported values: "Foreground", "Background", "Orphan", "nil"',
  },
  {
    name: 'force without apply',
    method: 'PATCH',
    path: `${NS}/configmaps/c1?force=true`,
    send: { body: {}, contentType: MERGE },
    code: 422,
    reason: 'Invalid',
    message:
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  },
  {
    name: 'apply without a field manager',
    method: 'PATCH',
    path: `${NS}/configmaps/ap1`,
    send: { body: map('ap1'), contentType: 'application/apply-patch+yaml' },
    code: 422,
    reason: 'Invalid',
    message:
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  },
  {
    name: 'an unsupported content type',
    method: 'POST',
    path: `${NS}/pods`,
    send: { body: '{}', contentType: 'text/plain' },
    code: 415,
    reason: 'UnsupportedMediaType',
    message:
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  },
  {
    name: 'an unsupported patch type',
    method: 'PATCH',
    path: `${NS}/configmaps/c1`,
    send: { body: {}, contentType: 'application/json' },
    code: 415,
    reason: 'UnsupportedMediaType',
    message: '415: Unsupported Media Type',
  },
  {
    name: 'a method that a path does not have',
    method: 'PUT',
    path: `${NS}/pods`,
    send: { body: pod },
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
  },
  {
    name: 'a create of a namespaced kind without a namespace',
    method: 'POST',
    path: '/api/v1/pods',
    send: { body: pod },
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
  },
  {
    name: 'a namespaced object without its namespace',
    path: '/api/v1/pods/p1',
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
  },
  {
    name: 'a kind of the cluster below a namespace',
    path: `${NS}/nodes`,
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
  },
  {
    name: 'an unknown resource',
    path: `${NS}/foos`,
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
  },
  {
    name: 'a Pod whose service account does not exist',
    method: 'POST',
    path: `${NS}/pods`,
    send: { body: { ...pod, spec: { ...pod.spec, serviceAccountName: 'nosuch' } } },
    code: 403,
    reason: 'Forbidden',
    message:
      'pods "p1" is forbidden: error looking up service account demo/nosuch: serviceaccount "nosuch" not found',
  },
  {
    name: 'the deletion of a system namespace',
    method: 'DELETE',
    path: '/api/v1/namespaces/default',
    code: 403,
    reason: 'Forbidden',
    message: 'namespaces "default" is forbidden: this namespace may not be deleted',
  },
  {
    name: 'a token for too short a time',
    method: 'POST',
    path: `${NS}/serviceaccounts/default/token`,
    send: { body: { spec: { expirationSeconds: 5 } } },
    code: 422,
    reason: 'Invalid',
    message:
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes',
  },
];

for (const row of rows) {
  test(`the API answers as upstream: ${row.name}`, async () => {
    const answer = await api.send(row.method ?? 'GET', row.path, row.send);
    const status = answer.json<{ reason?: string; message: string; code: number }>();
    assert.equal(status.message, row.message);
    assert.equal(status.reason, row.reason);
    assert.equal(answer.code, row.code);
    assert.equal(status.code, row.code);
  });
}

test('an unknown group and an unknown path answer plain text', async () => {
  for (const path of ['/apis/none.example/v1/foos', '/nosuch']) {
    const answer = await api.send('GET', path);
    assert.equal(answer.code, 404);
    assert.equal(answer.text, '404 page not found\n');
  }
});

test('a body over the limit is refused', async () => {
  const answer = await api.send('POST', `${NS}/configmaps`, { body: 'x'.repeat(3 * 1024 * 1024 + 1) });
  assert.equal(answer.code, 413);
  assert.equal(answer.json()['message'], 'Request entity is too large: limit is 3145728');
});

test('a refusal in YAML is YAML', async () => {
  const answer = await api.send('GET', `${NS}/pods/nosuch`, { accept: 'application/yaml' });
  assert.equal(answer.headers['content-type'], 'application/yaml');
  assert.match(answer.text, /^apiVersion: v1\ncode: 404\ndetails:\n {2}kind: pods\n {2}name: nosuch\n/);
});

test('an answer in YAML quotes what YAML 1.1 takes for more than text', async () => {
  await api.send('POST', `${NS}/configmaps`, {
    body: { metadata: { name: 'yaml' }, data: { a: 'on', b: '2020-01-01' } },
  });
  const { text } = await api.send('GET', `${NS}/configmaps/yaml`, { accept: 'application/yaml' });
  assert.match(text, /^data:\n {2}a: "on"\n {2}b: "2020-01-01"\n/m);
  assert.match(text, /^ {2}creationTimestamp: "\d{4}-[^"]+Z"$/m);
  assert.match(text, /^ {2}managedFields:\n {2}- apiVersion: v1$/m);
});

test('bare metadata is asked for by the right name, and rows with what there is', async () => {
  const form = (as: string): { accept: string } => ({
    accept: `application/json;as=${as};v=v1;g=meta.k8s.io`,
  });
  const requests: readonly (readonly [string, string, number, string])[] = [
    [
      `${NS}/configmaps`,
      'PartialObjectMetadata',
      406,
      'you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)',
    ],
    [
      '/apis/events.k8s.io/v1/events',
      'PartialObjectMetadata',
      406,
      'you requested PartialObjectMetadata, but the requested object is a list (*core.EventList)',
    ],
    [
      '/apis/rbac.authorization.k8s.io/v1/clusterroles/view',
      'PartialObjectMetadataList',
      406,
      'you requested PartialObjectMetadataList, but the requested object is not a list (*rbac.ClusterRole)',
    ],
    [
      `${NS}/pods?includeObject=All`,
      'Table',
      400,
      `Unable to convert to Table as requested: includeObject: Invalid value: "All": must be 'Metadata', 'Object', 'None', or empty`,
    ],
    [
      `${NS}/pods?watch=1&includeObject=All`,
      'Table',
      400,
      `Unable to convert to Table as requested: includeObject: Invalid value: "All": must be 'Metadata', 'Object', 'None', or empty`,
    ],
  ];
  for (const [path, as, code, message] of requests) {
    const answer = await api.send('GET', path, form(as));
    assert.deepEqual([answer.code, answer.json().message], [code, message]);
  }
  // What was not found is not found in any form.
  assert.equal((await api.send('GET', `${NS}/pods/nosuch`, form('PartialObjectMetadataList'))).code, 404);
});

test('a link of an object to itself, which clients of old send, is dropped', async () => {
  const metadata = { name: 'linked', selfLink: '/api/v1/x' };
  const made = await api.send('POST', `${NS}/configmaps`, { body: { metadata } });
  const changed = await api.send('PUT', `${NS}/configmaps/linked`, { body: { metadata, data: { a: '1' } } });
  for (const answer of [made, changed]) {
    assert.ok(answer.code < 300, answer.text);
    assert.doesNotMatch(answer.text, /selfLink/);
  }
});

test('null as a body says nothing, as an empty object does', async () => {
  const answer = await api.send('POST', `${NS}/pods`, { body: 'null' });
  assert.equal(
    answer.json().message,
    'Pod "" is invalid: [metadata.name: Required value: name or generateName is required, spec.containers: Required value]',
  );
});

test('unknown fields are warned about, each in a header of its own', async () => {
  const body = { ...pod, spec: { containers: [{ name: 'a', image: 'x:1', imagePullPolcy: 'x' }], bogus: 1 } };
  const answer = await api.send('POST', `${NS}/pods?dryRun=All`, { body });
  assert.equal(answer.code, 201);
  assert.equal(
    answer.headers['warning'],
    '299 - "unknown field \\"spec.bogus\\"", 299 - "unknown field \\"spec.containers[0].imagePullPolcy\\""',
  );
});

test('a dry run changes nothing', async () => {
  const answer = await api.send('POST', `${NS}/configmaps?dryRun=All`, { body: map('dry') });
  assert.equal(answer.code, 201);
  assert.equal((await api.send('GET', `${NS}/configmaps/dry`)).code, 404);
  const gone = await api.send('DELETE', `${NS}/configmaps/c1?dryRun=All`);
  assert.equal(gone.code, 200);
  assert.equal((await api.send('GET', `${NS}/configmaps/c1`)).code, 200);
});

test('keys that JavaScript treats specially stay data', async () => {
  const body =
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"proto"},"data":{"__proto__":"a","constructor":"b"}}';
  const answer = await api.send('POST', `${NS}/configmaps`, { body });
  // "__proto__" is a legal key of a ConfigMap; whether or not it is kept, no object of the server may change.
  assert.ok(answer.code === 201 || answer.code === 422, answer.text);
  assert.equal(Reflect.get({}, 'a'), undefined);
  assert.match((await api.send('GET', `${NS}/configmaps/c1`)).text, /"name":"c1"/);
});

test('curl gets indented JSON, other programs one line, and both what they ask for', async () => {
  const path = `${NS}/configmaps/c1`;
  const text = async (agent: string, query = ''): Promise<string> =>
    (await api.send('GET', `${path}${query}`, { headers: { 'user-agent': agent } })).text;
  assert.match(await text('curl/8.5.0'), /^\{\n {2}"kind": "ConfigMap",\n[^]*\n\}$/);
  assert.match(await text('kubectl/v1.34'), /^\{"kind":"ConfigMap",.*\}\n$/);
  assert.equal(await text('curl/8.5.0', '?pretty=false'), await text('kubectl/v1.34'));
  assert.equal(await text('kubectl/v1.34', '?pretty=true'), await text('Wget/1.21'));
  const { text: list } = await api.send('GET', `${NS}/configmaps?pretty=1`);
  assert.match(list, /^\{\n {2}"kind": "ConfigMapList",/);
});

test('owners named twice are kept once, with a warning', async () => {
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u1' };
  const answer = await api.send('POST', `${NS}/configmaps`, {
    body: map('owned', { metadata: { name: 'owned', ownerReferences: [owner, owner] } }),
  });
  assert.equal(answer.code, 201, answer.text);
  const { metadata } = answer.json<{ metadata: { ownerReferences: unknown } }>();
  assert.deepEqual(metadata.ownerReferences, [owner]);
  assert.match(String(answer.headers['warning']), /duplicate UID\(s\) observed: u1/);
});

test('a health check tells what was left out', async () => {
  const { text } = await api.send('GET', '/livez?verbose&exclude=etcd&exclude=x');
  assert.equal(
    text,
    '[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n' +
      'warn: some health checks cannot be excluded: no matches for "x"\nlivez check passed\n',
  );
  assert.equal((await api.send('GET', '/livez/ping?verbose')).text, 'ok');
});

test('the time from which a log is read must be one', async () => {
  await api.send('POST', `${NS}/pods`, { body: pod });
  const answer = await api.send('GET', `${NS}/pods/p1/log?sinceTime=x`);
  assert.equal(answer.code, 400);
  const { message } = answer.json<{ message: string }>();
  assert.equal(message, 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"');
});

test('who comes with a certificate is told which', async () => {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const answer = await api.send('POST', path, { body: {} });
  const { status } = answer.json<{ status: { userInfo: { extra: Record<string, string[]> } } }>();
  const [id] = status.userInfo.extra['authentication.kubernetes.io/credential-id'] ?? [];
  assert.match(id ?? '', /^X509SHA256=[0-9a-f]{64}$/);
});

test('a resize takes what containers ask for, and nothing else', async () => {
  await api.send('POST', `${NS}/pods`, {
    body: {
      ...pod,
      metadata: { name: 'sized' },
      spec: { containers: [{ name: 'a', image: 'x:1', resources: { requests: { cpu: '1' } } }] },
    },
  });
  const answer = await api.send('PATCH', `${NS}/pods/sized/resize`, {
    contentType: 'application/strategic-merge-patch+json',
    body: { spec: { containers: [{ name: 'a', image: 'y:1', resources: { requests: { cpu: '2' } } }] } },
  });
  assert.equal(answer.code, 200, answer.text);
  const { spec } = answer.json<{ spec: { containers: { image: string; resources: object }[] } }>();
  const [container] = spec.containers;
  assert.equal(container?.image, 'x:1');
  assert.deepEqual(container.resources, { requests: { cpu: '2' } });
});
