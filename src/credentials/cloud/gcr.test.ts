import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { localServer, type SeenRequest } from '../../../test/support/local-server.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import type { CloudContext } from './cloud-request.ts';
import { gcrCredentials, type GcrOptions } from './gcr.ts';
import type { PluginRequest } from './plugin-io.ts';

const IMAGE = 'europe-docker.pkg.dev/project/team/app';
const KEYS = ['europe-docker.pkg.dev', 'container.cloud.google.com', 'gcr.io', '*.gcr.io', '*.pkg.dev'];
const OPT_IN = { 'iam.gke.io/enable-wi-image-pull': 'true' };
const AUDIENCE = 'identitynamespace:proj.svc.id.goog:pool';

function request(token = '', annotations: Record<string, string> = {}): PluginRequest {
  return {
    apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
    image: IMAGE,
    serviceAccountToken: token,
    serviceAccountAnnotations: new Map(Object.entries(annotations)),
  };
}

/** Metadata server and token service: the first wants its header, the second the exact form of an exchange. */
async function setup(
  t: TestContext,
  environment: Record<string, string> = {},
  pages: Record<string, string> = {},
) {
  const log: string[] = [];
  const metadata: Record<string, string> = {
    '/computeMetadata/v1/instance/service-accounts/default/token':
      '{"access_token":"node-token","expires_in":3599,"token_type":"Bearer"}',
    '/computeMetadata/v1/instance/service-accounts/default/email': 'node@proj.iam.gserviceaccount.com',
    ...pages,
  };
  const exchange = (seen: SeenRequest) => {
    const form = JSON.parse(seen.body) as Record<string, string>;
    const right =
      form['grantType'] === 'urn:ietf:params:oauth:grant-type:token-exchange' &&
      form['subjectTokenType'] === 'urn:ietf:params:oauth:token-type:jwt' &&
      form['requestedTokenType'] === 'urn:ietf:params:oauth:token-type:access_token' &&
      form['scope'] === 'https://www.googleapis.com/auth/cloud-platform' &&
      form['audience'] === AUDIENCE &&
      form['subjectToken'] === 'POD-TOKEN';
    return right
      ? { status: 200, body: '{"access_token":"workload-token","expires_in":3600}' }
      : { status: 400, body: '{"error":"invalid_grant","error_description":"audience or token is wrong"}' };
  };
  const url = await localServer(t, (seen) => {
    log.push(`${seen.method} ${seen.url}`);
    if (seen.method === 'POST' && seen.url === '/v1/token') return exchange(seen);
    if (seen.url.startsWith('/computeMetadata/') && seen.headers['metadata-flavor'] !== 'Google')
      return { status: 403 };
    const body = Object.hasOwn(metadata, seen.url) ? metadata[seen.url] : undefined;
    return body === undefined ? { status: 404 } : { status: 200, body: body.replaceAll('$URL', url) };
  });
  const warnings: string[] = [];
  const context: CloudContext = {
    environment: {
      GCE_METADATA_HOST: new URL(url).host,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_STS: `${url}/`,
      ...environment,
    },
    fetch: (target, init) => fetch(target, init),
    clock: new ManualClock(),
    signal: t.signal,
    readFile: () => Promise.reject(new Error('no file is read')),
    warn: (message) => warnings.push(message),
  };
  return { context, log, warnings };
}
const gcr: GcrOptions = { authFlow: 'gcr' };
const pool: GcrOptions = { authFlow: 'gcr', identityProvider: 'pool', projectId: 'proj' };

test('D9 10.8 10.9 the token of the metadata server opens every registry of Google', async (t) => {
  const { context, log } = await setup(t);
  const response = await gcrCredentials(request(), gcr, context);
  assert.deepEqual(
    [...response.auth],
    KEYS.map((key) => [key, { username: '_token', password: 'node-token' }]),
  );
  const account = '/computeMetadata/v1/instance/service-accounts/default';
  assert.deepEqual(log, [`GET ${account}/token`, `GET ${account}/email`]);
});

test('10.8 the metadata server is asked by its full name with its header, for 10 s an attempt', async (t) => {
  const { context } = await setup(t);
  const clock = new ManualClock();
  const asked: string[] = [];
  const fetch: CloudContext['fetch'] = (url, init) => {
    asked.push(`${url} ${new Headers(init.headers).get('metadata-flavor')}`);
    return new Promise((_resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error), { once: true });
    });
  };
  const warnings: string[] = [];
  const answer = gcrCredentials(request(), gcr, {
    ...context,
    environment: {},
    clock,
    fetch,
    warn: (w) => warnings.push(w),
  });
  for (let attempt = 1; attempt <= 3; attempt++) {
    while (asked.length < attempt) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(10_000);
    await clock.advance(1_000);
  }
  assert.equal((await answer).auth.size, 0);
  const url = 'http://metadata.google.internal./computeMetadata/v1/instance/service-accounts/default/token';
  assert.deepEqual(asked, [`${url} Google`, `${url} Google`, `${url} Google`]);
  assert.match(warnings[0] ?? '', /no answer within 10 s$/);
});

const caches: [environment: Record<string, string>, type: string, duration: number, warned: number][] = [
  [{}, 'Image', 0, 0],
  [{ KUBE_SIDECAR_CACHE_TYPE: 'registry', KUBE_SIDECAR_CACHE_DURATION: '5m' }, 'Registry', 300_000, 0],
  [{ KUBE_SIDECAR_CACHE_TYPE: 'global' }, 'Global', 0, 0],
  [{ KUBE_SIDECAR_CACHE_TYPE: 'constructor', KUBE_SIDECAR_CACHE_DURATION: 'soon' }, 'Image', 0, 2],
];
for (const [environment, type, duration, warned] of caches) {
  test(`10.10 cache type and duration with ${JSON.stringify(environment)}`, async (t) => {
    const { context, warnings } = await setup(t, environment);
    const response = await gcrCredentials(request(), gcr, context);
    assert.equal(response.cacheKeyType, type);
    assert.equal(response.cacheDurationMs, duration);
    assert.equal(warnings.length, warned);
  });
}

test('10.11 a metadata server that fails gives an empty answer and a warning', async (t) => {
  const token = '/computeMetadata/v1/instance/service-accounts/default/token';
  for (const page of ['', 'S3CRET', '{}', '{"access_token":5}']) {
    const { context, warnings } = await setup(t, {}, { [token]: page });
    const response = await gcrCredentials(request(), gcr, context);
    assert.equal(response.auth.size, 0);
    assert.equal(warnings.length, 1);
    assert.ok(!warnings[0]?.includes('S3CRET'));
  }
});

test('10.12 a Pod that opted in is logged in by its own identity', async (t) => {
  const { context, log } = await setup(t);
  const response = await gcrCredentials(request('POD-TOKEN', OPT_IN), pool, context);
  assert.equal(response.auth.get('*.pkg.dev')?.password, 'workload-token');
  assert.deepEqual(log, ['POST /v1/token']);
});

test('10.12 an exchange that fails gives nothing: the node does not answer in its place', async (t) => {
  const { context, log, warnings } = await setup(t);
  assert.equal((await gcrCredentials(request('OTHER', OPT_IN), pool, context)).auth.size, 0);
  assert.equal((await gcrCredentials(request('', OPT_IN), pool, context)).auth.size, 0);
  assert.deepEqual(log, ['POST /v1/token']);
  assert.deepEqual(warnings, [
    'Cannot exchange the service account token: audience or token is wrong',
    'Cannot use workload identity: the request carries no token',
  ]);
});

test('10.12 a Pod that did not opt in is served by the node', async (t) => {
  const { context } = await setup(t);
  for (const annotations of [{}, { 'iam.gke.io/enable-wi-image-pull': 'yes' }]) {
    const response = await gcrCredentials(request('POD-TOKEN', annotations), pool, context);
    assert.equal(response.auth.get('gcr.io')?.password, 'node-token');
  }
});

test('10.12 --identity-provider needs --project-id, and the token leaves over https only', async (t) => {
  const { context, warnings } = await setup(t, {
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STS: 'http://sts.example.com',
  });
  await assert.rejects(gcrCredentials(request(), { authFlow: 'gcr', identityProvider: 'pool' }, context), {
    message: 'Cannot use --identity-provider: --project-id is missing',
  });
  assert.equal((await gcrCredentials(request('POD-TOKEN', OPT_IN), pool, context)).auth.size, 0);
  assert.match(warnings[0] ?? '', /not asked over https$/);
});

const dockercfg = '{"r.io":{"auth":"dTpw"}}';
test('10.13 the dockercfg flows read the attributes of the instance', async (t) => {
  const { context, log } = await setup(
    t,
    {},
    {
      '/computeMetadata/v1/instance/attributes/google-dockercfg': dockercfg,
      '/computeMetadata/v1/instance/attributes/google-dockercfg-url': '$URL/file\n',
      '/file': dockercfg,
    },
  );
  for (const authFlow of ['dockercfg', 'dockercfg-url'] as const) {
    const response = await gcrCredentials(request(), { authFlow }, context);
    assert.deepEqual([...response.auth], [['r.io', { username: 'u', password: 'p' }]]);
  }
  assert.equal(log.at(-1), 'GET /file');
});

test('10.13 an attribute that is no dockercfg or no URL gives an empty answer', async (t) => {
  const { context, warnings } = await setup(
    t,
    {},
    {
      '/computeMetadata/v1/instance/attributes/google-dockercfg': '[]',
      '/computeMetadata/v1/instance/attributes/google-dockercfg-url': 'file:///etc/shadow',
    },
  );
  for (const authFlow of ['dockercfg', 'dockercfg-url'] as const) {
    assert.equal((await gcrCredentials(request(), { authFlow }, context)).auth.size, 0);
  }
  assert.equal(warnings.length, 2);
});
