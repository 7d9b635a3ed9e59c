import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FaultRegistry } from '../../test/support/fault-registry.ts';
import { pullNode } from '../../test/support/pull-node.ts';
import { tarOf, type TarOfEntry } from '../../test/support/tar-of.ts';
import { collect } from '../images/collect.ts';
import { digestOf } from '../oci/digest.ts';
import { Puller } from './pull-image.ts';

const signal = AbortSignal.timeout(60_000);

function layer(...entries: readonly TarOfEntry[]): { bytes: Buffer; diffId: string } {
  const tar = tarOf(...entries);
  return { bytes: gzipSync(tar), diffId: digestOf(tar) };
}

async function serve(t: TestContext, ...layers: { bytes: Buffer; diffId: string }[]): Promise<string> {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  registry.putImage('app', 'v1', layers);
  return `${registry.host}/app:v1`;
}

test('a collection between unpacking and the record takes nothing of the image', async (t) => {
  const reference = await serve(t, layer('a'), layer('b'));
  const { layerStore, ...node } = await pullNode(t, { unpacks: true });
  assert.ok(layerStore !== undefined);
  const swept: string[] = [];
  const puller = new Puller({
    ...node,
    platform: { os: 'linux', architecture: 'amd64' },
    unpacker: {
      isUnpacked: (diffId) => layerStore.isUnpacked(diffId),
      unpack: (descriptor, diffId, stop) => layerStore.unpack(descriptor, diffId, stop),
      openSink: (descriptor, diffId) => layerStore.openSink(descriptor, diffId),
      stack: async (diffIds, stop) => {
        const steps = await collect({ ...node, layers: layerStore }, {}, stop);
        swept.push(...steps.flatMap((step) => step.removed));
        return layerStore.stack(diffIds, stop);
      },
    },
  });
  const { imageId } = await puller.pull({ reference, signal });
  assert.deepEqual(swept, []);
  const image = await node.images.find(imageId);
  assert.equal((await layerStore.stack(image?.diffIds ?? [], signal)).length, 2);
});

test('a hard link to a file that no layer has fails the pull, and the image gets no name', async (t) => {
  const dangling: TarOfEntry = { type: 'link', path: 'link', linkPath: 'nowhere' };
  const reference = await serve(t, layer('a'), layer(dangling));
  const { puller, images } = await pullNode(t, { unpacks: true });
  await assert.rejects(puller.pull({ reference, signal }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'UNPACK');
    assert.match(error.message, /failed to extract layers: .*nowhere/);
    return true;
  });
  assert.deepEqual(await images.names(), []);
});

test('a hard link to a file of a lower layer is fitted by the end of the pull', async (t) => {
  const link: TarOfEntry = { type: 'link', path: 'link', linkPath: 'a' };
  const reference = await serve(t, layer('a'), layer(link));
  const { puller, images, layerStore } = await pullNode(t, { unpacks: true });
  const { imageId } = await puller.pull({ reference, signal });
  const diffIds = (await images.find(imageId))?.diffIds ?? [];
  const [, top] = (await layerStore?.stack(diffIds, signal)) ?? [];
  assert.match(top?.layer.directory ?? '', /variants/);
});
