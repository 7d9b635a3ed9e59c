import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { FaultRegistry } from '../support/fault-registry.ts';
import { layerOf, pullNode } from '../support/pull-node.ts';
import { serveRegistry } from '../support/serve-registry.ts';
import { skipWithout } from '../support/tools.ts';
import { pushImage } from '../../src/pull/push-image.ts';
import type { Digest } from '../../src/oci/digest.ts';

/*
 * The registry client against registries that are not its own fake: this program's, and Debian's docker-registry.
 */

const signal = AbortSignal.timeout(120_000);
const LAYERS = [layerOf('base', 400_000), layerOf('top', 5_000)];

const REGISTRIES: readonly {
  name: string;
  skip: string | false;
  start: (t: TestContext) => Promise<string>;
}[] = [
  { name: "this program's registry", skip: false, start: async (t) => (await serveRegistry(t)).host },
  {
    name: "Debian's docker-registry",
    skip: skipWithout('docker-registry'),
    start: (t) => startDockerRegistry(t),
  },
];

for (const { name, skip, start } of REGISTRIES) {
  test(`D10 an image goes into ${name} and comes out of it unpacked on another node`, { skip }, async (t) => {
    const source = await FaultRegistry.start();
    t.after(() => source.close());
    const image = source.putImage('app', undefined, LAYERS);
    source.putIndex('app', 'v1', [image.manifest]);
    const first = await pullNode(t);
    const { target } = await first.puller.pull({ reference: `${source.host}/app:v1`, signal });

    const host = await start(t);
    const reference = `${host}/team/app:v1`;
    await pushImage({ remote: first.remote, content: first.content, reference, target, signal });
    await pushImage({ remote: first.remote, content: first.content, reference, target, signal });

    const second = await pullNode(t, { unpacks: true });
    const pulled = await second.puller.pull({ reference, signal });
    assert.equal(pulled.imageId, image.config.digest);
    assert.equal(pulled.target.digest, target.digest);
    for (const { diffId } of LAYERS)
      assert.equal(await second.layerStore?.isUnpacked(diffId as Digest), true);

    const again = await second.puller.pull({ reference, signal });
    assert.equal(again.fetchedBytes, 0);
    const record = await second.records.read(again.flightId);
    assert.deepEqual(
      record?.hops.map((hop) => hop.method),
      ['HEAD'],
    );
  });

  test(`a tag that ${name} does not have is not found`, { skip }, async (t) => {
    const host = await start(t);
    const node = await pullNode(t);
    await assert.rejects(node.puller.pull({ reference: `${host}/team/app:v9`, signal }), {
      code: 'NOT_FOUND',
      description: `failed to pull and unpack image "${host}/team/app:v9": failed to resolve reference "${host}/team/app:v9": ${host}/team/app:v9: not found`,
    });
  });
}
