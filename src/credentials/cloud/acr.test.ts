import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { localServer, type LocalAnswer, type SeenRequest } from '../../../test/support/local-server.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { lookup, keyringEntries } from '../keyring.ts';
import { acrCredentials, acrLoginServer, parseRegistryMirrors } from './acr.ts';
import type { CloudContext } from './cloud-request.ts';
import type { PluginRequest } from './plugin-io.ts';

const SERVER = 'team.azurecr.io';
const IMAGE = `${SERVER}/app`;
const ZERO_USER = '00000000-0000-0000-0000-000000000000';
const ANNOTATIONS = {
  'kubernetes.azure.com/acr-client-id': 'app-1',
  'kubernetes.azure.com/acr-tenant-id': 'tenant-1',
};

function request(image = IMAGE, token = '', annotations: Record<string, string> = {}): PluginRequest {
  return {
    apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
    image,
    serviceAccountToken: token,
    serviceAccountAnnotations: new Map(Object.entries(annotations)),
  };
}

/**
 * Metadata service, directory and registry, each checking the form of what it is sent. Requests to `https://team.azurecr.io`
 * are led to this machine; everything else goes where it says.
 */
async function setup(
  t: TestContext,
  config: Record<string, unknown>,
  options: { challenge?: string; mirror?: string } = {},
) {
  const log: string[] = [];
  const challenge =
    options.challenge ?? `Bearer realm="https://${SERVER}/oauth2/token",service="${SERVER}",scope="x"`;
  const metadata = (seen: SeenRequest): LocalAnswer => {
    const query = new URL(seen.url, 'http://h').searchParams;
    if (seen.headers['metadata'] !== 'true') return { status: 400, body: '{"error":"invalid_request"}' };
    if (query.get('resource') !== 'https://containerregistry.azure.net') return { status: 400 };
    const identity = query.get('client_id') ?? query.get('msi_res_id') ?? 'system';
    return { status: 200, body: JSON.stringify({ access_token: `directory-token-of-${identity}` }) };
  };
  const directory = (seen: SeenRequest): LocalAnswer => {
    const form = new URLSearchParams(seen.body);
    const right =
      seen.url === '/tenant-1/oauth2/v2.0/token' &&
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === 'app-1' &&
      form.get('client_assertion_type') === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' &&
      form.get('client_assertion') === 'POD-TOKEN' &&
      form.get('scope') === 'https://containerregistry.azure.net/.default';
    return right
      ? { status: 200, body: '{"access_token":"directory-token-of-pod"}' }
      : {
          status: 401,
          body: '{"error":"invalid_client","error_description":"AADSTS700016: unknown application\\r\\nTrace: x"}',
        };
  };
  const exchange = (seen: SeenRequest): LocalAnswer => {
    const form = new URLSearchParams(seen.body);
    const token = form.get('access_token') ?? '';
    const right =
      seen.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true &&
      form.get('grant_type') === 'access_token_refresh_token' &&
      form.get('service') === SERVER &&
      token.startsWith('directory-token-of-') &&
      form.get('refresh_token') === token &&
      form.get('tenant') === 'tenant-1';
    return right
      ? { status: 200, body: JSON.stringify({ refresh_token: `refresh for ${token}` }) }
      : { status: 401 };
  };
  const url = await localServer(t, (seen) => {
    log.push(`${seen.method} ${seen.url.split('?')[0]}`);
    if (seen.url === '/v2/') return { status: 401, headers: { 'www-authenticate': challenge } };
    if (seen.url.startsWith('/metadata/')) return metadata(seen);
    if (seen.method !== 'POST') return { status: 404 };
    return seen.url === '/oauth2/exchange' ? exchange(seen) : directory(seen);
  });
  const contacted: string[] = [];
  const files: Record<string, string> = {
    '/azure.json': JSON.stringify(config),
    '/own-cloud.json': '{"containerRegistryDNSSuffix":"azurecr.local"}',
  };
  const context: CloudContext = {
    environment: { AZURE_POD_IDENTITY_AUTHORITY_HOST: url, AZURE_AUTHORITY_HOST: url },
    fetch: (target, init) => {
      contacted.push(new URL(target).origin);
      return fetch(target.replace(`https://${SERVER}`, url), init);
    },
    clock: new ManualClock(),
    signal: t.signal,
    readFile: (path) => {
      const text = files[path];
      return text === undefined ? Promise.reject(new Error('not there')) : Promise.resolve(text);
    },
    warn: () => undefined,
  };
  const plugin = { configPath: '/azure.json', mirrors: parseRegistryMirrors(options.mirror ?? '') };
  return { context, log, contacted, plugin };
}
const managed = { tenantId: 'tenant-1', useManagedIdentityExtension: true };
const principal = { tenantId: 'tenant-1', aadClientId: 'client', aadClientSecret: 'S3CRET' };

const servers: [image: string, suffix: string, server: string | undefined][] = [
  [IMAGE, '', SERVER],
  ['Team01.azurecr.cn', '', 'Team01.azurecr.cn'],
  ['team.azurecr.de/a/b', '', 'team.azurecr.de'],
  ['team.azurecr.us/a', '', 'team.azurecr.us'],
  ['team.azurecr.fr/a', '', undefined],
  ['team.azurecr.io.evil.com/a', '', undefined],
  ['x.team.azurecr.io/a', '', undefined],
  ['mcr.microsoft.com/team.azurecr.io/a', '', undefined],
  ['team.azurecr.local/a', 'azurecr.local', 'team.azurecr.local'],
  ['team.azurecr.local/a', '', undefined],
];
for (const [image, suffix, server] of servers) {
  test(`10.15 ${image} ${server === undefined ? 'is not of ACR' : `is served by ${server}`}${suffix && ` with suffix ${suffix}`}`, () => {
    assert.equal(acrLoginServer(image, suffix), server);
  });
}

test('10.15 an image that is not of ACR gets an empty answer that is not cached', async (t) => {
  const { context, plugin, log } = await setup(t, managed);
  const response = await acrCredentials(request('quay.io/app'), plugin, context);
  assert.deepEqual(response, { cacheKeyType: 'Registry', cacheDurationMs: 0, auth: new Map() });
  assert.deepEqual(log, []);
});

const identities: [name: string, config: Record<string, unknown>, identity: string][] = [
  ['of the system', managed, 'system'],
  ['by client ID', { ...managed, userAssignedIdentityID: 'id-1' }, 'id-1'],
  ['by resource ID', { ...managed, userAssignedIdentityID: '/subscriptions/s/x' }, '/subscriptions/s/x'],
];
for (const [name, config, identity] of identities) {
  test(`D9 10.16 10.17 a managed identity ${name} is exchanged for a refresh token of the registry`, async (t) => {
    const { context, plugin, log } = await setup(t, config);
    assert.deepEqual(await acrCredentials(request(), plugin, context), {
      cacheKeyType: 'Registry',
      cacheDurationMs: 3_600_000,
      auth: new Map([
        [SERVER, { username: ZERO_USER, password: `refresh for directory-token-of-${identity}` }],
        ['*.azurecr.*', { username: '', password: '' }],
      ]),
    });
    assert.deepEqual(log, ['GET /metadata/identity/oauth2/token', 'GET /v2/', 'POST /oauth2/exchange']);
  });
}

const challenges: [name: string, challenge: string, why: RegExp][] = [
  ['Basic', 'Basic realm="x"', /not a single Bearer one$/],
  [
    'two schemes',
    `Bearer realm="https://${SERVER}/t",service="s", Basic realm="x"`,
    /not a single Bearer one$/,
  ],
  ['no service', `Bearer realm="https://${SERVER}/t"`, /lacks realm or service$/],
  [
    'a realm elsewhere',
    `Bearer realm="https://evil.example.com/t",service="${SERVER}"`,
    /does not belong to the registry$/,
  ],
  [
    'a realm without TLS',
    `Bearer realm="http://${SERVER}/t",service="${SERVER}"`,
    /does not belong to the registry$/,
  ],
  ['a realm that is no URL', `Bearer realm="token",service="${SERVER}"`, /does not belong to the registry$/],
];
for (const [name, challenge, why] of challenges) {
  test(`10.16 the directory token is not sent on with a challenge of ${name}`, async (t) => {
    const { context, plugin, contacted } = await setup(t, managed, { challenge });
    await assert.rejects(acrCredentials(request(), plugin, context), { code: 'CLOUD_REFUSED', message: why });
    assert.ok(!contacted.some((origin) => origin.includes('evil')));
  });
}

test('10.16 a realm beside the registry, under its domain, is asked', async (t) => {
  const challenge = `Bearer realm="https://auth.azurecr.io/t",service="${SERVER}"`;
  const { context, plugin, contacted } = await setup(t, managed, { challenge });
  const fetch: CloudContext['fetch'] = (url, init) =>
    context.fetch(url.replace('https://auth.azurecr.io', `https://${SERVER}`), init);
  const response = await acrCredentials(request(), plugin, { ...context, fetch });
  assert.ok(response.auth.has(SERVER));
  assert.equal(contacted.length, 3);
});

test('10.17 an anonymous attempt comes after the login, by the order of keys', async (t) => {
  const { context, plugin } = await setup(t, principal);
  const { auth } = await acrCredentials(request(), plugin, context);
  const config = new Map([...auth].map(([key, login]) => [key, { ...login, email: '' }]));
  const found = lookup(keyringEntries(config, { kind: 'provider', provider: 'acr' }), IMAGE);
  assert.deepEqual(
    found.map((c) => [c.key, c.username]),
    [
      ['*.azurecr.io', 'client'],
      ['*.azurecr.*', ''],
    ],
  );
});

test('D9 10.18 a service principal is the login for all four clouds, without asking anybody', async (t) => {
  const { context, plugin, log } = await setup(t, principal);
  const { auth } = await acrCredentials(request(), plugin, context);
  const login = { username: 'client', password: 'S3CRET' };
  assert.deepEqual(
    [...auth],
    [
      ...['io', 'cn', 'de', 'us'].map((end) => [`*.azurecr.${end}`, login]),
      ['*.azurecr.*', { username: '', password: '' }],
    ],
  );
  assert.deepEqual(log, []);
});

test('10.18 the suffix of a cloud of its own is added', async (t) => {
  const { context, plugin } = await setup(t, principal);
  const environment = { ...context.environment, AZURE_ENVIRONMENT_FILEPATH: '/own-cloud.json' };
  const { auth } = await acrCredentials(request('team.azurecr.local/app'), plugin, {
    ...context,
    environment,
  });
  assert.equal(auth.get('*.azurecr.local')?.username, 'client');
});

test('10.19 with a service account token the application of the account is exchanged', async (t) => {
  const { context, plugin, log } = await setup(t, managed);
  const { auth } = await acrCredentials(request(IMAGE, 'POD-TOKEN', ANNOTATIONS), plugin, context);
  assert.equal(auth.get(SERVER)?.password, 'refresh for directory-token-of-pod');
  assert.deepEqual(log, ['POST /tenant-1/oauth2/v2.0/token', 'GET /v2/', 'POST /oauth2/exchange']);
});

for (const missing of Object.keys(ANNOTATIONS)) {
  test(`10.19 without ${missing} the token is not used and the node does not answer for the Pod`, async (t) => {
    const { context, plugin, log } = await setup(t, managed);
    const annotations = Object.fromEntries(Object.entries(ANNOTATIONS).filter(([key]) => key !== missing));
    await assert.rejects(acrCredentials(request(IMAGE, 'POD-TOKEN', annotations), plugin, context), {
      message: `Cannot use the service account token: annotation "${missing}" is missing`,
    });
    assert.deepEqual(log, []);
  });
}

test('10.19 what the directory refuses is told in its first line, without the token', async (t) => {
  const { context, plugin } = await setup(t, managed);
  await assert.rejects(acrCredentials(request(IMAGE, 'WRONG-TOKEN', ANNOTATIONS), plugin, context), {
    message: 'Cannot get a directory token for application app-1: AADSTS700016: unknown application',
  });
});

test('10.20 an image of a mirrored registry is authenticated at its target, under both names', async (t) => {
  const mirror = `mcr.microsoft.com:${SERVER},other.io:x.azurecr.io`;
  const { context, plugin } = await setup(t, managed, { mirror });
  const { auth } = await acrCredentials(request('mcr.microsoft.com/app'), plugin, context);
  assert.deepEqual([...auth.keys()], [SERVER, 'mcr.microsoft.com', '*.azurecr.*']);
  assert.deepEqual(auth.get('mcr.microsoft.com'), auth.get(SERVER));
});

test('10.20 a mirror that is no pair is refused', () => {
  for (const text of ['a', 'a:', ':b', 'a:b:c'])
    assert.throws(() => parseRegistryMirrors(text), { code: 'CLOUD_REFUSED' });
  assert.deepEqual(
    [...parseRegistryMirrors('a:b, c:d,')],
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  );
});

const broken: [name: string, config: Record<string, unknown>, path: string, message: RegExp][] = [
  ['no identity', { tenantId: 't' }, '/azure.json', /neither a managed identity nor a service principal$/],
  ['no file', {}, '/none.json', /^Cannot read "\/none\.json": it is missing or unreadable$/],
];
for (const [name, config, configPath, message] of broken) {
  test(`azure.json with ${name} is refused with a reason`, async (t) => {
    const { context, plugin } = await setup(t, config);
    await assert.rejects(acrCredentials(request(), { ...plugin, configPath }, context), { message });
  });
}
