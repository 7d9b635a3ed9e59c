import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { loadRegistryConfig } from '../../src/registry/config/load-config.ts';
import { serveRegistry, type ServedRegistry } from '../support/serve-registry.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';

const AUDIENCE = 'registry.test';

async function cluster(t: TestContext, options: Parameters<typeof startTestApi>[0] = {}): Promise<TestApi> {
  const api = await startTestApi(options);
  t.after(() => api.close());
  for (const namespace of ['team-a', 'team-b']) {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    assert.equal((await api.send('POST', '/api/v1/namespaces', { body })).code, 201);
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    assert.equal((await api.send('POST', path, { body: account })).code, 201);
  }
  return api;
}

/** Asks the cluster for a token, as the kubelet does for a Pod. */
async function tokenOf(api: TestApi, namespace: string, audience?: string): Promise<string> {
  const answer = await api.send('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`, {
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: audience === undefined ? {} : { audiences: [audience] },
    },
  });
  assert.equal(answer.code, 201, answer.text);
  return answer.json<{ status: { token: string } }>().status.token;
}

async function issuerOf(api: TestApi): Promise<string> {
  const answer = await api.send('GET', '/.well-known/openid-configuration');
  return answer.json<{ issuer: string }>().issuer;
}

/** Serves a registry that believes a cluster, as its configuration file says. */
async function believing(
  t: TestContext,
  api: TestApi,
  keysUrl: string,
  options: { clock?: ManualClock } = {},
): Promise<ServedRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-believing-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'ca.crt'), api.pki.ca.cert);
  await writeFile(join(directory, 'token'), await tokenOf(api, 'team-a'));
  const { options: loaded, findings } = await loadRegistryConfig(
    {
      directory: 'data',
      listen: { port: 0 },
      maintenance: { everyHours: 0 },
      tokenIssuers: [
        {
          issuer: await issuerOf(api),
          audience: AUDIENCE,
          keysUrl,
          caFile: 'ca.crt',
          tokenFile: 'token',
          rules: [{ namespace: 'team-*', project: '{namespace}', role: 'developer' }],
        },
      ],
    },
    join(directory, 'registry.yaml'),
  );
  assert.deepEqual(findings, []);
  const served = await serveRegistry(t, { ...loaded, ...options });
  for (const project of ['team-a', 'team-b']) await served.registry.admin.createProject(project);
  return served;
}

async function mayPush(served: ServedRegistry, repository: string, token: string): Promise<number> {
  return (await served.send('POST', `/v2/${repository}/blobs/uploads/`, { basic: `sa:${token}` })).status;
}

describe("a cluster's service-account tokens", () => {
  test('are verified with the keys that its API server publishes, for our audience and its namespace alone', async (t) => {
    const api = await cluster(t);
    const served = await believing(t, api, `${api.server.url}/openid/v1/jwks`);
    const token = await tokenOf(api, 'team-a', AUDIENCE);
    assert.equal(await mayPush(served, 'team-a/app', token), 202);
    assert.equal(await mayPush(served, 'team-b/app', token), 403);
    assert.equal(await mayPush(served, 'team-b/app', await tokenOf(api, 'team-b', AUDIENCE)), 202);
    for (const audience of [undefined, 'another.test']) {
      assert.equal(await mayPush(served, 'team-a/app', await tokenOf(api, 'team-a', audience)), 401);
    }
    const [header, payload] = token.split('.');
    assert.equal(await mayPush(served, 'team-a/app', `${header}.${payload}.${'A'.repeat(86)}`), 401);
    const exchanged = await served.send('GET', '/token?scope=repository:team-a/app:pull,push', {
      basic: `x:${token}`,
    });
    const { token: bearer } = (await exchanged.json()) as { token: string };
    assert.equal((await served.send('POST', '/v2/team-a/app/blobs/uploads/', { bearer })).status, 202);
    const [entry] = await served.registry.admin.listAudit({ outcome: 'denied' }, 1);
    assert.equal(JSON.stringify(entry).includes(token), false);
  });

  test('go on being good when the cluster exchanges its key, and old ones end with it', async (t) => {
    const before = await cluster(t);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const after = await cluster(t, { serviceAccountSigningKey: key });
    let current = before;
    // Stands where the cluster's address is, before and after the exchange.
    const address = createServer((message, response) => {
      const { authorization = '' } = message.headers;
      void (async () => {
        const headers =
          current === before
            ? { authorization }
            : { authorization: `Bearer ${await tokenOf(after, 'team-a')}` };
        request(`${current.server.url}${message.url}`, { headers, ca: current.pki.ca.cert }, (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(response);
        }).end();
      })();
    });
    address.listen(0, '127.0.0.1');
    await once(address, 'listening');
    t.after(() => {
      address.closeAllConnections();
      address.close();
    });
    const clock = new ManualClock(Date.now());
    const url = `http://127.0.0.1:${(address.address() as AddressInfo).port}/openid/v1/jwks`;
    const served = await believing(t, before, url, { clock });
    const old = await tokenOf(before, 'team-a', AUDIENCE);
    assert.equal(await mayPush(served, 'team-a/app', old), 202);
    current = after;
    const fresh = await tokenOf(after, 'team-a', AUDIENCE);
    // An unknown key makes the registry look again, but not at once for everybody who invents one.
    await clock.advance(11_000);
    assert.equal(await mayPush(served, 'team-a/app', fresh), 202);
    await clock.advance(60_000);
    assert.equal(await mayPush(served, 'team-a/app', old), 401);
  });
});
