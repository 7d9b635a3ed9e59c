import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { hostPlatform } from '../../src/oci/host-platform.ts';
import { containerdBench } from '../support/containerd-bench.ts';
import { FaultRegistry, sha256, TYPES, type Fault } from '../support/fault-registry.ts';
import { pullNode } from '../support/pull-node.ts';
import { tarOf } from '../support/tar-of.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';

/*
 * Pulls that go wrong, by containerd as Debian has it and by Drayage, from one registry: both say the same. Left out is what
 * containerd itself words differently today (statuses that nobody expects, layers that cannot be unpacked).
 */

const skip = skipWithout('containerd', 'runc', 'tar') || skipUnlessRoot();
const PLATFORM = hostPlatform();
const JSON_TYPE = { 'content-type': 'application/json' };

interface Case {
  readonly what: string;
  readonly prepare: (registry: FaultRegistry, repository: string) => void;
}

let made = 0;
function layer(): { bytes: Buffer; diffId: string } {
  const tar = tarOf({ path: `file-${++made}`, content: String(made) });
  return { bytes: gzipSync(tar), diffId: sha256(tar) };
}
const raw =
  (body: unknown, type: string): Case['prepare'] =>
  (registry, repository) =>
    void registry.putManifest(
      repository,
      '1',
      Buffer.isBuffer(body) ? body : Buffer.from(String(body)),
      type,
    );
/** An image of its own whose parts somebody breaks. */
const broken =
  (
    change: (registry: FaultRegistry, parts: { repository: string; layer: string; config: string }) => void,
  ): Case['prepare'] =>
  (registry, repository) => {
    const { layers, config } = registry.putImage(repository, '1', [layer()], PLATFORM, {
      StopSignal: repository,
    });
    change(registry, { repository, layer: layers[0]?.digest ?? '', config: config.digest });
  };
const always = (registry: FaultRegistry, method: string, path: RegExp, fault: Fault): void =>
  registry.fault(method, path, fault, 1000);
const challenged =
  (challenge: string, token?: string): Case['prepare'] =>
  (registry, repository) => {
    const header = challenge.replace('{host}', registry.host);
    const fault: Fault = { kind: 'status', status: 401, headers: { 'www-authenticate': header } };
    always(registry, 'HEAD', new RegExp(`/${repository}/`), fault);
    if (token !== undefined)
      always(registry, 'GET', /token/, { kind: 'status', status: 200, headers: JSON_TYPE, body: token });
  };

const CASES: readonly Case[] = [
  { what: 'a manifest that is not JSON', prepare: raw('{not json', TYPES.manifest) },
  { what: 'a manifest that is a list', prepare: raw('[]', TYPES.manifest) },
  { what: 'a manifest of no bytes', prepare: raw('', TYPES.manifest) },
  {
    what: 'an index typed as a manifest',
    prepare: raw('{"schemaVersion":2,"manifests":[]}', TYPES.manifest),
  },
  { what: 'a manifest typed as an index', prepare: raw('{"schemaVersion":2,"layers":[]}', TYPES.index) },
  { what: 'an index of nothing', prepare: (registry, name) => void registry.putIndex(name, '1', []) },
  { what: 'something of no known type', prepare: raw('{"a":1}', 'application/vnd.example') },
  { what: 'a manifest that is too large', prepare: raw(Buffer.alloc(9_000_000, ' '), TYPES.manifest) },
  {
    what: 'an index whose manifest is gone',
    prepare: (registry, name) => {
      const { manifest } = registry.putImage(name, undefined, [layer()], PLATFORM);
      registry.removeManifest(name, manifest.digest);
      registry.putIndex(name, '1', [manifest]);
    },
  },
  {
    what: 'an index for other machines',
    prepare: (registry, name) =>
      void registry.putIndex(name, '1', [
        registry.putImage(name, undefined, [layer()], { os: 'linux', architecture: 's390x' }).manifest,
      ]),
  },
  {
    what: 'a config that is not JSON',
    prepare: (registry, name) => {
      const config = registry.putBlob(name, Buffer.from('{no'), TYPES.config);
      const layers = [registry.putBlob(name, layer().bytes)];
      registry.putManifest(name, '1', { schemaVersion: 2, config, layers }, TYPES.manifest);
    },
  },
  {
    what: 'more diff IDs than layers',
    prepare: (registry, name) => {
      const { bytes, diffId } = layer();
      const rootfs = { type: 'layers', diff_ids: [diffId, diffId] };
      const document = Buffer.from(JSON.stringify({ ...PLATFORM, rootfs }));
      const config = registry.putBlob(name, document, TYPES.config);
      const layers = [registry.putBlob(name, bytes)];
      registry.putManifest(name, '1', { schemaVersion: 2, config, layers }, TYPES.manifest);
    },
  },
  {
    what: 'an artifact that is no image',
    prepare: (registry, name) => {
      const config = registry.putBlob(name, Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
      const layers = [registry.putBlob(name, layer().bytes, 'application/vnd.example')];
      registry.putManifest(name, '1', { schemaVersion: 2, config, layers }, TYPES.manifest);
    },
  },
  {
    what: 'a layer of a type that nobody unpacks',
    prepare: (registry, name) =>
      void registry.putImage(name, '1', [{ ...layer(), mediaType: 'application/vnd.example' }], PLATFORM),
  },
  {
    what: 'a diff ID that is not that of the layer',
    prepare: (registry, name) =>
      void registry.putImage(name, '1', [{ ...layer(), diffId: sha256(name) }], PLATFORM),
  },
  {
    what: 'a config that is gone',
    prepare: broken((registry, { repository, config }) => registry.removeBlob(repository, config)),
  },
  {
    what: 'a layer that is gone',
    prepare: broken((registry, parts) => registry.removeBlob(parts.repository, parts.layer)),
  },
  {
    what: 'a layer of other bytes',
    prepare: broken((registry, parts) => {
      const bytes = Buffer.alloc(registry.blob(parts.repository, parts.layer)?.length ?? 0, 'x');
      always(registry, 'GET', new RegExp(parts.layer), { kind: 'body', bytes });
    }),
  },
  {
    what: 'a layer that ends too early',
    prepare: broken((registry, parts) =>
      always(registry, 'GET', new RegExp(parts.layer), { kind: 'body', bytes: Buffer.alloc(10, 'x') }),
    ),
  },
  {
    what: 'a config of other bytes',
    prepare: broken((registry, { repository, config }) => {
      const bytes = Buffer.alloc(registry.blob(repository, config)?.length ?? 0, 'x');
      always(registry, 'GET', new RegExp(config), { kind: 'body', bytes });
    }),
  },
  {
    what: 'redirects without end',
    prepare: (registry, name) => {
      const location = `${registry.origin}/v2/${name}/manifests/1`;
      const fault: Fault = { kind: 'status', status: 302, headers: { location } };
      always(registry, 'HEAD', new RegExp(`/${name}/`), fault);
    },
  },
  {
    what: 'a token service that is down',
    prepare: challenged('Bearer realm="http://127.0.0.1:1/t",service="x"'),
  },
  { what: 'a challenge without a realm', prepare: challenged('Bearer service="x"') },
  {
    what: 'a token service with a web page',
    prepare: challenged('Bearer realm="http://{host}/token",service="x"', '<html>'),
  },
  {
    what: 'a token service without a token',
    prepare: challenged('Bearer realm="http://{host}/token",service="x"', '{}'),
  },
];

test('17.12 pulls that go wrong are told in the words of containerd', { skip }, async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  const { images, signal } = await containerdBench(t);
  const { puller } = await pullNode(t, { unpacks: true });
  for (const [index, { what, prepare }] of CASES.entries()) {
    registry.clearFaults();
    const repository = `case-${index}`;
    prepare(registry, repository);
    const image = `${registry.host}/${repository}:1`;
    const theirs = await wordsOf(images.pullImage({ image }, undefined, signal));
    assert.notEqual(theirs, 'pulled', what);
    const ours = await wordsOf(puller.pull({ reference: image, signal }));
    assert.equal(
      ours,
      theirs.replace('snapshotter native', 'snapshotter overlayfs').replace(/: unknown$/, ''),
      what,
    );
  }
});

async function wordsOf(pull: Promise<unknown>): Promise<string> {
  return await pull.then(
    () => 'pulled',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}
