import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../../test/support/test-api.ts';
import { AuditFile } from './audit-file.ts';
import { parseAuditPolicy } from './audit-policy.ts';

interface AuditEvent {
  level: string;
  stage: string;
  auditID: string;
  verb: string;
  requestURI: string;
  user: { username: string; groups: string[] };
  impersonatedUser?: { username: string };
  objectRef?: Record<string, string>;
  responseStatus?: { code: number; reason?: string };
  requestObject?: { metadata?: { name?: string; managedFields?: unknown }; data?: Record<string, string> };
  responseObject?: { metadata?: { uid?: string; managedFields?: unknown } };
  annotations?: Record<string, string>;
}

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:kube-proxy"]
- level: None
  nonResourceURLs: ["/healthz*", "/version"]
- level: RequestResponse
  omitManagedFields: true
  resources:
  - group: ""
    resources: ["configmaps", "secrets", "serviceaccounts/token"]
- level: Request
  verbs: ["patch"]
  resources:
  - group: ""
    resources: ["namespaces"]
- level: Metadata
  namespaces: ["default"]
- level: None
`;

let directory: string;
let log: string;
let api: TestApi;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'drayage-audit-'));
  log = join(directory, 'logs', 'audit.log');
  const policyFile = join(directory, 'policy.yaml');
  writeFileSync(policyFile, POLICY);
  api = await startTestApi({ audit: { policyFile, logPath: log } });
});
after(async () => {
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

function events(): AuditEvent[] {
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEvent);
}

async function recorded(send: () => Promise<unknown>): Promise<AuditEvent[]> {
  const before = events().length;
  await send();
  // The record of an answer is written when its last byte was handed over, which a client may see first.
  await api.send('GET', '/version');
  return events().slice(before);
}

const MAPS = '/api/v1/namespaces/default/configmaps';
const map = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { a: 'b' },
});

test('a write is recorded with both bodies where the policy says so', async () => {
  const [event, ...more] = await recorded(() => api.send('POST', MAPS, { body: map('one') }));
  assert.deepEqual(more, []);
  assert.ok(event);
  assert.deepEqual([event.level, event.stage, event.verb], ['RequestResponse', 'ResponseComplete', 'create']);
  assert.deepEqual(event.objectRef, {
    resource: 'configmaps',
    namespace: 'default',
    name: 'one',
    apiVersion: 'v1',
  });
  assert.equal(event.user.username, 'kubernetes-admin');
  assert.equal(event.responseStatus?.code, 201);
  assert.deepEqual(event.requestObject?.data, { a: 'b' });
  assert.ok(event.responseObject?.metadata?.uid);
  assert.equal(event.responseObject.metadata.managedFields, undefined);
  assert.deepEqual(event.annotations, {
    'authorization.k8s.io/decision': 'allow',
    'authorization.k8s.io/reason': '',
  });
  assert.equal(statSync(log).mode & 0o077, 0);
});

test('the client is told the name of the record, and may give it', async () => {
  const answer = await api.send('GET', `${MAPS}/none`, { headers: { 'audit-id': 'my-id' } });
  assert.equal(answer.headers['audit-id'], 'my-id');
  const event = events().findLast(({ auditID }) => auditID === 'my-id');
  assert.deepEqual([event?.responseStatus?.code, event?.responseStatus?.reason], [404, 'NotFound']);
});

test('secrets and tokens never reach the log, whatever the policy says', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { k: 'hunter2' } };
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a' } };
  const found = await recorded(async () => {
    await api.send('POST', '/api/v1/namespaces/default/secrets', { body: secret });
    await api.send('GET', '/api/v1/namespaces/default/secrets');
    await api.send('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
    await api.send('POST', '/api/v1/namespaces/default/serviceaccounts/a/token', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
  });
  assert.equal(found.length, 4);
  for (const event of found) {
    assert.equal(event.level, 'Metadata');
    assert.equal(event.requestObject ?? event.responseObject, undefined);
  }
  const text = readFileSync(log, 'utf8');
  for (const hidden of ['hunter2', Buffer.from('hunter2').toString('base64'), 'eyJ'])
    assert.ok(!text.includes(hidden));
});

test('rules choose by verb, namespace and path; what no rule wants is not recorded', async () => {
  const levels = async (send: () => Promise<unknown>): Promise<string[]> =>
    (await recorded(send)).map(({ level, verb }) => `${level} ${verb}`);
  assert.deepEqual(await levels(() => api.send('GET', '/healthz')), []);
  assert.deepEqual(await levels(() => api.send('GET', '/api/v1/namespaces/kube-system/pods')), []);
  assert.deepEqual(await levels(() => api.send('GET', '/api/v1/namespaces/default/pods')), ['Metadata list']);
  const patch = { contentType: 'application/merge-patch+json', body: { metadata: { labels: { a: 'b' } } } };
  const [event] = await recorded(() => api.send('PATCH', '/api/v1/namespaces/kube-public', patch));
  assert.equal(event?.level, 'Request');
  assert.deepEqual([event.requestObject !== undefined, event.responseObject], [true, undefined]);
});

test('requests for kinds that are to go are marked', async () => {
  const [event] = await recorded(() => api.send('GET', '/api/v1/namespaces/default/endpoints'));
  assert.equal(event?.annotations?.['k8s.io/deprecated'], 'true');
});

test('a watch is recorded when it begins and when it ends, and who acts for whom is told', async () => {
  const headers = { 'impersonate-user': 'jane' };
  const found = await recorded(async () => {
    await api.send('GET', `${MAPS}?watch=true&timeoutSeconds=1`);
    await api.send('GET', `${MAPS}/one`, { headers });
  });
  const stages = found.map(({ verb, stage }) => `${verb} ${stage}`);
  assert.deepEqual(stages, ['watch ResponseStarted', 'watch ResponseComplete', 'get ResponseComplete']);
  const [, , denied] = found;
  assert.equal(denied?.impersonatedUser?.username, 'jane');
  assert.deepEqual(
    [denied.responseStatus?.code, denied.annotations?.['authorization.k8s.io/decision']],
    [403, 'forbid'],
  );
});

test('a full file is put aside, and only as many are kept as wanted', () => {
  const path = join(directory, 'small.log');
  let now = Date.UTC(2026, 0, 1);
  const errors: unknown[] = [];
  const file = new AuditFile({
    path,
    maxSize: 1,
    maxBackups: 2,
    now: () => now,
    onError: (error) => errors.push(error),
  });
  const line = 'x'.repeat(600 * 1024);
  for (let count = 0; count < 6; count++) {
    now += 1000;
    file.write(line);
  }
  file.close();
  assert.deepEqual(errors, []);
  const names = readdirSync(directory).filter((name) => name.startsWith('small'));
  assert.deepEqual(names.toSorted(), [
    'small-2026-01-01T00-00-05.000.log',
    'small-2026-01-01T00-00-06.000.log',
    'small.log',
  ]);
});

const refused: readonly (readonly [string, RegExp])[] = [
  ['kind: Policy', /no kind "Policy" is registered for version ""/],
  ['apiVersion: audit.k8s.io/v1\nkind: Policy', /loaded illegal policy with 0 rules/],
  ['apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{}]', /rules\[0\]\.level: Required value/],
  [
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]',
    /rules\[0\]\.level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse"/,
  ],
  [
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, user: x}]',
    /unknown field "rules\[0\]\.user"/,
  ],
  [
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, namespaces: [a], nonResourceURLs: [/x]}]',
    /rules cannot apply to both regular resources and non-resource URLs/,
  ],
  [
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [Begin]\nrules: [{level: None}]',
    /omitStages\[0\]: Invalid value: "Begin": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic/,
  ],
  ['a: [', /failed decoding/],
];

test('a policy that is none is refused with the reason', () => {
  for (const [text, expected] of refused) assert.throws(() => parseAuditPolicy(text), expected);
});
