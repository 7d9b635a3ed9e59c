import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import {
  describe as descriptor,
  manifestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  serveRegistry,
  sha256,
  type ServedRegistry,
  type SendOptions,
} from '../support/serve-registry.ts';

/*
 * What crane with cosign, regctl, oras with notation, and containerd send, request by request, each with its own way to a token.
 * Written down from what they were seen to send, so that the test needs none of them.
 */

const ALICE = 'alice:correct-horse';
const LAYER = 'a layer of some kilobytes '.repeat(200);
const CONFIG = '{"architecture":"amd64","os":"linux"}';
const EMPTY = '{}';
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';
const BYTES = { 'content-type': 'application/octet-stream' };

async function team(t: TestContext): Promise<ServedRegistry> {
  const served = await serveRegistry(t, { auth: 'required' });
  const { admin } = served.registry;
  await admin.addUser('alice', 'correct-horse');
  for (const project of ['team-a', 'team-b']) {
    await admin.createProject(project);
    await admin.grantRole(project, 'alice', 'maintainer');
  }
  return served;
}

/** How a client turns the challenge of a refused request into a token. */
type Exchange = (served: ServedRegistry, challenge: ReadonlyMap<string, string>) => Promise<Response>;

/** Sends as a client does: with the token that it has, and once more with a new one when that is not enough. */
function clientOf(
  served: ServedRegistry,
  exchange: Exchange,
): { send: ServedRegistry['send']; tokens: () => number } {
  let token: string | undefined;
  let tokens = 0;
  const once = (method: string, path: string, options: SendOptions): Promise<Response> =>
    served.send(method, path, token === undefined ? options : { ...options, bearer: token });
  return {
    tokens: () => tokens,
    send: async (method, path, options = {}) => {
      const first = await once(method, path, options);
      if (first.status !== 401) return first;
      const header = first.headers.get('www-authenticate') ?? '';
      const challenge = new Map(
        [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
      );
      const answer = await exchange(served, challenge);
      assert.equal(answer.status, 200);
      ({ token } = (await answer.json()) as { token: string });
      tokens++;
      return once(method, path, options);
    },
  };
}

function locationOf(answer: Response): string {
  assert.equal(answer.status, 202);
  return answer.headers.get('location') ?? '';
}

const query = (parameters: [string, string][]): string => new URLSearchParams(parameters).toString();

describe('clients push, sign and find', () => {
  test('as crane and cosign do: a ping, all scopes at once, chunks of unknown length, a mount with its origin', async (t) => {
    const served = await team(t);
    const crane = clientOf(served, (_, challenge) =>
      served.send(
        'GET',
        `/token?${query([
          ['scope', 'repository:team-b/app:push,pull'],
          ['scope', 'repository:team-a/app:pull'],
          ['scope', 'repository:team-a/app:push,pull'],
          ['service', challenge.get('service') ?? ''],
        ])}`,
        { basic: ALICE },
      ),
    );
    assert.equal((await crane.send('GET', '/v2/')).status, 200);
    for (const content of [LAYER, CONFIG]) {
      const digest = sha256(content);
      assert.equal((await crane.send('HEAD', `/v2/team-a/app/blobs/${digest}`)).status, 404);
      const begun = await crane.send('POST', '/v2/team-a/app/blobs/uploads/', {
        headers: { 'content-type': 'application/json' },
      });
      const patched = await crane.send('PATCH', locationOf(begun), {
        headers: BYTES,
        body: new Blob([content]).stream(),
      });
      const finished = await crane.send(
        'PUT',
        `${locationOf(patched)}?digest=${encodeURIComponent(digest)}`,
        {
          headers: BYTES,
        },
      );
      assert.equal(finished.status, 201);
    }
    const manifest = JSON.stringify(manifestOf(CONFIG, [LAYER]));
    const put = (path: string, body: string): Promise<Response> =>
      crane.send('PUT', path, { headers: { 'content-type': OCI_MANIFEST }, body });
    assert.equal((await put('/v2/team-a/app/manifests/v1', manifest)).status, 201);

    // crane copy within the registry.
    for (const content of [LAYER, CONFIG]) {
      const digest = sha256(content);
      assert.equal((await crane.send('HEAD', `/v2/team-b/app/blobs/${digest}`)).status, 404);
      const mount = query([
        ['from', 'team-a/app'],
        ['mount', digest],
        ['origin', served.host],
      ]);
      assert.equal((await crane.send('POST', `/v2/team-b/app/blobs/uploads/?${mount}`)).status, 201);
    }
    assert.equal((await put('/v2/team-b/app/manifests/v1', manifest)).status, 201);
    assert.equal(crane.tokens(), 1);

    // cosign: the older form is a tag; the newer refers, and asks whether that is listed before it writes a fall-back tag.
    const signed = sha256(manifest);
    const payload = JSON.stringify({ critical: { image: { 'docker-manifest-digest': signed } } });
    const begun = await crane.send('POST', '/v2/team-a/app/blobs/uploads/');
    const location = `${locationOf(begun)}?digest=${sha256(payload)}`;
    assert.equal((await crane.send('PUT', location, { headers: BYTES, body: payload })).status, 201);
    const signature = manifestOf(CONFIG, [payload]);
    const tag = signed.replace(':', '-');
    assert.equal((await crane.send('GET', `/v2/team-a/app/manifests/${tag}.sig`)).status, 404);
    assert.equal((await put(`/v2/team-a/app/manifests/${tag}.sig`, JSON.stringify(signature))).status, 201);
    const bundle = JSON.stringify({
      ...signature,
      artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      subject: descriptor(manifest, OCI_MANIFEST),
    });
    const referring = await put(`/v2/team-a/app/manifests/${sha256(bundle)}`, bundle);
    assert.equal(referring.headers.get('oci-subject'), signed);
    const listed = await crane.send('GET', `/v2/team-a/app/referrers/${signed}`);
    const { manifests } = (await listed.json()) as { manifests: { digest: string }[] };
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [sha256(bundle)],
    );
  });

  test('as regctl does: no ping, a token that grows, an anonymous mount first, one PUT', async (t) => {
    const served = await team(t);
    const scopes = new Set<string>();
    const regctl = clientOf(served, (_, challenge) => {
      for (const scope of (challenge.get('scope') ?? '').split(' ')) scopes.add(scope);
      const asked: [string, string][] = [...scopes].map((scope) => ['scope', scope]);
      const rest: [string, string][] = [
        ['service', challenge.get('service') ?? ''],
        ['client_id', 'regclient'],
        ['account', 'alice'],
      ];
      return served.send('GET', `/token?${query([...rest, ...asked])}`, { basic: ALICE });
    });
    assert.equal((await regctl.send('HEAD', '/v2/team-a/app/manifests/v1')).status, 404);
    for (const repository of ['team-a/app', 'team-b/app']) {
      for (const content of [LAYER, CONFIG]) {
        const digest = sha256(content);
        const mounted = await regctl.send('POST', `/v2/${repository}/blobs/uploads/?mount=${digest}`);
        // What was pushed to the one repository is found for the other.
        if (repository === 'team-b/app') {
          assert.equal(mounted.status, 201);
          continue;
        }
        const finished = await regctl.send('PUT', `${locationOf(mounted)}?digest=${digest}`, {
          headers: BYTES,
          body: content,
        });
        assert.equal(finished.status, 201);
      }
    }
    // pull, pull and push; then the second repository.
    assert.equal(regctl.tokens(), 3);
    const tags = await regctl.send('GET', '/v2/team-a/app/tags/list');
    assert.deepEqual(await tags.json(), { name: 'team-a/app', tags: [] });
  });

  test('as oras and notation do: artifacts with an empty config, found by type; a fall-back tag beside the API', async (t) => {
    const served = await team(t);
    const oras = clientOf(served, (_, challenge) =>
      served.send(
        'GET',
        `/token?${query([
          ['service', challenge.get('service') ?? ''],
          ['scope', 'repository:team-a/app:pull,push'],
        ])}`,
        { basic: ALICE },
      ),
    );
    const artifact = (type: string, more: object): string =>
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        artifactType: type,
        config: descriptor(EMPTY, EMPTY_TYPE),
        layers: [descriptor(EMPTY, EMPTY_TYPE)],
        ...more,
      });
    const push = async (body: string, type = OCI_MANIFEST, name = sha256(body)): Promise<Response> => {
      assert.equal((await oras.send('HEAD', `/v2/team-a/app/manifests/${name}`)).status, 404);
      return oras.send('PUT', `/v2/team-a/app/manifests/${name}`, {
        headers: { 'content-type': type },
        body,
      });
    };
    assert.equal((await oras.send('HEAD', `/v2/team-a/app/blobs/${sha256(EMPTY)}`)).status, 404);
    const begun = await oras.send('POST', '/v2/team-a/app/blobs/uploads/');
    const location = `${locationOf(begun)}?digest=${sha256(EMPTY)}`;
    assert.equal((await oras.send('PUT', location, { headers: BYTES, body: EMPTY })).status, 201);
    const subject = artifact('application/vnd.example.thing', {});
    assert.equal((await push(subject)).status, 201);
    const of = { subject: descriptor(subject, OCI_MANIFEST) };
    const sbom = artifact('application/spdx+json', { ...of, annotations: { made: 'today' } });
    assert.equal((await push(sbom)).headers.get('oci-subject'), sha256(subject));

    const signature = artifact('application/vnd.cncf.notary.signature', of);
    assert.equal((await push(signature)).status, 201);
    const entry = {
      ...descriptor(signature, OCI_MANIFEST),
      artifactType: 'application/vnd.cncf.notary.signature',
    };
    const fallback = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] };
    const tag = sha256(subject).replace(':', '-');
    assert.equal((await push(JSON.stringify(fallback), OCI_INDEX, tag)).status, 201);

    const found = async (type?: string): Promise<string[]> => {
      const filter = type === undefined ? '' : `?artifactType=${encodeURIComponent(type)}`;
      const answer = await oras.send('GET', `/v2/team-a/app/referrers/${sha256(subject)}${filter}`);
      assert.equal(answer.headers.get('oci-filters-applied'), type === undefined ? null : 'artifactType');
      const { manifests } = (await answer.json()) as { manifests: { digest: string }[] };
      return manifests.map(({ digest }) => digest);
    };
    assert.deepEqual(await found(), [sha256(sbom), sha256(signature)].toSorted());
    assert.deepEqual(await found('application/spdx+json'), [sha256(sbom)]);
    assert.deepEqual(await found('application/vnd.cncf.notary.signature'), [sha256(signature)]);
    assert.equal(oras.tokens(), 1);
  });

  test('as containerd does: HEAD first, a password by POST with scopes said twice, a mount, a range of everything', async (t) => {
    const served = await team(t);
    const pull = 'repository:team-b/app:pull';
    const containerd = clientOf(served, (_, challenge) => {
      // One text: what was asked for before, what is asked for now, and the source of a mount.
      const scope = `${pull} ${challenge.get('scope') ?? ''} repository:team-b/app:pull,push repository:team-a/app:pull`;
      const body = query([
        ['grant_type', 'password'],
        ['service', challenge.get('service') ?? ''],
        ['client_id', 'containerd-client'],
        ['username', 'alice'],
        ['password', 'correct-horse'],
        ['scope', scope],
      ]);
      const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
      return served.send('POST', '/token', { headers, body });
    });
    const basic = { basic: ALICE };
    for (const content of [LAYER, CONFIG]) {
      const path = `/v2/team-a/app/blobs/uploads/?digest=${sha256(content)}`;
      assert.equal((await served.send('POST', path, { ...basic, body: content })).status, 201);
    }
    assert.equal((await containerd.send('HEAD', '/v2/team-b/app/manifests/v1')).status, 404);
    const layer = sha256(LAYER);
    const mount = `/v2/team-b/app/blobs/uploads/?mount=${layer}&from=team-a/app`;
    assert.equal((await containerd.send('POST', mount)).status, 201);
    const begun = await containerd.send('POST', '/v2/team-b/app/blobs/uploads/');
    const location = `${locationOf(begun)}?digest=${sha256(CONFIG)}`;
    assert.equal((await containerd.send('PUT', location, { headers: BYTES, body: CONFIG })).status, 201);
    const manifest = JSON.stringify(manifestOf(CONFIG, [LAYER]));
    const headers = { 'content-type': OCI_MANIFEST };
    const put = await containerd.send('PUT', '/v2/team-b/app/manifests/v1', { headers, body: manifest });
    assert.equal(put.status, 201);
    // The newer fetcher asks for ranges of all, even of a manifest, and leaves in the middle.
    for (const path of [`manifests/${sha256(manifest)}`, `blobs/${layer}`]) {
      const answer = await containerd.send('GET', `/v2/team-b/app/${path}`, {
        headers: { range: 'bytes=0-', 'accept-encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5' },
      });
      assert.equal(answer.status, 206);
      assert.equal(answer.headers.get('content-encoding'), null);
      assert.equal(sha256(new Uint8Array(await answer.arrayBuffer())), path.split('/')[1]);
    }
    assert.equal(containerd.tokens(), 1);
  });
});
