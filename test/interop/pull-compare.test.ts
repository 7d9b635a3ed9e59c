import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { LayoutIndex } from '../../src/images/layout-index.ts';
import { openRootfsProvider } from '../../src/images/rootfs-provider.ts';
import { UnpackPool } from '../../src/archive/unpack-pool.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { startContainerd } from '../support/containerd.ts';
import { FaultRegistry, sha256 } from '../support/fault-registry.ts';
import { CHANGING_LAYER, ODD_LAYER } from '../support/odd-layers.ts';
import { pullNode, type PullNode } from '../support/pull-node.ts';
import { clientDirectory, type ClientDirectory } from '../support/registry-clients.ts';
import { tarOf, type TarOfEntry } from '../support/tar-of.ts';
import { skipUnlessRoot, skipWithout } from '../support/tools.ts';
import { treeOf } from '../support/tree-of.ts';

/*
 * The same image, pulled from one registry by this program, by containerd, and unpacked by umoci, compared by type, mode, owner, time,
 * content, links and extended attributes of every path.
 */

const signal = AbortSignal.timeout(600_000);
const compared = { owners: true, times: true, xattrs: true };
const skip = skipWithout('containerd', 'ctr', 'umoci', 'tar', 'getfattr') || skipUnlessRoot();
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** A whole Debian made by debootstrap where one is named, else parts of the machine's own. */
const DEBIAN = process.env['DRAYAGE_DEBIAN_TREE'];
const OWN_PARTS = [
  'etc',
  'var/lib/dpkg/info',
  'usr/share/perl5',
  'usr/lib/systemd',
  'bin/ping',
  'usr/bin/passwd',
];
/** As npm lays them out: links into packages, thousands of small files, a program or two. */
const NPM_PARTS = ['.bin', 'undici', '@grpc', 'zod', 'commander', 'yaml', '@types', 'pino', 'ws'];

interface Bench {
  readonly registry: FaultRegistry;
  readonly node: PullNode;
  readonly client: ClientDirectory;
  readonly ctr: readonly string[];
  readonly pool: UnpackPool;
}

async function bench(t: TestContext): Promise<Bench> {
  const registry = await FaultRegistry.start();
  const client = await clientDirectory(t);
  const ctr = await startContainerd(t, client);
  const pool = new UnpackPool(1);
  t.after(async () => {
    await registry.close();
    await pool.close();
  });
  return { registry, node: await pullNode(t, { unpacks: true }), client, ctr, pool };
}

type Tree = Record<string, string>;

async function oursOf({ registry, node, pool }: Bench, name: string): Promise<Tree> {
  const { imageId } = await node.puller.pull({ reference: `${registry.host}/${name}:v1`, signal });
  const image = await node.images.find(imageId);
  assert.ok(node.layerStore !== undefined && image !== undefined);
  const provider = await openRootfsProvider(join(node.root, 'rootfs'), { layers: node.layerStore, pool });
  const rootfs = await provider.view(name, image.diffIds, signal);
  try {
    return treeOf(rootfs.path, compared);
  } finally {
    await provider.remove(name);
  }
}

async function containerdsOf({ registry, client, ctr }: Bench, name: string): Promise<Tree> {
  const reference = `${registry.host}/${name}:v1`;
  await client.must('ctr', ...ctr, 'images', 'pull', '--plain-http', '--snapshotter', 'native', reference);
  const target = join(client.path, `containerd-${name}`);
  await mkdir(target);
  await client.must('ctr', ...ctr, 'images', 'mount', '--snapshotter', 'native', reference, target);
  try {
    return treeOf(target, compared);
  } finally {
    await client.must('umount', target);
  }
}

/** Unpacks what lies in our own store, as the OCI layout that it is. */
async function umocisOf({ node, client, registry }: Bench, name: string): Promise<Tree> {
  const image = (await node.images.names()).find((each) => each.name === `${registry.host}/${name}:v1`);
  const target = image?.target as Descriptor;
  await new LayoutIndex(node.content.directory).update(() => [{ name, target }]);
  const bundle = join(client.path, `umoci-${name}`);
  await client.must('umoci', 'unpack', '--image', `${node.content.directory}:${name}`, bundle);
  return treeOf(join(bundle, 'rootfs'), compared);
}

/** Puts an image; whatever has no entry of its own in a layer has the time at which it was made, and is compared without. */
function put({ registry }: Bench, name: string, layers: readonly Buffer[]): void {
  const made = layers.map((tar) => ({ bytes: gzipSync(tar, { level: 1 }), diffId: sha256(tar) as Digest }));
  registry.putImage(name, 'v1', made);
}

function withoutTimes(tree: Tree, paths: RegExp): Tree {
  return Object.fromEntries(
    Object.entries(tree).map(([path, line]) => [path, paths.test(path) ? line.replace(/@\d+/, '') : line]),
  );
}

function tarOfParts(directory: string, parts: readonly string[]): Buffer {
  const xattrs = ['--xattrs', '--xattrs-include=*', '--pax-option=delete=atime,delete=ctime'];
  const there = parts.filter((part) => existsSync(join(directory, part)));
  const made = spawnSync('tar', ['-c', '--format=pax', ...xattrs, '-C', directory, ...there], {
    maxBuffer: 1e9,
  });
  assert.ok(made.stdout.length > 1_000_000, made.stderr.toString());
  return made.stdout;
}

const TREES: readonly { name: string; tars: () => Promise<readonly Buffer[]>; madeUp: RegExp }[] = [
  {
    name: 'debian',
    tars: async () => {
      const tree = DEBIAN ?? '/';
      const parts = DEBIAN === undefined ? OWN_PARTS : await readdir(DEBIAN);
      return [tarOfParts(tree, parts), tarOf(...ODD_LAYER), tarOf(...CHANGING_LAYER)];
    },
    madeUp: /^(?:\.|usr|usr\/share|usr\/lib|usr\/bin|bin|var|var\/lib|var\/lib\/dpkg)$/,
  },
  {
    name: 'npm',
    tars: () =>
      Promise.resolve([tarOfParts(MODULES, NPM_PARTS), tarOf('.wh.zod', 'ws/.wh..wh..opq', 'ws/new')]),
    madeUp: /^(?:\.|ws|ws\/new)$/,
  },
];

/** Archives that try something. Where all unpack them, the result is the same. */
const HOSTILE: readonly { name: string; entries: readonly TarOfEntry[] }[] = [
  { name: 'climbs', entries: ['a/', { path: 'a/../../../../climbed', content: 'x', mtime: 5 }] },
  { name: 'absolute', entries: [{ path: '/absolute/name', content: 'x', mtime: 5 }] },
  {
    name: 'through-a-link',
    entries: [
      { type: 'symlink', path: 'out', linkPath: '/etc', mtime: 5 },
      { path: 'out/written', content: 'x', mtime: 5 },
    ],
  },
  {
    name: 'up-a-link',
    entries: [
      { type: 'symlink', path: 'up', linkPath: '../../../..', mtime: 5 },
      { path: 'up/written', content: 'x', mtime: 5 },
    ],
  },
  { name: 'hard-link-out', entries: [{ type: 'link', path: 'shadow', linkPath: '../../../../etc/shadow' }] },
  {
    name: 'hard-link-through-a-link',
    entries: [
      { type: 'symlink', path: 'etc', linkPath: '/etc', mtime: 5 },
      { type: 'link', path: 'name', linkPath: 'etc/hostname' },
    ],
  },
  { name: 'link-to-itself', entries: [{ type: 'symlink', path: 'me', linkPath: 'me', mtime: 5 }] },
  {
    name: 'file-becomes-directory',
    entries: [
      { path: 'x', content: 'file', mtime: 5 },
      { path: 'x/', mode: 0o700, mtime: 6 },
      { path: 'x/y', content: 'z', mtime: 7 },
    ],
  },
  {
    name: 'directory-becomes-link',
    entries: [
      { path: 'd/', mtime: 5 },
      { path: 'd/file', content: 'x', mtime: 5 },
      { type: 'symlink', path: 'd', linkPath: 'elsewhere', mtime: 6 },
    ],
  },
  { name: 'whiteout-of-nothing', entries: ['.wh.nothing', { path: 'there', content: 'x', mtime: 5 }] },
  { name: 'dots', entries: [{ path: './././a/./b', content: 'x', mtime: 5 }] },
  {
    name: 'set-id-and-odd-owner',
    entries: [{ path: 's', content: 'x', mode: 0o6755, uid: 1_000_000_000, gid: 4_000_000_000, mtime: 5 }],
  },
];

describe('what is unpacked is what containerd and umoci make of the same image', { skip }, () => {
  for (const { name, tars, madeUp } of TREES) {
    test(`a real tree: ${name}`, async (t) => {
      const machine = await bench(t);
      put(machine, name, await tars());
      const ours = withoutTimes(await oursOf(machine, name), madeUp);
      assert.ok(Object.keys(ours).length > 1_000, `only ${Object.keys(ours).length} paths`);
      assert.deepEqual(withoutTimes(await containerdsOf(machine, name), madeUp), ours);
      assert.deepEqual(withoutTimes(await umocisOf(machine, name), madeUp), ours);
      t.diagnostic(`${name}: ${Object.keys(ours).length} paths are the same in all three`);
    });
  }

  test('hostile archives, where they are accepted', async (t) => {
    const machine = await bench(t);
    const accepted: Record<string, string[]> = {};
    for (const { name, entries } of HOSTILE) {
      // A lower layer with something to hit.
      put(machine, name, [
        tarOf({ path: 'etc/', mtime: 5 }, { path: 'etc/hostname', content: 'own', mtime: 5 }),
        tarOf(...entries),
      ]);
      const made = {
        ours: await oursOf(machine, name).catch(() => undefined),
        containerd: await containerdsOf(machine, name).catch(() => undefined),
        umoci: await umocisOf(machine, name).catch(() => undefined),
      };
      const trees = Object.entries(made).filter(([, tree]) => tree !== undefined);
      accepted[name] = trees.map(([who]) => who);
      const plain = (tree: Tree | undefined): Tree =>
        withoutTimes(tree ?? {}, /^(?:\.|a|etc|out|absolute|up|x|d)(?:\/|$)/);
      if (made.ours === undefined) continue;
      for (const [who, tree] of trees) assert.deepEqual(plain(tree), plain(made.ours), `${name}: ${who}`);
    }
    t.diagnostic(JSON.stringify(accepted));
    assert.ok(!existsSync('/climbed') && !existsSync('/etc/written') && !existsSync('/written'));
    // What all tools must take is taken.
    for (const name of ['dots', 'link-to-itself', 'file-becomes-directory', 'set-id-and-odd-owner'])
      assert.ok(accepted[name]?.includes('ours'), name);
  });
});
