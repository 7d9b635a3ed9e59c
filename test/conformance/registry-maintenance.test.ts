import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, writeFile, chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { MaintenanceOptions } from '../../src/registry/admin/maintenance.ts';
import type { PolicyInput } from '../../src/registry/policy.ts';
import {
  describe as descriptor,
  manifestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushImage,
  serveRegistry,
  sha256,
  type ServedRegistry,
} from '../support/serve-registry.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const signal = new AbortController().signal;

async function kept(
  t: TestContext,
  options: MaintenanceOptions = {},
): Promise<{ served: ServedRegistry; clock: ManualClock }> {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const served = await serveRegistry(t, { clock, maintenance: { everyMs: 0, delayMs: DAY, ...options } });
  return { served, clock };
}

function bytesOf(served: ServedRegistry): Promise<string[]> {
  return readdir(join(served.directory, 'content', 'blobs', 'sha256'));
}

describe('collection', () => {
  test('frees what lost its last need a day ago, and nothing else', async (t) => {
    const { served, clock } = await kept(t);
    const gone = await pushImage(served, 'a', 'gone', ['only gone', 'shared']);
    await pushImage(served, 'a', 'stays', ['only stays', 'shared']);
    await served.pushBlob('a', 'pushed for nothing');
    await clock.advance(10 * DAY);
    await served.send('DELETE', `/v2/a/manifests/${gone}`);
    const first = await served.registry.maintenance.collect(signal);
    assert.equal(first.removedBlobs, 1, 'only the blob that nothing ever needed');
    await clock.advance(DAY + 1);
    const preview = await served.registry.maintenance.previewCollection(signal);
    const second = await served.registry.maintenance.collect(signal);
    assert.equal(second.removedBlobs, 3, 'config, layer and manifest');
    assert.equal(preview.removedBlobs, second.removedBlobs);
    assert.equal(preview.freedBytes, second.freedBytes);
    const left = await bytesOf(served);
    assert.ok(!left.includes(sha256('only gone').slice(7)));
    for (const layer of ['only stays', 'shared']) {
      assert.equal((await served.send('GET', `/v2/a/blobs/${sha256(layer)}`)).status, 200);
    }
  });

  for (const renewal of ['HEAD', 'mount', 'push'] as const) {
    test(`a ${renewal} puts the collection of a blob off`, async (t) => {
      const { served, clock } = await kept(t);
      const digest = await served.pushBlob('a', 'unneeded');
      await clock.advance(DAY - HOUR);
      if (renewal === 'HEAD') await served.send('HEAD', `/v2/a/blobs/${digest}`);
      if (renewal === 'mount') await served.send('POST', `/v2/b/blobs/uploads/?mount=${digest}&from=a`);
      if (renewal === 'push') await served.pushBlob('a', 'unneeded');
      await clock.advance(2 * HOUR);
      await served.registry.maintenance.collect(signal);
      const where = renewal === 'mount' ? 'b' : 'a';
      assert.equal((await served.send('GET', `/v2/${where}/blobs/${digest}`)).status, 200);
      await clock.advance(DAY);
      assert.equal((await served.registry.maintenance.collect(signal)).removedBlobs, 1);
      assert.equal((await served.send('HEAD', `/v2/${where}/blobs/${digest}`)).status, 404);
    });
  }

  test('a manifest that needs a collected blob is refused, and the push goes through again', async (t) => {
    const { served, clock } = await kept(t);
    await served.pushBlob('a', '{}');
    await clock.advance(2 * DAY);
    await served.registry.maintenance.collect(signal);
    const body = JSON.stringify(manifestOf('{}', []));
    const headers = { 'content-type': OCI_MANIFEST };
    assert.equal((await served.send('PUT', '/v2/a/manifests/v1', { body, headers })).status, 404);
    await served.pushBlob('a', '{}');
    assert.equal((await served.send('PUT', '/v2/a/manifests/v1', { body, headers })).status, 201);
  });

  test('pushes and collections that run side by side lose nothing', async (t) => {
    const { served, clock } = await kept(t);
    let removed = 0;
    let refused = 0;
    /** Runs one request of a client beside a collection of what was unneeded a day before. */
    const beside = async <T>(request: () => Promise<T>): Promise<T> => {
      await clock.advance(DAY + 1);
      let running = true;
      const collecting = served.registry.maintenance.collect(signal).then((report) => {
        removed += report.removedBlobs;
      });
      const answered = request();
      const both = Promise.all([answered, collecting]).finally(() => {
        running = false;
      });
      // A push of bytes that are being removed waits for that.
      while (running) await clock.advance(1);
      await both;
      return answered;
    };
    for (let image = 0; image < 30; image++) {
      const layer = `layer ${image % 3}`;
      const body = JSON.stringify({ ...manifestOf('{}', [layer]), annotations: { image: String(image) } });
      const put = (): Promise<Response> =>
        served.send('PUT', `/v2/a/manifests/t${image}`, { body, headers: { 'content-type': OCI_MANIFEST } });
      await beside(() => served.pushBlob('a', '{}'));
      await beside(() => served.pushBlob('a', layer));
      let answer = await beside(put);
      if (answer.status !== 201) {
        // A day passed since the first blob was pushed, and it is gone: the answer says so, and the client pushes again.
        assert.equal(answer.status, 404);
        refused++;
        await Promise.all([served.pushBlob('a', '{}'), served.pushBlob('a', layer)]);
        answer = await put();
      }
      assert.equal(answer.status, 201);
      const got = await beside(() => served.send('GET', `/v2/a/blobs/${sha256(layer)}`));
      assert.equal(await got.text(), layer);
      if (image % 4 !== 3) await beside(() => served.send('DELETE', `/v2/a/manifests/${sha256(body)}`));
    }
    assert.ok(removed > 10, `removed ${removed}`);
    assert.ok(refused > 0, `refused ${refused}`);
    assert.deepEqual((await served.registry.maintenance.scrub(signal)).damaged, []);
  });

  test('uploads that nobody finished are thrown away after a week', async (t) => {
    const { served, clock } = await kept(t);
    const begun = await served.send('POST', '/v2/a/blobs/uploads/');
    const location = begun.headers.get('location') ?? '';
    await served.send('PATCH', location, { body: 'half of it' });
    await clock.advance(6 * DAY);
    assert.equal((await served.registry.maintenance.collect(signal)).sweptUploads, 0);
    await clock.advance(2 * DAY);
    assert.equal((await served.registry.maintenance.collect(signal)).sweptUploads, 1);
    assert.equal((await served.send('GET', location)).status, 404);
    assert.deepEqual(await readdir(join(served.directory, 'content', 'ingest')), []);
  });
});

describe('retention', () => {
  async function tagged(t: TestContext, policy: PolicyInput, inUse: string[] = []): Promise<ServedRegistry> {
    const { served, clock } = await kept(t, { inUse: async () => new Set(inUse) });
    await served.registry.admin.createProject('p');
    await served.registry.admin.setPolicy('p', policy);
    for (let day = 1; day <= 6; day++) {
      await pushImage(served, 'p/x', `build-${day}`, [`layer ${day}`]);
      await clock.advance(DAY);
    }
    await pushImage(served, 'p/x', 'latest', ['layer 6']);
    return served;
  }

  const tags = async (served: ServedRegistry): Promise<string[]> =>
    ((await (await served.send('GET', '/v2/p/x/tags/list')).json()) as { tags: string[] }).tags;

  test('keeps the newest and the young; a dry run says the same and removes nothing', async (t) => {
    const served = await tagged(t, { retention: [{ tags: 'build-*', keepNewest: 2, keepDays: 3.5 }] });
    const dry = await served.registry.maintenance.retain(signal, { dryRun: true });
    assert.equal((await tags(served)).length, 7);
    const done = await served.registry.maintenance.retain(signal, { dryRun: false });
    assert.deepEqual(done, dry);
    assert.deepEqual(await tags(served), ['build-4', 'build-5', 'build-6', 'latest']);
    const audited = await served.registry.admin.listAudit({ account: 'retention' });
    assert.deepEqual(
      audited.map(({ action, target, detail }) => `${action} ${target}: ${detail}`).reverse(),
      done.map(({ name, reason }) => `tag.delete p/x:${name}: ${reason}`),
    );
  });

  test('never removes what is fixed or in use', async (t) => {
    const { served, clock } = await kept(t);
    assert.ok(clock);
    const probe = await pushImage(served, 'probe', 'build-2', ['layer 2']);
    const policy = { immutable: [{ tags: 'build-1' }], retention: [{ tags: 'build-*', keepNewest: 1 }] };
    const subject = await tagged(t, policy, [probe]);
    await subject.registry.maintenance.retain(signal, { dryRun: false });
    assert.deepEqual(await tags(subject), ['build-1', 'build-2', 'build-6', 'latest']);
  });

  test('removes untagged manifests, but no child of an index and no referrer of what stays', async (t) => {
    const { served, clock } = await kept(t);
    await served.registry.admin.createProject('p');
    await served.registry.admin.setPolicy('p', { untaggedDays: 1 });
    const child = await pushImage(served, 'p/x', 'child', ['c']);
    await served.send('DELETE', '/v2/p/x/manifests/child');
    const bytes = await (await served.send('GET', `/v2/p/x/manifests/${child}`)).text();
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor(bytes, OCI_MANIFEST)] };
    const indexDigest = await served.pushManifest('p/x', 'multi', index);
    const subject = descriptor(JSON.stringify(index), OCI_INDEX);
    await served.pushBlob('p/x', '{}');
    const signature = { ...manifestOf('{}', []), subject };
    const signatureDigest = await served.pushManifest('p/x', sha256(JSON.stringify(signature)), signature);
    const lone = { ...manifestOf('{}', []), annotations: { lone: 'yes' } };
    const loneDigest = await served.pushManifest('p/x', sha256(JSON.stringify(lone)), lone);
    await clock.advance(2 * DAY);
    const first = await served.registry.maintenance.retain(signal, { dryRun: false });
    assert.deepEqual(
      first.map(({ name }) => name),
      [loneDigest],
    );
    await served.send('DELETE', '/v2/p/x/manifests/multi');
    const second = await served.registry.maintenance.retain(signal, { dryRun: false });
    assert.deepEqual(second.map(({ name }) => name).sort(), [child, indexDigest, signatureDigest].sort());
  });
});

describe('scrub', () => {
  test('damaged and missing blobs are found, put aside, and healed by the next push', async (t) => {
    const { served } = await kept(t);
    await pushImage(served, 'a', 'v1', ['one', 'two', 'three']);
    const path = (content: string): string =>
      join(served.directory, 'content', 'blobs', 'sha256', sha256(content).slice(7));
    await chmod(path('one'), 0o644);
    await writeFile(path('one'), 'xxx');
    await rm(path('two'));
    const report = await served.registry.maintenance.scrub(signal);
    const faults = report.damaged.map(
      ({ digest, fault, repositories }) => `${digest} ${fault} ${repositories.join()}`,
    );
    assert.deepEqual(faults.sort(), [`${sha256('one')} damaged a`, `${sha256('two')} missing a`].sort());
    assert.equal((await readdir(join(served.directory, 'quarantine'))).length, 1);
    for (const content of ['one', 'two']) {
      assert.equal((await served.send('HEAD', `/v2/a/blobs/${sha256(content)}`)).status, 404);
      await served.pushBlob('a', content);
      assert.equal(await (await served.send('GET', `/v2/a/blobs/${sha256(content)}`)).text(), content);
    }
    assert.deepEqual((await served.registry.maintenance.scrub(signal)).damaged, []);
  });

  test('a damaged manifest is not there for anybody, and healed by the next push', async (t) => {
    const { served } = await kept(t);
    const digest = await pushImage(served, 'a', 'v1', ['one']);
    const file = join(served.directory, 'content', 'blobs', 'sha256', digest.slice(7));
    const bytes = await readFile(file);
    await chmod(file, 0o644);
    await writeFile(
      file,
      bytes.map((byte) => byte ^ 1),
    );
    const statuses = (): Promise<number[]> =>
      Promise.all(
        ['v1', digest].flatMap((name) =>
          ['HEAD', 'GET'].map(
            async (method) => (await served.send(method, `/v2/a/manifests/${name}`)).status,
          ),
        ),
      );
    assert.equal((await served.send('GET', '/v2/a/manifests/v1')).status, 404);
    const report = await served.registry.maintenance.scrub(signal);
    assert.deepEqual(report.damaged, [
      { digest, fault: 'damaged', detail: report.damaged[0]?.detail, repositories: ['a'] },
    ]);
    assert.deepEqual(await statuses(), [404, 404, 404, 404]);
    const headers = { 'content-type': OCI_MANIFEST };
    const pushed = await served.send('PUT', '/v2/a/manifests/v1', { body: bytes.toString(), headers });
    assert.equal(pushed.status, 201);
    assert.deepEqual(await statuses(), [200, 200, 200, 200]);
    assert.equal(await (await served.send('GET', '/v2/a/manifests/v1')).text(), bytes.toString());
    assert.deepEqual((await served.registry.maintenance.scrub(signal)).damaged, []);
  });
});

describe('backup', () => {
  test('a backup taken while the registry serves is a registry; a second one copies what is new', async (t) => {
    const { served } = await kept(t);
    const digest = await pushImage(served, 'a', 'v1', ['one']);
    const directory = await mkdtemp(join(tmpdir(), 'dray-backup-'));
    const first = await served.registry.maintenance.backup(directory, signal);
    assert.deepEqual([first.blobs, first.reused], [3, 0]);
    await pushImage(served, 'a', 'v2', ['one', 'two']);
    const second = await served.registry.maintenance.backup(directory, signal);
    assert.deepEqual([second.blobs, second.reused], [6, 3]);
    const restored = await serveRegistry(t, { directory });
    assert.equal(
      (await restored.send('HEAD', '/v2/a/manifests/v1')).headers.get('docker-content-digest'),
      digest,
    );
    assert.equal(await (await restored.send('GET', `/v2/a/blobs/${sha256('two')}`)).text(), 'two');
    assert.deepEqual((await restored.registry.maintenance.scrub(signal)).damaged, []);
    assert.ok((await readFile(join(directory, 'registry.db'))).length > 0);
  });

  test('what is damaged or missing is named, and keeps nothing else from being copied', async (t) => {
    const { served } = await kept(t);
    await pushImage(served, 'a', 'v1', ['one', 'two', 'three']);
    const path = (content: string): string =>
      join(served.directory, 'content', 'blobs', 'sha256', sha256(content).slice(7));
    await chmod(path('one'), 0o644);
    await writeFile(path('one'), 'eno');
    await rm(path('two'));
    const directory = await mkdtemp(join(tmpdir(), 'dray-backup-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const report = await served.registry.maintenance.backup(directory, signal);
    assert.deepEqual([...report.lost].sort(), [sha256('one'), sha256('two')].sort());
    assert.equal(report.blobs, 3);
    const restored = await serveRegistry(t, { directory });
    assert.equal(await (await restored.send('GET', `/v2/a/blobs/${sha256('three')}`)).text(), 'three');
    assert.equal((await stat(join(directory, 'registry.db'))).mode & 0o777, 0o600);
  });
});
