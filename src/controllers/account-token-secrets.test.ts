import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { KubeObject } from '../kube/object.ts';
import { SECRETS } from './resource-types.ts';
import { startControllers } from './start-controllers.ts';

interface Secret extends KubeObject {
  data?: Record<string, string>;
}

const NS = '/api/v1/namespaces/default';
const stop = new AbortController();
let api: TestApi;
before(async () => {
  api = await startTestApi();
  await startControllers(api.client, { rootCa: api.pki.ca.cert }, stop.signal).ready();
});
after(async () => {
  stop.abort();
  await api.close();
});

const makeSecret = (name: string, account: string): Promise<unknown> =>
  api.send('POST', `${NS}/secrets`, {
    body: {
      metadata: { name, annotations: { 'kubernetes.io/service-account.name': account } },
      type: 'kubernetes.io/service-account-token',
    },
  });
const whoHas = async (token: string): Promise<string | number> => {
  const answer = await api.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    anonymous: true,
    headers: { authorization: `Bearer ${token}` },
    body: {},
  });
  if (answer.code !== 201) return answer.code;
  return answer.json<{ status: { userInfo: { username: string } } }>().status.userInfo.username;
};

/** Waits until the secret of that name, or its absence, is as it should be. */
async function until(name: string, holds: (secret: Secret | undefined) => boolean): Promise<Secret> {
  const done = new AbortController();
  const secrets = createInformer<Secret>(api.client, SECRETS, { namespace: 'default' }, done.signal);
  try {
    await secrets.synced();
    return await new Promise((resolve) => {
      const look = (): void => {
        const found = secrets.get('default', name);
        if (holds(found)) resolve(found ?? { apiVersion: 'v1', kind: 'Secret', metadata: { name } });
      };
      secrets.onChange(look);
      look();
    });
  } finally {
    done.abort();
  }
}

const decoded = ({ data }: Secret, key: string): string =>
  Buffer.from(data?.[key] ?? '', 'base64').toString();
const isFilled = (secret: Secret | undefined): boolean => secret?.data?.['token'] !== undefined;

test('a secret for the token of an account is filled, and its token is good until the secret goes', async () => {
  const account = { metadata: { name: 'robot' } };
  const made = await api.send('POST', `${NS}/serviceaccounts`, { body: account });
  const { uid } = made.json<KubeObject>().metadata;
  await makeSecret('long', 'robot');
  const secret = await until('long', isFilled);
  assert.equal(decoded(secret, 'ca.crt'), api.pki.ca.cert);
  assert.equal(decoded(secret, 'namespace'), 'default');
  assert.equal(secret.metadata.annotations?.['kubernetes.io/service-account.uid'], uid);
  const token = decoded(secret, 'token');
  assert.equal(await whoHas(token), 'system:serviceaccount:default:robot');
  await api.send('DELETE', `${NS}/secrets/long`);
  assert.equal(await whoHas(token), 401);
});

test('what was taken out of such a secret is put back; it goes with its account, and without one at once', async () => {
  await api.send('POST', `${NS}/serviceaccounts`, { body: { metadata: { name: 'other' } } });
  await makeSecret('kept', 'other');
  const first = await until('kept', isFilled);
  await api.send('PATCH', `${NS}/secrets/kept`, {
    contentType: 'application/merge-patch+json',
    body: { data: { 'ca.crt': null } },
  });
  const second = await until('kept', (secret) => secret?.data?.['ca.crt'] !== undefined);
  assert.equal(decoded(second, 'token'), decoded(first, 'token'));
  await makeSecret('nobody', 'nosuch');
  await until('nobody', (secret) => secret === undefined);
  await api.send('DELETE', `${NS}/serviceaccounts/other`);
  await until('kept', (secret) => secret === undefined);
});
