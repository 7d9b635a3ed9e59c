import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import {
  awsSetup,
  base64,
  GET_TOKEN,
  HOST,
  KEYS,
  NOW,
  request,
  until,
  V1,
} from '../../../test/support/aws-plugin.ts';
import { awsServices } from '../../../test/support/aws-services.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import type { CloudContext } from './cloud-request.ts';
import { ecrCredentials, parseEcrHost } from './ecr.ts';
import { readPluginRequest } from './plugin-io.ts';

test("the service that these tests trust accepts AWS's own client and nothing tampered with", async (t) => {
  const aws = await awsServices(t);
  aws.identities.set('AKIANODE', { secret: 'node-secret' });
  aws.authorization = { authorizationData: [{ authorizationToken: 'x' }] };
  const send = async (secretAccessKey: string) => {
    const credentials = { accessKeyId: 'AKIANODE', secretAccessKey };
    const client = new ECRClient({ endpoint: aws.url, region: 'eu-central-1', credentials, maxAttempts: 1 });
    return client.send(new GetAuthorizationTokenCommand({}));
  };
  assert.equal((await send('node-secret')).authorizationData?.[0]?.authorizationToken, 'x');
  await assert.rejects(send('other-secret'), { name: 'InvalidSignatureException' });
});

const hosts: [host: string, region: string | undefined, fips: boolean][] = [
  [HOST, 'eu-central-1', false],
  ['123456789012.dkr-ecr.us-west-2.on.aws', 'us-west-2', false],
  ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1', true],
  ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', 'cn-north-1', false],
  ['123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn', 'cn-north-1', false],
  ['123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov', 'us-isob-east-1', false],
  ['123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov', 'us-iso-east-1', false],
  ['123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk', 'eu-isoe-west-1', false],
  ['123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov', 'us-isof-south-1', false],
  ['123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu', 'eusc-de-east-1', false],
  ['12345678901.dkr.ecr.eu-central-1.amazonaws.com', undefined, false],
  ['123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.io', undefined, false],
  ['123456789012.ecr.eu-central-1.amazonaws.com', undefined, false],
];
for (const [host, region, fips] of hosts) {
  test(`10.2 ${host} is ${region === undefined ? 'no private ECR host' : `in ${region}`}`, () => {
    assert.deepEqual(parseEcrHost(host), region === undefined ? undefined : { region, fips });
  });
}

test('10.2 a host of another form is asked in the default region', async (t) => {
  const { aws, context } = await awsSetup(t, { ...KEYS, AWS_REGION: 'eu-central-1' });
  await ecrCredentials(request('mirror.example.com/app'), context);
  assert.deepEqual(aws.log, [`${GET_TOKEN} 200`]);
});

test('10.2 without any default the region comes from the instance', async (t) => {
  const { aws, context } = await awsSetup(t, KEYS);
  await ecrCredentials(request('mirror.example.com/app'), context);
  assert.ok(aws.log.includes('GET /latest/meta-data/placement/region 200'));
});

for (const host of ['public.ecr.aws', 'ecr-public.aws.com']) {
  test(`10.3 ${host} is asked by ECR Public in us-east-1`, async (t) => {
    const { aws, context } = await awsSetup(t, { ...KEYS, AWS_REGION: 'eu-central-1' });
    aws.authorization = {
      authorizationData: { authorizationToken: base64('AWS:pub'), expiresAt: NOW / 1000 + 100 },
    };
    const response = await ecrCredentials(request(`${host}/amazonlinux/amazonlinux`), context);
    assert.deepEqual([...response.auth], [[host, { username: 'AWS', password: 'pub' }]]);
    assert.deepEqual(aws.log, ['POST SpencerFrontendService.GetAuthorizationToken 200']);
  });
}

test('10.3 an answer that never comes is given up after 30 s, three times', async (t) => {
  const { context } = await awsSetup(t, KEYS);
  const clock = new ManualClock(NOW);
  let asked = 0;
  const fetch: CloudContext['fetch'] = (_, init) => {
    asked++;
    return new Promise((_resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error), { once: true });
    });
  };
  const failing = assert.rejects(ecrCredentials(request(`${HOST}/app`), { ...context, clock, fetch }), {
    code: 'CLOUD_REFUSED',
    message: /^Cannot POST "http:\/\/127\.0\.0\.1:\d+\/": no answer within 30 s$/,
  });
  for (const attempt of [1, 2, 3]) {
    await until(() => asked === attempt);
    await clock.advance(30_000);
    await clock.advance(1_000);
  }
  await failing;
  assert.equal(asked, 3);
});

test('D9 10.4 the first authorization is split at its first colon and holds for half of what is left', async (t) => {
  const { context } = await awsSetup(t, KEYS);
  assert.deepEqual(await ecrCredentials(request(`${HOST}:443/team/app`), context), {
    cacheKeyType: 'Registry',
    cacheDurationMs: 21_600_000,
    auth: new Map([[HOST, { username: 'AWS', password: 'pass:word' }]]),
  });
});

const expiries: [name: string, expiresAt: number | undefined, cacheDurationMs: number | undefined][] = [
  ['odd seconds are cut', NOW / 1000 + 61.9, 30_000],
  ['no expiry is not cached', undefined, 0],
  ['already expired is left to the node', NOW / 1000 - 1, undefined],
];
for (const [name, expiresAt, cacheDurationMs] of expiries) {
  test(`10.4 cache duration: ${name}`, async (t) => {
    const { aws, context } = await awsSetup(t, KEYS);
    aws.authorization = { authorizationData: [{ authorizationToken: base64('AWS:p'), expiresAt }] };
    assert.equal((await ecrCredentials(request(`${HOST}/app`), context)).cacheDurationMs, cacheDurationMs);
  });
}

const TOKEN = 'SERVICE-ACCOUNT-TOKEN';
const roles: [
  name: string,
  annotations: Record<string, string>,
  environment: Record<string, string>,
  role: string | undefined,
][] = [
  [
    'the annotation',
    { 'eks.amazonaws.com/ecr-role-arn': 'arn:aws:iam::1:role/annotated' },
    { AWS_ECR_ROLE_ARN: 'arn:aws:iam::1:role/env' },
    'arn:aws:iam::1:role/annotated',
  ],
  ['the environment', {}, { AWS_ECR_ROLE_ARN: 'arn:aws:iam::1:role/env' }, 'arn:aws:iam::1:role/env'],
  ['nowhere: the node answers for the Pod', {}, {}, undefined],
];
for (const [name, annotations, environment, role] of roles) {
  test(`10.5 with a service account token the role comes from ${name}`, async (t) => {
    const { aws, context } = await awsSetup(t, { ...KEYS, ...environment });
    if (role !== undefined) aws.webIdentities.set(TOKEN, role);
    await ecrCredentials(request(`${HOST}/app`, TOKEN, annotations), context);
    const exchange = role === undefined ? [] : ['POST AssumeRoleWithWebIdentity 200'];
    assert.deepEqual(aws.log, [...exchange, `${GET_TOKEN} 200`]);
  });
}

test('10.5 a token that the role does not trust fails, without the token in the message', async (t) => {
  const { context } = await awsSetup(t, { ...KEYS, AWS_ECR_ROLE_ARN: 'arn:r' });
  await assert.rejects(ecrCredentials(request(`${HOST}/app`, TOKEN), context), {
    code: 'CLOUD_REFUSED',
    message:
      'Cannot assume role "arn:r" (AssumeRoleWithWebIdentity): InvalidIdentityToken: token & role do not belong together',
  });
});

const answers: [authorization: unknown, message: string][] = [
  [{}, 'authorization data was empty'],
  [{ authorizationData: [] }, 'authorization data was empty'],
  [{ authorizationData: [{}] }, 'authorization token in response was nil'],
  [
    { authorizationData: [{ authorizationToken: base64('no colon') }] },
    'error parsing username and password from authorization token',
  ],
];
for (const [authorization, message] of answers) {
  test(`10.6 ${JSON.stringify(authorization)} is refused: ${message}`, async (t) => {
    const { aws, context } = await awsSetup(t, KEYS);
    aws.authorization = authorization;
    await assert.rejects(ecrCredentials(request(`${HOST}/app`), context), { message });
  });
}

test('10.6 the plug-in speaks v1 only and needs an image', () => {
  const text = (apiVersion: string, image: string): string =>
    JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image });
  assert.throws(() => readPluginRequest(text(V1, ''), ['v1']), {
    message: 'image in plugin request was empty',
  });
  assert.throws(() => readPluginRequest(text(`${V1}beta1`, HOST), ['v1']), {
    message: /apiVersion is "credentialprovider\.kubelet\.k8s\.io\/v1beta1"/,
  });
  assert.equal(readPluginRequest(text(V1, HOST), ['v1']).image, HOST);
});
