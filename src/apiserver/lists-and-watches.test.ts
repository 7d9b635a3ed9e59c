import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';

let api: TestApi;
let counter = 0;

before(async () => {
  api = await startTestApi();
});
after(() => api.close());

interface Frame {
  type: string;
  object: {
    kind: string;
    metadata: { name?: string; resourceVersion: string; annotations?: Record<string, string> };
    [key: string]: unknown;
  };
}

/** Opens a watch and returns its frames one by one; `close` ends it. */
async function watch(
  path: string,
  accept = 'application/json',
): Promise<{ next(): Promise<Frame | undefined>; close(): void }> {
  const pair = await api.certificate('watcher', 'system:masters');
  const sent = request(`${api.server.url}${path}`, {
    agent: false,
    ca: api.pki.ca.cert,
    cert: pair.cert,
    key: pair.key,
    headers: { accept },
  });
  sent.on('error', () => undefined);
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.on('error', () => undefined);
  const lines = createInterface({ input: answer })[Symbol.asyncIterator]();
  return {
    next: async () => {
      const line = await lines.next();
      return line.done === true ? undefined : (JSON.parse(line.value) as Frame);
    },
    close: () => sent.destroy(),
  };
}

async function newNamespace(): Promise<string> {
  const name = `ns${counter++}`;
  await api.send('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  return `/api/v1/namespaces/${name}/configmaps`;
}

const put = (path: string, name: string, labels: Record<string, string> = {}): ReturnType<TestApi['send']> =>
  api.send('POST', path, { body: { metadata: { name, labels }, data: {} } });
const label = (
  path: string,
  name: string,
  labels: Record<string, string | null>,
): ReturnType<TestApi['send']> =>
  api.send('PATCH', `${path}/${name}`, {
    body: { metadata: { labels } },
    contentType: 'application/merge-patch+json',
  });

test('a list is paged: the token carries on from the state of the first page', async () => {
  const path = await newNamespace();
  for (const name of ['a', 'b', 'c', 'd', 'e']) await put(path, name);
  interface List {
    metadata: { continue?: string; remainingItemCount?: number; resourceVersion: string };
    items: { kind?: string; metadata: { name: string } }[];
  }
  const first = (await api.send('GET', `${path}?limit=2`)).json<List>();
  assert.equal(first.metadata.remainingItemCount, 3);
  assert.equal(first.items[0]?.kind, undefined, 'items of a list carry no kind');
  await api.send('DELETE', `${path}/c`);
  await put(path, 'bb');
  const token = first.metadata.continue ?? '';
  const second = (await api.send('GET', `${path}?limit=2&continue=${token}`)).json<List>();
  const third = (
    await api.send('GET', `${path}?limit=2&continue=${second.metadata.continue ?? ''}`)
  ).json<List>();
  assert.deepEqual(
    [...first.items, ...second.items, ...third.items].map((item) => item.metadata.name),
    ['a', 'b', 'c', 'd', 'e'],
  );
  assert.equal(third.metadata.continue, undefined);
  assert.equal(third.metadata.resourceVersion, first.metadata.resourceVersion);
});

test('a page of a version that is named shows that version, and no later one', async () => {
  const { metadata } = (await api.send('GET', '/api/v1/namespaces/default/configmaps')).json<{
    metadata: { resourceVersion: string };
  }>();
  await api.send('POST', '/api/v1/namespaces/default/configmaps', {
    body: { metadata: { name: 'a-later' } },
  });
  const namesAt = async (query: string): Promise<[string, boolean]> => {
    const { text } = await api.send('GET', `/api/v1/namespaces/default/configmaps?${query}`);
    const list = JSON.parse(text) as {
      metadata: { resourceVersion: string };
      items: { metadata: { name: string } }[];
    };
    return [list.metadata.resourceVersion, list.items.some((item) => item.metadata.name === 'a-later')];
  };
  const version = metadata.resourceVersion;
  assert.deepEqual(await namesAt(`resourceVersion=${version}&limit=500`), [version, false]);
  // Without pages, and where it is said, what is newer will do.
  assert.equal((await namesAt(`resourceVersion=${version}`))[1], true);
  const newer = `resourceVersion=${version}&limit=500&resourceVersionMatch=NotOlderThan`;
  assert.equal((await namesAt(newer))[1], true);
  assert.equal((await namesAt('resourceVersion=0&limit=500'))[1], true);
});

test('a list with a selector pages over what it leaves out and counts nothing', async () => {
  const path = await newNamespace();
  for (let i = 0; i < 9; i++) await put(path, `c${i}`, { odd: String(i % 2) });
  const list = (await api.send('GET', `${path}?limit=2&labelSelector=odd%3D1`)).json<{
    metadata: { continue?: string; remainingItemCount?: number };
    items: { metadata: { name: string } }[];
  }>();
  assert.deepEqual(
    list.items.map((item) => item.metadata.name),
    ['c1', 'c3'],
  );
  assert.equal(list.metadata.remainingItemCount, undefined);
  assert.ok(list.metadata.continue);
});

test('an object that leaves a selection is deleted to its watcher, and added when it comes back', async () => {
  const path = await newNamespace();
  const stream = await watch(`${path}?watch=1&labelSelector=w%3D1&allowWatchBookmarks=true`);
  const bookmark = await stream.next();
  assert.equal(bookmark?.type, 'BOOKMARK');
  assert.equal(bookmark?.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
  await put(path, 'w', { w: '1' });
  await label(path, 'w', { w: '2' });
  await label(path, 'w', { w: '1' });
  await api.send('DELETE', `${path}/w`);
  const types: string[] = [];
  const versions: number[] = [];
  for (let i = 0; i < 4; i++) {
    const frame = await stream.next();
    types.push(frame?.type ?? 'END');
    versions.push(Number(frame?.object.metadata.resourceVersion));
  }
  assert.deepEqual(types, ['ADDED', 'DELETED', 'ADDED', 'DELETED']);
  assert.deepEqual(
    [...versions].sort((a, b) => a - b),
    versions,
  );
  stream.close();
});

test('a watch from a resourceVersion replays what came after it, without a gap to live changes', async () => {
  const path = await newNamespace();
  const first = (await put(path, 'a')).json<{ metadata: { resourceVersion: string } }>();
  await put(path, 'b');
  const stream = await watch(`${path}?watch=1&resourceVersion=${first.metadata.resourceVersion}`);
  await put(path, 'c');
  assert.equal((await stream.next())?.object.metadata.name, 'b');
  assert.equal((await stream.next())?.object.metadata.name, 'c');
  stream.close();
});

test('the older path of a watch watches too: all objects, or the one that is named', async () => {
  const path = await newNamespace();
  for (const name of ['a', 'b']) await put(path, name);
  const old = path.replace('/api/v1/', '/api/v1/watch/');
  for (const [watched, expected] of [
    [old, ['a', 'b']],
    [`${old}/b`, ['b']],
  ] as const) {
    const stream = await watch(watched);
    for (const name of expected) assert.equal((await stream.next())?.object.metadata.name, name);
    stream.close();
  }
  const refused = await api.send('DELETE', old);
  assert.deepEqual(
    [refused.code, refused.json().message],
    [405, 'the server does not allow this method on the requested resource'],
  );
});

test('a watch is not written in YAML', async () => {
  const path = await newNamespace();
  const answer = await api.send('GET', `${path}?watch=1`, { accept: 'application/yaml, application/json' });
  assert.equal(answer.code, 406);
  const told = /only the following media types are accepted: application\/json;stream=watch\W/;
  assert.match(answer.text, told);
});

test('a watch ends by itself after timeoutSeconds', async () => {
  const path = await newNamespace();
  const stream = await watch(`${path}?watch=1&timeoutSeconds=1`);
  assert.equal(await stream.next(), undefined);
});

test('a watch as Table sends the columns once', async () => {
  const path = await newNamespace();
  const stream = await watch(
    `${path}?watch=1`,
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  );
  await put(path, 'a');
  await put(path, 'b');
  const [first, second] = [await stream.next(), await stream.next()];
  assert.equal(first?.object.kind, 'Table');
  assert.ok(Array.isArray(first?.object['columnDefinitions']));
  const columns = second?.object['columnDefinitions'];
  assert.ok(columns === undefined || columns === null || (Array.isArray(columns) && columns.length === 0));
  stream.close();
});

test('a restart keeps objects, numbers and the possibility to watch on', async () => {
  const path = await newNamespace();
  const kept = (await put(path, 'kept')).json<{ metadata: { resourceVersion: string; uid: string } }>();
  await put(path, 'later');
  await api.restart();
  const again = (await api.send('GET', `${path}/kept`)).json<typeof kept>();
  assert.deepEqual(again, kept);
  const stream = await watch(`${path}?watch=1&resourceVersion=${kept.metadata.resourceVersion}`);
  assert.equal((await stream.next())?.object.metadata.name, 'later');
  stream.close();
});

test('an Event is one object in both of its groups', async () => {
  const path = '/api/v1/namespaces/default/events';
  const body = {
    metadata: { name: 'e1', namespace: 'default' },
    involvedObject: { kind: 'Pod', namespace: 'default', name: 'p', apiVersion: 'v1' },
    reason: 'Pulled',
    message: 'done',
    type: 'Normal',
    count: 2,
    source: { component: 'kubelet' },
  };
  assert.equal((await api.send('POST', path, { body })).code, 201);
  const other = (await api.send('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e1')).json();
  assert.equal(other['apiVersion'], 'events.k8s.io/v1');
  assert.equal(other['note'], 'done');
  assert.equal(other['deprecatedCount'], 2);
  assert.deepEqual((other['regarding'] as { name: string }).name, 'p');
});
