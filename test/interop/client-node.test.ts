import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  CoreV1Api,
  KubeConfig,
  makeInformer,
  type V1ConfigMap,
  type V1ConfigMapList,
} from '@kubernetes/client-node';
import { makeRoot, removeRoot, startUp, type RunningSystem } from '../support/running-system.ts';

describe('somebody else’s client library', () => {
  const root = makeRoot();
  let system: RunningSystem;
  let api: CoreV1Api;
  let config: KubeConfig;

  before(async () => {
    system = await startUp(root);
    config = new KubeConfig();
    config.loadFromFile(system.kubeconfig);
    api = config.makeApiClient(CoreV1Api);
  });

  after(async () => {
    await system?.stop();
    removeRoot(root);
  });

  test('creates, reads, lists and deletes', async () => {
    await api.createNamespacedConfigMap({
      namespace: 'default',
      body: { metadata: { name: 'one' }, data: { a: '1' } },
    });
    const read = await api.readNamespacedConfigMap({ namespace: 'default', name: 'one' });
    assert.deepEqual(read.data, { a: '1' });
    assert.ok(read.metadata?.creationTimestamp instanceof Date);
    const list = await api.listNamespacedConfigMap({ namespace: 'default' });
    assert.ok(list.items.some((item) => item.metadata?.name === 'one'));
    await api.deleteNamespacedConfigMap({ namespace: 'default', name: 'one' });
    await assert.rejects(api.readNamespacedConfigMap({ namespace: 'default', name: 'one' }), { code: 404 });
  });

  test('its informer sees what is added, changed and deleted', async () => {
    const list = (): Promise<V1ConfigMapList> => api.listNamespacedConfigMap({ namespace: 'default' });
    const informer = makeInformer<V1ConfigMap>(config, '/api/v1/namespaces/default/configmaps', list);
    const seen: string[] = [];
    let wake = (): void => {};
    for (const event of ['add', 'update', 'delete'] as const) {
      informer.on(event, (object) => {
        if (object.metadata?.name !== 'watched') return;
        seen.push(`${event} ${object.data?.['v'] ?? ''}`);
        wake();
      });
    }
    const until = async (count: number): Promise<void> => {
      while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
    };
    await informer.start();
    try {
      await api.createNamespacedConfigMap({
        namespace: 'default',
        body: { metadata: { name: 'watched' }, data: { v: '1' } },
      });
      await until(1);
      await api.replaceNamespacedConfigMap({
        namespace: 'default',
        name: 'watched',
        body: { metadata: { name: 'watched' }, data: { v: '2' } },
      });
      await until(2);
      await api.deleteNamespacedConfigMap({ namespace: 'default', name: 'watched' });
      await until(3);
      assert.deepEqual(seen, ['add 1', 'update 2', 'delete 2']);
    } finally {
      await informer.stop();
    }
  });
});
