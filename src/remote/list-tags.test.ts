import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { pushImage, serveRegistry } from '../../test/support/serve-registry.ts';
import { createHostResolver } from './hosts/create-host-resolver.ts';
import { listTags } from './list-tags.ts';
import { createRemoteClient } from './remote-client.ts';
import { RemoteError } from './remote-error.ts';

async function list(t: TestContext, host: string, repository: string): Promise<readonly string[]> {
  const remote = createRemoteClient({ hosts: createHostResolver({ roots: [] }) });
  t.after(() => remote.close());
  return listTags(remote.repository(host, repository), t.signal);
}

async function answering(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('all tags of a repository are listed', async (t) => {
  const served = await serveRegistry(t);
  for (const tag of ['2.0', '1.0', 'latest']) await pushImage(served, 'team/app', tag);
  assert.deepEqual([...(await list(t, served.host, 'team/app'))].sort(), ['1.0', '2.0', 'latest']);
  await assert.rejects(list(t, served.host, 'team/absent'), RemoteError);
});

test('pages are followed on the same host, never to another, and not without end', async (t) => {
  const asked: string[] = [];
  const host = await answering(t, (request, response) => {
    const url = request.url ?? '';
    asked.push(url);
    const page = Number(/page=(\d+)/.exec(url)?.[1] ?? 0);
    const next = url.includes('/away/')
      ? 'http://elsewhere.example/v2/x'
      : `/v2/team/app/tags/list?page=${page + 1}`;
    response.setHeader('link', `<${next}>; rel="next"`);
    response.end(JSON.stringify({ tags: [`t${page}`, 7] }));
  });
  const found = await list(t, host, 'team/app');
  assert.deepEqual(found.slice(0, 3), ['t0', 't1', 't2']);
  assert.equal(found.length, 10);
  assert.deepEqual(await list(t, host, 'away/app'), ['t0']);
});

const BROKEN: readonly { name: string; body: string; says: string | readonly string[] }[] = [
  { name: 'no JSON', body: '<html>', says: 'Cannot read the list of tags: the answer is no JSON' },
  { name: 'no list', body: '{"tags":null}', says: [] },
  { name: 'null', body: 'null', says: [] },
];
for (const { name, body, says } of BROKEN) {
  test(`an answer that is ${name} gives ${typeof says === 'string' ? 'an error' : 'no tags'}`, async (t) => {
    const host = await answering(t, (_request, response) => response.end(body));
    if (typeof says === 'string') await assert.rejects(list(t, host, 'team/app'), { message: says });
    else assert.deepEqual(await list(t, host, 'team/app'), says);
  });
}
