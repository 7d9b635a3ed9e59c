import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  CoreV1Api,
  KubeConfig,
  makeInformer,
  Watch,
  type Informer,
  type V1ConfigMap,
  type V1ConfigMapList,
} from '@kubernetes/client-node';
import { ObjectStore } from '../../src/apiserver/object-store.ts';
import { startTestApi, type TestApi } from '../support/test-api.ts';

const NAMESPACE = 'default';
const PATH = `/api/v1/namespaces/${NAMESPACE}/configmaps`;

/** What an informer told of, in words; `until` waits for so many. */
class Seen {
  readonly words: string[] = [];
  #wake = (): void => {};

  constructor(informer: Informer<V1ConfigMap>) {
    for (const event of ['add', 'update', 'delete'] as const) {
      informer.on(event, ({ metadata, data }) => {
        if (metadata?.labels?.['of'] !== 'informer') return;
        this.words.push(`${event} ${metadata.name ?? ''} ${data?.['v'] ?? ''}`.trim());
        this.#wake();
      });
    }
  }

  async until(count: number): Promise<void> {
    while (this.words.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

describe('somebody else’s client library', () => {
  let server: TestApi;
  let api: CoreV1Api;
  let config: KubeConfig;

  before(async () => {
    server = await startTestApi();
    config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    api = config.makeApiClient(CoreV1Api);
  });

  after(() => server?.close());

  const create = (name: string, v = '1'): Promise<V1ConfigMap> =>
    api.createNamespacedConfigMap({
      namespace: NAMESPACE,
      body: { metadata: { name, labels: { of: 'informer' } }, data: { v } },
    });
  const list = (): Promise<V1ConfigMapList> => api.listNamespacedConfigMap({ namespace: NAMESPACE });
  /** Runs an informer until the work is done; as the library's users do, a broken connection is begun again. */
  const withInformer = async (work: (seen: Seen) => Promise<void>): Promise<void> => {
    const informer = makeInformer<V1ConfigMap>(config, PATH, list);
    const seen = new Seen(informer);
    let isDone = false;
    informer.on('error', () => {
      if (!isDone) void informer.start();
    });
    await informer.start();
    try {
      await work(seen);
    } finally {
      isDone = true;
      await informer.stop();
    }
  };

  test('creates, reads, lists and deletes', async () => {
    await create('one');
    const read = await api.readNamespacedConfigMap({ namespace: NAMESPACE, name: 'one' });
    assert.deepEqual(read.data, { v: '1' });
    assert.ok(read.metadata?.creationTimestamp instanceof Date);
    assert.ok((await list()).items.some((item) => item.metadata?.name === 'one'));
    await api.deleteNamespacedConfigMap({ namespace: NAMESPACE, name: 'one' });
    await assert.rejects(api.readNamespacedConfigMap({ namespace: NAMESPACE, name: 'one' }), { code: 404 });
  });

  test('its informer sees what is added, changed and deleted', async () => {
    await withInformer(async (seen) => {
      await create('watched');
      await seen.until(1);
      await api.replaceNamespacedConfigMap({
        namespace: NAMESPACE,
        name: 'watched',
        body: { metadata: { name: 'watched', labels: { of: 'informer' } }, data: { v: '2' } },
      });
      await seen.until(2);
      await api.deleteNamespacedConfigMap({ namespace: NAMESPACE, name: 'watched' });
      await seen.until(3);
      assert.deepEqual(seen.words, ['add watched 1', 'update watched 2', 'delete watched 2']);
    });
  });

  test('its informer goes on where it was after a break, and lists again where history is gone', async () => {
    await create('kept');
    await create('lost');
    await withInformer(async (seen) => {
      await seen.until(2);
      await server.restart();
      await create('later');
      await seen.until(3);
      await server.restart((path) => {
        const store = new ObjectStore(path);
        const key = { resource: 'configmaps', namespace: NAMESPACE, name: 'lost' };
        const lost = store.get(key);
        assert.ok(lost !== undefined);
        store.delete(key, lost.revision, lost.object);
        store.compact(store.revision);
        store.close();
      });
      await seen.until(4);
      await create('last');
      await seen.until(5);
      const [first, second, ...rest] = seen.words;
      assert.deepEqual(new Set([first, second]), new Set(['add kept 1', 'add lost 1']));
      assert.deepEqual(rest, ['add later 1', 'delete lost 1', 'add last 1']);
    });
  });

  test('a list goes on from its token until the state of its first page is gone', async () => {
    await create('a');
    const first = await api.listNamespacedConfigMap({ namespace: NAMESPACE, limit: 1 });
    const token = first.metadata?._continue ?? '';
    await api.deleteNamespacedConfigMap({ namespace: NAMESPACE, name: 'a' });
    const second = await api.listNamespacedConfigMap({ namespace: NAMESPACE, limit: 1, _continue: token });
    assert.equal(second.metadata?.resourceVersion, first.metadata?.resourceVersion);
    await server.restart((path) => {
      const store = new ObjectStore(path);
      store.compact(store.revision);
      store.close();
    });
    const gone = await api.listNamespacedConfigMap({ namespace: NAMESPACE, _continue: token }).then(
      () => undefined,
      (error: unknown) => error as { code: number; body: string },
    );
    assert.equal(gone?.code, 410);
    const status = JSON.parse(gone.body) as { reason: string; metadata: { continue?: string } };
    assert.equal(status.reason, 'Expired');
    // The token of the refusal goes on with what is there now.
    const rest = await api.listNamespacedConfigMap({
      namespace: NAMESPACE,
      _continue: status.metadata.continue ?? '',
    });
    assert.ok(rest.items.every(({ metadata }) => metadata?.name !== 'a'));
  });

  test('a watch may begin with what is there, and say when that is all', async () => {
    await create('initial');
    const told: string[] = [];
    const query = {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
      labelSelector: 'of=informer',
      timeoutSeconds: 1,
    };
    await new Promise<void>((resolve, reject) => {
      const onEvent = (phase: string, object: V1ConfigMap): void => {
        const isEnd = object.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true';
        told.push(isEnd ? `${phase} end` : `${phase} ${object.metadata?.name ?? ''}`);
      };
      const onEnd = (error: unknown): void => (error === null ? resolve() : reject(error));
      new Watch(config).watch(PATH, query, onEvent, onEnd).catch(reject);
    });
    const end = told.indexOf('BOOKMARK end');
    assert.ok(told.indexOf('ADDED initial') >= 0 && told.indexOf('ADDED initial') < end, told.join());
    assert.deepEqual(
      told.slice(0, end).filter((event) => !event.startsWith('ADDED')),
      [],
    );
  });
});
