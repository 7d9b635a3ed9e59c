import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type TestApi } from '../../test/support/test-api.ts';

let api: TestApi;
const PODS = '/api/v1/namespaces/default/pods';
const MAPS = '/api/v1/namespaces/default/configmaps';

interface Meta {
  kind: string;
  status?: string | object;
  metadata: {
    name: string;
    uid: string;
    generation?: number;
    deletionTimestamp?: string;
    deletionGracePeriodSeconds?: number;
    finalizers?: string[];
  };
}

before(async () => {
  api = await startTestApi();
  await api.send('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'default' } },
  });
  await api.send('POST', '/api/v1/nodes', { body: { metadata: { name: 'n1' } } });
});
after(() => api.close());

async function makePod(name: string, spec: object = {}): Promise<void> {
  const body = { metadata: { name }, spec: { containers: [{ name: 'a', image: 'x:1' }], ...spec } };
  const made = await api.send('POST', PODS, { body });
  assert.equal(made.code, 201, made.text);
}

test('a Pod on a node gets time to end, and goes when its node says so', async () => {
  await makePod('graceful', { nodeName: 'n1' });
  const marked = (await api.send('DELETE', `${PODS}/graceful`)).json<Meta>();
  assert.equal(marked.kind, 'Pod');
  assert.equal(marked.metadata.deletionGracePeriodSeconds, 30);
  assert.ok(marked.metadata.deletionTimestamp);
  const again = (await api.send('DELETE', `${PODS}/graceful`)).json<Meta>();
  assert.equal(
    again.metadata.deletionTimestamp,
    marked.metadata.deletionTimestamp,
    'asking again does not prolong',
  );
  const shorter = (await api.send('DELETE', `${PODS}/graceful?gracePeriodSeconds=5`)).json<Meta>();
  assert.equal(shorter.metadata.deletionGracePeriodSeconds, 5);
  assert.equal((await api.send('DELETE', `${PODS}/graceful?gracePeriodSeconds=0`)).code, 200);
  assert.equal((await api.send('GET', `${PODS}/graceful`)).code, 404);
});

test('watchers of a Pod that gets no time are told first that it is to end, then that it has gone', async () => {
  const since = (await api.send('GET', `${PODS}?limit=1`)).json<{ metadata: { resourceVersion: string } }>();
  await makePod('sudden', { nodeName: 'n1', terminationGracePeriodSeconds: 0 });
  await api.send('DELETE', `${PODS}/sudden`);
  const query = `watch=1&timeoutSeconds=1&resourceVersion=${since.metadata.resourceVersion}`;
  const watched = await api.send('GET', `${PODS}?${query}&fieldSelector=metadata.name%3Dsudden`);
  const events = watched.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; object: Meta });
  assert.deepEqual(
    events.map(({ type, object: { metadata } }) => [
      type,
      metadata.generation,
      metadata.deletionGracePeriodSeconds,
    ]),
    [
      ['ADDED', 1, undefined],
      ['MODIFIED', 2, 0],
      ['DELETED', 2, 0],
    ],
  );
});

test('a Pod without a node goes at once', async () => {
  await makePod('unbound');
  assert.equal((await api.send('DELETE', `${PODS}/unbound`)).code, 200);
  assert.equal((await api.send('GET', `${PODS}/unbound`)).code, 404);
});

test('a finished delete of other kinds answers a Status that names the object', async () => {
  const made = (await api.send('POST', MAPS, { body: { metadata: { name: 'plain' } } })).json<Meta>();
  const answer = (await api.send('DELETE', `${MAPS}/plain`)).json<{
    kind: string;
    status: string;
    details: object;
  }>();
  assert.equal(answer.kind, 'Status');
  assert.equal(answer.status, 'Success');
  assert.deepEqual(answer.details, { name: 'plain', kind: 'configmaps', uid: made.metadata.uid });
});

test('finalizers hold an object until the last one is taken away', async () => {
  await api.send('POST', MAPS, { body: { metadata: { name: 'held', finalizers: ['example.com/a'] } } });
  const marked = (await api.send('DELETE', `${MAPS}/held`)).json<Meta>();
  assert.ok(marked.metadata.deletionTimestamp);
  const patch = { body: { metadata: { finalizers: null } }, contentType: 'application/merge-patch+json' };
  assert.equal((await api.send('PATCH', `${MAPS}/held`, patch)).code, 200);
  assert.equal((await api.send('GET', `${MAPS}/held`)).code, 404);
});

test('the propagation policy becomes a finalizer for the collector', async () => {
  for (const [policy, finalizer] of [
    ['Foreground', 'foregroundDeletion'],
    ['Orphan', 'orphan'],
  ] as const) {
    await api.send('POST', MAPS, { body: { metadata: { name: policy.toLowerCase() } } });
    const marked = (
      await api.send('DELETE', `${MAPS}/${policy.toLowerCase()}?propagationPolicy=${policy}`)
    ).json<Meta>();
    assert.deepEqual(marked.metadata.finalizers, [finalizer]);
  }
});

test('preconditions protect another object of the same name', async () => {
  await api.send('POST', MAPS, { body: { metadata: { name: 'pre' } } });
  const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'other' } };
  const answer = await api.send('DELETE', `${MAPS}/pre`, { body });
  assert.equal(answer.code, 409);
  assert.match(answer.text, /the UID in the precondition \(other\) does not match the UID in record/);
});

test('a namespace under deletion refuses new content and waits for its finalizer', async () => {
  await api.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'going' } } });
  const marked = (await api.send('DELETE', '/api/v1/namespaces/going')).json<{ status: { phase: string } }>();
  assert.equal(marked.status.phase, 'Terminating');
  const refused = await api.send('POST', '/api/v1/namespaces/going/configmaps', {
    body: { metadata: { name: 'x' } },
  });
  assert.equal(refused.code, 403);
  assert.match(
    refused.text,
    /unable to create new content in namespace going because it is being terminated/,
  );
  const namespace = (await api.send('GET', '/api/v1/namespaces/going')).json();
  const done = await api.send('PUT', '/api/v1/namespaces/going/finalize', {
    body: { ...namespace, spec: { finalizers: [] } },
  });
  assert.equal(done.code, 200);
  assert.equal((await api.send('GET', '/api/v1/namespaces/going')).code, 404);
});

test('a collection is deleted by selector, and the answer lists what went', async () => {
  for (const name of ['k1', 'k2', 'k3']) {
    await api.send('POST', MAPS, { body: { metadata: { name, labels: { keep: String(name === 'k2') } } } });
  }
  const list = (await api.send('DELETE', `${MAPS}?labelSelector=keep%3Dfalse`)).json<{
    kind: string;
    items: Meta[];
  }>();
  assert.equal(list.kind, 'ConfigMapList');
  assert.deepEqual(
    list.items.map((item) => item.metadata.name),
    ['k1', 'k3'],
  );
  assert.equal((await api.send('GET', `${MAPS}/k2`)).code, 200);
});
