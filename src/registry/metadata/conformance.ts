import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { digestOf, type Digest } from '../../oci/digest.ts';
import { NO_POLICY, type TagProtection } from '../policy.ts';
import type { Metadata } from './metadata.ts';
import type { NewManifest, PutManifestResult } from './registry-index.ts';

const FREE: TagProtection = { mayMove: true, mayDelete: true, mayRecreate: true };
const FIXED: TagProtection = { mayMove: false, mayDelete: false, mayRecreate: false };
const ALL = { cursor: undefined, rows: 1_000 };

const digest = (text: string): Digest => digestOf(text);

/** What a metadata store has to hold to, whatever keeps it. `open` makes an empty one that ends with the test. */
export function metadataConformance(open: (t: TestContext, clock: ManualClock) => Promise<Metadata>): void {
  const opened = async (t: TestContext): Promise<{ metadata: Metadata; clock: ManualClock }> => {
    const clock = new ManualClock(1_000_000);
    return { metadata: await open(t, clock), clock };
  };
  const link = async (
    metadata: Metadata,
    repository: string,
    blob: { digest: Digest; size: number },
  ): Promise<void> => {
    assert.equal(await metadata.blobs.reserveBlob(blob.digest), 'reserved');
    assert.equal(await metadata.blobs.linkBlob(repository, blob), true);
  };
  const put = async (metadata: Metadata, manifest: Partial<NewManifest>): Promise<PutManifestResult> => {
    await metadata.blobs.reserveBlob(manifest.digest ?? digest('manifest'));
    return putReserved(metadata, manifest);
  };
  const putReserved = (metadata: Metadata, manifest: Partial<NewManifest>): Promise<PutManifestResult> =>
    metadata.manifests.putManifest({
      repository: 'a',
      digest: digest('manifest'),
      mediaType: 'type',
      size: 1,
      tags: [],
      blobs: [],
      manifests: [],
      annotations: {},
      account: '',
      sparse: false,
      protection: () => FREE,
      ...manifest,
    });

  describe('manifests', () => {
    test('one that lacks a blob or a child is not stored at all, and makes no repository', async (t) => {
      const { metadata } = await opened(t);
      const result = await put(metadata, { blobs: [digest('b')], manifests: [digest('m')], tags: ['v1'] });
      assert.deepEqual(result, { kind: 'missing', digests: [digest('b'), digest('m')] });
      assert.equal(await metadata.manifests.findManifest('a', { tag: 'v1' }), undefined);
      assert.equal(await metadata.listing.hasRepository('a'), false);
    });

    test('many writes at once each see those before, and one that fails takes no other with it', async (t) => {
      const { metadata } = await opened(t);
      for (const text of ['b', 'manifest', 'other']) await metadata.blobs.reserveBlob(digest(text));
      const results = await Promise.all([
        metadata.blobs.linkBlob('a', { digest: digest('b'), size: 1 }),
        putReserved(metadata, { blobs: [digest('b')], tags: ['one'] }),
        putReserved(metadata, { blobs: [digest('none')], digest: digest('other'), tags: ['two'] }),
        metadata.blobs.mountBlob('a', 'c', digest('b')),
      ]);
      assert.deepEqual([results[1].kind, results[2].kind, results[3]?.size], ['stored', 'missing', 1]);
      assert.deepEqual(await metadata.listing.listTags('a', '', 10), ['one']);
    });

    test('a fixed tag neither moves nor goes, and the attempt changes nothing', async (t) => {
      const { metadata } = await opened(t);
      await put(metadata, { tags: ['v1', 'free'] });
      const protection = (tag: string): TagProtection => (tag === 'v1' ? FIXED : FREE);
      const moved = await put(metadata, { digest: digest('other'), tags: ['free', 'v1'], protection });
      assert.equal(moved.kind, 'fixed');
      assert.equal((await metadata.manifests.findManifest('a', { tag: 'free' }))?.digest, digest('manifest'));
      const removed = await metadata.manifests.deleteManifest('a', digest('manifest'), protection);
      assert.deepEqual(removed, { kind: 'fixed', tag: 'v1' });
      assert.equal((await put(metadata, { tags: ['v1'], protection })).kind, 'stored');
    });
  });

  describe('collection', () => {
    test('a condemned digest is rescued by a reservation, and one that is being swept makes it wait', async (t) => {
      const { metadata, clock } = await opened(t);
      const { collection, blobs } = metadata;
      for (const text of ['rescued', 'swept']) await blobs.reserveBlob(digest(text));
      await clock.advance(10);
      assert.equal((await collection.condemnBlobs(clock.now(), ALL)).count, 2);
      assert.equal(await blobs.reserveBlob(digest('rescued')), 'reserved');
      assert.equal(await collection.beginSweep(digest('rescued')), false);
      assert.equal(await collection.beginSweep(digest('swept')), true);
      assert.equal(await blobs.reserveBlob(digest('swept')), 'sweeping');
      await collection.endSweep(digest('swept'));
      assert.equal(await blobs.reserveBlob(digest('swept')), 'reserved');
      assert.deepEqual(await collection.condemned(10), []);
    });

    test('neither a link nor a manifest is made for a digest whose reservation a collector took', async (t) => {
      const { metadata, clock } = await opened(t);
      for (const text of ['b', 'manifest']) await metadata.blobs.reserveBlob(digest(text));
      await clock.advance(10);
      assert.equal((await metadata.collection.condemnBlobs(clock.now(), ALL)).count, 2);
      assert.equal(await metadata.blobs.linkBlob('a', { digest: digest('b'), size: 1 }), false);
      assert.deepEqual(await putReserved(metadata, { tags: ['v1'] }), { kind: 'unreserved' });
      assert.equal(await metadata.listing.hasRepository('a'), false);
    });

    test('a sweep whose collector died makes nobody wait once its lease is over', async (t) => {
      const { metadata, clock } = await opened(t);
      const { collection, blobs, leases } = metadata;
      await blobs.reserveBlob(digest('b'));
      await clock.advance(10);
      await leases.acquireLease('collect', 'dead', 60_000);
      await collection.condemnBlobs(clock.now(), ALL);
      await collection.beginSweep(digest('b'));
      await clock.advance(59_000);
      assert.equal(await blobs.reserveBlob(digest('b')), 'sweeping');
      await clock.advance(1_000);
      assert.equal(await blobs.reserveBlob(digest('b')), 'reserved');
    });

    test('nothing that a link or a manifest names is condemned, and no link that a manifest needs expires', async (t) => {
      const { metadata, clock } = await opened(t);
      for (const text of ['needed', 'linked']) {
        await link(metadata, 'a', { digest: digest(text), size: 1 });
      }
      await metadata.blobs.reserveBlob(digest('manifest'));
      await put(metadata, { blobs: [digest('needed')] });
      await clock.advance(10);
      assert.equal((await metadata.collection.condemnBlobs(clock.now(), ALL)).count, 0);
      assert.equal((await metadata.collection.expireLinks(clock.now(), ALL)).count, 1);
      assert.ok(await metadata.blobs.findBlob('a', digest('needed')));
      assert.equal(await metadata.blobs.findBlob('a', digest('linked')), undefined);
      assert.equal((await metadata.collection.condemnBlobs(clock.now(), ALL)).count, 1);
    });

    test('a damaged blob is forgotten where it was, and not where it was pushed again since', async (t) => {
      const { metadata, clock } = await opened(t);
      for (const repository of ['a', 'b']) await link(metadata, repository, { digest: digest('x'), size: 1 });
      const until = clock.now();
      await clock.advance(1);
      await link(metadata, 'b', { digest: digest('x'), size: 1 });
      assert.deepEqual(await metadata.collection.forgetBlob(digest('x'), until), ['a']);
      assert.equal(await metadata.blobs.findBlob('a', digest('x')), undefined);
      assert.ok(await metadata.blobs.findBlob('b', digest('x')));
      assert.deepEqual(await metadata.collection.forgetBlob(digest('none'), until), []);
    });

    test('a walk in small steps finds what one step finds', async (t) => {
      const { metadata, clock } = await opened(t);
      for (let i = 0; i < 25; i++) await link(metadata, `r${i % 4}`, { digest: digest(`${i}`), size: 1 });
      await clock.advance(10);
      let count = 0;
      let cursor: string | undefined;
      do {
        const step = await metadata.collection.expireLinks(clock.now(), { cursor, rows: 3 });
        count += step.count;
        ({ cursor } = step);
      } while (cursor !== undefined);
      assert.equal(count, 25);
    });

    test('one holder has a lease until it ends or is given back', async (t) => {
      const { metadata, clock } = await opened(t);
      const { leases } = metadata;
      assert.equal(await leases.acquireLease('x', 'one', 100), true);
      assert.equal(await leases.acquireLease('x', 'two', 100), false);
      assert.equal(await leases.acquireLease('x', 'one', 100), true);
      await clock.advance(100);
      assert.equal(await leases.acquireLease('x', 'two', 100), true);
      await leases.releaseLease('x', 'one');
      assert.equal(await leases.acquireLease('x', 'one', 100), false);
      await leases.releaseLease('x', 'two');
      assert.equal(await leases.acquireLease('x', 'one', 100), true);
    });
  });

  describe('a clock that is set back by a day', () => {
    const DAY_MS = 24 * 3_600_000;

    test('frees a lease whose holder died, and delivers what was put off', async (t) => {
      const { metadata, clock } = await opened(t);
      await clock.advance(2 * DAY_MS);
      await metadata.leases.acquireLease('x', 'dead', 60_000);
      await metadata.webhooks.addDeliveries(['ci'], '{}', 10);
      const [delivery] = await metadata.webhooks.takeDeliveries(10, 1_000);
      assert.ok(delivery !== undefined);
      await metadata.webhooks.postponeDelivery(delivery.id, clock.now() + 1_000);
      clock.set(clock.now() - DAY_MS);
      assert.equal(await metadata.leases.acquireLease('x', 'two', 60_000), true);
      assert.equal(await metadata.leases.acquireLease('x', 'three', 60_000), false);
      assert.equal((await metadata.webhooks.takeDeliveries(10, 1_000)).length, 1);
    });
  });

  describe('usage', () => {
    test('a blob counts once in a project, from the first link to the last', async (t) => {
      const { metadata } = await opened(t);
      const { blobs, projects, uploads } = metadata;
      await projects.createProject({ name: 'p', public: false, policy: NO_POLICY, createdAt: 0 });
      for (const repository of ['p/x', 'p/y', 'outside']) {
        await link(metadata, repository, { digest: digest('b'), size: 700 });
      }
      assert.equal(await uploads.projectBytes('p'), 700);
      await blobs.unlinkBlob('p/x', digest('b'));
      assert.equal(await uploads.projectBytes('p'), 700);
      await metadata.manifests.deleteRepository('p/y');
      assert.equal(await uploads.projectBytes('p'), 0);
    });

    test('reservations of many uploads at once never promise more than there is', async (t) => {
      const { metadata } = await opened(t);
      const { uploads } = metadata;
      const ids = Array.from({ length: 20 }, (_, place) => `upload-${place}`);
      for (const id of ids) {
        await uploads.createUpload({ id, repository: 'p/x', algorithm: 'sha256', account: '', startedAt: 0 });
      }
      const refusals = await Promise.all(ids.map((id) => uploads.reserveUpload(id, 'p', 100, 1_000)));
      assert.equal(refusals.filter((refusal) => refusal === undefined).length, 10);
      await uploads.removeUpload('upload-0');
      assert.equal(await uploads.reserveUpload('upload-19', 'p', 100, 1_000), undefined);
    });
  });

  describe('identity', () => {
    test('a changed password ends refresh tokens, a removed user its roles', async (t) => {
      const { metadata } = await opened(t);
      const { users, tokens, projects } = metadata;
      await users.createUser({ name: 'u', passwordHash: 'h', admin: false, createdAt: 0 });
      assert.equal(
        await users.createUser({ name: 'u', passwordHash: 'x', admin: true, createdAt: 0 }),
        false,
      );
      await projects.createProject({ name: 'p', public: false, policy: NO_POLICY, createdAt: 0 });
      await projects.setRole('p', 'u', 'guest');
      await tokens.addRefreshToken({
        hash: 't',
        account: 'u',
        createdAt: 0,
        expiresAt: Number.MAX_SAFE_INTEGER,
      });
      assert.ok(await tokens.findRefreshToken('t'));
      await users.updateUser('u', { passwordHash: 'new' });
      assert.equal(await tokens.findRefreshToken('t'), undefined);
      await users.deleteUser('u');
      assert.deepEqual(await projects.rolesOf('u', ['p']), []);
    });

    test('of two processes that make a signing key at once, one makes it', async (t) => {
      const { metadata, clock } = await opened(t);
      const key = (id: string): { id: string; privateJwk: string; createdAt: number } => ({
        id,
        privateJwk: '{}',
        createdAt: clock.now(),
      });
      const made = await Promise.all(['one', 'two'].map((id) => metadata.tokens.addSigningKey(key(id), 0)));
      assert.equal(made[0]?.id, made[1]?.id);
      assert.equal((await metadata.tokens.signingKeys()).length, 1);
    });
  });
}
