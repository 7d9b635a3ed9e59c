import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { answer, ask, IMAGE, plugins, prints, V1 } from '../../../test/support/plugin-scripts.ts';
import type { ManualClock } from '../../base/manual-clock.ts';
import type { PodIdentity } from '../candidates.ts';
import type { ServiceAccountSource, TokenRequest } from './service-accounts.ts';

const never = new AbortController().signal;
const pod: PodIdentity = { namespace: 'ns', name: 'pod', uid: 'pod-uid', serviceAccountName: 'sa' };

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
