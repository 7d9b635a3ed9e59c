import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock } from '../../base/manual-clock.ts';
import type { PodIdentity } from '../candidates.ts';
import { CredentialError } from '../credential-error.ts';
import { describeSource, lookup } from '../keyring.ts';
import { PLUGIN_TIMEOUT_MS } from './_exec-plugin.ts';
import {
  CredentialProviders,
  type CredentialProvidersOptions,
  type ProviderOutcome,
} from './credential-providers.ts';
import type { ProviderConfig } from './provider-config.ts';
import { decodeProviderResponse, encodeProviderRequest } from './provider-protocol.ts';
import type { ServiceAccountSource, TokenRequest } from './service-accounts.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };
const never = new AbortController().signal;
const V1 = 'credentialprovider.kubelet.k8s.io/v1';
const IMAGE = 'r.io/team/app';
const pod: PodIdentity = { namespace: 'ns', name: 'pod', uid: 'pod-uid', serviceAccountName: 'sa' };

interface Answer {
  readonly apiVersion?: string;
  readonly cacheKeyType?: string;
  readonly cacheDuration?: string;
  readonly auth?: Record<string, { username: string; password: string }>;
}
const login = { username: 'u', password: 'p' };

function answer(fields: Answer = {}): string {
  return JSON.stringify({
    kind: 'CredentialProviderResponse',
    apiVersion: V1,
    cacheKeyType: 'Registry',
    auth: { 'r.io': login },
    ...fields,
  });
}

/** Plug-ins as shell scripts in a directory of their own; each run leaves a line in `log`. */
async function plugins(t: TestContext, scripts: Record<string, string>) {
  const binDirectory = await mkdtemp(join(tmpdir(), 'drayage-plugins-'));
  const log = join(binDirectory, 'log');
  for (const [name, script] of Object.entries(scripts)) {
    const text = `#!/bin/sh\necho ${name} >> '${log}'\n${script}\n`;
    await writeFile(join(binDirectory, name), text, { mode: 0o755 });
  }
  const clock = new ManualClock(1_000_000);
  const make = (configs: Partial<ProviderConfig>[], options: Partial<CredentialProvidersOptions> = {}) => {
    const providers = new CredentialProviders(
      configs.map((config) => ({
        name: Object.keys(scripts)[0] ?? '',
        matchImages: ['r.io'],
        defaultCacheDurationMs: 0,
        apiVersion: V1,
        args: [],
        env: [],
        tokenAttributes: undefined,
        ...config,
      })),
      { binDirectory, clock, environment: { PATH: process.env['PATH'] }, ...options },
    );
    t.after(() => providers.close());
    return providers;
  };
  t.after(() => rm(binDirectory, { recursive: true, force: true }));
  const ran = async (): Promise<string[]> =>
    (await readFile(log, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  return { binDirectory, clock, make, ran };
}
const prints = (text: string): string => `cat <<'END'\n${text}\nEND`;
async function ask(
  providers: CredentialProviders,
  image = IMAGE,
  who?: PodIdentity,
): Promise<ProviderOutcome> {
  const [outcome] = await providers.ask(image, who, never);
  assert.ok(outcome !== undefined);
  return outcome;
}

test('9.7 all providers that match run in order and share one keyring', async (t) => {
  const { make, ran } = await plugins(t, {
    a: prints(answer({ auth: { 'r.io': { username: 'a', password: '' } } })),
    b: prints(
      answer({
        auth: { 'r.io': { username: 'b', password: '' }, 'r.io/team': { username: 'b2', password: '' } },
      }),
    ),
    c: prints(answer()),
  });
  const providers = make([
    { name: 'a' },
    { name: 'c', matchImages: ['other.io'] },
    { name: 'b', matchImages: ['x.io', '*.io'] },
  ]);
  const { result, trace } = await providers.entriesFor(IMAGE, undefined, never);
  assert.deepEqual(await ran(), ['a', 'b']);
  assert.deepEqual(
    lookup(result, IMAGE).map((c) => `${c.username} ${describeSource(c.source)}`),
    ['b2 credential provider b', 'a credential provider a', 'b credential provider b'],
  );
  assert.ok(
    trace.some(
      (s) => s.says === 'matchImages "other.io" does not match: host label "other" does not match "r"',
    ),
  );
});

test('9.8 a plug-in gets arguments, the environment with the configured one over it, and the request', async (t) => {
  const { make, binDirectory } = await plugins(t, {
    a: `{ echo "$@"; echo "$KEPT $CHANGED $NEW"; cat; } > "$(dirname "$0")/seen"\n${prints(answer())}`,
  });
  const providers = make(
    [
      {
        args: ['get', '--x=1'],
        env: [
          { name: 'CHANGED', value: 'configured' },
          { name: 'NEW', value: 'new' },
        ],
      },
    ],
    { environment: { PATH: process.env['PATH'], KEPT: 'kept', CHANGED: 'node' } },
  );
  assert.equal((await ask(providers)).error, undefined);
  assert.equal(
    await readFile(join(binDirectory, 'seen'), 'utf8'),
    `get --x=1\nkept configured new\n{"kind":"CredentialProviderRequest","apiVersion":"${V1}","image":"${IMAGE}"}\n`,
  );
});

test('9.8 a plug-in that runs longer than a minute is killed with what it started', async (t) => {
  const { make, clock, ran } = await plugins(t, { a: 'sleep 600 & sleep 600' });
  const failures: string[] = [];
  const asked = ask(make([{}], { observer: { failed: (_, message) => failures.push(message) } }));
  while ((await ran()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(PLUGIN_TIMEOUT_MS);
  const outcome = await asked;
  assert.equal(
    outcome.error?.message,
    `error execing credential provider plugin a for image ${IMAGE}: context deadline exceeded: `,
  );
  assert.deepEqual(failures, [outcome.error?.message]);
});

test('9.8 a plug-in that does not read its request and one that floods are survived', async (t) => {
  const { make } = await plugins(t, {
    quick: `exec 0<&-\n${prints(answer())}`,
    flood: 'yes | head -c 6000000',
  });
  assert.equal((await ask(make([{ name: 'quick' }], {}))).error, undefined);
  assert.match((await ask(make([{ name: 'flood' }]))).error?.message ?? '', /answer is longer than/);
});

test('9.9 the request has the version of the configuration; only v1 carries service accounts', () => {
  const request = {
    image: 'docker.io/library/busybox',
    serviceAccountToken: 'a<b',
    serviceAccountAnnotations: new Map([
      ['z', '1'],
      ['__proto__', '2'],
    ]),
  };
  assert.equal(
    encodeProviderRequest(V1, request),
    `{"kind":"CredentialProviderRequest","apiVersion":"${V1}","image":"docker.io/library/busybox","serviceAccountToken":"a\\u003cb","serviceAccountAnnotations":{"__proto__":"2","z":"1"}}\n`,
  );
  for (const version of ['v1alpha1', 'v1beta1']) {
    const apiVersion = `credentialprovider.kubelet.k8s.io/${version}`;
    assert.equal(
      encodeProviderRequest(apiVersion, request),
      `{"kind":"CredentialProviderRequest","apiVersion":"${apiVersion}","image":"docker.io/library/busybox"}\n`,
    );
  }
});

const refused: [name: string, stdout: string, message: string][] = [
  [
    'an unknown field',
    answer().replace('"kind"', '"extra":1,"kind"'),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'an unknown field of a credential',
    answer({ auth: { 'r.io': { ...login, token: 'S3CRET' } as never } }),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'a field twice',
    answer().replace('{', '{"auth":{},'),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'a password that is no text',
    answer({ auth: { 'r.io': { username: 'u', password: 5 as never } } }),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'a bad duration',
    answer({ cacheDuration: 'S3CRET' }),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'another kind',
    answer().replace('ProviderResponse', 'ProviderRequest'),
    'error decoding credential provider plugin response from stdout',
  ],
  [
    'another version',
    answer({ apiVersion: 'credentialprovider.kubelet.k8s.io/v1beta1' }),
    `apiVersion from credential plugin response did not match expected apiVersion:${V1}, actual apiVersion:credentialprovider.kubelet.k8s.io/v1beta1`,
  ],
  ['no JSON', 'S3CRET', 'error reading GVK from response: answer is no JSON'],
];
for (const [name, stdout, message] of refused) {
  test(`9.10 an answer is decoded strictly and refused without being quoted: ${name}`, () => {
    assert.throws(() => decodeProviderResponse(V1, stdout), { code: 'PROVIDER_FAILED', message });
  });
}

test('9.11 a provider that fails gives nothing, says why, and the others still answer', async (t) => {
  const { make } = await plugins(t, {
    bad: 'echo "no metadata; password=S3CRET" >&2; exit 3',
    good: prints(answer()),
    odd: prints(answer({ cacheKeyType: 'Sometimes' })),
  });
  const executed: [string, boolean][] = [];
  const providers = make([{ name: 'bad' }, { name: 'missing' }, { name: 'odd' }, { name: 'good' }], {
    observer: { executed: (name, _, failed) => executed.push([name, failed]) },
  });
  const outcomes = await providers.ask(IMAGE, undefined, never);
  assert.deepEqual(
    outcomes.map((o) => o.error?.message.replaceAll(/\S*\/missing/g, 'PATH/missing')),
    [
      `error execing credential provider plugin bad for image ${IMAGE}: exit status 3: no metadata; password=[redacted]\n`,
      `error execing credential provider plugin missing for image ${IMAGE}: fork/exec PATH/missing: no such file or directory: `,
      'credential provider plugin did not return a valid cacheKeyType: "Sometimes"',
      undefined,
    ],
  );
  assert.deepEqual(executed, [
    ['bad', true],
    ['missing', true],
    ['odd', false],
    ['good', false],
  ]);
  assert.deepEqual(
    outcomes.map((o) => o.auth.size),
    [0, 0, 0, 1],
  );
});

test('9.12 answered keys are entries like any other; one that does not match the image is unused', async (t) => {
  const { make } = await plugins(t, {
    a: prints(
      answer({ auth: { '*.io/team': login, 'https://index.docker.io/v1/': login, 'r.io:port': login } }),
    ),
  });
  const { result } = await make([{}]).entriesFor(IMAGE, undefined, never);
  assert.deepEqual(
    result.map((e) => e.key),
    ['*.io/team', 'index.docker.io'],
  );
  assert.deepEqual(
    lookup(result, IMAGE).map((c) => c.key),
    ['*.io/team'],
  );
});

const scopes: [cacheKeyType: string, image: string, cachedFor: string[], notFor: string[]][] = [
  ['Image', IMAGE, [IMAGE], ['r.io/team/other']],
  ['Registry', IMAGE, [IMAGE, 'r.io/team/other'], ['a.io/team/app']],
  ['Global', IMAGE, [IMAGE, 'a.io/x'], []],
];
for (const [cacheKeyType, image, cachedFor, notFor] of scopes) {
  test(`9.13 an answer for ${cacheKeyType} is reused for that and nothing else`, async (t) => {
    const { make } = await plugins(t, { a: prints(answer({ cacheKeyType, cacheDuration: '1h' })) });
    const providers = make([{ matchImages: ['*.io'] }]);
    assert.equal((await ask(providers, image)).from, 'exec');
    for (const other of cachedFor) assert.equal((await ask(providers, other)).from, 'cache', other);
    for (const other of notFor) assert.equal((await ask(providers, other)).from, 'exec', other);
  });
}

test('9.13 each provider has its own cache, good until after its expiry', async (t) => {
  const { make, clock, ran } = await plugins(t, {
    a: prints(answer({ cacheDuration: '10m' })),
    b: prints(answer({ cacheDuration: '20m' })),
  });
  const providers = make([{ name: 'a' }, { name: 'b' }]);
  await providers.ask(IMAGE, undefined, never);
  await clock.advance(10 * 60_000);
  await providers.ask(IMAGE, undefined, never);
  assert.deepEqual(await ran(), ['a', 'b']);
  await clock.advance(1);
  const outcomes = await providers.ask(IMAGE, undefined, never);
  assert.deepEqual(
    outcomes.map((o) => o.from),
    ['exec', 'cache'],
  );
});

const durations: [
  name: string,
  cacheDuration: string | undefined,
  defaultMs: number,
  expiresInMs: number | undefined,
][] = [
  ['zero is not cached, whatever the default', '0s', 1000, undefined],
  ['absent takes the default', undefined, 90_000, 90_000],
  ['absent with a default of zero is not cached', undefined, 0, undefined],
  ['given wins over the default', '5s', 90_000, 5000],
];
for (const [name, cacheDuration, defaultCacheDurationMs, expiresInMs] of durations) {
  test(`9.14 cacheDuration: ${name}`, async (t) => {
    const { make, clock } = await plugins(t, {
      a: prints(answer(cacheDuration === undefined ? {} : { cacheDuration })),
    });
    const outcome = await ask(make([{ defaultCacheDurationMs }]));
    assert.equal(
      outcome.cache === undefined ? undefined : outcome.cache.expiresAt - clock.now(),
      expiresInMs,
    );
  });
}

test('9.15 concurrent requests for one image share one run; who gives up does not end it for the others', async (t) => {
  const { make, ran, binDirectory } = await plugins(t, {
    a: `while [ ! -e "$(dirname "$0")/go" ]; do sleep 0.01; done\n${prints(answer())}`,
  });
  const providers = make([{}]);
  const impatient = new AbortController();
  const given = assert.rejects(providers.ask(IMAGE, undefined, impatient.signal), { message: 'enough' });
  const others = [1, 2, 3].map(() => providers.ask(IMAGE, undefined, never));
  while ((await ran()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  impatient.abort(new Error('enough'));
  await given;
  await writeFile(join(binDirectory, 'go'), '');
  for (const outcomes of await Promise.all(others)) assert.equal(outcomes[0]?.auth.size, 1);
  assert.deepEqual(await ran(), ['a']);
});

test('9.16 an empty answer is cached too', async (t) => {
  const { make, ran } = await plugins(t, { a: prints(answer({ auth: {}, cacheDuration: '1h' })) });
  const providers = make([{}]);
  await ask(providers);
  assert.equal((await ask(providers)).from, 'cache');
  assert.deepEqual(await ran(), ['a']);
});

test('close ends the plug-ins that run', async (t) => {
  const { make, ran } = await plugins(t, { a: 'sleep 600' });
  const providers = make([{}]);
  const asked = ask(providers);
  while ((await ran()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  providers.close();
  assert.match((await asked).error?.message ?? '', /context canceled/);
});

const attributes = {
  serviceAccountTokenAudience: 'aud',
  requireServiceAccount: true,
  cacheType: 'ServiceAccount',
  requiredServiceAccountAnnotationKeys: ['need'],
  optionalServiceAccountAnnotationKeys: ['may'],
};

function accounts(clock: ManualClock) {
  const state = {
    requests: [] as TokenRequest[],
    reads: 0,
    annotations: { need: '1', other: '3' } as Record<string, string>,
    uid: 'sa-uid',
    fail: undefined as 'account' | 'token' | undefined,
  };
  const source: ServiceAccountSource = {
    getServiceAccount: async () => {
      state.reads++;
      if (state.fail === 'account') throw new Error('serviceaccounts "sa" not found');
      return { uid: state.uid, annotations: { ...state.annotations } };
    },
    requestToken: async (request) => {
      if (state.fail === 'token') throw new Error('audience "aud" is not allowed');
      state.requests.push(request);
      return {
        token: `TOKEN-${state.requests.length}`,
        expiresAt: clock.now() + 3_600_000,
        lifetimeMs: 3_600_000,
      };
    },
  };
  return { state, source };
}
const saves = `cat > "$(dirname "$0")/request"\n`;

test('9.17 without a service account a provider is skipped when it requires one, and runs without token otherwise', async (t) => {
  const { make, clock, ran, binDirectory } = await plugins(t, { a: saves + prints(answer()) });
  const { source } = accounts(clock);
  const none = { ...pod, serviceAccountName: '' };
  const skipped = await ask(
    make([{ tokenAttributes: attributes }], { serviceAccounts: source }),
    IMAGE,
    none,
  );
  assert.equal(skipped.from, 'nothing');
  assert.equal(skipped.error, undefined);
  assert.deepEqual(await ran(), []);
  const optional = { ...attributes, requireServiceAccount: false, requiredServiceAccountAnnotationKeys: [] };
  const run = await ask(make([{ tokenAttributes: optional }], { serviceAccounts: source }), IMAGE, none);
  assert.equal(run.from, 'exec');
  assert.deepEqual(run.source, { kind: 'provider', provider: 'a' });
  assert.ok(!(await readFile(join(binDirectory, 'request'), 'utf8')).includes('serviceAccountToken'));
});

test('9.18 the account is read for every lookup, also when the answer is cached', async (t) => {
  const { make, clock, ran } = await plugins(t, { a: prints(answer({ cacheDuration: '1h' })) });
  const { source, state } = accounts(clock);
  const providers = make([{ tokenAttributes: attributes }], { serviceAccounts: source });
  await ask(providers, IMAGE, pod);
  assert.equal((await ask(providers, IMAGE, pod)).from, 'cache');
  assert.equal(state.reads, 2);
  assert.deepEqual(await ran(), ['a']);
});

test('9.18 a missing required annotation skips silently, another failure is an error of the provider', async (t) => {
  const { make, clock } = await plugins(t, { a: prints(answer()) });
  const { source, state } = accounts(clock);
  const providers = make([{ tokenAttributes: attributes }], { serviceAccounts: source });
  state.annotations = { constructor: 'x' };
  const skipped = await ask(providers, IMAGE, pod);
  assert.equal(skipped.error, undefined);
  assert.ok(skipped.trace.some((s) => s.says === 'skipped: ServiceAccount ns/sa lacks annotation "need"'));
  state.fail = 'account';
  assert.equal((await ask(providers, IMAGE, pod)).error?.message, 'serviceaccounts "sa" not found');
  state.fail = 'token';
  state.annotations = { need: '1' };
  assert.equal((await ask(providers, IMAGE, pod)).error?.code, 'PROVIDER_FAILED');
});

test('9.19 the token is for the audience, bound to the Pod and the uid of the account, and reused until due', async (t) => {
  const { make, clock, binDirectory } = await plugins(t, { a: saves + prints(answer()) });
  const { source, state } = accounts(clock);
  const providers = make([{ tokenAttributes: attributes }], { serviceAccounts: source });
  await ask(providers, IMAGE, pod);
  const bound = { name: 'pod', uid: 'pod-uid' };
  assert.deepEqual(state.requests, [
    { namespace: 'ns', serviceAccountName: 'sa', serviceAccountUid: 'sa-uid', audience: 'aud', pod: bound },
  ]);
  assert.equal(
    await readFile(join(binDirectory, 'request'), 'utf8'),
    `{"kind":"CredentialProviderRequest","apiVersion":"${V1}","image":"${IMAGE}","serviceAccountToken":"TOKEN-1","serviceAccountAnnotations":{"need":"1"}}\n`,
  );
  await clock.advance(0.8 * 3_600_000 - 10_001);
  await ask(providers, IMAGE, pod);
  assert.equal(state.requests.length, 1);
  await clock.advance(10_002);
  await ask(providers, IMAGE, pod);
  assert.equal(state.requests.length, 2);
});

test('9.20 the cache is shared by Pods of one account, split by uid and by the annotations passed on', async (t) => {
  const { make, clock } = await plugins(t, { a: prints(answer({ cacheDuration: '1h' })) });
  const { source, state } = accounts(clock);
  const providers = make([{ tokenAttributes: attributes }], { serviceAccounts: source });
  const from = async (who: PodIdentity): Promise<string> => (await ask(providers, IMAGE, who)).from;
  assert.equal(await from(pod), 'exec');
  assert.equal(await from({ ...pod, name: 'other', uid: 'other' }), 'cache');
  state.annotations['other'] = 'changed';
  assert.equal(await from(pod), 'cache');
  state.annotations['may'] = 'new';
  assert.equal(await from(pod), 'exec');
  state.uid = 'again';
  assert.equal(await from(pod), 'exec');
  assert.equal(await from({ ...pod, namespace: 'ns2' }), 'exec');
});

test('9.20 with cacheType Token each token has its own answer', async (t) => {
  const { make, clock } = await plugins(t, { a: prints(answer({ cacheDuration: '10h' })) });
  const { source } = accounts(clock);
  const providers = make([{ tokenAttributes: { ...attributes, cacheType: 'Token' } }], {
    serviceAccounts: source,
  });
  assert.equal((await ask(providers, IMAGE, pod)).from, 'exec');
  assert.equal((await ask(providers, IMAGE, pod)).from, 'cache');
  assert.equal((await ask(providers, IMAGE, { ...pod, uid: 'other' })).from, 'exec');
  await clock.advance(3_000_000);
  assert.equal((await ask(providers, IMAGE, pod)).from, 'exec');
});

test('9.21 with cacheType ServiceAccount the token itself may not come back as password', async (t) => {
  const { make, clock } = await plugins(t, {
    a: prints(answer({ auth: { 'r.io': { username: 'u', password: 'TOKEN-1' } } })),
  });
  const strict = make([{ tokenAttributes: attributes }], { serviceAccounts: accounts(clock).source });
  assert.equal(
    (await ask(strict, IMAGE, pod)).error?.message,
    "credential provider plugin returned the service account token as the password which is not allowed when service account cache type is not set to 'Token'",
  );
  const perToken = make([{ tokenAttributes: { ...attributes, cacheType: 'Token' } }], {
    serviceAccounts: accounts(clock).source,
  });
  assert.equal((await ask(perToken, IMAGE, pod)).error, undefined);
});

test('9.22 what came by a token carries the service account as source', async (t) => {
  const { make, clock } = await plugins(t, { a: prints(answer()) });
  const { source } = accounts(clock);
  const { result } = await make([{ tokenAttributes: attributes }], { serviceAccounts: source }).entriesFor(
    IMAGE,
    pod,
    never,
  );
  assert.deepEqual(result[0]?.source, {
    kind: 'service-account',
    namespace: 'ns',
    name: 'sa',
    uid: 'sa-uid',
    provider: 'a',
  });
});

test('the error output of a plug-in never shows the token it was given', async (t) => {
  const { make, clock } = await plugins(t, { a: 'cat >&2; exit 1' });
  const { source } = accounts(clock);
  const outcome = await ask(make([{ tokenAttributes: attributes }], { serviceAccounts: source }), IMAGE, pod);
  assert.ok(outcome.error !== undefined && !outcome.error.message.includes('TOKEN-1'));
  assert.ok(!JSON.stringify(outcome.trace).includes('TOKEN-1'));
});

test('hostile answers are read or refused, never quoted, never pollute a prototype', () => {
  const secret = 'S3CRET-VALUE';
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constant(secret));
  const auth = fc.dictionary(
    fc.constantFrom('r.io', '__proto__', secret),
    fc.oneof(leaf, fc.dictionary(fc.constantFrom('username', 'password', '__proto__'), leaf)),
  );
  const response = fc.record(
    {
      kind: fc.constantFrom<unknown>('CredentialProviderResponse', secret, 1),
      apiVersion: fc.constantFrom<unknown>(V1, secret, null),
      cacheKeyType: leaf,
      cacheDuration: leaf,
      auth: fc.oneof(auth, leaf),
    },
    { requiredKeys: ['kind', 'apiVersion'] },
  );
  fc.assert(
    fc.property(response, fc.nat(300), (value, cut) => {
      const whole = JSON.stringify(value);
      for (const text of [whole, whole.slice(0, cut)]) {
        try {
          decodeProviderResponse(V1, text);
        } catch (error) {
          assert.ok(error instanceof CredentialError);
          assert.ok(!error.message.includes(secret));
        }
      }
      assert.equal('username' in {}, false);
    }),
    runs,
  );
});
