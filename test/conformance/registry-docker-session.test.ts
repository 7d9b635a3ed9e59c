import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import { sha256, serveRegistry, type ServedRegistry } from '../support/serve-registry.ts';

/*
 * What the docker command and its engine (28) send, request by request: `docker login` takes the challenge of `/v2/`, asks
 * for a token with `account`, `client_id` and `offline_token` and keeps the refresh token in place of the password; push and
 * pull exchange that by POST. Recorded, so that the test needs no docker.
 */

const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const ACCEPT = [
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/json',
  MANIFEST_TYPE,
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
].join(', ');
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

async function team(t: TestContext): Promise<ServedRegistry> {
  const served = await serveRegistry(t, { auth: 'required' });
  await served.registry.admin.addUser('alice', 'correct-horse');
  await served.registry.admin.createProject('team-a');
  await served.registry.admin.grantRole('team-a', 'alice', 'maintainer');
  return served;
}

/** Reads the challenge that a request without credential is answered with. */
async function challengeTo(
  served: ServedRegistry,
  method: string,
  path: string,
): Promise<Map<string, string>> {
  const answer = await served.send(method, path);
  assert.equal(answer.status, 401);
  assert.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0');
  const header = answer.headers.get('www-authenticate') ?? '';
  assert.match(header, /^Bearer /);
  return new Map([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
}

/** Does what `docker login` does and returns the refresh token that it keeps. */
async function login(served: ServedRegistry): Promise<string> {
  const challenge = await challengeTo(served, 'GET', '/v2/');
  assert.equal(challenge.get('scope'), undefined);
  const query = new URLSearchParams({
    account: 'alice',
    client_id: 'docker',
    offline_token: 'true',
    service: challenge.get('service') ?? '',
  });
  const realm = new URL(challenge.get('realm') ?? '');
  const issued = await served.send('GET', `${realm.pathname}?${query.toString()}`, {
    basic: 'alice:correct-horse',
  });
  assert.equal(issued.status, 200);
  const { token, refresh_token: refresh } = (await issued.json()) as { token: string; refresh_token: string };
  assert.equal((await served.send('GET', '/v2/', { bearer: token })).status, 200);
  assert.ok(refresh.length > 20);
  return refresh;
}

async function exchange(served: ServedRegistry, refresh: string, scope: string): Promise<Response> {
  const body = new URLSearchParams({
    grant_type: 'refresh_token',
    service: 'drayage',
    client_id: 'docker',
    scope,
    refresh_token: refresh,
  }).toString();
  return served.send('POST', '/token', { body, headers: FORM });
}

async function tokenFor(served: ServedRegistry, refresh: string, scope: string): Promise<string> {
  const answer = await exchange(served, refresh, scope);
  assert.equal(answer.status, 200);
  const got = (await answer.json()) as { access_token: string; expires_in: number; refresh_token: string };
  assert.ok(got.expires_in >= 60);
  assert.equal(got.refresh_token, refresh);
  return got.access_token;
}

describe('docker', () => {
  test('logs in once, pushes and pulls with the refresh token that it kept', async (t) => {
    const served = await team(t);
    const refresh = await login(served);
    const challenge = await challengeTo(served, 'HEAD', `/v2/team-a/app/blobs/${sha256('x')}`);
    assert.equal(challenge.get('scope'), 'repository:team-a/app:pull');
    const bearer = await tokenFor(served, refresh, 'repository:team-a/app:push,pull');
    const config = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}';
    const layer = randomBytes(200_000);
    for (const content of [layer, Buffer.from(config)]) {
      const digest = sha256(content);
      assert.equal((await served.send('HEAD', `/v2/team-a/app/blobs/${digest}`, { bearer })).status, 404);
      const begun = await served.send('POST', '/v2/team-a/app/blobs/uploads/', { bearer });
      assert.equal(begun.status, 202);
      assert.ok(begun.headers.get('docker-upload-uuid'));
      // The engine streams what it compresses: chunked, of unknown length, without a range.
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (let at = 0; at < content.length; at += 65_536)
            controller.enqueue(content.subarray(at, at + 65_536));
          controller.close();
        },
      });
      const patched = await served.send('PATCH', begun.headers.get('location') ?? '', { bearer, body });
      assert.equal(patched.status, 202);
      const put = await served.send(
        'PUT',
        `${patched.headers.get('location')}?digest=${encodeURIComponent(digest)}`,
        { bearer },
      );
      assert.equal(put.status, 201);
      assert.equal((await served.send('HEAD', `/v2/team-a/app/blobs/${digest}`, { bearer })).status, 200);
    }
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        size: config.length,
        digest: sha256(config),
      },
      layers: [
        {
          mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
          size: layer.length,
          digest: sha256(layer),
        },
      ],
    });
    const headers = { 'content-type': MANIFEST_TYPE };
    const put = await served.send('PUT', '/v2/team-a/app/manifests/v1', { bearer, body: manifest, headers });
    assert.equal(put.status, 201);

    const reader = await tokenFor(served, refresh, 'repository:team-a/app:pull');
    const pulled = await served.send('GET', '/v2/team-a/app/manifests/v1', {
      bearer: reader,
      headers: { accept: ACCEPT },
    });
    assert.equal(pulled.headers.get('content-type'), MANIFEST_TYPE);
    assert.equal(await pulled.text(), manifest);
    const blob = await served.send('GET', `/v2/team-a/app/blobs/${sha256(layer)}`, { bearer: reader });
    assert.equal(sha256(new Uint8Array(await blob.arrayBuffer())), sha256(layer));
    const denied = await served.send('POST', '/v2/team-a/app/blobs/uploads/', { bearer: reader });
    assert.equal(denied.status, 401);
    assert.match(denied.headers.get('www-authenticate') ?? '', /error="insufficient_scope"/);
  });

  test('is told at once when its login is good no longer', async (t) => {
    const served = await team(t);
    const refresh = await login(served);
    await served.registry.admin.setPassword('alice', 'another-horse');
    const answer = await exchange(served, refresh, 'repository:team-a/app:pull');
    assert.equal(answer.status, 401);
    const wrong = await served.send(
      'GET',
      '/token?account=alice&client_id=docker&offline_token=true&service=drayage',
      {
        basic: 'alice:correct-horse',
      },
    );
    assert.equal(wrong.status, 401);
  });

  test('keeps the password of a robot, whose account has no refresh token', async (t) => {
    const served = await team(t);
    const { name, secret } = await served.registry.robots.create('team-a', 'ci', 'guest');
    const query = `account=${name}&client_id=docker&offline_token=true&service=drayage`;
    const issued = await served.send('GET', `/token?${query}`, { basic: `${name}:${secret}` });
    assert.equal('refresh_token' in ((await issued.json()) as object), false);
    const again = await served.send(
      'GET',
      `/token?account=${name}&scope=repository:team-a/app:pull&service=drayage`,
      {
        basic: `${name}:${secret}`,
      },
    );
    assert.equal(((await again.json()) as { scope: string }).scope, 'repository:team-a/app:pull');
  });
});
