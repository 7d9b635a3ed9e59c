import { chmod, lchown, lstat, mkdir, readdir, readFile, realpath, rm, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { UnpackPool } from '../archive/unpack-pool.ts';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { Digest } from '../oci/digest.ts';
import { ImageError } from './image-error.ts';
import type { LayerStore, StackedLayer } from './layer-store.ts';
import { mountPointsBelow, run } from './overlay-support.ts';
import type { Rootfs, RootfsKind, RootfsProvider } from './rootfs.ts';

const never = new AbortController().signal;
const RECORD = 'rootfs.json';
/** The kernel takes one page of mount options; the rest is for the upper and work directories. */
const MAX_MOUNT_OPTIONS = 3500;

/** What is kept of a root file system, so that a later process finds it and can mount it again. */
interface RootfsRecord {
  readonly key: string;
  readonly kind: RootfsKind;
  readonly readonly: boolean;
  readonly diffIds: readonly Digest[];
}

export interface RootfsProviderOptions {
  readonly layers: LayerStore;
  readonly pool: UnpackPool;
  /** `auto` mounts overlays where that works; `copy` never does. */
  readonly mode?: 'auto' | 'copy';
}

/** Root file systems in `<directory>/<key>/{rootfs.json,upper,work,merged}`. */
export interface LocalRootfsProvider extends RootfsProvider {
  /** Diff IDs that existing root file systems are made of: layers that must not go while they exist. */
  layersInUse(): Promise<ReadonlySet<Digest>>;
}

/** Opens the provider; removes what a crashed process left half made. Mounts of root file systems that exist are kept. */
export async function openRootfsProvider(
  directory: string,
  options: RootfsProviderOptions,
): Promise<LocalRootfsProvider> {
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const provider = new OverlayRootfsProvider(await realpath(directory), options);
  await provider.dropUnfinished();
  return provider;
}

class OverlayRootfsProvider implements LocalRootfsProvider {
  readonly #root: string;
  readonly #layers: LayerStore;
  readonly #pool: UnpackPool;
  readonly #mode: 'auto' | 'copy';
  readonly #making = new SingleFlight<string, Rootfs>();

  constructor(root: string, options: RootfsProviderOptions) {
    this.#root = root;
    this.#layers = options.layers;
    this.#pool = options.pool;
    this.#mode = options.mode ?? 'auto';
  }

  async isUnpacked(diffIds: readonly Digest[]): Promise<boolean> {
    for (const diffId of diffIds) if (!(await this.#layers.isUnpacked(diffId))) return false;
    return true;
  }

  prepare(key: string, diffIds: readonly Digest[], signal: AbortSignal): Promise<Rootfs> {
    return this.#making.do(checkedKey(key), () => this.#make(key, diffIds, false, signal));
  }

  view(key: string, diffIds: readonly Digest[], signal: AbortSignal): Promise<Rootfs> {
    return this.#making.do(checkedKey(key), () => this.#make(key, diffIds, true, signal));
  }

  async remove(key: string): Promise<void> {
    const directory = join(this.#root, checkedKey(key));
    for (const point of (await mountPointsBelow(directory)).toReversed()) {
      const complaint = await run('umount', [point]);
      // Somebody inside still holds it: it goes away with them, and nothing new can enter.
      const lazily = complaint === undefined ? undefined : await run('umount', ['-l', point]);
      if (lazily !== undefined) throw new ImageError('IO', `Cannot unmount "${point}": ${lazily}`);
    }
    await rm(join(directory, RECORD), { force: true });
    await this.#pool.remove(directory, never);
  }

  async keys(): Promise<string[]> {
    const found: string[] = [];
    for (const name of await readdir(this.#root)) {
      if ((await this.#recordOf(name)) !== undefined) found.push(name);
    }
    return found.toSorted();
  }

  async layersInUse(): Promise<ReadonlySet<Digest>> {
    const used = new Set<Digest>();
    for (const name of await readdir(this.#root)) {
      for (const diffId of (await this.#recordOf(name))?.diffIds ?? []) used.add(diffId);
    }
    return used;
  }

  /** Removes directories whose making was interrupted: they have no record. */
  async dropUnfinished(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      if ((await this.#recordOf(name)) === undefined) await this.remove(name);
    }
  }

  async #make(
    key: string,
    diffIds: readonly Digest[],
    readonly: boolean,
    signal: AbortSignal,
  ): Promise<Rootfs> {
    signal.throwIfAborted();
    const directory = join(this.#root, key);
    const existing = await this.#recordOf(key);
    const stack = await this.#layers.stack(diffIds, signal);
    if (existing !== undefined) {
      if (existing.readonly !== readonly || existing.diffIds.join() !== diffIds.join()) {
        throw new ImageError(
          'BAD_STATE',
          `Cannot make root file system "${key}": it exists for another image`,
        );
      }
      return await this.#open(directory, existing, stack);
    }
    const kind = this.#kindFor(stack, readonly);
    try {
      if (kind === 'overlay') {
        try {
          return await this.#makeOverlay(directory, { key, kind, readonly, diffIds }, stack);
        } catch (error) {
          // What could be mounted when it was tried may still be refused for this stack; a copy always works.
          if (!(error instanceof ImageError && error.code === 'IO')) throw error;
        }
      }
      return await this.#makeCopy(directory, { key, kind: 'copy', readonly, diffIds }, stack, signal);
    } catch (error) {
      await this.remove(key);
      throw error;
    }
  }

  async #makeOverlay(
    directory: string,
    record: RootfsRecord,
    stack: readonly StackedLayer[],
  ): Promise<Rootfs> {
    for (const name of ['upper', 'work', 'merged']) await mkdir(join(directory, name), { recursive: true });
    // The root directory itself is the upper one's, so it is made to look like what the image says.
    const declared = stack.findLast(({ layer }) => layer.rootDeclared);
    if (declared !== undefined)
      await copyDirectoryMetadata(declared.layer.directory, join(directory, 'upper'));
    const rootfs = await this.#open(directory, record, stack);
    await writeFileAtomic(join(directory, RECORD), JSON.stringify(record));
    return rootfs;
  }

  async #makeCopy(
    directory: string,
    record: RootfsRecord,
    stack: readonly StackedLayer[],
    signal: AbortSignal,
  ): Promise<Rootfs> {
    const target = join(directory, 'merged');
    await mkdir(target, { recursive: true });
    await this.#pool.merge(
      stack.map(({ layer }) => layer),
      target,
      signal,
    );
    await writeFileAtomic(join(directory, RECORD), JSON.stringify(record));
    return { key: record.key, path: target, kind: 'copy' };
  }

  #kindFor(stack: readonly StackedLayer[], readonly: boolean): RootfsKind {
    const { mounting } = this.#layers.overlay;
    if (this.#mode === 'copy' || mounting === 'none') return 'copy';
    // A read-only view is handed on as a directory; inside a user namespace nobody else would see a mount.
    if (readonly && mounting === 'user-namespace') return 'copy';
    if (!stack.every(({ overlayReady }) => overlayReady)) return 'copy';
    // The runtime mounts by full names; this process by short ones.
    const lower =
      mounting === 'mount' ? this.#lowerOption(stack) : stack.map(({ layer }) => layer.directory).join(':');
    return lower.length > MAX_MOUNT_OPTIONS ? 'copy' : 'overlay';
  }

  /** Returns the root file system of a record, mounting it when it is not. */
  async #open(directory: string, record: RootfsRecord, stack: readonly StackedLayer[]): Promise<Rootfs> {
    const path = join(directory, 'merged');
    const { key, kind } = record;
    if (kind === 'copy') return { key, path, kind };
    const upper = join(directory, 'upper');
    const work = join(directory, 'work');
    if (this.#layers.overlay.mounting === 'user-namespace') {
      const lower = stack.map(({ layer }) => layer.directory).toReversed();
      if (lower.length === 0) lower.push(await this.#emptyDirectory());
      return { key, path, kind, overlay: { lower, upper, work, options: ['userxattr'] } };
    }
    if ((await mountPointsBelow(path)).length === 0) await this.#mount(directory, record, stack);
    return { key, path, kind };
  }

  async #mount(directory: string, record: RootfsRecord, stack: readonly StackedLayer[]): Promise<void> {
    await this.#emptyDirectory();
    // Everything is named from the directory of short links: many layers fit, and no root path needs escaping.
    const here = relative(this.#layers.linksDirectory, directory);
    const options = [`lowerdir=${this.#lowerOption(stack)}`];
    if (!record.readonly) options.push(`upperdir=${here}/upper`, `workdir=${here}/work`);
    const complaint = await run(
      'mount',
      ['-t', 'overlay', 'overlay', '-o', options.join(','), join(directory, 'merged')],
      { cwd: this.#layers.linksDirectory },
    );
    if (complaint !== undefined)
      throw new ImageError('IO', `Cannot mount root file system "${record.key}": ${complaint}`);
  }

  /** The last lower directory is an empty one: an overlay needs two without an upper one, and one at the least. */
  #lowerOption(stack: readonly StackedLayer[]): string {
    return [...stack.map(({ link }) => link).toReversed(), 'empty'].join(':');
  }

  async #emptyDirectory(): Promise<string> {
    const path = join(this.#layers.linksDirectory, 'empty');
    await mkdir(path, { recursive: true, mode: 0o755 });
    return path;
  }

  async #recordOf(name: string): Promise<RootfsRecord | undefined> {
    try {
      return JSON.parse(await readFile(join(this.#root, name, RECORD), 'utf8')) as RootfsRecord;
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR') || error instanceof SyntaxError)
        return undefined;
      throw error;
    }
  }
}

/** A key becomes a directory's name. */
function checkedKey(key: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(key)) return key;
  throw new ImageError('BAD_STATE', `Cannot name a root file system "${key}": it must be a plain file name`);
}

async function copyDirectoryMetadata(from: string, to: string): Promise<void> {
  const facts = await lstat(from);
  if (process.geteuid?.() === 0) await lchown(to, facts.uid, facts.gid);
  await chmod(to, facts.mode & 0o7777);
  await utimes(to, facts.atime, facts.mtime);
}
