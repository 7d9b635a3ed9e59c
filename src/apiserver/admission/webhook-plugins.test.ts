import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../../test/support/test-api.ts';

interface AdmissionReview {
  kind: string;
  apiVersion: string;
  request: {
    uid: string;
    operation: string;
    name?: string;
    namespace?: string;
    dryRun: boolean;
    kind: Record<string, string>;
    resource: Record<string, string>;
    subResource?: string;
    userInfo: { username: string; groups: string[] };
    object: Record<string, unknown> | null;
    oldObject: Record<string, unknown> | null;
    options: Record<string, unknown> | null;
  };
}

/** `hang` is no answer at all. */
type Answer = Record<string, unknown> | string | { status: number; body: string };
let api: TestApi;
let server: Server;
let base: string;
const asked: { path: string; review: AdmissionReview }[] = [];
/** What each path answers. */
const answers = new Map<string, (review: AdmissionReview) => Answer>();

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';

before(async () => {
  api = await startTestApi();
  const serving = await api.pki.issue({
    file: 'webhook',
    commonName: 'webhook',
    usage: 'server',
    names: ['127.0.0.1', 'hook.default.svc'],
  });
  server = createServer({ key: serving.key, cert: serving.cert }, (request, response) => {
    void text(request).then((body) => {
      const review = JSON.parse(body) as AdmissionReview;
      const path = (request.url ?? '').split('?')[0] ?? '';
      asked.push({ path: request.url ?? '', review });
      const answer = answers.get(path)?.(review) ?? allow(review);
      if (answer === 'hang') return;
      if (typeof answer === 'string') response.end(answer);
      else if (typeof answer['status'] === 'number') {
        response.statusCode = answer['status'];
        response.end(answer['body']);
      } else response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await api.close();
});
beforeEach(async () => {
  asked.length = 0;
  answers.clear();
  for (const kind of ['validating', 'mutating']) {
    await api.send('DELETE', `${CONFIGURATIONS}/${kind}webhookconfigurations`);
  }
  await api.send('DELETE', MAPS);
});

function allow(review: AdmissionReview, extra: object = {}): Record<string, unknown> {
  const { kind, apiVersion } = review;
  return { kind, apiVersion, response: { uid: review.request.uid, allowed: true, ...extra } };
}

function patchOf(...operations: object[]): object {
  return { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') };
}

const RULE = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };

async function configure(
  kind: 'Validating' | 'Mutating',
  name: string,
  webhook: Record<string, unknown> = {},
): Promise<RawAnswer> {
  const { path = `/${name}`, ...rest } = webhook;
  const answer = await api.send('POST', `${CONFIGURATIONS}/${kind.toLowerCase()}webhookconfigurations`, {
    body: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name },
      webhooks: [
        {
          name: `${name}.example.com`,
          clientConfig: {
            url: `${base}${String(path)}`,
            caBundle: Buffer.from(api.pki.ca.cert).toString('base64'),
          },
          rules: [RULE],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          ...rest,
        },
      ],
    },
  });
  assert.equal(answer.code, 201, answer.text);
  return answer;
}

function createMap(name: string, data: object = {}, labels: object = {}, query = ''): Promise<RawAnswer> {
  return api.send('POST', `${MAPS}${query}`, {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data },
  });
}

const messageOf = (answer: RawAnswer): string => answer.json<{ message: string }>().message;

test('a validating webhook is asked with an AdmissionReview v1 and its refusal is passed on', async () => {
  await configure('Validating', 'deny');
  answers.set('/deny', (review) =>
    allow(review, { allowed: false, status: { message: 'no', code: 403, reason: 'Forbidden' } }),
  );
  const answer = await createMap('one', { a: 'b' });
  assert.equal(answer.code, 403);
  assert.equal(messageOf(answer), 'admission webhook "deny.example.com" denied the request: no');
  const { path, review } = asked[0] ?? assert.fail('the webhook was not asked');
  assert.equal(path, '/deny?timeout=10s');
  assert.equal(`${review.apiVersion} ${review.kind}`, 'admission.k8s.io/v1 AdmissionReview');
  const { request } = review;
  assert.deepEqual(
    [request.operation, request.name, request.namespace, request.kind, request.resource, request.dryRun],
    [
      'CREATE',
      'one',
      'default',
      { group: '', version: 'v1', kind: 'ConfigMap' },
      { group: '', version: 'v1', resource: 'configmaps' },
      false,
    ],
  );
  assert.equal(request.userInfo.username, 'kubernetes-admin');
  assert.deepEqual(request.object?.['data'], { a: 'b' });
  assert.equal(request.oldObject, null);
  assert.deepEqual(request.options, { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' });
});

test('a refusal without words or with a success code becomes a failure all the same', async () => {
  await configure('Validating', 'mute');
  answers.set('/mute', (review) =>
    allow(review, { allowed: false, status: { code: 200, status: 'Success' } }),
  );
  const answer = await createMap('one');
  assert.equal(answer.code, 400);
  assert.equal(
    messageOf(answer),
    'admission webhook "mute.example.com" denied the request without explanation',
  );
});

test('deletes, updates and dry runs are told apart', async () => {
  await createMap('one');
  await configure('Validating', 'watch');
  await api.send('PATCH', `${MAPS}/one?dryRun=All&fieldManager=me`, {
    contentType: 'application/merge-patch+json',
    body: { data: { a: 'b' } },
  });
  await api.send('DELETE', `${MAPS}/one`, {
    body: { propagationPolicy: 'Background', gracePeriodSeconds: 0 },
  });
  const seen = asked.map(({ review: { request } }) => [
    request.operation,
    request.dryRun,
    request.object !== null,
    request.oldObject !== null,
    request.options?.['kind'],
  ]);
  assert.deepEqual(seen, [
    ['UPDATE', true, true, true, 'PatchOptions'],
    ['DELETE', false, false, true, 'DeleteOptions'],
  ]);
  assert.equal(asked[0]?.review.request.options?.['fieldManager'], 'me');
});

test('mutating webhooks run in order of their configurations, each seeing what the one before did', async () => {
  await configure('Mutating', 'b');
  await configure('Mutating', 'a');
  answers.set('/a', (review) =>
    allow(review, { ...patchOf({ op: 'add', path: '/data/a', value: '1' }), warnings: ['mind the gap'] }),
  );
  answers.set('/b', (review) => {
    const data = review.request.object?.['data'] as Record<string, string>;
    return allow(review, patchOf({ op: 'add', path: '/data/b', value: `${data['a']}2` }));
  });
  const answer = await createMap('one', { c: '3' });
  assert.equal(answer.code, 201, answer.text);
  assert.deepEqual(answer.json<{ data: object }>().data, { a: '1', b: '12', c: '3' });
  assert.match(String(answer.headers['warning']), /mind the gap/);
});

test('a webhook that asks to be asked again sees what a later one changed, once', async () => {
  await configure('Mutating', 'a', { reinvocationPolicy: 'IfNeeded' });
  await configure('Mutating', 'b');
  let round = 0;
  answers.set('/a', (review) => {
    round += 1;
    return allow(review, patchOf({ op: 'add', path: '/data/rounds', value: String(round) }));
  });
  answers.set('/b', (review) => allow(review, patchOf({ op: 'add', path: '/data/b', value: '1' })));
  const answer = await createMap('one', { c: '3' });
  assert.deepEqual(answer.json<{ data: object }>().data, { rounds: '2', b: '1', c: '3' });
  assert.deepEqual(
    asked.map(({ path }) => path.slice(0, 2)),
    ['/a', '/b', '/a'],
  );
});

const broken: readonly (readonly [string, (review: AdmissionReview) => Answer, string | RegExp])[] = [
  [
    'another uid',
    (review) => ({ ...allow(review), response: { uid: 'x', allowed: true } }),
    /received invalid webhook response: expected response.uid="[0-9a-f-]+", got "x"/,
  ],
  [
    'another kind',
    (review) => ({ ...allow(review), kind: 'Pod' }),
    'received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1, Kind=Pod',
  ],
  [
    'v1beta1',
    (review) => ({ ...allow(review), apiVersion: 'admission.k8s.io/v1beta1' }),
    'received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1beta1, Kind=AdmissionReview',
  ],
  [
    'no response',
    ({ kind, apiVersion }) => ({ kind, apiVersion }),
    'received invalid webhook response: webhook response was absent',
  ],
  ['no JSON', () => 'hello', /failed to call webhook: couldn't get version\/kind; json parse error: /],
  ['an empty answer', () => '', /failed to call webhook: couldn't get version\/kind/],
  [
    'a server error',
    () => ({ status: 500, body: 'boom' }),
    'failed to call webhook: an error on the server ("boom") has prevented the request from succeeding',
  ],
  [
    'not found',
    () => ({ status: 404, body: '' }),
    'failed to call webhook: the server could not find the requested resource',
  ],
  [
    'a huge answer',
    () => 'x'.repeat(4 * 1024 * 1024),
    'failed to call webhook: the answer is longer than 3145728 bytes',
  ],
  [
    'a patch without its type',
    (review) => allow(review, { patch: 'W10=' }),
    'received invalid webhook response: webhook returned response.patch but not response.patchType',
  ],
  [
    'a type without a patch',
    (review) => allow(review, { patchType: 'JSONPatch' }),
    'received invalid webhook response: webhook returned response.patchType but not response.patch',
  ],
];

test('a webhook that breaks the protocol fails the request, or is passed over where the policy is Ignore', async () => {
  await configure('Mutating', 'lie');
  for (const [name, answerWith, expected] of broken) {
    answers.set('/lie', answerWith);
    const answer = await createMap('one');
    assert.equal(answer.code, 500, name);
    const message = messageOf(answer);
    const start = 'Internal error occurred: failed calling webhook "lie.example.com": ';
    assert.ok(message.startsWith(start), `${name}: ${message}`);
    if (typeof expected === 'string') assert.equal(message.slice(start.length), expected);
    else assert.match(message, expected);
  }
  await api.send('DELETE', `${CONFIGURATIONS}/mutatingwebhookconfigurations`);
  await configure('Mutating', 'lie', { failurePolicy: 'Ignore' });
  for (const [name, answerWith] of broken) {
    answers.set('/lie', answerWith);
    assert.equal((await createMap('one', {}, {}, '?dryRun=All')).code, 201, name);
  }
});

test('a validating webhook may not patch', async () => {
  await configure('Validating', 'patch');
  answers.set('/patch', (review) => allow(review, patchOf({ op: 'add', path: '/data/a', value: '1' })));
  assert.match(messageOf(await createMap('one')), /validating webhook may not return response.patch$/);
});

test('a patch that does not fit or makes an object that is none is an internal error', async () => {
  await configure('Mutating', 'bad', { failurePolicy: 'Ignore' });
  for (const operation of [
    { op: 'replace', path: '/nothing/here', value: 1 },
    { op: 'add', path: '/data', value: 'text' },
  ]) {
    answers.set('/bad', (review) => allow(review, patchOf(operation)));
    const answer = await createMap('one');
    assert.equal(answer.code, 500);
    assert.match(messageOf(answer), /^Internal error occurred: /);
  }
});

test('a webhook that hangs is given up after its time', async () => {
  await configure('Validating', 'slow', { timeoutSeconds: 1 });
  answers.set('/slow', () => 'hang');
  const answer = await createMap('one');
  assert.equal(answer.code, 500);
  assert.equal(
    messageOf(answer),
    `Internal error occurred: failed calling webhook "slow.example.com": failed to call webhook: Post "${base}/slow?timeout=1s": context deadline exceeded`,
  );
});

test('nobody at the address, and certificates that are not trusted, are told in the words of Go', async () => {
  await configure('Validating', 'gone', { clientConfig: { url: 'https://127.0.0.1:1/x' } });
  assert.equal(
    messageOf(await createMap('one')),
    'Internal error occurred: failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
  );
  await api.send('DELETE', `${CONFIGURATIONS}/validatingwebhookconfigurations`);
  await configure('Validating', 'trust', { clientConfig: { url: `${base}/trust` } });
  assert.match(
    messageOf(await createMap('one')),
    /tls: failed to verify certificate: x509: certificate signed by unknown authority$/,
  );
});

test('a Service is reached through its Endpoints, and is missed by name without them', async () => {
  const service = { namespace: 'default', name: 'hook', path: '/svc' };
  const caBundle = Buffer.from(api.pki.ca.cert).toString('base64');
  await configure('Validating', 'svc', { clientConfig: { service, caBundle } });
  const start =
    'Internal error occurred: failed calling webhook "svc.example.com": failed to call webhook: Post "https://hook.default.svc:443/svc?timeout=10s';
  assert.equal(messageOf(await createMap('one')), `${start}": service "hook" not found`);
  const metadata = { name: 'hook' };
  await api.send('POST', '/api/v1/namespaces/default/services', {
    body: { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 443 }] } },
  });
  assert.equal(messageOf(await createMap('one')), `${start}": no endpoints available for service "hook"`);
  const { port } = server.address() as AddressInfo;
  const subsets = [{ addresses: [{ ip: '127.0.0.1' }], ports: [{ port }] }];
  const created = await api.send('POST', '/api/v1/namespaces/default/endpoints', {
    body: { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets },
  });
  assert.equal(created.code, 201, created.text);
  const answer = await createMap('one');
  assert.equal(answer.code, 201, answer.text);
  assert.equal(asked[0]?.path, '/svc?timeout=10s');
});

test('rules, selectors and conditions decide which requests are asked about', async () => {
  await configure('Validating', 'pick', {
    rules: [{ ...RULE, operations: ['UPDATE', 'CREATE'] }],
    objectSelector: { matchLabels: { check: 'yes' } },
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['default'] }],
    },
    matchConditions: [
      { name: 'not-skipped', expression: '!(has(object.data) && "skip" in object.data)' },
      { name: 'not-system', expression: '!request.userInfo.username.startsWith("system:")' },
    ],
  });
  await createMap('a', {}, { check: 'yes' });
  await createMap('b', {});
  await createMap('c', { skip: 'x' }, { check: 'yes' });
  await api.send('DELETE', `${MAPS}/a`);
  assert.deepEqual(
    asked.map(({ review }) => review.request.name),
    ['a'],
  );
});

test('a condition that cannot be evaluated fails the request unless the policy is Ignore', async () => {
  await configure('Validating', 'cond', { matchConditions: [{ name: 'x', expression: 'object.none == 1' }] });
  const answer = await createMap('one');
  assert.equal(answer.code, 403);
  assert.equal(
    messageOf(answer),
    `configmaps "one" is forbidden: expression 'object.none == 1' resulted in error: no such key: none`,
  );
  await api.send('DELETE', `${CONFIGURATIONS}/validatingwebhookconfigurations`);
  await configure('Validating', 'cond', {
    failurePolicy: 'Ignore',
    matchConditions: [{ name: 'x', expression: 'object.none == 1' }],
  });
  assert.equal((await createMap('one')).code, 201);
  assert.equal(asked.length, 0);
});

test('the objects that configure webhooks are never sent to one', async () => {
  const rule = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] };
  await configure('Validating', 'all', { rules: [rule] });
  answers.set('/all', (review) => allow(review, { allowed: false }));
  assert.equal((await createMap('one')).code, 400);
  assert.equal((await api.send('DELETE', `${CONFIGURATIONS}/validatingwebhookconfigurations/all`)).code, 200);
  assert.equal((await createMap('one')).code, 201);
});

test('events are sent in the version that the rule names', async () => {
  const rule = {
    operations: ['CREATE'],
    apiGroups: ['events.k8s.io'],
    apiVersions: ['v1'],
    resources: ['events'],
  };
  await configure('Validating', 'events', { rules: [rule] });
  const created = await api.send('POST', '/api/v1/namespaces/default/events', {
    body: {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
      message: 'hello',
    },
  });
  assert.equal(created.code, 201, created.text);
  const { request } = asked[0]?.review ?? assert.fail('the webhook was not asked');
  assert.deepEqual(request.kind, { group: 'events.k8s.io', version: 'v1', kind: 'Event' });
  assert.equal(request.object?.['note'], 'hello');
});
