import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import {
  describe as descriptor,
  errorCodes,
  manifestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';

async function page(
  served: ServedRegistry,
  path: string,
): Promise<{ body: never; next: string | undefined }> {
  const answer = await served.send('GET', path);
  assert.equal(answer.status, 200);
  const next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
  return { body: (await answer.json()) as never, next };
}

describe('tags', () => {
  test('end-8a: tags come in ASCII order with the name of the repository', async (t) => {
    const served = await serveRegistry(t);
    for (const tag of ['b', 'a', 'B', '_x', '1']) await pushImage(served, 'p/q', tag);
    const { body, next } = await page(served, '/v2/p/q/tags/list');
    assert.deepEqual(body, { name: 'p/q', tags: ['1', 'B', '_x', 'a', 'b'] });
    assert.equal(next, undefined);
  });

  test('end-8b: pages follow each other by Link, and last alone is honoured', async (t) => {
    const served = await serveRegistry(t);
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await pushImage(served, 'a', tag);
    const seen: string[] = [];
    let path: string | undefined = '/v2/a/tags/list?n=2';
    while (path !== undefined) {
      const { body, next } = await page(served, path);
      seen.push(...(body as { tags: string[] }).tags);
      path = next;
    }
    assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e']);
    assert.deepEqual((await page(served, '/v2/a/tags/list?last=c')).body, { name: 'a', tags: ['d', 'e'] });
    assert.deepEqual((await page(served, '/v2/a/tags/list?n=5')).next, undefined);
  });

  test('end-8b: n=0 is an empty page without Link, a bad n is 400, a huge n is cut', async (t) => {
    const served = await serveRegistry(t);
    await pushImage(served, 'a', 'v1');
    const { body, next } = await page(served, '/v2/a/tags/list?n=0');
    assert.deepEqual([body, next], [{ name: 'a', tags: [] }, undefined]);
    for (const n of ['-1', 'x', '1.5']) {
      const answer = await served.send('GET', `/v2/a/tags/list?n=${n}`);
      assert.equal(answer.status, 400, n);
      assert.deepEqual(await errorCodes(answer), ['PAGINATION_NUMBER_INVALID']);
    }
    for (const n of ['999999999', '9'.repeat(30)]) {
      assert.deepEqual((await page(served, `/v2/a/tags/list?n=${n}`)).body, { name: 'a', tags: ['v1'] });
    }
  });

  test('end-8a: a repository that is not there is 404 NAME_UNKNOWN', async (t) => {
    const served = await serveRegistry(t);
    const answer = await served.send('GET', '/v2/none/tags/list');
    assert.equal(answer.status, 404);
    assert.deepEqual(await errorCodes(answer), ['NAME_UNKNOWN']);
  });
});

describe('catalog', () => {
  test('repositories with a manifest are listed by page', async (t) => {
    const served = await serveRegistry(t);
    for (const name of ['c', 'a/b', 'b']) await pushImage(served, name, 'v1');
    await served.pushBlob('only-a-blob', 'x');
    const first = await page(served, '/v2/_catalog?n=2');
    assert.deepEqual(first.body, { repositories: ['a/b', 'b'] });
    const second = await page(served, first.next ?? '');
    assert.deepEqual(second.body, { repositories: ['c'] });
    assert.equal(second.next, undefined);
  });

  test('whoever may see little of much keeps nobody else waiting while it is looked through', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.addUser('carol', 'carols-password');
    const database = new DatabaseSync(join(served.directory, 'registry.db'));
    database.exec(`BEGIN;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
        INSERT INTO repository (id, name, created_at) SELECT i, 'p/r' || i, 0 FROM n;
      INSERT INTO manifest (repository_id, digest, media_type, size, annotations, pushed_at, pushed_by, renewed_at)
        SELECT id, 'sha256:' || id, '', 0, '{}', 0, '', 0 FROM repository;
      COMMIT`);
    database.close();
    const basic = 'carol:carols-password';
    // The login takes its time; the next ones are remembered.
    assert.equal((await served.send('GET', '/v2/', { basic })).status, 200);
    const order: string[] = [];
    const catalog = served.send('GET', '/v2/_catalog', { basic }).then(async (answer) => {
      order.push('catalog');
      return answer.json();
    });
    await served.send('GET', '/healthz');
    for (let ping = 0; ping < 3; ping++) {
      await served.send('GET', '/v2/', { basic });
      order.push('ping');
    }
    assert.deepEqual(await catalog, { repositories: [] });
    assert.deepEqual(order, ['ping', 'ping', 'ping', 'catalog']);
  });
});

describe('referrers', () => {
  async function subject(
    served: ServedRegistry,
  ): Promise<{ mediaType: string; digest: string; size: number }> {
    await pushImage(served, 'a', 'subject');
    const bytes = await (await served.send('GET', '/v2/a/manifests/subject')).text();
    return descriptor(bytes, OCI_MANIFEST);
  }

  interface Index {
    mediaType: string;
    manifests: { digest: string; artifactType?: string; annotations?: Record<string, string> }[];
  }

  test('end-12a: a subject without referrers, or unknown, has an empty index', async (t) => {
    const served = await serveRegistry(t);
    for (const path of [`/v2/a/referrers/${sha256('x')}`, `/v2/none/referrers/${sha256('x')}`]) {
      const answer = await served.send('GET', path);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('content-type'), OCI_INDEX);
      assert.deepEqual(await answer.json(), { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
    }
    assert.equal((await served.send('GET', '/v2/a/referrers/sha256:x')).status, 400);
  });

  test('end-12a: referrers carry artifact type and annotations; a plain image has its config type', async (t) => {
    const served = await serveRegistry(t);
    const target = await subject(served);
    const annotations = { 'org.example.key': 'value' };
    const typed = await pushImage(served, 'a', 't1', ['1'], {
      subject: target,
      artifactType: 'x/sbom',
      annotations,
    });
    const plain = await pushImage(served, 'a', 't2', ['2'], { subject: target });
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], subject: target };
    const untyped = await served.pushManifest('a', 't3', index);
    const { body } = await page(served, `/v2/a/referrers/${target.digest}`);
    const found = new Map((body as Index).manifests.map((one) => [one.digest, one]));
    assert.equal(found.size, 3);
    assert.deepEqual(found.get(typed)?.annotations, annotations);
    assert.equal(found.get(typed)?.artifactType, 'x/sbom');
    assert.equal(found.get(plain)?.artifactType, 'application/vnd.oci.image.config.v1+json');
    assert.equal(found.get(untyped)?.artifactType, undefined);
  });

  test('end-12b: a filter is applied and said so; pages are filtered too', async (t) => {
    const served = await serveRegistry(t);
    const target = await subject(served);
    for (const place of [1, 2, 3]) {
      await pushImage(served, 'a', `s${place}`, [], { subject: target, artifactType: 'x/sig', n: place });
      await pushImage(served, 'a', `b${place}`, [], { subject: target, artifactType: 'x/sbom', n: place });
    }
    const path = `/v2/a/referrers/${target.digest}?artifactType=x%2Fsig`;
    const answer = await served.send('GET', path);
    assert.equal(answer.headers.get('oci-filters-applied'), 'artifactType');
    assert.equal(((await answer.json()) as Index).manifests.length, 3);
    const first = await page(served, `${path}&n=2`);
    const second = await page(served, first.next ?? '');
    assert.equal((first.body as Index).manifests.length, 2);
    assert.equal((second.body as Index).manifests.length, 1);
    assert.equal(second.next, undefined);
  });

  test('what a client listed under the fallback tag is listed too, once', async (t) => {
    const served = await serveRegistry(t);
    const target = await subject(served);
    const indexed = await pushImage(served, 'a', 't1', [], { subject: target, artifactType: 'x/sig' });
    const known = { mediaType: OCI_MANIFEST, digest: indexed, size: 1, artifactType: 'x/sig' };
    const old = { ...descriptor('old', OCI_MANIFEST), artifactType: 'x/old' };
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [known, old] };
    await served.pushManifest('a', target.digest.replace(':', '-'), index);
    const { body } = await page(served, `/v2/a/referrers/${target.digest}`);
    assert.deepEqual((body as Index).manifests.map((one) => one.digest).sort(), [indexed, old.digest].sort());
  });

  test('a referrer that was deleted is gone; those of a deleted subject stay', async (t) => {
    const served = await serveRegistry(t);
    const target = await subject(served);
    const one = await pushImage(served, 'a', 't1', [], { subject: target, n: 1 });
    const two = await pushImage(served, 'a', 't2', [], { subject: target, n: 2 });
    await served.send('DELETE', `/v2/a/manifests/${one}`);
    await served.send('DELETE', `/v2/a/manifests/${target.digest}`);
    const { body } = await page(served, `/v2/a/referrers/${target.digest}`);
    assert.deepEqual(
      (body as Index).manifests.map(({ digest }) => digest),
      [two],
    );
  });

  test('a manifest of an artifact is listed with its own type before its config type', async (t) => {
    const served = await serveRegistry(t);
    const target = await subject(served);
    await served.pushBlob('a', '{}');
    const artifact = { ...manifestOf('{}', []), subject: target, artifactType: 'x/own' };
    const digest = await served.pushManifest('a', 'art', artifact);
    const { body } = await page(served, `/v2/a/referrers/${target.digest}?artifactType=x/own`);
    assert.deepEqual(
      (body as Index).manifests.map((one) => one.digest),
      [digest],
    );
  });
});
