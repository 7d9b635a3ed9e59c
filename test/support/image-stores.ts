import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { UnpackPool } from '../../src/archive/unpack-pool.ts';
import { openFileStore, type FileStore } from '../../src/content/file-store.ts';
import { writeBytes } from '../../src/content/write-content.ts';
import { openLayerStore, type LayerStore } from '../../src/images/layer-store.ts';
import type { OverlaySupport } from '../../src/images/overlay-support.ts';
import { openRootfsProvider, type LocalRootfsProvider } from '../../src/images/rootfs-provider.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { MEDIA_TYPE } from '../../src/oci/media-type.ts';
import { tarOf, type TarOfEntry } from './tar-of.ts';

const never = new AbortController().signal;

export interface Stores {
  readonly directory: string;
  readonly pool: UnpackPool;
  readonly content: FileStore;
  readonly layers: LayerStore;
  readonly rootfs: LocalRootfsProvider;
  /** Commits a gzip layer of these entries. */
  layer(...entries: readonly TarOfEntry[]): Promise<{ descriptor: Descriptor; diffId: Digest }>;
  /** Commits and unpacks layers; returns their diff IDs. */
  unpacked(...layers: readonly (readonly TarOfEntry[])[]): Promise<Digest[]>;
}

/** Opens real stores in a directory of their own, which goes with the test. */
export async function openStores(
  t: TestContext,
  options: { mode?: 'auto' | 'copy'; overlay?: OverlaySupport; directory?: string } = {},
): Promise<Stores> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'drayage-stores-')));
  const pool = new UnpackPool(2);
  const content = await openFileStore(join(directory, 'content'));
  const { overlay, mode } = options;
  const layers = await openLayerStore(join(directory, 'layers'), {
    pool,
    content,
    ...(overlay === undefined ? {} : { overlay }),
  });
  const rootfs = await openRootfsProvider(join(directory, 'rootfs'), {
    layers,
    pool,
    ...(mode === undefined ? {} : { mode }),
  });
  t.after(async () => {
    for (const key of await rootfs.keys()) await rootfs.remove(key);
    await layers.synced();
    await pool.remove(directory, never);
    await pool.close();
  });
  const layer: Stores['layer'] = async (...entries) => {
    const tar = tarOf(...entries);
    return {
      descriptor: await writeBytes(content, MEDIA_TYPE.ociLayerGzip, gzipSync(tar), never),
      diffId: digestOf(tar),
    };
  };
  return {
    directory,
    pool,
    content,
    layers,
    rootfs,
    layer,
    unpacked: async (...all) => {
      const diffIds: Digest[] = [];
      for (const entries of all) {
        const { descriptor, diffId } = await layer(...entries);
        await layers.unpack(descriptor, diffId, never);
        diffIds.push(diffId);
      }
      return diffIds;
    },
  };
}
