import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import {
  credentials,
  loadPackageDefinition,
  type Client,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { FaultRegistry, type FaultRegistryOptions } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../test/support/pull-node.ts';
import { silentLogger } from '../observe/logger.ts';
import { LocalImageService } from '../pull/local-image-service.ts';
import type { ImageService } from '../pull/image-service.ts';
import { serveCri, type CriServer } from './serve-cri.ts';

/* The socket, driven by a client that shares nothing with the server: its own definition, written down from the protocol's. */

const DEFINITION = (version: string): string => `
syntax = "proto3";
package runtime.${version};
service ImageService {
  rpc ListImages(L) returns (LR);
  rpc StreamImages(L) returns (stream LR);
  rpc ImageStatus(S) returns (SR);
  rpc PullImage(P) returns (PR);
  rpc RemoveImage(R) returns (E);
  rpc ImageFsInfo(E) returns (FR);
}
service RuntimeService { rpc Version(V) returns (VR); }
message E {}
message V { string version = 1; }
message VR { string version = 1; string name = 2; string release = 3; string api = 4; }
message Spec { string image = 1; map<string, string> annotations = 2; string user_specified = 18; }
message N { int64 value = 1; }
message Image {
  string id = 1; repeated string tags = 2; repeated string digests = 3; uint64 size = 4;
  N uid = 5; string username = 6; bool pinned = 8;
}
message F { Spec image = 1; }
message L { F filter = 1; }
message LR { repeated Image images = 1; }
message S { Spec image = 1; bool verbose = 2; }
message SR { Image image = 1; map<string, string> info = 2; }
message Auth {
  string username = 1; string password = 2; string auth = 3; string server_address = 4;
  string identity_token = 5; string registry_token = 6;
}
message P { Spec image = 1; Auth auth = 2; }
message PR { string ref = 1; }
message R { Spec image = 1; }
message Id { string mountpoint = 1; }
message U { uint64 value = 1; }
message Usage { int64 timestamp = 1; Id fs = 2; U bytes = 3; U inodes = 4; }
message FR { repeated Usage images = 1; repeated Usage containers = 2; }
`;

interface WireError {
  readonly code: number;
  readonly details: string;
}

type Answer = Readonly<Record<string, unknown>>;
type Call = (request: object, done: (error: WireError | null, answer: Answer) => void) => unknown;

/** A client by name of method. */
class TestClient {
  readonly #client: Client & Record<string, Call>;

  constructor(client: Client) {
    this.#client = client as Client & Record<string, Call>;
  }

  call(method: string, request: object = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#client[method]?.(request, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(Object.assign(new Error(error.details), { code: error.code, details: error.details }));
      });
    });
  }

  async stream(method: string, request: object = {}): Promise<Answer[]> {
    const open = this.#client[method] as unknown as (request: object) => AsyncIterable<Answer>;
    const all: Answer[] = [];
    for await (const each of open.call(this.#client, request)) all.push(each);
    return all;
  }

  /** Starts a call and hangs up when `started` settles. */
  cancel(method: string, request: object, started: Promise<unknown>): Promise<WireError | null> {
    return new Promise((resolve, reject) => {
      const call = this.#client[method]?.(request, (error) => resolve(error)) as { cancel(): void };
      started.then(() => call.cancel(), reject);
    });
  }

  close(): void {
    this.#client.close();
  }
}

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dray-cri-'));
});
after(() => rm(directory, { recursive: true, force: true }));

let sockets = 0;

async function connect(
  t: TestContext,
  service: string,
  socketPath: string,
  version = 'v1',
): Promise<TestClient> {
  const file = join(directory, `client-${version}.proto`);
  await writeFile(file, DEFINITION(version));
  const loaded = loadPackageDefinition(loadSync(file, { longs: Number, keepCase: true })) as unknown as {
    runtime: Record<string, Record<string, ServiceClientConstructor>>;
  };
  const Constructor = loaded.runtime[version]?.[service];
  assert.ok(Constructor !== undefined);
  const client = new TestClient(new Constructor(`unix:${socketPath}`, credentials.createInsecure()));
  t.after(() => client.close());
  return client;
}

async function serve(
  t: TestContext,
  imageService: ImageService,
): Promise<{ server: CriServer; path: string }> {
  const path = join(directory, `${++sockets}.sock`);
  const server = await serveCri({
    socketPath: path,
    imageService,
    describeImage: (image) => Promise.resolve({ described: image.id }),
    version: { runtimeName: 'drayage', runtimeVersion: '0.1.0' },
    logger: silentLogger,
  });
  t.after(() => server.close());
  return { server, path };
}

async function bench(
  t: TestContext,
  options: FaultRegistryOptions & { pinnedImages?: readonly string[] } = {},
): Promise<{ client: TestClient; registry: FaultRegistry; path: string; image: string; id: string }> {
  const registry = await FaultRegistry.start(options);
  t.after(() => registry.close());
  const node = await pullNode(t);
  const { pinnedImages } = options;
  const { path } = await serve(
    t,
    new LocalImageService({
      images: node.images,
      puller: node.puller,
      root: node.root,
      ...(pinnedImages === undefined ? {} : { pinnedImages }),
    }),
  );
  const { config } = registry.putImage('test/app', 'v1', [layerOf('one', 2000)]);
  const client = await connect(t, 'ImageService', path);
  return { client, registry, path, image: `${registry.host}/test/app:v1`, id: config.digest };
}

test('12.1 12.5 an image that was pulled is listed, streamed and found under the reference that the pull gave', async (t) => {
  const { client, image, id, registry } = await bench(t);
  assert.deepEqual(await client.call('PullImage', { image: { image } }), { ref: id });
  const [listed] = (await client.call('ListImages'))['images'] as Answer[];
  assert.equal(listed?.['id'], id);
  assert.deepEqual(listed?.['tags'], [image]);
  const digests = (listed?.['digests'] ?? []) as string[];
  assert.match(String(digests[0]), /^127\.0\.0\.1:\d+\/test\/app@sha256:[0-9a-f]{64}$/);
  assert.ok(Number(listed?.['size']) > 2000);
  assert.deepEqual(
    (await client.stream('StreamImages')).flatMap((chunk) => chunk['images']),
    [listed],
  );
  for (const name of [image, id, id.slice(7, 19), digests[0]]) {
    assert.deepEqual((await client.call('ImageStatus', { image: { image: name } }))['image'], listed, name);
  }
  assert.ok(registry.requests.length > 0);
});

test('12.16 a filter on the list changes nothing', async (t) => {
  const { client, image } = await bench(t);
  await client.call('PullImage', { image: { image } });
  const filtered = await client.call('ListImages', { filter: { image: { image: 'elsewhere.example/x:1' } } });
  assert.equal((filtered['images'] as Answer[]).length, 1);
});

test('12.3 12.4 what is not there is an answer without an image, and removing it is no error', async (t) => {
  const { client, image, id, registry } = await bench(t);
  assert.deepEqual(await client.call('ImageStatus', { image: { image } }), {});
  assert.deepEqual(await client.call('ImageStatus', {}), {});
  assert.deepEqual(await client.call('RemoveImage', { image: { image } }), {});
  registry.putImage('test/app', 'v2', [layerOf('one', 2000)]);
  const other = image.replace(':v1', ':v2');
  await client.call('PullImage', { image: { image } });
  await client.call('PullImage', { image: { image: other } });
  const status = (await client.call('ImageStatus', { image: { image: id } }))['image'] as Answer;
  assert.deepEqual((status['tags'] as string[]).toSorted(), [image, other]);
  await client.call('RemoveImage', { image: { image: other } });
  assert.deepEqual(await client.call('ImageStatus', { image: { image } }), {}, 'all names are gone');
});

test('12.6 12.17 a pinned image says so and is removed all the same when asked', async (t) => {
  const registry = await FaultRegistry.start({});
  t.after(() => registry.close());
  const image = `${registry.host}/test/app:v1`;
  const node = await pullNode(t);
  const service = new LocalImageService({
    images: node.images,
    puller: node.puller,
    root: node.root,
    pinnedImages: [image],
  });
  const { path } = await serve(t, service);
  registry.putImage('test/app', 'v1', [layerOf('one', 2000)]);
  const client = await connect(t, 'ImageService', path);
  await client.call('PullImage', { image: { image } });
  assert.equal(((await client.call('ImageStatus', { image: { image } }))['image'] as Answer)['pinned'], true);
  await client.call('RemoveImage', { image: { image } });
  assert.deepEqual(await client.call('ImageStatus', { image: { image } }), {});
});

test('a verbose status tells more under "info", another nothing', async (t) => {
  const { client, image, id } = await bench(t);
  await client.call('PullImage', { image: { image } });
  const verbose = await client.call('ImageStatus', { image: { image }, verbose: true });
  assert.deepEqual(JSON.parse((verbose['info'] as Record<string, string>)['info'] ?? ''), { described: id });
  assert.equal((await client.call('ImageStatus', { image: { image } }))['info'], undefined);
});

test('12.16 the state of the file systems has a mount point and numbers', async (t) => {
  const { client } = await bench(t);
  const info = await client.call('ImageFsInfo');
  const [first] = info['images'] as { timestamp: number; fs: Answer; bytes: Answer; inodes: Answer }[];
  assert.match(String(first?.fs['mountpoint']), /^\//);
  assert.ok(Number(first?.bytes['value']) > 0);
  assert.ok(Number(first?.timestamp) > 1e18, 'nanoseconds');
  assert.equal((info['containers'] as unknown[]).length, 1);
});

const USER = { username: 'u', password: 'p' };
const BASIC = Buffer.from('u:p').toString('base64');
const UNKNOWN = 2;
const AUTH_FORMS: readonly { name: string; auth: (host: string) => object | undefined; pulls: boolean }[] = [
  { name: 'user name and password', auth: () => USER, pulls: true },
  { name: 'the two joined in base64', auth: () => ({ auth: BASIC }), pulls: true },
  {
    name: 'the registry’s address with a scheme',
    auth: (host) => ({ ...USER, server_address: `http://${host}` }),
    pulls: true,
  },
  {
    name: 'the address of another registry',
    auth: () => ({ ...USER, server_address: 'https://other.example' }),
    pulls: false,
  },
  {
    name: 'an address without a scheme, which names no host',
    auth: (host) => ({ ...USER, server_address: host }),
    pulls: false,
  },
  { name: 'a registry token, which is not supported', auth: () => ({ registry_token: 'p' }), pulls: false },
  {
    name: 'an identity token, which basic authentication has no use for',
    auth: () => ({ identity_token: 'p' }),
    pulls: false,
  },
  { name: 'a joined form that is no base64', auth: () => ({ auth: '***' }), pulls: false },
  { name: 'an empty credential', auth: () => ({}), pulls: false },
  { name: 'user name first, joined form second', auth: () => ({ ...USER, auth: 'AAAA' }), pulls: true },
  { name: 'a wrong password', auth: () => ({ ...USER, password: 'wrong' }), pulls: false },
  { name: 'nothing', auth: () => undefined, pulls: false },
];

for (const { name, auth, pulls } of AUTH_FORMS) {
  test(`12.19 a credential as ${name} ${pulls ? 'opens' : 'does not open'} the registry`, async (t) => {
    const { client, image, registry, id } = await bench(t, { auth: { kind: 'basic', users: { u: 'p' } } });
    const call = client.call('PullImage', { image: { image }, auth: auth(registry.host) });
    if (pulls) assert.deepEqual(await call, { ref: id });
    else {
      await assert.rejects(call, (error: WireError) => {
        assert.equal(error.code, UNKNOWN);
        assert.match(error.details, /^failed to pull and unpack image "[^"]+": failed to resolve reference /);
        assert.doesNotMatch(error.details, /\bwrong\b|\bAAAA\b/, 'no secret is told');
        return true;
      });
    }
  });
}

test('12.19 a registry that asks for nobody never sees a credential that cannot be read', async (t) => {
  const { client, image, id } = await bench(t);
  assert.deepEqual(await client.call('PullImage', { image: { image }, auth: { auth: '***' } }), { ref: id });
});

test('12.8 errors travel with their code and without a second wrapping', async (t) => {
  const { client, registry } = await bench(t);
  const missing = `${registry.host}/test/app:none`;
  await assert.rejects(client.call('PullImage', { image: { image: missing } }), {
    code: 5,
    details: `failed to pull and unpack image "${missing}": failed to resolve reference "${missing}": ${missing}: not found`,
  });
  await assert.rejects(client.call('PullImage', { image: { image: 'UPPER/Case' } }), { code: UNKNOWN });
  await assert.rejects(client.call('PullImage', {}), { code: UNKNOWN });
});

test('a client that hangs up ends its pull', async (t) => {
  const started = Promise.withResolvers<unknown>();
  const aborted = Promise.withResolvers<unknown>();
  const waiting: ImageService = {
    ...nothingThere(),
    pullImage: (_spec, _auth, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve(signal.reason);
          reject(new Error('ended'));
        });
        started.resolve(undefined);
      }),
  };
  const { path } = await serve(t, waiting);
  const client = await connect(t, 'ImageService', path);
  const error = await client.cancel('PullImage', { image: { image: 'x' } }, started.promise);
  assert.equal(error?.code, 1);
  assert.equal(((await aborted.promise) as Error).name, 'AbortError');
});

test('12.10 a stream of many images comes in parts that do not overlap', async (t) => {
  const many = Array.from({ length: 1201 }, (_, index) => ({
    id: `sha256:${index}`,
    repoTags: [],
    repoDigests: [],
    size: 1,
    pinned: false,
  }));
  const { path } = await serve(t, { ...nothingThere(), listImages: () => Promise.resolve(many) });
  const client = await connect(t, 'ImageService', path);
  const chunks = (await client.stream('StreamImages')).map((chunk) => chunk['images'] as Answer[]);
  assert.ok(chunks.length > 1);
  assert.deepEqual(
    chunks.flat().map((image) => image['id']),
    many.map(({ id }) => id),
  );
});

for (const version of ['v1', 'v1alpha2']) {
  test(`12.1 12.3 12.4 12.8 every unary call of ${version}, from an empty node to an empty node`, async (t) => {
    const { path, image, id, registry } = await bench(t, { auth: { kind: 'basic', users: { u: 'p' } } });
    const client = await connect(t, 'ImageService', path, version);
    const spec = { image: { image, annotations: { team: 'a' }, user_specified: image } };
    assert.deepEqual(await client.call('ListImages'), {});
    assert.deepEqual(await client.call('ImageStatus', { ...spec, verbose: true }), {});
    assert.deepEqual(await client.call('PullImage', { ...spec, auth: { auth: BASIC } }), { ref: id });
    assert.deepEqual(await client.call('PullImage', { ...spec, auth: USER }), { ref: id }, 'once more');
    const { image: status, info } = await client.call('ImageStatus', { ...spec, verbose: true });
    assert.equal((status as Answer)['id'], id);
    assert.ok(info !== undefined);
    assert.deepEqual((await client.call('ListImages', { filter: { image: spec.image } }))['images'], [
      status,
    ]);
    assert.equal(((await client.call('ImageFsInfo'))['images'] as unknown[]).length, 1);
    const missing = `${registry.host}/test/app:none`;
    await assert.rejects(client.call('PullImage', { image: { image: missing }, auth: USER }), { code: 5 });
    for (let again = 0; again < 2; again++) assert.deepEqual(await client.call('RemoveImage', spec), {});
    assert.deepEqual(await client.call('RemoveImage', { image: { image: id } }), {});
    assert.deepEqual(await client.call('ListImages'), {});
  });
}

test('the version before speaks the same messages but has no stream', async (t) => {
  const { path, image, id } = await bench(t);
  const older = await connect(t, 'ImageService', path, 'v1alpha2');
  assert.deepEqual(await older.call('PullImage', { image: { image } }), { ref: id });
  await assert.rejects(older.stream('StreamImages'), { code: 12 });
  const runtime = await connect(t, 'RuntimeService', path, 'v1alpha2');
  assert.equal((await runtime.call('Version'))['api'], 'v1alpha2');
  const current = await connect(t, 'RuntimeService', path);
  assert.deepEqual(await current.call('Version'), {
    version: '0.1.0',
    name: 'drayage',
    release: '0.1.0',
    api: 'v1',
  });
});

test('only the owner may use the socket; one that a killed server left is replaced, another file is not', async (t) => {
  const { path } = await serve(t, nothingThere());
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const options = {
    imageService: nothingThere(),
    version: { runtimeName: 'drayage', runtimeVersion: '0.1.0' },
    logger: silentLogger,
  };
  const next = await serveCri({ ...options, socketPath: path });
  const client = await connect(t, 'ImageService', path);
  assert.ok(await client.call('ImageFsInfo'));
  await next.close();
  await assert.rejects(stat(path), { code: 'ENOENT' });
  const file = join(directory, 'a-file');
  await writeFile(file, 'precious');
  await assert.rejects(serveCri({ ...options, socketPath: file }), { code: 'IN_USE' });
  await assert.rejects(serveCri({ ...options, socketPath: join(directory, 'x'.repeat(120)) }), {
    code: 'BAD_ENDPOINT',
  });
});

test('crictl lists, pulls and removes through the socket', async (t) => {
  const run = promisify(execFile);
  const found = await run('crictl', ['--version']).then(
    () => true,
    () => false,
  );
  if (!found) return t.skip('crictl is not installed');
  const { path, image } = await bench(t);
  const crictl = async (...args: string[]): Promise<string> =>
    (await run('crictl', ['-i', `unix://${path}`, '-r', `unix://${path}`, ...args])).stdout;
  assert.match(await crictl('pull', image), /Image is up to date/);
  assert.match(await crictl('images'), /test\/app\s+v1/);
  await crictl('rmi', image);
  assert.doesNotMatch(await crictl('images'), /test\/app/);
  return undefined;
});

function nothingThere(): ImageService {
  const info = { imageFilesystems: [], containerFilesystems: [] };
  return {
    listImages: () => Promise.resolve([]),
    imageStatus: () => Promise.resolve(undefined),
    pullImage: () => Promise.reject(new Error('nothing can be pulled')),
    removeImage: () => Promise.resolve(),
    imageFsInfo: () => Promise.resolve(info),
  };
}
