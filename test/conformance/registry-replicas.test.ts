import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { serveRegistryProcess } from '../support/serve-registry-process.ts';
import {
  errorCodes,
  manifestOf,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';

const signal = new AbortController().signal;

/** One directory, served by this process and by another. */
async function pair(
  t: TestContext,
  auth: 'none' | 'required' = 'none',
): Promise<{ here: ServedRegistry; there: string }> {
  const here = await serveRegistry(t, { auth });
  const { url } = await serveRegistryProcess(t, here.directory, `auth: '${auth}'`);
  return { here, there: url };
}

async function begin(url: string): Promise<string> {
  const begun = await fetch(`${url}/v2/p/app/blobs/uploads/`, { method: 'POST' });
  assert.equal(begun.status, 202);
  return begun.headers.get('location') ?? '';
}

describe('two processes on one registry', () => {
  test('an upload goes back and forth between them', async (t) => {
    const { here, there } = await pair(t);
    const content = randomBytes(300_000);
    const location = await begin(here.registry.url);
    let at = 0;
    for (const [turn, size] of [1, 99_999, 100_000, 50_000].entries()) {
      const url = turn % 2 === 0 ? here.registry.url : there;
      const headers = { 'content-range': `${at}-${at + size - 1}` };
      const body = content.subarray(at, at + size);
      const answer = await fetch(url + location, { method: 'PATCH', headers, body });
      assert.equal(answer.status, 202, `turn ${turn}`);
      at += size;
      const status = await fetch((turn % 2 === 0 ? there : here.registry.url) + location);
      assert.equal(status.headers.get('range'), `0-${at - 1}`);
    }
    const done = await fetch(`${here.registry.url}${location}?digest=${sha256(content)}`, {
      method: 'PUT',
      body: content.subarray(at),
    });
    assert.equal(done.status, 201, await done.text());
    const got = await fetch(`${there}/v2/p/app/blobs/${sha256(content)}`);
    assert.equal(sha256(new Uint8Array(await got.arrayBuffer())), sha256(content));
    assert.equal((await fetch(there + location)).status, 404);
  });

  test('a request that hangs in one cannot write into what the other finished', async (t) => {
    const { here, there } = await pair(t);
    const location = await begin(there);
    const hanging = request(`${there}${location}`, { method: 'PATCH' });
    hanging.on('error', () => {});
    t.after(() => hanging.destroy());
    const answered = once(hanging, 'response');
    hanging.write('begun there, ');
    for (let seen = ''; seen !== '0-12';) {
      seen = (await fetch(there + location)).headers.get('range') ?? '';
    }
    const whole = 'begun there, ended here';
    const put = await fetch(`${here.registry.url}${location}?digest=${sha256(whole)}`, {
      method: 'PUT',
      body: 'ended here',
    });
    assert.equal(put.status, 201);
    hanging.end('and more of it');
    await answered;
    assert.equal(await (await here.send('GET', `/v2/p/app/blobs/${sha256(whole)}`)).text(), whole);
    assert.deepEqual((await here.registry.maintenance.scrub(signal)).damaged, []);
  });

  test('of two that finish one upload at once, no more than one does, and what is stored is whole', async (t) => {
    const { here, there } = await pair(t);
    for (let round = 0; round < 10; round++) {
      const content = randomBytes(50_000);
      const location = await begin(here.registry.url);
      const urls = [here.registry.url, there];
      const answers = await Promise.all(
        urls.map((url) =>
          fetch(`${url}${location}?digest=${sha256(content)}`, { method: 'PUT', body: content }),
        ),
      );
      for (const answer of answers) {
        await answer.arrayBuffer();
        assert.ok([201, 400, 404, 409].includes(answer.status), String(answer.status));
      }
      const got = await here.send('GET', `/v2/p/app/blobs/${sha256(content)}`);
      const bytes = new Uint8Array(await got.arrayBuffer());
      if (answers.some(({ status }) => status === 201))
        assert.equal(
          sha256(bytes),
          sha256(content),
          `${got.status} of ${bytes.length} bytes; ${answers.map(({ status }) => status).join()}`,
        );
    }
    assert.deepEqual((await here.registry.maintenance.scrub(signal)).damaged, []);
  });

  test('tokens and refresh tokens of one are good in the other, and so is a lock-out', async (t) => {
    const { here, there } = await pair(t, 'required');
    await here.registry.admin.addUser('alice', 'correct-horse', { admin: true });
    const basic = `Basic ${Buffer.from('alice:correct-horse').toString('base64')}`;
    const query = 'scope=repository:p/app:pull,push&offline_token=true&client_id=docker';
    const issued = (await (
      await fetch(`${there}/token?${query}`, { headers: { authorization: basic } })
    ).json()) as { token: string; refresh_token: string };
    assert.equal((await here.send('GET', '/v2/', { bearer: issued.token })).status, 200);
    const upload = await here.send('POST', '/v2/p/app/blobs/uploads/', { bearer: issued.token });
    assert.equal(upload.status, 202);
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: issued.refresh_token });
    const again = await fetch(`${here.registry.url}/token`, { method: 'POST', body: form });
    assert.equal(again.status, 200);
    await here.registry.admin.setPassword('alice', 'another-horse');
    assert.equal((await fetch(`${there}/token`, { method: 'POST', body: form })).status, 401);
    for (let i = 0; i < 5; i++) {
      const wrong = { authorization: `Basic ${Buffer.from(`alice:wrong-${i}`).toString('base64')}` };
      await (await fetch(`${there}/v2/`, { headers: wrong })).arrayBuffer();
    }
    assert.equal((await here.send('GET', '/v2/', { basic: 'alice:wrong' })).status, 429);
  });

  test('what one reserves of a quota the other does not give away', async (t) => {
    const { here, there } = await pair(t);
    await here.registry.admin.createProject('p');
    await here.registry.admin.setPolicy('p', { quotaBytes: 1_000_000 });
    const location = await begin(there);
    const hanging = request(`${there}${location}`, {
      method: 'PATCH',
      headers: { 'content-length': 800_000 },
    });
    hanging.on('error', () => {});
    hanging.write(randomBytes(1_000));
    for (let seen = ''; seen !== '0-999';) {
      seen = (await fetch(there + location)).headers.get('range') ?? '';
    }
    const content = randomBytes(400_000);
    const push = (): Promise<Response> =>
      here.send('POST', `/v2/p/app/blobs/uploads/?digest=${sha256(content)}`, { body: content });
    const refused = await push();
    assert.equal(refused.status, 403);
    assert.deepEqual(await errorCodes(refused), ['DENIED']);
    hanging.destroy();
    assert.equal((await fetch(there + location, { method: 'DELETE' })).status, 204);
    assert.equal((await push()).status, 201);
  });

  test('a collection in one is safe for uploads, mounts and pushes in the other', async (t) => {
    const { here, there } = await pair(t);
    const collecting = { running: true };
    const collector = (async () => {
      while (collecting.running) await here.registry.maintenance.collect(signal);
    })();
    for (let image = 0; image < 15; image++) {
      const layer = randomBytes(20_000).toString('hex');
      for (const content of ['{}', layer]) {
        const location = await begin(there);
        const half = content.length / 2;
        const patched = await fetch(there + location, { method: 'PATCH', body: content.slice(0, half) });
        assert.equal(patched.status, 202);
        const url = `${there}${location}?digest=${sha256(content)}`;
        assert.equal((await fetch(url, { method: 'PUT', body: content.slice(half) })).status, 201);
      }
      const body = JSON.stringify(manifestOf('{}', [layer]));
      const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
      const put = await fetch(`${there}/v2/p/app/manifests/v${image}`, { method: 'PUT', body, headers });
      assert.equal(put.status, 201);
      if (image % 3 === 0) await fetch(`${there}/v2/p/app/manifests/${sha256(body)}`, { method: 'DELETE' });
    }
    collecting.running = false;
    await collector;
    assert.deepEqual((await here.registry.maintenance.scrub(signal)).damaged, []);
    assert.deepEqual(await readdir(join(here.directory, 'content', 'ingest')), []);
  });
});
