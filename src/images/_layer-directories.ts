import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnpackPool } from '../archive/unpack-pool.ts';
import { isSystemError } from '../base/coded-error.ts';
import { algorithmOf, hexOf, isDigest, type Digest } from '../oci/digest.ts';
import { bootId } from './_boot-id.ts';
import { LayerFlush } from './_layer-flush.ts';
import { LAYER_FILES, readRecord, recordPath, type LayerRecord } from './_layer-record.ts';
import { mountPointsBelow, run } from './overlay-support.ts';

const never = new AbortController().signal;

/**
 * The directories of a layer store: where each lies, how one gets to its place whole, and how it goes.
 *
 * ```
 * sha256/<hex>/{fs,layer.json}  variants/<name>/{fs,layer.json}  links/<short name> → a layer's fs  staging/  whiteout
 * ```
 *
 * A directory with a record is whole; it got there by a rename. Everything in `staging` is left over from a crash.
 */
export class LayerDirectories {
  readonly root: string;
  readonly links: string;
  readonly staging: string;
  /** This run of the machine: what it did not flush is gone after the next power cut. */
  readonly boot = bootId();
  readonly #pool: UnpackPool;
  readonly #flush: LayerFlush;

  private constructor(root: string, pool: UnpackPool) {
    this.root = root;
    this.links = join(root, 'links');
    this.staging = join(root, 'staging');
    this.#pool = pool;
    this.#flush = new LayerFlush(root);
  }

  /** Makes what is not there, and empties `staging`: a probe may still be mounted in it. */
  static async open(directory: string, pool: UnpackPool): Promise<LayerDirectories> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const opened = new LayerDirectories(await realpath(directory), pool);
    await mkdir(opened.links, { recursive: true });
    await mkdir(join(opened.root, 'variants'), { recursive: true });
    await mkdir(opened.staging, { recursive: true });
    for (const point of (await mountPointsBelow(opened.staging)).toReversed())
      await run('umount', ['-l', point]);
    // As a rule there is nothing, and then no thread is started.
    for (const name of await readdir(opened.staging)) await pool.remove(join(opened.staging, name), never);
    return opened;
  }

  of(diffId: Digest): string {
    return join(this.root, algorithmOf(diffId), hexOf(diffId));
  }

  variant(name: string): string {
    return join(this.root, 'variants', name);
  }

  /** Lists the directories of layers, in no order. */
  async layers(): Promise<string[]> {
    const found: string[] = [];
    for (const algorithm of ['sha256', 'sha384', 'sha512']) {
      for (const hex of await namesIn(join(this.root, algorithm))) {
        if (isDigest(`${algorithm}:${hex}`)) found.push(join(this.root, algorithm, hex));
      }
    }
    return found;
  }

  /** Names the variants of all layers, or of one. */
  async variants(of?: Digest): Promise<string[]> {
    const names = await namesIn(join(this.root, 'variants'));
    return of === undefined ? names : names.filter((name) => name.startsWith(`${hexOf(of)}.`));
  }

  /** Drops layers whose files were not on disk for certain when the machine went down. */
  async dropUnsynced(): Promise<void> {
    const variants = (await this.variants()).map((name) => this.variant(name));
    for (const directory of [...(await this.layers()), ...variants]) {
      const record = await readRecord(directory).catch(() => undefined);
      if (record?.unsyncedBoot === this.boot) this.#flush.add(directory);
      if (record === undefined || (record.unsyncedBoot !== undefined && record.unsyncedBoot !== this.boot))
        await this.remove(directory);
    }
  }

  /** Makes a directory out of sight, in which a layer grows; with the directory of its files, or without. */
  async stage(contents: 'files' | 'nothing' = 'files'): Promise<string> {
    const staging = join(this.staging, randomUUID());
    await mkdir(staging);
    if (contents === 'files') await mkdir(join(staging, LAYER_FILES));
    return staging;
  }

  /** Puts what was made out of sight in its place. */
  async moveIn(staging: string, directory: string, record: LayerRecord): Promise<void> {
    // Not flushed by itself: until the flush of all its files the record says so, and one that a power cut spoiled is no record.
    await writeFile(recordPath(staging), JSON.stringify(record));
    await mkdir(join(directory, '..'), { recursive: true });
    // A directory without a record is no layer, whoever left it.
    await this.remove(directory);
    await rename(staging, directory);
    this.#flush.add(directory);
  }

  /** Takes a directory out of sight at once; its files go afterwards. */
  async remove(directory: string): Promise<void> {
    const trash = join(this.staging, randomUUID());
    try {
      await rename(directory, trash);
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return;
      throw error;
    }
    this.#flush.forget(directory);
    await rm(join(this.links, this.#linkOf(directory)), { force: true });
    await this.#pool.remove(trash, never);
  }

  /** Removes what was made out of sight, if it did not get to its place. */
  async discard(staging: string): Promise<void> {
    // What was published is not there any more, and no thread has to be waited for to learn that.
    if (existsSync(staging)) await this.#pool.remove(staging, never);
  }

  /** Gives a directory a short name in `links`, and returns it. */
  async link(directory: string): Promise<string> {
    const link = this.#linkOf(directory);
    try {
      await symlink(join('..', directory.slice(this.root.length + 1), LAYER_FILES), join(this.links, link));
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
    }
    return link;
  }

  /** Waits until everything that was moved in is on disk. */
  flushed(): Promise<void> {
    return this.#flush.done();
  }

  #linkOf(directory: string): string {
    return createHash('sha256').update(directory.slice(this.root.length)).digest('hex').slice(0, 16);
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}
