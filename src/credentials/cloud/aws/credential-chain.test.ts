import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { awsSetup, GET_TOKEN, HOST, KEYS, request } from '../../../../test/support/aws-plugin.ts';
import type { AwsServices } from '../../../../test/support/aws-services.ts';
import { ecrCredentials } from '../ecr.ts';
import { awsEndpoint } from './endpoints.ts';
import { parseIni } from './shared-config.ts';

const TOKEN = 'SERVICE-ACCOUNT-TOKEN';

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
    const { aws, context } = await awsSetup(t, environment, files);
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
    const { context } = await awsSetup(t, environment, { config });
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
    const { context } = await awsSetup(t);
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
