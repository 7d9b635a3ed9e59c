import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStateRoot } from '../../src/daemon/state-root.ts';
import { architecture, imageMachine, os } from '../support/image-machine.ts';
import { layerOf } from '../support/pull-node.ts';

/*
 * The commands about images, each as a process of its own: on a root that nobody holds, and on one that another process holds and
 * serves, as `dray up` does. What they print is the same.
 */

interface Inspected {
  readonly id: string;
  readonly platforms: readonly string[];
  readonly layers: readonly { readonly digest: string }[];
  readonly config: { readonly architecture: string };
}

for (const held of [false, true]) {
  const how = held ? ' (through the process that holds the root)' : '';

  test(`images lists what was pulled: for people, for programs and for scripts${how}`, async (t) => {
    const { image, imageId, dray, must } = await imageMachine(t, { held });
    await must('pull', '-q', image);
    assert.match(await must('images'), new RegExp(`^NAME .*\\n${image} +${imageId.slice(7, 19)} +${os}/`));
    assert.equal(await must('images', '-o', 'name'), `${image}\n`);
    const [listed] = JSON.parse(await must('images', '-o', 'json')) as [{ id: string; repoTags: string[] }];
    assert.deepEqual([listed.id, listed.repoTags], [imageId, [image]]);
    assert.match(await must('images', '-o', 'yaml'), /^- id: sha256:/m);
    const wrong = await dray('images', '-o', 'xml');
    assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
    assert.match(wrong.stderr, /unknown output format "xml"/);
  });

  test(`an image has the names it is given, and goes with the last of them${how}`, async (t) => {
    const { root, image, imageId, dray, must } = await imageMachine(t, { held });
    await must('pull', '-q', image);
    assert.equal(await must('tag', image, 'team/other:v2'), 'docker.io/team/other:v2\n');
    const several = await dray('rmi', imageId);
    assert.equal(several.code, 2);
    assert.match(several.stderr, /has several names .* or all with --force/);
    assert.equal(await must('rmi', image), `Untagged: ${image}\n`);
    assert.equal(await must('images', '-o', 'name'), 'docker.io/team/other:v2\n');
    assert.match(await must('rmi', 'team/other:v2'), new RegExp(`Deleted: ${imageId}`));
    assert.equal(await must('images', '-o', 'name'), '');
    // Removing frees the disk as well: nothing is left for a collection.
    assert.equal(await must('gc', '-o', 'name'), '');
    await assert.rejects(readFile(join(root, 'content', 'blobs', 'sha256', imageId.slice(7))), {
      code: 'ENOENT',
    });
    const absent = await dray('rmi', image);
    assert.equal(absent.code, 2);
    assert.match(absent.stderr, /there is no image ".*app:v1" in the store/);
  });

  test(`inspect tells of a held image, and of a remote one without pulling a layer or opening the store${how}`, async (t) => {
    const { registry, root, image, imageId, must } = await imageMachine(t, { held });
    const raw = await must('inspect', '--remote', '--raw', image);
    assert.equal(raw, registry.manifest('app', 'v1')?.bytes.toString());
    const remote = JSON.parse(await must('inspect', '--remote', image)) as Inspected;
    assert.deepEqual(remote.platforms, [`${os}/${architecture}`, 'linux/s390x']);
    assert.equal(remote.id, imageId);
    assert.equal(remote.config.architecture, architecture);
    const other = JSON.parse(
      await must('inspect', '--remote', '--config', '--platform', 'linux/s390x', image),
    ) as { architecture: string };
    assert.equal(other.architecture, 's390x');
    for (const { digest } of remote.layers) assert.equal(registry.count('GET', new RegExp(digest)), 0);
    if (!held) await assert.rejects(readFile(join(root, 'format')), { code: 'ENOENT' });

    await must('pull', '-q', image);
    registry.requests.length = 0;
    const own = JSON.parse(await must('inspect', imageId)) as Inspected;
    assert.deepEqual([own.id, own.layers], [imageId, remote.layers]);
    assert.equal(await must('inspect', '-o', 'name', image), `${imageId}\n`);
    assert.deepEqual(registry.requests, []);
  });

  test(`an image is saved, removed and loaded again, from the archive and from a layout${how}`, async (t) => {
    const { root, image, imageId, must } = await imageMachine(t, { held });
    await must('pull', '-q', image);
    const archive = join(root, '..', 'app.tar');
    const layout = join(root, '..', 'layout');
    await must('save', '-o', archive, image);
    await must('copy', '-q', `store:${image}`, `oci:${layout}`);
    await must('rmi', image);
    assert.equal(await must('load', '-i', archive), `Loaded: ${image}\n`);
    assert.equal(await must('images', '-o', 'name'), `${image}\n`);
    await must('rmi', image);
    assert.equal(
      await must('load', '-i', layout, '--name', 'again:v1'),
      'Loaded: docker.io/library/again:v1\n',
    );
    assert.match(await must('inspect', 'again:v1', '-o', 'name'), new RegExp(imageId));
  });

  test(`copy takes all platforms from registry to registry, or one, or into an archive${how}`, async (t) => {
    const { registry, root, image, must } = await imageMachine(t, { held });
    const target = `${registry.host}/copy:v1`;
    const index = registry.manifest('app', 'v1')?.bytes;
    await must('copy', '-q', image, `docker://${target}`);
    assert.deepEqual(registry.manifest('copy', 'v1')?.bytes, index);
    const digest = (await must('copy', '-q', '--platform', 'linux/s390x', image, `${target}-s390x`)).trim();
    assert.equal(JSON.parse(await must('inspect', '--remote', `${target}-s390x`)).target.digest, digest);
    const archive = join(root, '..', 'app.tar');
    await must('copy', '-q', image, `archive:${archive}:app:v3`);
    await must('copy', '-q', `archive:${archive}`, `${registry.host}/back:v1`);
    assert.deepEqual(registry.manifest('back', 'v1')?.bytes, index);
  });

  test(`pull keeps all platforms where that is asked for, and push sends all or one of them on${how}`, async (t) => {
    const { registry, image, dray, must } = await imageMachine(t, { held });
    const { host } = registry;
    await must('pull', '-q', image);
    const part = await dray('push', '--all-platforms', image, `${host}/all:v1`);
    assert.equal(part.code, 1);
    assert.match(part.stderr, /is not held: pull all platforms/);
    await must('pull', '-q', '--all-platforms', image);
    await must('push', '-q', '--all-platforms', image, `${host}/all:v1`);
    assert.deepEqual(registry.manifest('all', 'v1')?.bytes, registry.manifest('app', 'v1')?.bytes);
    await must('push', '-q', '--platform', 'linux/s390x', image, `${host}/one:v1`);
    assert.equal(
      JSON.parse(await must('inspect', '--remote', `${host}/one:v1`, '--platform', 'linux/s390x')).platforms
        .length,
      0,
    );
  });

  test(`a platform that is named is that one or an error, never another${how}`, async (t) => {
    const { registry, root, image, dray, must } = await imageMachine(t, { held });
    const { host } = registry;
    await must('pull', '-q', image);
    const archive = join(root, '..', 'one.tar');
    for (const args of [
      ['push', '--platform', 'linux/s390x', image, `${host}/one:v1`],
      ['save', '--platform', 'linux/s390x', '-o', archive, image],
    ]) {
      const outcome = await dray(...args);
      assert.equal(outcome.code, 1, args[0]);
      assert.match(
        outcome.stderr,
        /dray: no match for platform in manifest sha256:[0-9a-f]{64}, which is for /,
      );
    }
    assert.equal(registry.manifest('one', 'v1'), undefined);
    await assert.rejects(readFile(archive), { code: 'ENOENT' });
    await must('pull', '-q', '--all-platforms', image);
    await must('push', '-q', '--platform', 'linux/s390x', image, `${host}/one:v1`);
    registry.putImage('single', 'v1', [layerOf('single')], { os, architecture });
    const single = await dray('pull', '-q', '--platform', 'linux/s390x', `${host}/single:v1`);
    assert.equal(single.code, 0);
    assert.equal(
      single.stderr,
      `dray: the image is for ${os}/${architecture}, and the name stands for no other\n`,
    );
    const absent = await dray('push', '--platform', 'linux/ppc64le', image, `${host}/one:v2`);
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /no match for platform in manifest/);
  });

  test(`what cannot be meant is bad usage, said in one line${how}`, async (t) => {
    const { root, image, imageId, dray, must } = await imageMachine(t, { held });
    await must('pull', '-q', image);
    const missing = join(root, 'none', 'app.tar');
    const archive = join(root, '..', 'named.tar');
    await must('copy', '-q', image, `archive:${archive}:app:v3`);
    const rows: [args: string[], says: RegExp][] = [
      [['pull', 'Bad Name'], /"Bad Name" is no image name/],
      [['pull', '--platform', 'bogus', image], /--platform "bogus": /],
      [['push', image, 'Bad Name'], /"Bad Name" is no image name/],
      [['push', imageId], /named by its ID needs a name to go to/],
      [['push', '--platform', 'bogus', image], /--platform "bogus": /],
      [['save', '--platform', 'bogus', image], /--platform "bogus": /],
      [['save', '-o', missing, image], /cannot write ".*app.tar": there is no such file or directory/],
      [['copy', '--platform', 'bogus', image, 'oci:x'], /--platform "bogus": /],
      [
        ['copy', `archive:${missing}`, 'store:x'],
        /cannot read ".*app.tar": there is no such file or directory/,
      ],
      [
        ['copy', `archive:${archive}:other:v1`, 'store:x'],
        /has no image "docker.io\/library\/other:v1": it has .*app:v3/,
      ],
      [['load', '--platform', 'bogus'], /--platform "bogus": /],
      [['load', '--name', 'sha256:abc'], /"sha256:abc" could not be told from an ID/],
      [['inspect', '--platform', 'bogus', image], /--platform "bogus": /],
      [['tag', image, 'sha256:abc'], /"sha256:abc" could not be told from an ID/],
      [['index', 'create'], /missing required argument "name"/],
      [['index', 'create', '--annotation', 'none', 'x', image], /it has to be KEY=VALUE/],
    ];
    for (const [args, says] of rows) {
      const outcome = await dray(...args);
      assert.equal(outcome.code, 2, args.join(' '));
      assert.match(outcome.stderr, says);
      assert.match(outcome.stderr, /^dray: /);
    }
    const text = await dray('load', '-i', new URL(import.meta.url).pathname);
    assert.deepEqual([text.code, text.stdout], [1, '']);
    assert.match(text.stderr, /^dray: cannot load ".*images.test.ts": Cannot read tar: /);
  });

  test(`progress comes as JSON lines, of which each is an object${how}`, async (t) => {
    const { image, dray } = await imageMachine(t, { held });
    const { stderr, stdout } = await dray('pull', '--progress=json', image);
    const events = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { phase: string });
    assert.deepEqual(events.at(-1)?.phase, 'done');
    assert.match(stdout, /^sha256:[0-9a-f]{64}\n$/);
    const wrong = await dray('pull', '--progress=loud', image);
    assert.deepEqual(
      [wrong.code, wrong.stderr],
      [2, 'dray: unknown progress "loud": there are plain, json, none\n'],
    );
  });

  test(`C2: index create makes images of several platforms one name, and refuses two of one platform${how}`, async (t) => {
    const { registry, image, dray, must } = await imageMachine(t, { held });
    await must('pull', '-q', image);
    await must('tag', image, 'mine:v1');
    await must('pull', '-q', '--platform', 'linux/s390x', image);
    await must('tag', image, 'other:v1');
    const said = ['--annotation', 'org.example.version=1.2', '--annotation', 'org.example.note=a=b'];
    assert.match(
      await must('index', 'create', ...said, 'both:v1', 'mine:v1', 'other:v1'),
      /^docker.io\/library\/both:v1@sha256:/,
    );
    const { annotations } = JSON.parse(await must('inspect', '--raw', 'both:v1')) as { annotations: unknown };
    assert.deepEqual(annotations, { 'org.example.version': '1.2', 'org.example.note': 'a=b' });
    const { platforms } = JSON.parse(await must('inspect', 'both:v1')) as Inspected;
    assert.deepEqual(platforms.toSorted(), ['linux/s390x', `${os}/${architecture}`].toSorted());
    registry.putImage('app', 'v2', [layerOf('twin')], { os, architecture });
    await must('pull', '-q', `${registry.host}/app:v2`);
    const twins = await dray('index', 'create', 'both:v2', 'mine:v1', `${registry.host}/app:v2`);
    assert.equal(twins.code, 1);
    assert.match(twins.stderr, /are both for .*: an index lists one image for a platform/);
    const absent = await dray('index', 'create', 'both:v1', 'nowhere:v1');
    assert.match(absent.stderr, /there is no image "docker.io\/library\/nowhere:v1"/);
  });

  test(`gc --verify finds damaged content, says so by its exit code and mends it by removing${how}`, async (t) => {
    const { root, image, imageId, dray, must } = await imageMachine(t, { held });
    await must('pull', '-q', image);
    assert.match(await must('gc', '--verify'), /^STEP +REMOVED .*\nverify +0 /);
    const file = join(root, 'content', 'blobs', 'sha256', imageId.slice(7));
    await chmod(file, 0o644);
    await writeFile(file, 'damaged');
    const found = await dray('gc', '--verify', '--dry-run', '-o', 'name');
    assert.deepEqual([found.code, found.stdout], [1, `${imageId}\n`]);
    assert.equal((await dray('gc', '--verify')).code, 1);
    await must('pull', '-q', image);
    await must('gc', '--verify');
  });
}

test('pulls tells how each pull went, also while somebody else holds the root', async (t) => {
  const { root, image, dray, must } = await imageMachine(t);
  await must('pull', '-q', image);
  assert.equal((await dray('pull', '-q', `${image}-absent`)).code, 1);
  const held = await openStateRoot(root, 'a test');
  try {
    const records = JSON.parse(await must('pulls', '-o', 'json')) as { id: string; outcome: string }[];
    assert.deepEqual(
      records.map(({ outcome }) => outcome),
      ['failed', 'pulled'],
    );
    const story = await must('pulls', records[1]?.id ?? '');
    assert.match(story, /outcome +pulled/);
    assert.match(story, /HEAD +200 .*manifests\/v1/);
    assert.equal((await dray('pulls', 'zz')).code, 2);
    const images = await dray('images');
    assert.equal(images.code, 1);
    assert.match(images.stderr, /it is held by process \d+ \(a test, since /);
  } finally {
    held.close();
  }
});
