import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestOf } from '../oci/digest.ts';
import { testContentStore } from './conformance.ts';
import { ContentError } from './content-error.ts';
import { openFileStore } from './file-store.ts';

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-content-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

testContentStore('file store', async (t) => {
  const directory = await temporaryDirectory(t);
  return { store: await openFileStore(directory), reopen: () => openFileStore(directory) };
});

test('the directory is an OCI image layout from the start', async (t) => {
  const directory = await temporaryDirectory(t);
  await openFileStore(directory);
  assert.deepEqual(JSON.parse(await readFile(join(directory, 'oci-layout'), 'utf8')), {
    imageLayoutVersion: '1.0.0',
  });
  const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as object;
  assert.deepEqual(
    { ...index, mediaType: undefined },
    { schemaVersion: 2, mediaType: undefined, manifests: [] },
  );
  assert.ok((await stat(join(directory, 'blobs'))).isDirectory());
});

test('a layout of an unknown version is refused', async (t) => {
  for (const [text, says] of [
    ['{"imageLayoutVersion":"2.0.0"}', /says layout version "2\.0\.0", expected "1\.0\.0"/],
    ['<html>', /is not JSON/],
    ['null', /says layout version undefined/],
  ] as const) {
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, 'oci-layout'), text);
    await assert.rejects(openFileStore(directory), (error) => {
      assert.ok(error instanceof ContentError);
      assert.equal(error.code, 'DAMAGED');
      assert.match(error.message, says);
      return true;
    });
  }
});

test('committed content is read-only', async (t) => {
  const store = await openFileStore(await temporaryDirectory(t));
  const ingest = await store.openIngest('some ref');
  await ingest.write(Buffer.from('x'));
  const { digest } = await ingest.commit({});
  assert.equal((await stat(store.pathOf(digest))).mode & 0o777, 0o444);
});

test('content of the wrong size on disk is replaced by a good commit', async (t) => {
  const store = await openFileStore(await temporaryDirectory(t));
  const digest = digestOf('whole');
  await writeFile(store.pathOf(digest), 'who');
  const ingest = await store.openIngest('some ref');
  await ingest.write(Buffer.from('whole'));
  await ingest.commit({ digest });
  assert.equal(await readFile(store.pathOf(digest), 'utf8'), 'whole');
});

test('bytes damaged while no process ran are found at the commit', async (t) => {
  const directory = await temporaryDirectory(t);
  const first = await (await openFileStore(directory)).openIngest('some ref');
  await first.write(Buffer.from('good bytes'));
  await first.close();
  const find = spawnSync('find', [join(directory, 'ingest'), '-name', 'data'], { encoding: 'utf8' });
  await chmod(find.stdout.trim(), 0o600);
  await writeFile(find.stdout.trim(), 'bad! bytes');
  const second = await (await openFileStore(directory)).openIngest('some ref');
  assert.equal(second.offset, 10);
  await assert.rejects(second.commit({ digest: digestOf('good bytes') }), { code: 'DIGEST_MISMATCH' });
});

test('an external ingest publishes what another writer wrote', async (t) => {
  const store = await openFileStore(await temporaryDirectory(t));
  const ingest = await store.openExternalIngest('some ref');
  assert.equal(ingest.offset, 0);
  await assert.rejects(store.openIngest('some ref'), { code: 'LOCKED' });
  await writeFile(ingest.path, 'outside');
  const digest = digestOf('outside');
  assert.equal((await ingest.publish(digest, 7)).size, 7);
  assert.equal(await readFile(store.pathOf(digest), 'utf8'), 'outside');
  assert.deepEqual(await store.ingests(), []);
  const next = await store.openExternalIngest('some ref');
  await next.abort();
  assert.deepEqual(await store.ingests(), []);
});

test('after kill -9 of a writing process everything visible is whole and the rest resumes', async (t) => {
  const directory = await temporaryDirectory(t);
  const program = `
    import { openFileStore } from ${JSON.stringify(new URL('file-store.ts', import.meta.url).href)};
    const store = await openFileStore(process.argv[1]);
    for (let i = 0; ; i++) {
      const ingest = await store.openIngest('blob ' + i);
      for (let part = 0; part < 8; part++) {
        await ingest.write(Buffer.alloc(50_000, i + ':' + part));
        process.stdout.write('.');
      }
      await ingest.commit({});
    }`;
  for (const writes of [1, 3, 8, 40, 41, 77]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    let seen = 0;
    child.stdout.on('data', (dots: Buffer) => {
      seen += dots.length;
      if (seen >= writes) child.kill('SIGKILL');
    });
    await exited;
    const store = await openFileStore(directory);
    for await (const { digest } of store.walk()) {
      assert.equal(digestOf(await readFile(store.pathOf(digest))), digest);
    }
    for (const { ref } of await store.ingests()) {
      const ingest = await store.openIngest(ref);
      await ingest.truncate(0);
      await ingest.write(Buffer.from(ref));
      assert.equal((await ingest.commit({})).digest, digestOf(ref));
    }
    assert.deepEqual(await store.ingests(), []);
  }
});

test('a full disk is NO_SPACE, and what was written stays resumable', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('mounting a small file system needs root');
  const directory = await temporaryDirectory(t);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  if (mounted.status !== 0) return t.skip(`cannot mount tmpfs: ${String(mounted.stderr)}`);
  try {
    const store = await openFileStore(directory);
    const ingest = await store.openIngest('large');
    await assert.rejects(
      async () => {
        for (;;) await ingest.write(Buffer.alloc(300_000));
      },
      (error) => error instanceof ContentError && error.code === 'NO_SPACE',
    );
    await ingest.close();
    assert.deepEqual(
      (await store.ingests()).map(({ offset }) => offset),
      [ingest.offset],
    );
    await store.abortIngest('large');
    const small = await store.openIngest('small');
    await small.write(Buffer.from('fits'));
    await small.commit({});
  } finally {
    spawnSync('umount', [directory]);
  }
});
