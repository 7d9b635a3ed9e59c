import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import { awsServices, type AwsServices } from '../../../test/support/aws-services.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { parseIni } from './aws/shared-config.ts';
import { awsEndpoint } from './aws/endpoints.ts';
import type { CloudContext } from './cloud-request.ts';
import { ecrCredentials, parseEcrHost } from './ecr.ts';
import { readPluginRequest, type PluginRequest } from './plugin-io.ts';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const HOST = '123456789012.dkr.ecr.eu-central-1.amazonaws.com';
const KEYS = { AWS_ACCESS_KEY_ID: 'AKIANODE', AWS_SECRET_ACCESS_KEY: 'node-secret' };
const V1 = 'credentialprovider.kubelet.k8s.io/v1';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
function request(image: string, token = '', annotations: Record<string, string> = {}): PluginRequest {
  return {
    apiVersion: V1,
    image,
    serviceAccountToken: token,
    serviceAccountAnnotations: new Map(Object.entries(annotations)),
  };
}

/** The services, and a plug-in's surroundings pointed at them by the variables that AWS's own programs read. */
async function setup(
  t: TestContext,
  environment: Record<string, string> = {},
  files: Record<string, string> = {},
) {
  const aws = await awsServices(t, () => NOW);
  aws.identities.set('AKIANODE', { secret: 'node-secret' });
  aws.authorization = {
    authorizationData: [{ authorizationToken: base64('AWS:pass:word'), expiresAt: NOW / 1000 + 43_200 }],
  };
  const home = await mkdtemp(join(tmpdir(), 'drayage-ecr-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, name), text);
  const context: CloudContext = {
    environment: {
      HOME: home,
      AWS_ENDPOINT_URL: aws.url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url,
      AWS_CONFIG_FILE: join(home, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
      PATH: process.env['PATH'] ?? '',
      ...Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [
          key,
          value.replaceAll('$HOME', home).replaceAll('$URL', aws.url),
        ]),
      ),
    },
    fetch: (url, init) => fetch(url, init),
    clock: new ManualClock(NOW),
    signal: t.signal,
    readFile: (path) => readFile(path, 'utf8'),
    warn: () => undefined,
  };
  return { aws, context };
}
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
const GET_TOKEN = 'POST AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken';

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
  const { aws, context } = await setup(t, { ...KEYS, AWS_REGION: 'eu-central-1' });
  await ecrCredentials(request('mirror.example.com/app'), context);
  assert.deepEqual(aws.log, [`${GET_TOKEN} 200`]);
});

test('10.2 without any default the region comes from the instance', async (t) => {
  const { aws, context } = await setup(t, KEYS);
  await ecrCredentials(request('mirror.example.com/app'), context);
  assert.ok(aws.log.includes('GET /latest/meta-data/placement/region 200'));
});

for (const host of ['public.ecr.aws', 'ecr-public.aws.com']) {
  test(`10.3 ${host} is asked by ECR Public in us-east-1`, async (t) => {
    const { aws, context } = await setup(t, { ...KEYS, AWS_REGION: 'eu-central-1' });
    aws.authorization = {
      authorizationData: { authorizationToken: base64('AWS:pub'), expiresAt: NOW / 1000 + 100 },
    };
    const response = await ecrCredentials(request(`${host}/amazonlinux/amazonlinux`), context);
    assert.deepEqual([...response.auth], [[host, { username: 'AWS', password: 'pub' }]]);
    assert.deepEqual(aws.log, ['POST SpencerFrontendService.GetAuthorizationToken 200']);
  });
}

test('10.3 an answer that never comes is given up after 30 s, three times', async (t) => {
  const { context } = await setup(t, KEYS);
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

test('10.4 the first authorization is split at its first colon and holds for half of what is left', async (t) => {
  const { context } = await setup(t, KEYS);
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
    const { aws, context } = await setup(t, KEYS);
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
    const { aws, context } = await setup(t, { ...KEYS, ...environment });
    if (role !== undefined) aws.webIdentities.set(TOKEN, role);
    await ecrCredentials(request(`${HOST}/app`, TOKEN, annotations), context);
    const exchange = role === undefined ? [] : ['POST AssumeRoleWithWebIdentity 200'];
    assert.deepEqual(aws.log, [...exchange, `${GET_TOKEN} 200`]);
  });
}

test('10.5 a token that the role does not trust fails, without the token in the message', async (t) => {
  const { context } = await setup(t, { ...KEYS, AWS_ECR_ROLE_ARN: 'arn:r' });
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
    const { aws, context } = await setup(t, KEYS);
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

type Prepare = (aws: AwsServices) => void;
const sources: [
  name: string,
  environment: Record<string, string>,
  files: Record<string, string>,
  prepare: Prepare,
  log: string[],
][] = [
  ['keys in the environment', KEYS, {}, () => undefined, []],
  [
    'keys with a session token',
    { AWS_ACCESS_KEY_ID: 'ASIA', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 'session' },
    {},
    (aws) => aws.identities.set('ASIA', { secret: 's', sessionToken: 'session' }),
    [],
  ],
  [
    'the credentials file',
    {},
    { credentials: '[default]\naws_access_key_id = AKIANODE\naws_secret_access_key = node-secret # mine\n' },
    () => undefined,
    [],
  ],
  [
    'a named profile, which goes before keys in the environment',
    { AWS_ACCESS_KEY_ID: 'WRONG', AWS_SECRET_ACCESS_KEY: 'wrong', AWS_PROFILE: 'team' },
    {
      config:
        '[default]\nregion=x\n[profile team]\naws_access_key_id=AKIANODE\naws_secret_access_key=node-secret\n',
    },
    () => undefined,
    [],
  ],
  [
    'a role over another profile',
    { AWS_PROFILE: 'deploy' },
    {
      config:
        '[profile deploy]\nrole_arn = arn:aws:iam::2:role/pull\nsource_profile = base\nexternal_id = e\nduration_seconds = 900\n',
      credentials: '[base]\naws_access_key_id = AKIANODE\naws_secret_access_key = node-secret\n',
    },
    (aws) => aws.roles.add('arn:aws:iam::2:role/pull'),
    ['POST AssumeRole 200'],
  ],
  [
    'a role over the instance',
    {},
    { config: '[default]\nrole_arn = arn:aws:iam::2:role/pull\ncredential_source = Ec2InstanceMetadata\n' },
    (aws) => aws.roles.add('arn:aws:iam::2:role/pull'),
    [
      'PUT /latest/api/token 200',
      'GET /latest/meta-data/iam/security-credentials/ 200',
      'GET /latest/meta-data/iam/security-credentials/node-role 200',
      'POST AssumeRole 200',
    ],
  ],
  [
    'a web identity',
    { AWS_WEB_IDENTITY_TOKEN_FILE: '$HOME/token', AWS_ROLE_ARN: 'arn:aws:iam::1:role/irsa' },
    { token: `${TOKEN}\n` },
    (aws) => aws.webIdentities.set(TOKEN, 'arn:aws:iam::1:role/irsa'),
    ['POST AssumeRoleWithWebIdentity 200'],
  ],
  [
    'a web identity of a profile',
    {},
    {
      token: TOKEN,
      config: '[default]\nrole_arn=arn:aws:iam::1:role/irsa\nweb_identity_token_file=$HOME/token\n',
    },
    (aws) => aws.webIdentities.set(TOKEN, 'arn:aws:iam::1:role/irsa'),
    ['POST AssumeRoleWithWebIdentity 200'],
  ],
  [
    'the container endpoint',
    {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: '$URL/container',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '$HOME/token',
    },
    { token: '$CONTAINER' },
    () => undefined,
    ['GET /container 200'],
  ],
  [
    'a process',
    {},
    {
      config: `[default]\ncredential_process = echo '{"Version":1,"AccessKeyId":"AKIANODE","SecretAccessKey":"node-secret"}'\n`,
    },
    () => undefined,
    [],
  ],
  [
    'the instance',
    {},
    {},
    () => undefined,
    [
      'PUT /latest/api/token 200',
      'GET /latest/meta-data/iam/security-credentials/ 200',
      'GET /latest/meta-data/iam/security-credentials/node-role 200',
    ],
  ],
];
for (const [name, environment, files, prepare, log] of sources) {
  test(`credentials come from ${name}`, async (t) => {
    const { aws, context } = await setup(t, environment, files);
    const home = context.environment['HOME'] ?? '';
    for (const file of Object.keys(files)) {
      const text = await readFile(join(home, file), 'utf8');
      await writeFile(
        join(home, file),
        text.replaceAll('$HOME', home).replaceAll('$CONTAINER', aws.containerToken),
      );
    }
    prepare(aws);
    const response = await ecrCredentials(request(`${HOST}/app`), context);
    assert.equal(response.auth.get(HOST)?.password, 'pass:word');
    assert.deepEqual(aws.log, [...log, `${GET_TOKEN} 200`]);
  });
}

const failures: [name: string, environment: Record<string, string>, config: string, message: RegExp][] = [
  [
    'a wrong secret',
    { ...KEYS, AWS_SECRET_ACCESS_KEY: 'WRONG-S3CRET' },
    '',
    /^Cannot get an authorization token from ecr in eu-central-1 with credentials from environment: InvalidSignatureException: signature does not match$/,
  ],
  ['an unknown profile', { AWS_PROFILE: 'none' }, '', /profile "none" is not configured$/],
  [
    'profiles that lead back',
    { AWS_PROFILE: 'a' },
    '[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n',
    /profile "a" leads back to itself$/,
  ],
  [
    'a role without source',
    {},
    '[default]\nrole_arn=r\n',
    /profile "default" has a role and no source for it$/,
  ],
  [
    'a role that is not allowed',
    {},
    '[default]\nrole_arn=r\ncredential_source=Environment\n',
    /profile "default" takes them from the environment/,
  ],
  ['a profile that needs a person', {}, '[default]\nsso_session=x\n', /signs in by SSO/],
  [
    'a process that fails',
    {},
    '[default]\ncredential_process=echo S3CRET >&2; exit 7\n',
    /^Cannot run the credential_process of profile default: it ended with 7$/,
  ],
  ['a web identity without role', { AWS_WEB_IDENTITY_TOKEN_FILE: '/x' }, '', /AWS_ROLE_ARN is not$/],
  [
    'a metadata service switched off',
    { AWS_EC2_METADATA_DISABLED: 'true' },
    '',
    /AWS_EC2_METADATA_DISABLED is set$/,
  ],
  [
    'a container endpoint somewhere else',
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://example.com/x' },
    '',
    /host "example\.com" is asked over plain HTTP/,
  ],
  [
    'a container endpoint that refuses',
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: '$URL/container', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'S3CRET' },
    '',
    /the endpoint answers 403$/,
  ],
];
for (const [name, environment, config, message] of failures) {
  test(`${name} fails with a reason and without a secret`, async (t) => {
    const { context } = await setup(t, environment, { config });
    await assert.rejects(ecrCredentials(request(`${HOST}/app`), context), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, message);
      assert.ok(!/S3CRET/.test(error.message));
      return true;
    });
  });
}

const endpoints: [
  service: 'ecr' | 'ecr-public' | 'sts',
  region: string,
  fips: boolean,
  environment: Record<string, string>,
  url: string,
][] = [
  ['ecr', 'eu-central-1', false, {}, 'https://api.ecr.eu-central-1.amazonaws.com/'],
  ['ecr', 'us-gov-west-1', true, {}, 'https://ecr-fips.us-gov-west-1.amazonaws.com/'],
  ['ecr', 'us-east-1', false, { AWS_USE_FIPS_ENDPOINT: 'true' }, 'https://ecr-fips.us-east-1.amazonaws.com/'],
  ['ecr', 'cn-north-1', false, {}, 'https://api.ecr.cn-north-1.amazonaws.com.cn/'],
  ['ecr', 'us-isob-east-1', false, {}, 'https://api.ecr.us-isob-east-1.sc2s.sgov.gov/'],
  ['ecr-public', 'us-east-1', false, {}, 'https://api.ecr-public.us-east-1.amazonaws.com/'],
  ['sts', 'eu-west-1', false, {}, 'https://sts.eu-west-1.amazonaws.com/'],
  [
    'sts',
    'eu-west-1',
    false,
    { AWS_ENDPOINT_URL: 'http://a', AWS_ENDPOINT_URL_STS: 'http://b' },
    'http://b/',
  ],
  ['ecr-public', 'us-east-1', false, { AWS_ENDPOINT_URL_ECR_PUBLIC: 'http://p/x/' }, 'http://p/x/'],
  [
    'ecr',
    'eu-west-1',
    false,
    { AWS_ENDPOINT_URL: 'http://a', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' },
    'https://api.ecr.eu-west-1.amazonaws.com/',
  ],
];
for (const [service, region, fips, environment, url] of endpoints) {
  test(`${service} in ${region} is asked at ${url}`, async (t) => {
    const { context } = await setup(t);
    assert.equal(
      awsEndpoint({ ...context, environment }, service, region, { fips, profile: undefined }),
      url,
    );
  });
}

test('shared files are read with comments, spaces and nested settings, and never touch a prototype', () => {
  const text =
    '# c\n[default]\nregion = eu # c\ns3 =\n  max = 3\n; c\n[ __proto__ ]\npolluted=1\nbroken\n=x\n';
  const sections = parseIni(text);
  assert.deepEqual(
    [...(sections.get('default') ?? [])],
    [
      ['region', 'eu'],
      ['s3', ''],
    ],
  );
  assert.equal('polluted' in {}, false);
});
