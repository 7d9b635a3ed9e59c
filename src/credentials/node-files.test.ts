import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import {
  NODE_FILES_TTL_MS,
  NodeFiles,
  nodeFilePaths,
  readNodeFiles,
  type NodeFilesOptions,
} from './node-files.ts';

const PLACES = [
  'kubelet/config.json',
  'work/config.json',
  'home/.docker/config.json',
  'root/.docker/config.json',
  'kubelet/.dockercfg',
  'work/.dockercfg',
  'home/.dockercfg',
  'root/.dockercfg',
];

async function node(
  t: TestContext,
): Promise<{ options: NodeFilesOptions; put: (place: string, text: string) => Promise<void> }> {
  const base = await mkdtemp(join(tmpdir(), 'drayage-node-files-'));
  t.after(() => rm(base, { recursive: true, force: true }));
  for (const name of ['kubelet', 'work', 'home', 'root']) await mkdir(join(base, name));
  return {
    options: {
      rootDirectory: join(base, 'kubelet'),
      workingDirectory: join(base, 'work'),
      home: join(base, 'home'),
      fileSystemRoot: join(base, 'root'),
    },
    put: async (place, text) => {
      await mkdir(dirname(join(base, place)), { recursive: true });
      await writeFile(join(base, place), text);
    },
  };
}

function content(place: string): string {
  const entries = { 'r.io': { username: place, password: 'p' } };
  return JSON.stringify(place.endsWith('.json') ? { auths: entries } : entries);
}

test('D1 6.1 the eight places are searched in this order, the newer form first', async (t) => {
  const { options } = await node(t);
  const base = dirname(options.rootDirectory);
  assert.deepEqual(
    nodeFilePaths(options).map(({ path }) => path),
    PLACES.map((place) => join(base, place)),
  );
});

for (const [index, place] of PLACES.entries()) {
  test(`D1 6.1 ${place} wins alone when all before it are missing`, async (t) => {
    const { options, put } = await node(t);
    for (const later of PLACES.slice(index)) await put(later, content(later));
    const result = await readNodeFiles(options);
    assert.deepEqual(
      result.entries.map((entry) => entry.username),
      [place],
    );
    assert.ok(result.path?.endsWith(place));
    assert.deepEqual(result.entries[0]?.source, { kind: 'node-file', path: result.path });
  });
}

test('6.1 a relative HOME, as when none is set, is taken from the working directory', async (t) => {
  const { options } = await node(t);
  assert.equal(
    nodeFilePaths({ ...options, home: '' })[2]?.path,
    join(options.workingDirectory ?? '', '.docker', 'config.json'),
  );
});

test('6.2 unreadable and unparsable files are passed over', async (t) => {
  const { options, put } = await node(t);
  await put('kubelet/config.json', '{"auths":{"r.io":{"auth":"S3CRET"}}}');
  await put('work/config.json/not-a-file', '');
  await put('home/.docker/config.json', content('home/.docker/config.json'));
  const result = await readNodeFiles(options);
  assert.equal(result.entries[0]?.username, 'home/.docker/config.json');
  assert.deepEqual(
    result.trace.map((step) => `${step.rule} ${step.says}`),
    [
      '6.2 passed over: error occurred while trying to unmarshal json',
      '6.2 passed over: cannot be read (EISDIR)',
      '6.1 first valid login file, 1 entries: no other is read',
    ],
  );
});

test('6.2 a config.json without auths is valid: it wins and gives nothing', async (t) => {
  const { options, put } = await node(t);
  await put('kubelet/config.json', '{"credsStore":"pass"}');
  await put('work/config.json', content('work/config.json'));
  const result = await readNodeFiles(options);
  assert.ok(result.path?.endsWith('kubelet/config.json'));
  assert.deepEqual(result.entries, []);
});

test('6.8 a legacy file with one bad entry is passed over as a whole', async (t) => {
  const { options, put } = await node(t);
  await put('work/.dockercfg', '{"a.io":{"username":"u"},"b.io":{"auth":"!"}}');
  const result = await readNodeFiles(options);
  assert.equal(result.path, undefined);
  assert.deepEqual(result.entries, []);
});

test('6.3 what was found, also nothing, holds for five minutes', async (t) => {
  const { options, put } = await node(t);
  const clock = new ManualClock();
  const files = new NodeFiles({ ...options, clock });
  assert.equal((await files.read()).path, undefined);
  await put('work/config.json', content('work/config.json'));
  await clock.advance(NODE_FILES_TTL_MS - 1);
  assert.equal((await files.read()).path, undefined);
  await clock.advance(1);
  assert.ok((await files.read()).path?.endsWith('work/config.json'));
  await put('work/config.json', 'broken');
  assert.ok((await files.read()).path?.endsWith('work/config.json'));
});
