import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { PolicyInput } from '../../src/registry/policy.ts';
import { pushImage, serveRegistry, sha256, type ServedRegistry } from '../support/serve-registry.ts';

async function project(t: TestContext, policy: PolicyInput): Promise<ServedRegistry> {
  const served = await serveRegistry(t);
  await served.registry.admin.createProject('p');
  await served.registry.admin.setPolicy('p', policy);
  return served;
}

async function message(answer: Response): Promise<string> {
  return ((await answer.json()) as { errors: { message: string }[] }).errors[0]?.message ?? '';
}

async function put(served: ServedRegistry, path: string, source: string): Promise<Response> {
  const got = await served.send('GET', source);
  const headers = { 'content-type': got.headers.get('content-type') ?? '' };
  return served.send('PUT', path, { body: await got.text(), headers });
}

describe('immutable tags', () => {
  const RELEASES = { immutable: [{ tags: 'v*', except: ['v*-rc*'] }] };

  test('a fixed tag takes the same content again and no other; others move', async (t) => {
    const served = await project(t, RELEASES);
    await pushImage(served, 'p/x', 'v1');
    await pushImage(served, 'p/x', 'latest', ['other']);
    assert.equal((await put(served, '/v2/p/x/manifests/v1', '/v2/p/x/manifests/v1')).status, 201);
    const moved = await put(served, '/v2/p/x/manifests/v1', '/v2/p/x/manifests/latest');
    assert.equal(moved.status, 403);
    assert.equal(await message(moved), 'tag "v1" is immutable and points at other content');
    assert.equal((await put(served, '/v2/p/x/manifests/latest', '/v2/p/x/manifests/v1')).status, 201);
    assert.equal((await put(served, '/v2/p/x/manifests/v1-rc1', '/v2/p/x/manifests/v1')).status, 201);
    assert.equal((await served.send('DELETE', '/v2/p/x/manifests/v1-rc1')).status, 202);
  });

  test('a fixed tag is not deleted, nor is the manifest under it', async (t) => {
    const served = await project(t, RELEASES);
    const digest = await pushImage(served, 'p/x', 'v1');
    assert.equal((await served.send('DELETE', '/v2/p/x/manifests/v1')).status, 403);
    assert.equal((await served.send('DELETE', `/v2/p/x/manifests/${digest}`)).status, 403);
    assert.equal((await served.send('HEAD', '/v2/p/x/manifests/v1')).status, 200);
  });

  test('a fixed tag that may be deleted comes back with the same content only, unless that is let', async (t) => {
    for (const allowRecreate of [false, true]) {
      const served = await project(t, { immutable: [{ tags: 'v*', allowDelete: true, allowRecreate }] });
      await pushImage(served, 'p/x', 'v1');
      await pushImage(served, 'p/x', 'keep', ['l']);
      await put(served, '/v2/p/x/manifests/same', '/v2/p/x/manifests/v1');
      assert.equal((await served.send('DELETE', '/v2/p/x/manifests/v1')).status, 202);
      const other = await put(served, '/v2/p/x/manifests/v1', '/v2/p/x/manifests/keep');
      assert.equal(other.status, allowRecreate ? 201 : 403);
      const same = await put(served, '/v2/p/x/manifests/v1', '/v2/p/x/manifests/same');
      assert.equal(same.status, allowRecreate ? 403 : 201);
    }
  });

  test('a fixed tag that retention removed does not come back with other content either', async (t) => {
    const immutable = [{ tags: 'v*', allowDelete: true }];
    const served = await project(t, { immutable, retention: [{ tags: 'v*', keepNewest: 1 }] });
    await pushImage(served, 'p/x', 'v1', ['one']);
    await pushImage(served, 'p/x', 'keep', ['other']);
    await put(served, '/v2/p/x/manifests/v2', '/v2/p/x/manifests/keep');
    const { signal } = new AbortController();
    const retired = await served.registry.maintenance.retain(signal, { dryRun: false });
    assert.deepEqual(
      retired.map(({ name }) => name),
      ['v1'],
    );
    const other = await put(served, '/v2/p/x/manifests/v1', '/v2/p/x/manifests/keep');
    assert.equal(other.status, 403);
    assert.match(await message(other), /tag "v1" is immutable/);
  });

  test('a policy that is none is refused with what is wrong in it', async (t) => {
    const served = await project(t, {});
    const bad = { immutable: [{ tagz: 'v*' }] } as unknown as PolicyInput;
    await assert.rejects(served.registry.admin.setPolicy('p', bad), { code: 'BAD_POLICY', message: /tagz/ });
    await assert.rejects(served.registry.admin.setPolicy('none', {}), { code: 'NOT_FOUND' });
  });
});

describe('quotas', () => {
  const push = (served: ServedRegistry, repository: string, content: string): Promise<Response> =>
    served.send('POST', `/v2/${repository}/blobs/uploads/?digest=${sha256(content)}`, { body: content });

  test('a blob that does not fit is refused with a readable message and leaves nothing', async (t) => {
    const served = await project(t, { quotaBytes: 1_000 });
    assert.equal((await push(served, 'p/x', 'a'.repeat(600))).status, 201);
    const answer = await push(served, 'p/y', 'b'.repeat(600));
    assert.equal(answer.status, 403);
    assert.equal(
      await message(answer),
      'quota of project "p" exceeded: 600 B of 1000 B used, 600 B more needed',
    );
    assert.equal((await push(served, 'p/y', 'c'.repeat(400))).status, 201);
    assert.equal((await push(served, 'elsewhere', 'b'.repeat(600))).status, 201);
  });

  test('a blob counts once in a project, and its bytes come back when it is gone', async (t) => {
    const served = await project(t, { quotaBytes: 1_000 });
    const big = 'a'.repeat(900);
    assert.equal((await push(served, 'p/x', big)).status, 201);
    const mount = await served.send('POST', `/v2/p/y/blobs/uploads/?mount=${sha256(big)}&from=p/x`);
    assert.equal(mount.status, 201);
    await served.send('DELETE', `/v2/p/x/blobs/${sha256(big)}`);
    assert.equal((await push(served, 'p/z', 'b'.repeat(900))).status, 403);
    await served.send('DELETE', `/v2/p/y/blobs/${sha256(big)}`);
    assert.equal((await push(served, 'p/z', 'b'.repeat(900))).status, 201);
  });

  test('a mount from outside counts, and one that does not fit becomes an upload', async (t) => {
    const served = await project(t, { quotaBytes: 1_000 });
    for (const content of ['a'.repeat(700), 'b'.repeat(700)]) await push(served, 'other', content);
    const mount = (letter: string): Promise<Response> =>
      served.send('POST', `/v2/p/x/blobs/uploads/?mount=${sha256(letter.repeat(700))}&from=other`);
    assert.equal((await mount('a')).status, 201);
    assert.equal((await mount('b')).status, 202);
  });

  test('bytes of unknown length are counted while they come, and a cancelled upload gives its share back', async (t) => {
    const served = await project(t, { quotaBytes: 1_000 });
    const begin = async (): Promise<string> =>
      (await served.send('POST', '/v2/p/x/blobs/uploads/')).headers.get('location') ?? '';
    const stream = (bytes: number): ReadableStream => new Blob(['x'.repeat(bytes)]).stream();
    const first = await begin();
    assert.equal((await served.send('PATCH', first, { body: stream(800) })).status, 202);
    const second = await begin();
    assert.equal((await served.send('PATCH', second, { body: stream(800) })).status, 403);
    assert.equal((await served.send('DELETE', first)).status, 204);
    assert.equal((await served.send('PATCH', second, { body: stream(800) })).status, 202);
  });

  test('a project made over existing repositories counts what they have', async (t) => {
    const served = await serveRegistry(t);
    await push(served, 'late/x', 'a'.repeat(900));
    await served.registry.admin.createProject('late');
    await served.registry.admin.setPolicy('late', { quotaBytes: 1_000 });
    assert.equal((await push(served, 'late/y', 'b'.repeat(900))).status, 403);
    await served.registry.admin.createProject('late/x');
    assert.equal((await push(served, 'late/y', 'b'.repeat(900))).status, 201);
  });
});
