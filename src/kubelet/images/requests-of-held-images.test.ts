import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultRegistry } from '../../../test/support/fault-registry.ts';
import { layerOf, pullNode } from '../../../test/support/pull-node.ts';
import { LocalImageService } from '../../pull/local-image-service.ts';
import { openBench, podNamed } from './_manager-fixture.ts';

test('a registry is asked nothing for what is held under IfNotPresent, and one HEAD under Always', async (t) => {
  const registry = await FaultRegistry.start();
  t.after(() => registry.close());
  registry.putImage('app', 'v1', [layerOf('base'), layerOf('top')]);
  const node = await pullNode(t);
  const { images, puller, root } = node;
  const bench = await openBench({}, { imageService: new LocalImageService({ images, puller, root }) });
  t.after(() => bench.close());
  const image = `${registry.host}/app:v1`;
  const asked = async (policy: 'Always' | 'IfNotPresent' | 'Never'): Promise<string[]> => {
    registry.requests.length = 0;
    const { ok } = await bench.ensure(podNamed('p'), image, policy);
    assert.ok(ok, policy);
    return registry.requests.map(({ method, path }) => `${method} ${path}`);
  };
  assert.ok((await asked('IfNotPresent')).length > 3, 'the first time all of it is fetched');
  assert.deepEqual(await asked('IfNotPresent'), []);
  assert.deepEqual(await asked('Never'), []);
  assert.deepEqual(await asked('Always'), ['HEAD /v2/app/manifests/v1']);
  assert.deepEqual(await asked('IfNotPresent'), []);
});
