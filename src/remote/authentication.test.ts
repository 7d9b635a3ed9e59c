import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FaultRegistry, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import type { Credential } from './credential.ts';
import type { Hop } from './exchange.ts';
import { createHostResolver } from './hosts/create-host-resolver.ts';
import { createRemoteClient, type RemoteClient } from './remote-client.ts';
import { RemoteError } from './remote-error.ts';
import { resolveReference } from './resolve.ts';

const signal = AbortSignal.timeout(60_000);
const USERS = { alice: 'wonder:land' };
const ALICE: Credential = { name: 'alice', username: 'alice', password: 'wonder:land' };
const WRONG: Credential = { name: 'wrong', username: 'alice', password: 'hunter2' };

async function serve(t: TestContext, auth: FaultRegistryOptions['auth']): Promise<FaultRegistry> {
  const registry = await FaultRegistry.start(auth === undefined ? {} : { auth });
  t.after(() => registry.close());
  registry.putImage('team/app', 'v1', []);
  return registry;
}

function clientFor(t: TestContext, now?: () => number): RemoteClient {
  const client = createRemoteClient({
    hosts: createHostResolver({ roots: [] }),
    environment: {},
    random: () => 0,
    ...(now === undefined ? {} : { clock: { now, sleep: async () => {} } }),
  });
  t.after(() => client.close());
  return client;
}

function resolve(client: RemoteClient, registry: FaultRegistry, credential?: Credential) {
  const session = client.repository(registry.host, 'team/app', {
    credentials: credential === undefined ? undefined : async () => credential,
  });
  return resolveReference(session, { tag: 'v1' }, `${registry.host}/team/app:v1`, signal);
}

function seen(registry: FaultRegistry): string[] {
  return registry.requests.map(
    (each) => `${each.method} ${each.path.startsWith('/token') ? 'token' : 'manifest'} ${each.status}`,
  );
}

test('17.9 a token service that knows POST gets the credential in a form, and no GET', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 200 });
  await resolve(clientFor(t), registry, ALICE);
  assert.deepEqual(seen(registry), ['HEAD manifest 401', 'POST token 200', 'HEAD manifest 200']);
});

test('every request says by name which credential it showed, in a form as in a header', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 200 });
  const hops: Hop[] = [];
  const session = clientFor(t).repository(registry.host, 'team/app', {
    credentials: async () => ALICE,
    observe: (hop) => hops.push(hop),
  });
  await resolveReference(session, { tag: 'v1' }, 'app:v1', signal);
  // The first is the try of TLS on this machine.
  assert.deepEqual(
    hops.slice(1).map(({ method, status, credential }) => [method, status, credential]),
    [
      ['HEAD', 401, undefined],
      ['POST', 200, ALICE.name],
      ['HEAD', 200, ALICE.name],
    ],
  );
});

for (const postStatus of [400, 401, 404, 405]) {
  test(`17.9 POST answered ${postStatus} is followed by GET with Basic`, async (t) => {
    const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus });
    await resolve(clientFor(t), registry, ALICE);
    assert.deepEqual(seen(registry), [
      'HEAD manifest 401',
      `POST token ${postStatus}`,
      'GET token 200',
      'HEAD manifest 200',
    ]);
    assert.match(registry.requests[2]?.headers.authorization ?? '', /^Basic /);
  });
}

test('17.9 POST answered 405 is final when there is no user name', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 405 });
  await assert.rejects(resolve(clientFor(t), registry, { name: 'id', identityToken: 'refresh' }), {
    message: `failed to authorize: failed to fetch oauth token: unexpected status from POST request to ${registry.origin}/token: 405 Method Not Allowed`,
  });
});

test('17.9 POST answered 500 is final', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 500 });
  await assert.rejects(resolve(clientFor(t), registry, ALICE), { code: 'SERVER_ERROR' });
  assert.equal(registry.count('GET', /token/), 0);
});

test('17.12 a refused credential and a refused anonymous token are told apart', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS });
  const url = `${registry.origin}/token?scope=repository%3Ateam%2Fapp%3Apull&service=test`;
  await assert.rejects(resolve(clientFor(t), registry, WRONG), {
    code: 'UNAUTHORIZED',
    message: `failed to authorize: failed to fetch oauth token: unexpected status from GET request to ${url}: 401 Unauthorized`,
  });
  registry.fault('GET', /token/, { kind: 'status', status: 401 });
  await assert.rejects(resolve(clientFor(t), registry), {
    code: 'UNAUTHORIZED',
    message: `failed to authorize: failed to fetch anonymous token: unexpected status from GET request to ${url}: 401 Unauthorized`,
  });
});

test("17.12 a token that does not cover the repository is refused with the server's word", async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS });
  await assert.rejects(resolve(clientFor(t), registry), {
    code: 'UNAUTHORIZED',
    message:
      'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
  });
});

test('17.9 an answer without a token says so', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS });
  registry.fault('GET', /token/, { kind: 'status', status: 200, body: '{"expires_in": 60}' });
  await assert.rejects(resolve(clientFor(t), registry), {
    message:
      'failed to authorize: failed to fetch anonymous token: authorization server did not include a token in the response',
  });
});

for (const [what, body] of Object.entries({
  'a web page': '<html>',
  'a list': '[]',
  'a number': '7',
  nothing: '',
})) {
  test(`17.9 a token service that answers with ${what} is an error, not a crash`, async (t) => {
    const registry = await serve(t, { kind: 'bearer', users: USERS });
    registry.fault('GET', /token/, { kind: 'status', status: 200, body });
    await assert.rejects(resolve(clientFor(t), registry), { code: 'BAD_RESPONSE' });
  });
}

test('17.9 a held token is used until shortly before its end, then renewed', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 200, tokenSeconds: 100 });
  let now = 1_000_000;
  registry.now = () => now;
  const client = clientFor(t, () => now);
  await resolve(client, registry, ALICE);
  now += 80_000;
  await resolve(client, registry, ALICE);
  assert.equal(registry.count('POST', /token/), 1);
  now += 6_000;
  await resolve(client, registry, ALICE);
  assert.equal(registry.count('POST', /token/), 2);
});

test('17.9 a token is never used for another credential', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: { ...USERS, bob: 'b' }, postStatus: 200 });
  const client = clientFor(t);
  await resolve(client, registry, ALICE);
  await assert.rejects(resolve(client, registry, WRONG), { code: 'UNAUTHORIZED' });
  await assert.rejects(resolve(client, registry), { code: 'UNAUTHORIZED' });
});

test('17.9 callers who need the same token ask for it once', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 200 });
  const client = clientFor(t);
  await Promise.all([1, 2, 3, 4].map(() => resolve(client, registry, ALICE)));
  assert.equal(registry.count('POST', /token/), 1);
});

test('17.4 a token that ended on the way is renewed once', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS, postStatus: 200 });
  const client = clientFor(t);
  await resolve(client, registry, ALICE);
  registry.expireTokens();
  registry.requests.length = 0;
  await resolve(client, registry, ALICE);
  assert.deepEqual(seen(registry), ['HEAD manifest 401', 'POST token 200', 'HEAD manifest 200']);
});

test('17.11 a refused password is not sent twice', async (t) => {
  const registry = await serve(t, { kind: 'basic', users: USERS });
  await assert.rejects(resolve(clientFor(t), registry, WRONG), (error: unknown) => {
    assert.ok(error instanceof RemoteError);
    assert.equal(error.code, 'UNAUTHORIZED');
    assert.equal(
      error.message,
      `unexpected status from HEAD request to ${registry.origin}/v2/team/app/manifests/v1: 401 Unauthorized`,
    );
    return true;
  });
  assert.equal(registry.requests.filter((each) => each.headers.authorization !== undefined).length, 1);
});

test('17.11 an identity token alone is no Basic credential', async (t) => {
  const registry = await serve(t, { kind: 'basic', users: USERS });
  await assert.rejects(resolve(clientFor(t), registry, { name: 'id', identityToken: 'refresh' }), {
    message: /authorization failed: no basic auth credentials$/,
  });
});

test('a registry token is presented as it is, and a refused one is not exchanged', async (t) => {
  const registry = await serve(t, { kind: 'bearer', users: USERS });
  await assert.rejects(resolve(clientFor(t), registry, { name: 'jwt', registryToken: 'abc' }), {
    message: /server message: invalid_token: authorization failed$/,
  });
  assert.deepEqual(
    registry.requests.map((each) => each.headers.authorization),
    [undefined, 'Bearer abc'],
  );
});

test('17.15 a token service elsewhere gets no credential, and the error says that it was withheld', async (t) => {
  const elsewhere: string[] = [];
  const registry = await FaultRegistry.start({
    auth: { kind: 'bearer', users: USERS, realm: 'https://192.0.2.1/token' },
  });
  t.after(() => registry.close());
  registry.putImage('team/app', 'v1', []);
  const client = createRemoteClient({
    hosts: createHostResolver({ roots: [] }),
    // Nothing listens there: what would have been sent is seen in the observer.
    environment: { HTTPS_PROXY: 'http://127.0.0.1:9' },
  });
  t.after(() => client.close());
  const session = client.repository(registry.host, 'team/app', {
    credentials: async () => ALICE,
    observe: (hop) => elsewhere.push(`${hop.method} ${hop.host} ${hop.credential ?? 'nobody'}`),
  });
  await assert.rejects(resolveReference(session, { tag: 'v1' }, 'n', signal), {
    message: new RegExp(
      `failed to fetch anonymous token: .*\\(the credential was withheld: the token service is outside the domain of registry "${registry.host}"\\)$`,
      's',
    ),
  });
  assert.ok(elsewhere.includes('GET 192.0.2.1 nobody'), elsewhere.join());
  assert.ok(!elsewhere.some((hop) => hop.startsWith('POST')));
});

test('17.15 a token service elsewhere that hosts.toml names is shown the credential, over TLS alone', async (t) => {
  for (const [realm, named, shown] of [
    ['https://192.0.2.1/token', '192.0.2.1', true],
    ['https://192.0.2.1:8443/token', '192.0.2.1:8443', true],
    ['https://192.0.2.1:8443/token', '192.0.2.1', false],
    ['http://192.0.2.1/token', '192.0.2.1', false],
    ['https://192.0.2.2/token', '192.0.2.1', false],
  ] as const) {
    const seen: string[] = [];
    const registry = await FaultRegistry.start({ auth: { kind: 'bearer', users: USERS, realm } });
    t.after(() => registry.close());
    registry.putImage('team/app', 'v1', []);
    const root = await mkdtemp(join(tmpdir(), 'drayage-hosts-'));
    t.after(() => rm(root, { recursive: true, force: true }));
    await mkdir(join(root, registry.host));
    await writeFile(join(root, registry.host, 'hosts.toml'), `token_services = ["${named}"]\n`);
    const proxy = 'http://127.0.0.1:9';
    const client = createRemoteClient({
      hosts: createHostResolver({ roots: [root] }),
      // Nothing listens there: what would have been sent is seen in the observer.
      environment: { HTTPS_PROXY: proxy, HTTP_PROXY: proxy },
      clock: { now: Date.now, sleep: async () => {} },
    });
    t.after(() => client.close());
    const session = client.repository(registry.host, 'team/app', {
      credentials: async () => ALICE,
      observe: (hop) => seen.push(`${hop.method} ${hop.credential ?? 'nobody'}`),
    });
    await assert.rejects(resolveReference(session, { tag: 'v1' }, 'n', signal));
    assert.equal(seen.includes(`POST ${ALICE.name}`), shown, `${realm} ${named}: ${seen.join()}`);
  }
});

for (const [name, header, message] of [
  ['an unknown scheme', 'Negotiate', /unexpected status from HEAD request to .*: 401 Unauthorized$/],
  ['no challenge', undefined, /unexpected status from HEAD request to .*: 401 Unauthorized$/],
  ['a challenge without realm', 'Bearer service="x"', /^no realm specified for token auth challenge$/],
  [
    'a realm that is no address',
    'Bearer realm="::"',
    /^invalid token auth challenge realm: it is not a URL$/,
  ],
] as const) {
  test(`17.9 401 with ${name} ends clearly`, async (t) => {
    const registry = await serve(t, undefined);
    const headers = header === undefined ? undefined : { 'www-authenticate': header };
    registry.fault(
      'HEAD',
      /./,
      { kind: 'status', status: 401, ...(headers === undefined ? {} : { headers }) },
      9,
    );
    await assert.rejects(resolve(clientFor(t), registry, ALICE), { message });
  });
}
