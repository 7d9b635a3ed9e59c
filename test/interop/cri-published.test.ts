import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  credentials,
  loadPackageDefinition,
  type Client,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';
import { serveCri } from '../../src/cri/serve-cri.ts';
import { silentLogger } from '../../src/observe/logger.ts';
import { LocalImageService } from '../../src/pull/local-image-service.ts';
import { FaultRegistry } from '../support/fault-registry.ts';
import { publishedCri, type PublishedCri } from '../support/published-cri.ts';
import { layerOf, pullNode } from '../support/pull-node.ts';

/* The socket, driven by a client generated from CRI's own definition, and our copy of the definition held against it. */

const published = publishedCri();
const skip = typeof published === 'string' ? published : false;
const cri = (): PublishedCri => {
  if (typeof published === 'string') throw new Error(published);
  return published;
};

type Answer = Readonly<Record<string, unknown>>;
type Ask = (method: string, request?: object) => Promise<Answer>;

async function connect(
  t: TestContext,
  version: keyof PublishedCri,
): Promise<{ images: Ask; runtime: Ask; image: string; id: string }> {
  const registry = await FaultRegistry.start({ auth: { kind: 'basic', users: { u: 'p' } } });
  t.after(() => registry.close());
  const node = await pullNode(t);
  const directory = await mkdtemp(join(tmpdir(), 'dray-published-'));
  const socketPath = join(directory, 'cri.sock');
  const server = await serveCri({
    socketPath,
    imageService: new LocalImageService({ images: node.images, puller: node.puller, root: node.root }),
    describeImage: (image) => Promise.resolve({ described: image.id }),
    version: { runtimeName: 'drayage', runtimeVersion: '0.1.0' },
    logger: silentLogger,
  });
  t.after(async () => {
    await server.close();
    await rm(directory, { recursive: true });
  });
  const services = loadPackageDefinition(cri()[version]) as unknown as {
    runtime: Record<string, Record<string, ServiceClientConstructor>>;
  };
  const client = (name: string): Ask => {
    const Service = services.runtime[version]?.[name];
    assert.ok(Service !== undefined);
    const made = new Service(`unix:${socketPath}`, credentials.createInsecure()) as Client &
      Record<string, (request: object, done: (error: Error | null, answer: Answer) => void) => void>;
    t.after(() => made.close());
    return (method, request = {}) =>
      new Promise((resolve, reject) => {
        made[method]?.(request, (error, answer) => (error === null ? resolve(answer) : reject(error)));
      });
  };
  const { config } = registry.putImage('test/app', 'v1', [layerOf('one', 2000)]);
  return {
    images: client('ImageService'),
    runtime: client('RuntimeService'),
    image: `${registry.host}/test/app:v1`,
    id: config.digest,
  };
}

describe('CRI as Kubernetes publishes it', { skip }, () => {
  for (const version of ['v1', 'v1alpha2'] as const) {
    // What is read from a compiled definition has no word for maps: they are lists of their entries, as on the wire.
    test(`12.1 to 12.8 a client generated from ${version} pulls, finds, lists and removes an image`, async (t) => {
      const { images, image, id } = await connect(t, version);
      const spec = { image: { image, annotations: [{ key: 'team', value: 'a' }] } };
      assert.deepEqual(await images('ListImages'), {});
      assert.deepEqual(await images('ImageStatus', { ...spec, verbose: true }), {});
      const auth = { username: 'u', password: 'p' };
      const sandbox_config = { metadata: { name: 'p', uid: '1', namespace: 'default' } };
      assert.deepEqual(await images('PullImage', { ...spec, auth, sandbox_config }), { image_ref: id });
      const { image: found, info } = await images('ImageStatus', { ...spec, verbose: true });
      const { size, repo_digests: digests, ...rest } = found as Answer;
      assert.deepEqual(rest, { id, repo_tags: [image], username: '', pinned: false });
      assert.match(String(digests), /^127\.0\.0\.1:\d+\/test\/app@sha256:[0-9a-f]{64}$/);
      assert.ok(Number(size) > 2000);
      assert.deepEqual(info, [{ key: 'info', value: JSON.stringify({ described: id }) }]);
      assert.deepEqual(await images('ListImages', { filter: spec }), { images: [found] });
      const [filesystem] = (await images('ImageFsInfo'))['image_filesystems'] as {
        fs_id: Answer;
        used_bytes: Answer;
      }[];
      assert.match(String(filesystem?.fs_id['mountpoint']), /^\//);
      assert.ok(Number(filesystem?.used_bytes['value']) > 0);
      assert.deepEqual(await images('RemoveImage', spec), {});
      assert.deepEqual(await images('RemoveImage', spec), {});
      assert.deepEqual(await images('ListImages'), {});
    });

    test(`12.8 12.19 a client generated from ${version} is told why a pull fails`, async (t) => {
      const { images, image } = await connect(t, version);
      await assert.rejects(
        images('PullImage', { image: { image }, auth: { username: 'u', password: 'no' } }),
        {
          code: 2,
          details: new RegExp(`^failed to pull and unpack image "${image}": failed to resolve reference `),
        },
      );
      const missing = image.replace(':v1', ':v2');
      await assert.rejects(
        images('PullImage', { image: { image: missing }, auth: { username: 'u', password: 'p' } }),
        { code: 5, details: /: not found$/ },
      );
    });

    test(`a client generated from ${version} learns which version it speaks, and that Pods are not run for it`, async (t) => {
      const { runtime } = await connect(t, version);
      assert.deepEqual(await runtime('Version', { version }), {
        version: '0.1.0',
        runtime_name: 'drayage',
        runtime_version: '0.1.0',
        runtime_api_version: version,
      });
      await assert.rejects(runtime('ListPodSandbox'), { code: 12 });
    });
  }

  test('our copy of the definition gives every service, field and value the name, number and type that it has there', () => {
    const file = fileURLToPath(new URL('../../src/cri/cri-v1.proto', import.meta.url));
    const ours = loadSync(file, { keepCase: true });
    const checked: string[] = [];
    const newer: string[] = [];
    for (const [name, definition] of Object.entries(ours)) {
      const theirs = cri().v1[name];
      if (theirs === undefined) newer.push(name);
      else checked.push(...compared(name, definition, theirs, newer));
    }
    assert.ok(checked.length > 200, `only ${checked.length} are the same`);
    // A newer containerd has more of them, and nothing else may be missing there.
    assert.deepEqual(
      newer.filter((name) => !NEWER.includes(name)),
      [],
    );
  });
});

/** Added to CRI after the version that Debian's containerd carries. */
const NEWER = [
  'runtime.v1.Container.image_id',
  'runtime.v1.ContainerStatus.image_id',
  'runtime.v1.ImageFsInfoResponse.container_filesystems',
  'runtime.v1.ImageService.StreamImages',
  'runtime.v1.ImageSpec.image_ref',
  'runtime.v1.ImageSpec.runtime_handler',
  'runtime.v1.ImageSpec.user_specified_image',
  'runtime.v1.Mount.image',
  'runtime.v1.Mount.image_sub_path',
  'runtime.v1.StreamImagesRequest',
  'runtime.v1.StreamImagesResponse',
];

/** Compares what both have and returns its names; what only ours has goes to `newer`. */
function compared(
  name: string,
  ours: PackageDefinition[string],
  theirs: PackageDefinition[string],
  newer: string[],
): string[] {
  const our = partsOf(ours);
  const their = partsOf(theirs);
  const same: string[] = [];
  for (const [part, value] of our) {
    const there = their.get(part);
    if (there === undefined) newer.push(`${name}.${part}`);
    else {
      assert.deepEqual(value, there, `${name}.${part}`);
      same.push(`${name}.${part}`);
    }
  }
  return same;
}

interface Described {
  readonly field?: readonly { name: string; number: number; label: string; type: string; typeName: string }[];
  readonly value?: readonly { name: string; number: number }[];
}

/** Returns the fields of a message, the values of an enumeration or the methods of a service, by name. */
function partsOf(definition: PackageDefinition[string]): Map<string, unknown> {
  if (!('format' in definition)) {
    return new Map(
      Object.entries(definition).map(([method, { path, requestStream, responseStream }]) => [
        method,
        { path, requestStream, responseStream },
      ]),
    );
  }
  const described = definition.type as Described;
  const parts = new Map<string, unknown>();
  for (const { name, number, label, type, typeName } of described.field ?? []) {
    // The type of a map's entries has a name that every compiler makes up as it likes.
    const named = typeName
      .split('.')
      .at(-1)
      ?.replace(/Entry$/, '')
      .replaceAll('_', '')
      .toLowerCase();
    parts.set(name, { number, label, type, named });
  }
  for (const { name, number } of described.value ?? []) parts.set(name, { number });
  return parts;
}
