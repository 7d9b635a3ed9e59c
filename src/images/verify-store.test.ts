import assert from 'node:assert/strict';
import { chmod, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openStores, type Stores } from '../../test/support/image-stores.ts';
import { hexOf, type Digest } from '../oci/digest.ts';
import { buildImage, type BuiltImage } from './build-image.ts';
import { collect, type CollectStep } from './collect.ts';
import { openImageStore, type SqliteImageStore } from './sqlite-image-store.ts';

const never = new AbortController().signal;

interface Machine extends Stores {
  readonly images: SqliteImageStore;
  readonly image: BuiltImage;
  readonly diffId: Digest;
  /** Directory of the unpacked layer. */
  readonly files: string;
  verify(dryRun?: boolean): Promise<CollectStep[]>;
}

async function machine(t: TestContext): Promise<Machine> {
  const stores = await openStores(t);
  const images = await openImageStore(':memory:');
  t.after(() => images.close());
  const { descriptor, diffId } = await stores.layer(
    { path: 'etc/passwd', content: 'root', mode: 0o644, mtime: 5 },
    { type: 'symlink', path: 'etc/link', linkPath: 'passwd' },
    { path: 'bin/', mode: 0o755, mtime: 7 },
    { path: 'bin/sh', content: 'elf', mode: 0o4755, mtime: 8 },
  );
  await stores.layers.unpack(descriptor, diffId, never);
  const platform = { os: 'linux', architecture: 'amd64' };
  const layers = [{ descriptor, diffId }];
  const image = await buildImage(stores.content, { layers, config: {}, platform }, never);
  await images.put({ id: image.config.digest, ...image, platform: 'linux/amd64', user: '' }, [
    { name: 'example.com/app:v1', target: image.manifest },
  ]);
  return {
    ...stores,
    images,
    image,
    diffId,
    files: join(stores.directory, 'layers', 'sha256', hexOf(diffId), 'fs'),
    verify: async (dryRun = false) => {
      const steps = await collect({ ...stores, images }, { verify: true, dryRun }, never);
      return steps.filter(({ damaged }) => damaged !== undefined);
    },
  };
}

test('what is sound is counted, and nothing is said of it', async (t) => {
  const { verify } = await machine(t);
  const steps = await verify();
  assert.deepEqual(
    steps.map(({ name, kept, damaged, removed }) => [name, kept, damaged, removed]),
    [
      ['verify', 3, [], []],
      ['verify-layers', 1, [], []],
      ['verify-records', 2, [], []],
    ],
  );
});

const HARM: readonly { name: string; harm: (files: string) => Promise<void>; says: RegExp }[] = [
  {
    name: 'other bytes',
    harm: (files) => writeFile(join(files, 'etc/passwd'), 'toor'),
    says: /passwd": its (?:time|content)/,
  },
  { name: 'a missing file', harm: (files) => rm(join(files, 'etc/link')), says: /etc": its entry "link"/ },
  {
    name: 'an additional file',
    harm: (files) => writeFile(join(files, 'etc/more'), ''),
    says: /etc": its entry "more"/,
  },
  { name: 'another mode', harm: (files) => chmod(join(files, 'bin/sh'), 0o755), says: /bin\/sh": its mode/ },
  { name: 'another time', harm: (files) => utimes(join(files, 'bin/sh'), 1, 1), says: /bin\/sh": its time/ },
];
for (const { name, harm, says } of HARM) {
  test(`an unpacked layer with ${name} is found, and goes so that it is unpacked again`, async (t) => {
    const { verify, files, diffId, layers, image } = await machine(t);
    await harm(files);
    const told = (await verify(true)).find((step) => step.name === 'verify-layers');
    assert.deepEqual(told?.removed, [diffId]);
    assert.match(told?.damaged?.[0]?.problem ?? '', says);
    assert.equal(await layers.isUnpacked(diffId), true, 'a dry run removes nothing');
    await verify();
    assert.equal(await layers.isUnpacked(diffId), false);
    await layers.unpack(image.layers[0] ?? image.config, diffId, never);
    assert.deepEqual(
      (await verify()).flatMap(({ damaged }) => damaged),
      [],
    );
  });
}

test('a damaged layer on which a root file system stands is told and left', async (t) => {
  const { verify, files, diffId, layers, rootfs } = await machine(t);
  await rootfs.prepare('container', [diffId], never);
  await writeFile(join(files, 'etc/passwd'), 'toor');
  const told = (await verify()).find((step) => step.name === 'verify-layers');
  assert.deepEqual([told?.damaged?.length, told?.removed], [1, []]);
  assert.equal(await layers.isUnpacked(diffId), true);
});

test('records that lead nowhere, or say what their manifest does not, are told', async (t) => {
  const { verify, images, image, content } = await machine(t);
  await images.put(
    { id: image.config.digest, ...image, diffIds: [image.config.digest], platform: '', user: '' },
    [],
  );
  const problems = async (): Promise<string[]> =>
    (await verify(true))
      .find((step) => step.name === 'verify-records')
      ?.damaged?.map(({ problem }) => problem) ?? [];
  assert.deepEqual(await problems(), ['its record is not what its config says']);
  await content.remove(image.manifest.digest);
  assert.deepEqual(await problems(), [
    `its part ${image.manifest.digest} is not held`,
    `it stands for ${image.manifest.digest}, which is not held`,
  ]);
});

test('damaged content is told with what it is instead', async (t) => {
  const { verify, content, image } = await machine(t);
  const path = content.pathOf(image.config.digest);
  const length = (await readFile(path)).length;
  await chmod(path, 0o644);
  await writeFile(path, 'x'.repeat(length));
  const [told] = await verify();
  assert.deepEqual(told?.removed, [image.config.digest]);
  assert.match(told?.damaged?.[0]?.problem ?? '', /^its bytes are those of sha256:/);
});
