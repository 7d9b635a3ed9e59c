import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts';
import { DirectoryFlush } from './_directory-flush.ts';
import { COMMITTED_MODE } from './_file-ingest.ts';

/** Directory of files that are written at one go and moved to their place at once. */
const STAGED = 'staged';
/** A staged file older than this was left by a process that died: staging takes milliseconds, on a bad disk seconds. */
const STAGED_MS = 10 * 60_000;

/** The committed files of a store: `blobs/<algorithm>/<hex>`, each put there whole, durable and read-only. */
export class PublishedFiles {
  readonly #directory: string;
  readonly #flushes = new Map<string, DirectoryFlush>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  pathOf(digest: Digest): string {
    return join(this.#directory, 'blobs', algorithmOf(digest), hexOf(digest));
  }

  /** Makes the directory of staged files and removes what dead processes left there. */
  async clean(): Promise<void> {
    const staged = join(this.#directory, STAGED);
    await mkdir(staged, { recursive: true });
    for (const name of await readdir(staged)) {
      if ((await ageOf(join(staged, name))) > STAGED_MS) await rm(join(staged, name), { force: true });
    }
  }

  /** Moves a flushed, read-only file to its place; one that is there with the same size stays, and `path` then too. */
  async move(path: string, digest: Digest, size: number): Promise<void> {
    if (await this.#isThere(digest, size)) return;
    await this.#place(path, digest);
  }

  /** Writes bytes to their place. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (await this.#isThere(digest, bytes.length)) return;
    const path = join(this.#directory, STAGED, randomUUID());
    try {
      const file = await open(path, 'wx', COMMITTED_MODE);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#place(path, digest);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  async #place(path: string, digest: Digest): Promise<void> {
    const target = this.pathOf(digest);
    try {
      await rename(path, target);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
      // Nothing of this algorithm has been here yet.
      await mkdir(this.#parentOf(digest), { recursive: true });
      await syncDirectory(join(this.#directory, 'blobs'));
      await rename(path, target);
    }
    await this.#flushOf(digest).flush();
  }

  /** A file of another size cannot be this content: a damaged disk left it, and the good bytes replace it. */
  async #isThere(digest: Digest, size: number): Promise<boolean> {
    try {
      return (await stat(this.pathOf(digest))).size === size;
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return false;
      throw error;
    }
  }

  #parentOf(digest: Digest): string {
    return join(this.#directory, 'blobs', algorithmOf(digest));
  }

  #flushOf(digest: Digest): DirectoryFlush {
    const parent = this.#parentOf(digest);
    let flush = this.#flushes.get(parent);
    if (flush === undefined) {
      flush = new DirectoryFlush(parent);
      this.#flushes.set(parent, flush);
    }
    return flush;
  }
}

/** Returns how many milliseconds ago a file or the names in a directory were last changed; 0 when it is gone. */
export async function ageOf(path: string): Promise<number> {
  try {
    return Date.now() - (await stat(path)).mtimeMs;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw error;
  }
}

/** Makes a file durable and read-only. */
export async function flushFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
    await file.chmod(COMMITTED_MODE);
  } finally {
    await file.close();
  }
}
