import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { FaultRegistry, TYPES } from '../../test/support/fault-registry.ts';
import type { Digest } from '../oci/digest.ts';
import type { Credential } from './credential.ts';
import type { Hop } from './exchange.ts';
import { createHostResolver } from './hosts/create-host-resolver.ts';
import { createRemoteClient } from './remote-client.ts';
import { RemoteError } from './remote-error.ts';
import { resolveReference } from './resolve.ts';

const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function registry(options: Parameters<typeof FaultRegistry.start>[0] = {}): Promise<FaultRegistry> {
  const started = await FaultRegistry.start(options);
  closing.push(() => started.close());
  return started;
}

function client() {
  const made = createRemoteClient({
    hosts: createHostResolver({ roots: [] }),
    environment: {},
    random: () => 0,
  });
  closing.push(() => made.close());
  return made;
}

const signal = AbortSignal.timeout(30_000);
const ALICE: Credential = { name: 'alice', username: 'alice', password: 'wonder:land' };

test('17.5 a tag is resolved with one HEAD', async () => {
  const server = await registry();
  const { manifest } = server.putImage('app', 'v1', []);
  const session = client().repository(server.host, 'app');
  const resolved = await resolveReference(session, { tag: 'v1' }, `${server.host}/app:v1`, signal);
  assert.equal(resolved.descriptor.digest, manifest.digest);
  assert.equal(resolved.descriptor.mediaType, TYPES.manifest);
  assert.equal(server.requests.length, 1);
  assert.equal(server.requests[0]?.method, 'HEAD');
});

test('17.11 a registry that wants Basic and gets nobody answers as containerd says', async () => {
  const server = await registry({ auth: { kind: 'basic', users: { alice: 'wonder:land' } } });
  server.putImage('priv/nosecret', '1', []);
  const session = client().repository(server.host, 'priv/nosecret');
  await assert.rejects(
    resolveReference(session, { tag: '1' }, `${server.host}/priv/nosecret:1`, signal),
    (error: unknown) =>
      error instanceof RemoteError &&
      error.code === 'UNAUTHORIZED' &&
      error.message ===
        'pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials',
  );
});

test('17.9 a Bearer registry gets a token by POST, then by GET where POST is unknown', async () => {
  const server = await registry({ auth: { kind: 'bearer', users: { alice: 'wonder:land' } } });
  server.putImage('team/app', 'v1', []);
  const hops: Hop[] = [];
  const remote = client();
  const session = remote.repository(server.host, 'team/app', {
    credentials: async () => ALICE,
    observe: (hop) => hops.push(hop),
  });
  await resolveReference(session, { tag: 'v1' }, 'x', signal);
  assert.deepEqual(
    server.requests.map((each) => `${each.method} ${each.path} ${each.status}`),
    [
      'HEAD /v2/team/app/manifests/v1 401',
      'POST /token 404',
      'GET /token 200',
      'HEAD /v2/team/app/manifests/v1 200',
    ],
  );
  assert.equal(server.requests[2]?.query.get('scope'), 'repository:team/app:pull');
  assert.doesNotMatch(JSON.stringify(hops), /wonder/);
  assert.equal(hops.at(-1)?.credential, 'alice');
  const again = remote.repository(server.host, 'team/app', { credentials: async () => ALICE });
  await resolveReference(again, { tag: 'v1' }, 'x', signal);
  assert.equal(server.requests.length, 5, 'a held token saves the challenge');
});

test('a digest that is not there is reported as not found, after asking for a blob', async () => {
  const server = await registry();
  const digest = `sha256:${'a'.repeat(64)}` as Digest;
  const session = client().repository(server.host, 'app');
  await assert.rejects(resolveReference(session, { digest }, `${server.host}/app@${digest}`, signal), {
    code: 'NOT_FOUND',
    message: `${server.host}/app@${digest}: not found`,
  });
  assert.deepEqual(
    server.requests.map((each) => each.path),
    [`/v2/app/manifests/${digest}`, `/v2/app/blobs/${digest}`],
  );
});
