import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { refuses } from '../../test/api/refusals.ts';
import { makeCertificateRequest, requestKey } from '../../test/support/make-certificate-request.ts';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';
import { startControllers } from '../controllers/start-controllers.ts';
import type { KubeObject } from '../kube/object.ts';

const ORGANIZATION = '2.5.4.10';
const COMMON_NAME = '2.5.4.3';
const JANE = makeCertificateRequest([
  [ORGANIZATION, 'devs'],
  [ORGANIZATION, 'testers'],
  [COMMON_NAME, 'jane'],
]);
const MIGHTY = makeCertificateRequest([[ORGANIZATION, 'system:masters']]);
const FORGED = makeCertificateRequest(
  [[COMMON_NAME, 'jane']],
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
);

const REQUESTS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const MERGE = 'application/merge-patch+json';
const CLIENT = 'kubernetes.io/kube-apiserver-client';

interface Status {
  readonly certificate?: string;
  readonly conditions?: readonly Record<string, string>[];
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const wish = (name: string, spec: object = {}): object => ({
  metadata: { name },
  spec: { request: base64(JANE), signerName: CLIENT, usages: ['client auth'], ...spec },
});

let api: TestApi;
const ending = new AbortController();
before(async () => {
  api = await startTestApi();
  startControllers(api.client, { rootCa: api.pki.ca.cert, clientAuthority: api.pki.ca }, ending.signal);
});
after(async () => {
  ending.abort();
  await api.close();
});

async function create(name: string, spec: object = {}): Promise<RawAnswer> {
  const answer = await api.send('POST', REQUESTS, { body: wish(name, spec) });
  assert.equal(answer.code, 201, answer.text);
  return answer;
}

const verdict = (type: string, more: object = {}): object => ({
  status: { conditions: [{ type, status: 'True', reason: 'Test', message: 'by a test', ...more }] },
});

async function decide(name: string, type: string): Promise<Status> {
  const body = verdict(type);
  const answer = await api.send('PATCH', `${REQUESTS}/${name}/approval`, { body, contentType: MERGE });
  assert.equal(answer.code, 200, answer.text);
  return answer.json<{ status: Status }>().status;
}

async function until(name: string, is: (status: Status) => boolean): Promise<Status> {
  const type = {
    group: 'certificates.k8s.io',
    version: 'v1',
    resource: 'certificatesigningrequests',
    kind: 'CertificateSigningRequest',
    namespaced: false,
  };
  const selector = { fieldSelector: `metadata.name=${name}`, resourceVersion: '0' };
  const stop = new AbortController();
  try {
    for await (const event of api.client.watch<KubeObject & { status?: Status }>(
      type,
      selector,
      stop.signal,
    )) {
      if (event.type === 'BOOKMARK') continue;
      const { status = {} } = event.object;
      if (is(status)) return status;
    }
  } finally {
    stop.abort();
  }
  throw new Error('the watch ended');
}

test('a request knows who asked, and nobody asks in the name of another', async () => {
  const as = await api.certificate('jane', 'system:masters');
  const body = wish('asked', { username: 'somebody', groups: ['x'], uid: 'y', expirationSeconds: 7200 });
  const answer = await api.send('POST', REQUESTS, { body, as });
  const { spec, status } = answer.json<{ spec: Record<string, unknown>; status: object }>();
  assert.equal(spec['username'], 'jane');
  assert.deepEqual(spec['groups'], ['system:masters', 'system:authenticated']);
  assert.equal(spec['uid'], undefined);
  assert.deepEqual(status, {});
  const table = await api.send('GET', `${REQUESTS}/asked`, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  });
  const [row] = table.json<{ rows: { cells: string[] }[] }>().rows;
  assert.deepEqual(row?.cells.toSpliced(1, 1), ['asked', CLIENT, 'jane', '120m', 'Pending']);
});

test('what is approved is signed by the authority of the server, and lets its holder in', async () => {
  await create('approved', { expirationSeconds: 3600, usages: ['digital signature', 'client auth'] });
  const [condition] = (await decide('approved', 'Approved')).conditions ?? [];
  assert.equal(condition?.['lastUpdateTime'], condition?.['lastTransitionTime']);
  const { certificate = '' } = await until('approved', (status) => status.certificate !== undefined);
  const made = new X509Certificate(Buffer.from(certificate, 'base64'));
  assert.ok(made.verify(new X509Certificate(api.pki.ca.cert).publicKey));
  assert.equal(made.subject, 'O=devs\nO=testers\nCN=jane');
  assert.equal(made.subjectAltName, 'DNS:jane.example');
  assert.deepEqual(made.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.equal(made.ca, false);
  const minutes = (Date.parse(made.validTo) - Date.now()) / 60_000;
  assert.ok(minutes > 55 && minutes <= 60, made.validTo);
  const review = await api.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    body: {},
    as: {
      cert: made.toString(),
      key: requestKey.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    },
  });
  assert.equal(review.code, 201, review.text);
  const { username, groups } = review.json<{ status: { userInfo: Record<string, unknown> } }>().status
    .userInfo;
  assert.deepEqual([username, groups], ['jane', ['devs', 'testers', 'system:authenticated']]);
});

test('a request for uses that no client has fails', async () => {
  await create('server', { usages: ['server auth'] });
  await decide('server', 'Approved');
  const { conditions = [] } = await until('server', (status) => (status.conditions ?? []).length > 1);
  assert.deepEqual(
    conditions.map(({ type, reason, message }) => [type, reason, message]),
    [
      ['Approved', 'Test', 'by a test'],
      ['Failed', 'SignerValidationFailure', 'invalid usage for client certificate: server auth'],
    ],
  );
});

test('an update of the request itself changes neither wish nor verdict', async () => {
  await create('kept', { signerName: 'example.com/other' });
  await decide('kept', 'Denied');
  const body = {
    metadata: { labels: { a: 'b' } },
    spec: { usages: ['signing'] },
    status: { conditions: [] },
  };
  const answer = await api.send('PATCH', `${REQUESTS}/kept`, { body, contentType: MERGE });
  const kept = answer.json<{
    metadata: { labels: object };
    spec: { usages: string[] };
    status: { conditions: { type: string }[] };
  }>();
  assert.deepEqual(kept.metadata.labels, { a: 'b' });
  assert.deepEqual(kept.spec.usages, ['client auth']);
  assert.deepEqual(
    kept.status.conditions.map(({ type }) => type),
    ['Denied'],
  );
});

test('who approves and who signs needs the right to do so for the signer', async () => {
  await create('guarded', { signerName: 'example.com/guarded' });
  const parts = ['approval', 'status'].map((part) => `certificatesigningrequests/${part}`);
  const rule = { apiGroups: ['certificates.k8s.io'], verbs: ['patch'], resources: parts };
  const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
  const grant = async (name: string, rules: object[]): Promise<void> => {
    await api.send('POST', role, { body: { metadata: { name }, rules } });
    await api.send('POST', role.replace('roles', 'rolebindings'), {
      body: {
        metadata: { name },
        roleRef: { kind: 'ClusterRole', name },
        subjects: [{ kind: 'User', name: 'clerk' }],
      },
    });
  };
  await grant('decide', [rule]);
  const as = await api.certificate('clerk');
  const send = (part: string, body: object): Promise<RawAnswer> =>
    api.send('PATCH', `${REQUESTS}/guarded/${part}`, { body, contentType: MERGE, as });
  const because = (verb: string): string =>
    `certificatesigningrequests.certificates.k8s.io "guarded" is forbidden: user not permitted to ${verb} requests with signerName "example.com/guarded"`;
  const refused = await send('approval', verdict('Approved'));
  assert.deepEqual([refused.code, refused.json()['message']], [403, because('approve')]);
  const unsigned = await send('status', { status: { certificate: base64(api.pki.ca.cert) } });
  assert.deepEqual([unsigned.code, unsigned.json()['message']], [403, because('sign')]);
  const resources = ['signers'];
  const resourceNames = ['example.com/*'];
  const verbs = ['approve', 'sign'];
  await grant('signers', [{ apiGroups: ['certificates.k8s.io'], resources, resourceNames, verbs }]);
  assert.equal((await send('approval', verdict('Approved'))).code, 200);
  assert.equal((await send('status', { status: { certificate: base64(api.pki.ca.cert) } })).code, 200);
});

describe('a certificate request is refused:', () => {
  const because = (name: string, why: string): string =>
    `CertificateSigningRequest.certificates.k8s.io "${name}" is invalid: ${why}`;
  const bad = (spec: object, why: string): [string, unknown, number, string] => [
    `POST ${REQUESTS}`,
    wish('bad', spec),
    422,
    because('bad', why),
  ];
  before(async () => {
    await create('decided', { signerName: 'example.com/other' });
    await decide('decided', 'Approved');
  });
  refuses(
    () => api,
    [
      [
        'one that is no PEM',
        ...bad(
          { request: 'YQ==' },
          'spec.request: Invalid value: "YQ==": PEM block type must be CERTIFICATE REQUEST',
        ),
      ],
      [
        'one that another key signed',
        ...bad(
          { request: base64(FORGED) },
          `spec.request: Invalid value: "${base64(FORGED)}": x509: ECDSA verification failure`,
        ),
      ],
      [
        'uses that there are not, twice',
        ...bad(
          { usages: ['x', 'x'] },
          `[${[0, 1]
            .map(
              (at) =>
                `spec.usages[${at}]: Unsupported value: "x": supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"`,
            )
            .join(', ')}, spec.usages[1]: Duplicate value: "x"]`,
        ),
      ],
      ['no uses', ...bad({ usages: [] }, 'spec.usages: Required value')],
      ['no signer', ...bad({ signerName: '' }, 'spec.signerName: Required value')],
      [
        'the signer of old',
        ...bad(
          { signerName: 'kubernetes.io/legacy-unknown' },
          'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version',
        ),
      ],
      [
        'a signer without a path',
        ...bad(
          { signerName: 'x' },
          `spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form 'example.com/signer-name'`,
        ),
      ],
      [
        'a signer without a domain',
        ...bad(
          { signerName: 'x/y' },
          'spec.signerName: Invalid value: "x": should be a domain with at least two segments separated by dots',
        ),
      ],
      [
        'a time that is too short',
        ...bad(
          { expirationSeconds: 599 },
          'spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)',
        ),
      ],
      [
        'an administrator that a client asks to be',
        `POST ${REQUESTS}`,
        wish('mighty', { request: base64(MIGHTY) }),
        403,
        'certificatesigningrequests.certificates.k8s.io "mighty" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
      ],
      [
        'a verdict that is false',
        `MERGE ${REQUESTS}/decided/approval`,
        verdict('Approved', { status: 'False' }),
        422,
        because(
          'decided',
          'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
        ),
      ],
      [
        'a verdict that is taken back',
        `MERGE ${REQUESTS}/decided/approval`,
        { status: { conditions: [] } },
        422,
        because(
          'decided',
          'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
        ),
      ],
      [
        'both verdicts',
        `JSONPATCH ${REQUESTS}/decided/approval`,
        [{ op: 'add', path: '/status/conditions/-', value: { type: 'Denied', status: 'True' } }],
        422,
        because(
          'decided',
          'status.conditions[1].type: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
        ),
      ],
      [
        'a verdict by way of the status',
        `JSONPATCH ${REQUESTS}/decided/status`,
        [{ op: 'remove', path: '/status/conditions' }],
        422,
        because(
          'decided',
          'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
        ),
      ],
      [
        'a certificate that is none',
        `MERGE ${REQUESTS}/decided/status`,
        { status: { certificate: base64('x') } },
        422,
        because(
          'decided',
          'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block',
        ),
      ],
    ],
  );
});
