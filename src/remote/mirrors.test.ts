import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { makeCertificates } from '../../test/support/certificates.ts';
import { FaultRegistry, TYPES, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';
import { fetchDocument, openBlob } from './fetch-content.ts';
import type { HostCapability, RegistryHost } from './host-config.ts';
import { createHostResolver } from './hosts/create-host-resolver.ts';
import { createRemoteClient, type RemoteClientOptions } from './remote-client.ts';
import { RemoteError } from './remote-error.ts';
import { resolveReference } from './resolve.ts';

const signal = AbortSignal.timeout(60_000);
const NAMESPACE = 'origin.example';
const CLOCK = { now: Date.now, sleep: async (): Promise<void> => {} };

async function serve(t: TestContext, options: FaultRegistryOptions = {}): Promise<FaultRegistry> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  return registry;
}

function hostOf(registry: FaultRegistry | string, change: Partial<RegistryHost> = {}): RegistryHost {
  return {
    host: typeof registry === 'string' ? registry : registry.host,
    scheme: 'http',
    path: '/v2',
    capabilities: new Set<HostCapability>(['pull', 'resolve', 'push', 'referrers']),
    ca: [],
    clientCertificates: [],
    skipVerify: false,
    headers: {},
    mirror: true,
    ...change,
  };
}

function sessionOver(
  t: TestContext,
  hosts: readonly RegistryHost[],
  options: Partial<RemoteClientOptions> & {
    credentials?: Parameters<ReturnType<typeof createRemoteClient>['repository']>[2];
  } = {},
) {
  const { credentials, ...clientOptions } = options;
  const client = createRemoteClient({
    hosts: async () => hosts,
    environment: {},
    clock: CLOCK,
    random: () => 0,
    ...clientOptions,
  });
  t.after(() => client.close());
  return client.repository(NAMESPACE, 'app', credentials);
}

test('16.12 a tag is resolved only where pull and resolve are allowed, a digest where pull is', async (t) => {
  const [pullOnly, both] = [await serve(t), await serve(t)];
  const { manifest } = pullOnly.putImage('app', 'v1', []);
  both.putImage('app', 'v1', []);
  const hosts = [hostOf(pullOnly, { capabilities: new Set(['pull']) }), hostOf(both)];
  await resolveReference(sessionOver(t, hosts), { tag: 'v1' }, 'n', signal);
  assert.deepEqual([pullOnly.requests.length, both.requests.length], [0, 1]);
  await resolveReference(sessionOver(t, hosts), { digest: manifest.digest as Digest }, 'n', signal);
  assert.deepEqual([pullOnly.requests.length, both.requests.length], [1, 1]);
});

test('16.12 content is asked of every host in order, whatever its capabilities', async (t) => {
  const [pushOnly, origin] = [await serve(t), await serve(t)];
  const blob = pushOnly.putBlob('app', Buffer.from('layer'));
  const session = sessionOver(t, [hostOf(pushOnly, { capabilities: new Set(['push']) }), hostOf(origin)]);
  const { body, host } = await openBlob(session, blob as Descriptor, {}, signal);
  body.destroy();
  assert.equal(host, pushOnly.host);
});

test('16.13 a mirror is told which registry is meant, on manifests and blobs; the registry itself is not', async (t) => {
  const [mirror, origin] = [await serve(t), await serve(t)];
  const image = origin.putImage('app', 'v1', []);
  const session = sessionOver(t, [hostOf(mirror), hostOf(origin, { mirror: false })]);
  await resolveReference(session, { tag: 'v1' }, 'n', signal);
  const { body } = await openBlob(session, image.config as Descriptor, {}, signal);
  body.destroy();
  assert.deepEqual(
    mirror.requests.map((each) => each.query.get('ns')),
    [NAMESPACE, NAMESPACE],
  );
  assert.deepEqual(
    origin.requests.map((each) => each.query.get('ns')),
    [null, null],
  );
});

test('16.14 on this machine https is tried first and plain http serves where there is no TLS', async (t) => {
  const certificates = await makeCertificates(t);
  for (const options of [{}, { tls: certificates.server }]) {
    const registry = await serve(t, options);
    registry.putImage('app', 'v1', []);
    const client = createRemoteClient({ hosts: createHostResolver({ roots: [] }), environment: {} });
    t.after(() => client.close());
    const session = client.repository(registry.host, 'app');
    await resolveReference(session, { tag: 'v1' }, 'n', signal);
    assert.equal(registry.requests.length, 1);
  }
});

test('D12 16.10 a registry is trusted by the CA of its directory, and by nothing else', async (t) => {
  const certificates = await makeCertificates(t);
  const registry = await serve(t, { tls: certificates.server });
  registry.putImage('app', 'v1', []);
  const trusting = sessionOver(t, [hostOf(registry, { scheme: 'https', ca: [certificates.ca] })]);
  await resolveReference(trusting, { tag: 'v1' }, 'n', signal);
  const wary = sessionOver(t, [hostOf(registry, { scheme: 'https' })]);
  await assert.rejects(resolveReference(wary, { tag: 'v1' }, 'n', signal), {
    code: 'TLS',
    message: `failed to do request: Head "https://${registry.host}/v2/app/manifests/v1?ns=${NAMESPACE}": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
  });
});

test('16.8 a client certificate is shown to its host, and skip_verify trusts any server', async (t) => {
  const certificates = await makeCertificates(t);
  const registry = await serve(t, { tls: { ...certificates.server, ca: certificates.ca } });
  registry.putImage('app', 'v1', []);
  const known = hostOf(registry, {
    scheme: 'https',
    skipVerify: true,
    clientCertificates: [certificates.client],
  });
  await resolveReference(sessionOver(t, [known]), { tag: 'v1' }, 'n', signal);
  await assert.rejects(
    resolveReference(sessionOver(t, [{ ...known, clientCertificates: [] }]), { tag: 'v1' }, 'n', signal),
    RemoteError,
  );
});

test('16.8 a certificate for another name is refused, and the error says for which it is', async (t) => {
  const certificates = await makeCertificates(t, ['registry.example']);
  const registry = await serve(t, { tls: certificates.server });
  const session = sessionOver(t, [hostOf(registry, { scheme: 'https', ca: [certificates.ca] })]);
  await assert.rejects(resolveReference(session, { tag: 'v1' }, 'n', signal), {
    code: 'TLS',
    message: /x509: cannot validate certificate for 127\.0\.0\.1 because it doesn't contain any IP SANs$/,
  });
});

test('17.12 a registry without TLS is named as such when https was asked for', async (t) => {
  const plain = createServer().listen(0, '127.0.0.1');
  t.after(() => plain.close());
  await new Promise((resolve) => plain.once('listening', resolve));
  const host = `127.0.0.1:${(plain.address() as AddressInfo).port}`;
  const session = sessionOver(t, [hostOf(host, { scheme: 'https', mirror: false })]);
  await assert.rejects(resolveReference(session, { tag: 'v1' }, 'n', signal), {
    message: `failed to do request: Head "https://${host}/v2/app/manifests/v1": http: server gave HTTP response to HTTPS client`,
  });
});

type Mood = 'gone' | 'missing' | 'forbidden' | 'failing' | 'huge' | 'private' | 'fine';
const RANKS: readonly { hosts: readonly Mood[]; reported: Mood; code: string }[] = [
  { hosts: ['gone', 'missing'], reported: 'missing', code: 'NOT_FOUND' },
  { hosts: ['missing', 'gone'], reported: 'missing', code: 'NOT_FOUND' },
  { hosts: ['missing', 'forbidden'], reported: 'forbidden', code: 'DENIED' },
  { hosts: ['forbidden', 'missing', 'gone'], reported: 'forbidden', code: 'DENIED' },
  { hosts: ['forbidden', 'failing'], reported: 'forbidden', code: 'DENIED' },
  { hosts: ['failing', 'forbidden'], reported: 'failing', code: 'SERVER_ERROR' },
  { hosts: ['failing', 'huge', 'missing'], reported: 'huge', code: 'TOO_LARGE' },
  { hosts: ['gone', 'private'], reported: 'gone', code: 'UNREACHABLE' },
  { hosts: ['private', 'gone'], reported: 'private', code: 'UNAUTHORIZED' },
];
for (const { hosts: moods, reported, code } of RANKS) {
  test(`16.16 of hosts that are ${moods.join(', ')}, "${reported}" is reported and all answers are kept`, async (t) => {
    const hosts = await Promise.all(moods.map((mood) => moody(t, mood)));
    await assert.rejects(
      resolveReference(sessionOver(t, hosts), { tag: 'v1' }, 'n', signal),
      (error: unknown) => {
        assert.ok(error instanceof RemoteError);
        assert.equal(error.code, code);
        assert.equal(error.answers.length, moods.length);
        assert.equal(error.answers[moods.indexOf(reported)]?.answer, error.message);
        return true;
      },
    );
  });
}

for (const mood of ['gone', 'missing', 'forbidden', 'failing', 'huge', 'private'] as const) {
  test(`16.16 a mirror that is ${mood} gives way to the next host`, async (t) => {
    const hosts = [await moody(t, mood), await moody(t, 'fine')];
    const resolved = await resolveReference(sessionOver(t, hosts), { tag: 'v1' }, 'n', signal);
    assert.equal(resolved.host, hosts[1]?.host);
  });
}

async function moody(t: TestContext, mood: Mood): Promise<RegistryHost> {
  const registry = await serve(
    t,
    mood === 'private' ? { auth: { kind: 'basic', users: { nobody: 'else' } } } : {},
  );
  if (mood !== 'missing') registry.putImage('app', 'v1', []);
  const always = Number.POSITIVE_INFINITY;
  if (mood === 'forbidden') {
    registry.fault('HEAD', /./, { kind: 'status', status: 403 }, always);
    registry.fault('GET', /./, { kind: 'status', status: 403 }, always);
  }
  if (mood === 'failing') registry.fault('HEAD', /./, { kind: 'status', status: 500 }, always);
  if (mood === 'huge')
    registry.fault(
      'HEAD',
      /./,
      {
        kind: 'status',
        status: 200,
        headers: { 'content-length': '9999999', 'docker-content-digest': `sha256:${'0'.repeat(64)}` },
      },
      always,
    );
  const host = registry.host;
  if (mood === 'gone') await registry.close();
  return hostOf(host);
}

test('16.16 mirrors that disagree about content: the one with the wrong bytes is passed over', async (t) => {
  const [liar, honest] = [await serve(t), await serve(t)];
  const manifest = honest.putManifest('app', undefined, { schemaVersion: 2 }, TYPES.manifest);
  const lie = Buffer.alloc(manifest.size, 'x');
  liar.fault('GET', /manifests/, { kind: 'body', bytes: lie });
  const session = sessionOver(t, [hostOf(liar), hostOf(honest)]);
  const bytes = await fetchDocument(session, manifest as Descriptor, 1_000_000, signal);
  assert.equal(bytes.toString(), '{"schemaVersion":2}');
});

test('16.19 requests name the program, unless a header of the host says otherwise', async (t) => {
  const [plain, dressed] = [await serve(t), await serve(t)];
  for (const registry of [plain, dressed]) registry.putImage('app', 'v1', []);
  await resolveReference(sessionOver(t, [hostOf(plain)]), { tag: 'v1' }, 'n', signal);
  const headers = { 'user-agent': ['site/1'], 'x-site': ['a', 'b'] };
  await resolveReference(sessionOver(t, [hostOf(dressed, { headers })]), { tag: 'v1' }, 'n', signal);
  assert.match(plain.requests[0]?.headers['user-agent'] ?? '', /^drayage\/\d/);
  assert.equal(dressed.requests[0]?.headers['user-agent'], 'site/1');
  assert.equal(dressed.requests[0]?.headers['x-site'], 'a, b');
});

test('16.19 a proxy of the environment carries requests', async (t) => {
  const seen: string[] = [];
  const proxy = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  t.after(() => proxy.close());
  await new Promise((resolve) => proxy.once('listening', resolve));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const session = sessionOver(t, [hostOf('origin.example', { mirror: false })], {
    environment: { HTTP_PROXY: address },
  });
  await assert.rejects(resolveReference(session, { tag: 'v1' }, 'n', signal), { code: 'NOT_FOUND' });
  assert.deepEqual(seen, ['http://origin.example/v2/app/manifests/v1']);
});

const SECRET = { name: 'origin credential', username: 'u', password: 'p' };
const forOrigin = async (host: string) => (host === NAMESPACE ? SECRET : undefined);

test('16.20 a mirror never sees the credential of the registry it stands for', async (t) => {
  const mirror = await serve(t, { auth: { kind: 'basic', users: { u: 'p' } } });
  const origin = await serve(t, { auth: { kind: 'basic', users: { u: 'p' } } });
  origin.putImage('app', 'v1', []);
  const hosts = [hostOf(mirror), hostOf(origin, { mirror: false })];
  const session = sessionOver(t, hosts, { credentials: { credentials: forOrigin } });
  assert.equal((await resolveReference(session, { tag: 'v1' }, 'n', signal)).host, origin.host);
  assert.deepEqual(
    mirror.requests.map((each) => each.headers.authorization),
    [undefined],
  );
});

for (const how of ['in its table', 'for the whole client'] as const) {
  test(`16.20 a mirror sees the credential when that is allowed ${how}`, async (t) => {
    const mirror = await serve(t, { auth: { kind: 'basic', users: { u: 'p' } } });
    mirror.putImage('app', 'v1', []);
    const table = how === 'in its table';
    const session = sessionOver(t, [hostOf(mirror, table ? { forwardCredentials: true } : {})], {
      credentials: { credentials: forOrigin },
      forwardCredentialsToMirrors: !table,
    });
    assert.equal((await resolveReference(session, { tag: 'v1' }, 'n', signal)).host, mirror.host);
  });
}

test("16.20 a mirror's own credential is used for the mirror", async (t) => {
  const mirror = await serve(t, { auth: { kind: 'basic', users: { m: 'mp' } } });
  mirror.putImage('app', 'v1', []);
  const session = sessionOver(t, [hostOf(mirror)], {
    credentials: {
      credentials: async (host) =>
        host === mirror.host ? { name: 'mirror credential', username: 'm', password: 'mp' } : SECRET,
    },
  });
  assert.equal((await resolveReference(session, { tag: 'v1' }, 'n', signal)).host, mirror.host);
});

test('17.5 resolving accepts the four manifest types and anything else', async (t) => {
  const registry = await serve(t);
  registry.putImage('app', 'v1', []);
  await resolveReference(sessionOver(t, [hostOf(registry)]), { tag: 'v1' }, 'n', signal);
  assert.deepEqual(registry.requests[0]?.headers.accept?.split(', '), [
    MEDIA_TYPE.dockerManifest,
    MEDIA_TYPE.dockerManifestList,
    MEDIA_TYPE.ociManifest,
    MEDIA_TYPE.ociIndex,
    '*/*',
  ]);
});
