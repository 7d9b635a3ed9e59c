import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../test/support/pull-node.ts';
import { silentLogger } from '../observe/logger.ts';
import { PullError } from '../pull/pull-error.ts';
import { LocalImageService } from '../pull/local-image-service.ts';
import type { ImageService } from '../pull/image-service.ts';
import { endpointTarget } from './cri-connection.ts';
import { criImageService, type CriImageService } from './cri-image-service.ts';
import { serveCri } from './serve-cri.ts';

const signal = AbortSignal.timeout(60_000);
let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dray-cri-client-'));
});
after(() => rm(directory, { recursive: true, force: true }));

let sockets = 0;

async function connected(
  t: TestContext,
  imageService: Partial<ImageService>,
  timeoutMs?: number,
): Promise<CriImageService> {
  const nothing: ImageService = {
    listImages: () => Promise.resolve([]),
    imageStatus: () => Promise.resolve(undefined),
    pullImage: () => Promise.resolve(''),
    removeImage: () => Promise.resolve(),
    imageFsInfo: () => Promise.resolve({ imageFilesystems: [], containerFilesystems: [] }),
  };
  const server = await serveCri({
    socketPath: join(directory, `${++sockets}.sock`),
    imageService: { ...nothing, ...imageService },
    version: { runtimeName: 'drayage', runtimeVersion: '0.1.0' },
    logger: silentLogger,
  });
  t.after(() => server.close());
  const client = await criImageService(server.endpoint, signal, timeoutMs);
  t.after(() => client.close());
  return client;
}

test('through the socket an image service answers as it does without', async (t) => {
  const registry = await FaultRegistry.start({});
  t.after(() => registry.close());
  registry.putImage('test/app', 'v1', [layerOf('one', 2000)]);
  const node = await pullNode(t);
  const local = new LocalImageService({ images: node.images, puller: node.puller, root: node.root });
  const remote = await connected(t, {
    listImages: (filter, each) => local.listImages(filter, each),
    imageStatus: (spec, each) => local.imageStatus(spec, each),
    pullImage: (spec, auth, each) => local.pullImage(spec, auth, each),
    removeImage: (spec, each) => local.removeImage(spec, each),
    imageFsInfo: (each) => local.imageFsInfo(each),
  });
  const spec = { image: `${registry.host}/test/app:v1` };
  const id = await remote.pullImage(spec, undefined, signal);
  assert.equal((await local.imageStatus(spec, signal))?.id, id);
  assert.deepEqual(await remote.imageStatus(spec, signal), await local.imageStatus(spec, signal));
  assert.deepEqual(await remote.listImages(undefined, signal), await local.listImages(undefined, signal));
  const [info] = (await remote.imageFsInfo(signal)).imageFilesystems;
  assert.equal(info?.mountpoint, node.root);
  assert.equal(typeof info?.timestamp, 'bigint');
  await remote.removeImage(spec, signal);
  assert.equal(await remote.imageStatus(spec, signal), undefined);
});

test('3.2 12.2 all that is said of an image and of a credential arrives', async (t) => {
  const asked: unknown[] = [];
  const client = await connected(t, {
    imageStatus: (spec) => Promise.resolve(void asked.push(spec)),
    pullImage: (...[spec, auth]) => {
      asked.push(spec, auth);
      return Promise.resolve('sha256:a');
    },
  });
  const spec = {
    image: 'r.example/a:1',
    annotations: { team: 'a' },
    userSpecifiedImage: 'a',
    runtimeHandler: 'kata',
    imageRef: 'sha256:a',
  };
  const auth = {
    username: 'u',
    password: 'p',
    auth: 'dTpw',
    serverAddress: 'r.example',
    identityToken: 'i',
    registryToken: 'r',
  };
  await client.imageStatus(spec, signal);
  await client.pullImage(spec, auth, signal);
  assert.deepEqual(asked, [spec, spec, auth]);
});

test('a user that is a number and one that is a name arrive as such', async (t) => {
  const base = { repoTags: [], repoDigests: [], size: 5, pinned: true };
  const images = [
    { ...base, id: 'sha256:a', uid: 0 },
    { ...base, id: 'sha256:b', username: 'alice' },
    { ...base, id: 'sha256:c' },
  ];
  const client = await connected(t, { listImages: () => Promise.resolve(images) });
  assert.deepEqual(await client.listImages(undefined, signal), images);
});

test('12.7 an image without ID or size and a pull that names nothing are not believed', async (t) => {
  const hollow = { id: 'sha256:a', repoTags: [], repoDigests: [], size: 0, pinned: false };
  const client = await connected(t, { imageStatus: () => Promise.resolve(hollow) });
  await assert.rejects(client.imageStatus({ image: 'x:1' }, signal), {
    code: 'BAD_ANSWER',
    message: 'Id or size of image "x:1" is not set',
  });
  await assert.rejects(client.pullImage({ image: 'x:1' }, undefined, signal), {
    message: 'imageRef of image "x:1" is not set',
  });
});

for (const [name, thrown, message] of [
  ['Unknown', new Error('RegistryUnavailable: it is away'), 'RegistryUnavailable: it is away'],
  [
    'NotFound',
    new PullError('NOT_FOUND', 'x:1: not found'),
    'rpc error: code = NotFound desc = x:1: not found',
  ],
  [
    'FailedPrecondition',
    new PullError('DIGEST_MISMATCH', 'it differs: failed precondition'),
    'rpc error: code = FailedPrecondition desc = it differs: failed precondition',
  ],
] as const) {
  test(`12.8 a pull that fails with ${name} says ${JSON.stringify(message)}`, async (t) => {
    const client = await connected(t, { pullImage: () => Promise.reject(thrown) });
    await assert.rejects(client.pullImage({ image: 'x:1' }, undefined, signal), (error) => {
      assert.ok(error instanceof PullError);
      assert.equal(error.message, message);
      return true;
    });
  });
}

test('12.8 other calls keep the wrapping whatever the code', async (t) => {
  const client = await connected(t, { listImages: () => Promise.reject(new Error('broken')) });
  await assert.rejects(client.listImages(undefined, signal), {
    code: 'FAILED',
    message: 'rpc error: code = Unknown desc = broken',
  });
});

test('12.9 every call has a time limit but the pull', async (t) => {
  const never = (each: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      each.addEventListener('abort', () => reject(new Error('ended')));
    });
  const release = Promise.withResolvers<string>();
  const client = await connected(
    t,
    { listImages: (_filter, each) => never(each), pullImage: () => release.promise },
    200,
  );
  const pull = client.pullImage({ image: 'x:1' }, undefined, signal);
  await assert.rejects(client.listImages(undefined, signal), {
    status: 'DeadlineExceeded',
    retryable: true,
  });
  release.resolve('sha256:late');
  assert.equal(await pull, 'sha256:late');
});

test('a pull that is ended here is ended there', async (t) => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const client = await connected(t, {
    pullImage: (_spec, _auth, each) =>
      new Promise((_resolve, reject) => {
        each.addEventListener('abort', () => {
          aborted.resolve();
          reject(new Error('ended'));
        });
        started.resolve();
      }),
  });
  const ending = new AbortController();
  const pull = client.pullImage({ image: 'x:1' }, undefined, ending.signal);
  await started.promise;
  ending.abort();
  await assert.rejects(pull, { code: 'CANCELED' });
  await aborted.promise;
});

test('12.9 an endpoint where nobody answers is refused in the kubelet’s words', async () => {
  const endpoint = `unix://${join(directory, 'nobody.sock')}`;
  await assert.rejects(criImageService(endpoint, signal), (error: Error) => {
    assert.ok(
      error.message.startsWith(
        `validate CRI v1 image API for endpoint "${endpoint}": rpc error: code = Unavailable desc = `,
      ),
      error.message,
    );
    return true;
  });
});

test('an endpoint is a path of a unix socket, with the scheme or without', () => {
  assert.equal(endpointTarget('unix:///run/a.sock'), 'unix:/run/a.sock');
  assert.equal(endpointTarget('/run/a.sock'), 'unix:/run/a.sock');
  for (const bad of ['', 'run/a.sock', 'unix://a.sock', 'tcp://127.0.0.1:1', 'http://x'])
    assert.throws(() => endpointTarget(bad), { code: 'BAD_ENDPOINT' }, bad);
});
