import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApi, type RawAnswer, type TestApi } from '../../test/support/test-api.ts';
import { MAX_DRAINED } from './request-body.ts';

/* What a client may send to do harm, or by mistake: each is answered, and the server goes on. */

let api: TestApi;
const MAPS = '/api/v1/namespaces/default/configmaps';

before(async () => {
  api = await startTestApi();
});
after(async () => {
  await api.close();
});

async function map(name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { a: '1' } };
  assert.equal((await api.send('POST', MAPS, { body })).code, 201);
}

function patch(name: string, body: unknown, type: string): Promise<RawAnswer> {
  return api.send('PATCH', `${MAPS}/${name}`, { body, contentType: `application/${type}` });
}

const message = (answer: RawAnswer): string => answer.json<{ message: string }>().message;

test('a body beyond the limit is refused', async () => {
  const body = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'big' },
    data: { a: 'x'.repeat(4 * 1024 * 1024) },
  };
  const answer = await api.send('POST', MAPS, { body });
  assert.equal(answer.code, 413);
  assert.match(message(answer), /limit is 3145728/);
});

test('a body that never seems to end is not waited for', async () => {
  const answer = await api.send('POST', MAPS, { body: Buffer.alloc(MAX_DRAINED + 1) }).catch(() => undefined);
  // Its sender may be cut off before the answer is read.
  assert.ok(answer === undefined || answer.code === 413);
  assert.equal((await api.send('GET', MAPS)).code, 200);
});

test('JSON that nests a hundred thousand levels deep is refused', async () => {
  const deep = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const answer = await api.send('POST', MAPS, { body: Buffer.from(deep) });
  assert.equal(answer.code, 400);
  const yaml = await api.send('POST', MAPS, {
    body: Buffer.from(`a: ${'['.repeat(100_000)}`),
    contentType: 'application/yaml',
  });
  assert.equal(yaml.code, 400);
});

test('YAML that would grow by its aliases is refused', async () => {
  const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let i = 1; i < 12; i++)
    lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(',')}]`);
  const answer = await api.send('POST', MAPS, {
    body: Buffer.from(lines.join('\n')),
    contentType: 'application/yaml',
  });
  assert.equal(answer.code, 400);
});

test('a selector of thousands of requirements is answered, an address beyond the limit refused', async () => {
  const labels = Array.from({ length: 2000 }, (_, i) => `k${i}!=v`).join(',');
  assert.equal((await api.send('GET', `${MAPS}?labelSelector=${encodeURIComponent(labels)}`)).code, 200);
  const broken = await api.send('GET', `${MAPS}?labelSelector=${encodeURIComponent('('.repeat(10_000))}`);
  assert.equal(broken.code, 400);
  assert.equal((await api.send('GET', `${MAPS}?labelSelector=${'a'.repeat(70_000)}`)).code, 400);
});

test('a JSON patch has ten thousand operations at most', async () => {
  await map('many');
  const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/data/a', value: '1' }));
  const answer = await patch('many', operations, 'json-patch+json');
  assert.equal(answer.code, 413);
  assert.match(message(answer), /The allowed maximum operations in a JSON patch is 10000, got 10001/);
});

test('a JSON patch that doubles what is there with each copy is stopped', async () => {
  await map('copies');
  const operations: object[] = [{ op: 'add', path: '/metadata/annotations', value: { x: 'y'.repeat(1000) } }];
  for (let i = 0; i < 40; i++)
    operations.push({ op: 'copy', from: '/metadata/annotations', path: `/metadata/annotations/c${i}` });
  const answer = await patch('copies', operations, 'json-patch+json');
  assert.ok(answer.code === 413 || answer.code === 422 || answer.code === 400, String(answer.code));
  assert.equal((await api.send('GET', `${MAPS}/copies`)).code, 200);
});

test('no patch of any kind reaches a prototype', async () => {
  await map('proto');
  const polluted = '{"data":{"__proto__":"x","constructor":"y"},"__proto__":{"polluted":true}}';
  for (const type of ['merge-patch+json', 'strategic-merge-patch+json'])
    await patch('proto', Buffer.from(polluted), type);
  for (const path of [
    '/__proto__/polluted',
    '/constructor/prototype/polluted',
    '/data/__proto__/polluted',
    '/metadata/__proto__/polluted',
  ]) {
    const answer = await patch('proto', [{ op: 'add', path, value: true }], 'json-patch+json');
    assert.ok(answer.code >= 400 && answer.code < 500, `${path}: ${answer.code}`);
  }
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  assert.equal((await api.send('GET', `${MAPS}/proto`)).code, 200);
});

test('content types that nobody knows are 415', async () => {
  await map('typed');
  assert.equal((await patch('typed', '{}', 'xml')).code, 415);
  const answer = await api.send('POST', MAPS, { body: Buffer.from('<a/>'), contentType: 'application/xml' });
  assert.equal(answer.code, 415);
});
