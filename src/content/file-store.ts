import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { syncDirectory } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { algorithmOf, hexOf, isDigest, type Digest } from '../oci/digest.ts';
import { COMMITTED_MODE, FileIngest, INGEST_DATA, INGEST_RECORD, type IngestRecord } from './_file-ingest.ts';
import { linkOwnData, openOwnData } from './_shared-ingest.ts';
import { openLayoutFiles, writeIfMissing } from './_layout-files.ts';
import { lockedError, RefLocks } from './_ref-locks.ts';
import { ContentError } from './content-error.ts';
import { contentError } from './_system-error.ts';
import type {
  ContentInfo,
  ContentStore,
  Ingest,
  IngestStatus,
  OpenContent,
  OpenIngestOptions,
  OpenOptions,
  PositionedProvider,
  Range,
} from './store.ts';

/** An ingest without a record that is younger than this is just being made by another process. */
const BEING_MADE_MS = 10 * 60_000;
/** Bytes read at a time: large enough that a layer costs few system calls, small enough for many open readers. */
const READ_CHUNK = 256 * 1024;

/**
 * Content in a directory that is an OCI image layout at every moment, so that skopeo, crane and oras read it while it is
 * in use. Unfinished ingests live beside the layout's own files:
 *
 * ```
 * oci-layout  index.json  blobs/<algorithm>/<hex>  ingest/<sha256 of ref>/{record.json,data}
 * ```
 *
 * Several processes may have a directory open. Refs are locked within one process; an ingest that another process may
 * take up has to be opened as `shared`.
 */
export interface FileStore extends ContentStore, PositionedProvider {
  /** The layout's directory. */
  readonly directory: string;
  /** Returns where committed content lies, whether or not it is there. Readers must not write to it. */
  pathOf(digest: Digest): string;
  /**
   * Opens or resumes an ingest whose bytes another thread writes and digests itself.
   *
   * @throws ContentError `LOCKED`
   */
  openExternalIngest(ref: string, options?: OpenIngestOptions): Promise<ExternalIngest>;
}

/** An ingest whose `path` somebody else writes; that somebody vouches for the digest. */
export interface ExternalIngest {
  readonly ref: string;
  /** The file to append to. */
  readonly path: string;
  /** Bytes found from an earlier ingest of this ref: not trusted until they were digested. */
  readonly offset: number;
  /** Publishes the file, which the writer has digested, closed and need not have flushed. */
  publish(digest: Digest, size: number): Promise<ContentInfo>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

export interface FileStoreOptions {
  /** Milliseconds since the epoch; the machine's clock by default. */
  readonly now?: () => number;
}

/**
 * Opens the layout in `directory`, making it when it is not there. What a crashed process left is kept where it can be
 * resumed and removed where it cannot.
 *
 * @throws ContentError `DAMAGED` when `oci-layout` names a version that this program does not know
 */
export async function openFileStore(directory: string, options: FileStoreOptions = {}): Promise<FileStore> {
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
  await mkdir(join(directory, 'ingest'), { recursive: true });
  await openLayoutFiles(directory);
  const store = new DirectoryStore(directory, options.now ?? Date.now);
  await store.ingests();
  return store;
}

class DirectoryStore implements FileStore {
  readonly directory: string;
  readonly #now: () => number;
  readonly #locks = new RefLocks();

  constructor(directory: string, now: () => number) {
    this.directory = directory;
    this.#now = now;
  }

  pathOf(digest: Digest): string {
    return join(this.directory, 'blobs', algorithmOf(digest), hexOf(digest));
  }

  async stat(digest: Digest): Promise<ContentInfo> {
    try {
      const facts = await stat(this.pathOf(digest));
      return { digest, size: facts.size, committedAt: facts.mtimeMs };
    } catch (error) {
      throw contentError(error, `Cannot stat content "${digest}"`);
    }
  }

  async open(digest: Digest, range: Range = { offset: 0 }, options: OpenOptions = {}): Promise<Readable> {
    const action = `Cannot open content "${digest}"`;
    try {
      const file = await open(this.pathOf(digest), 'r');
      try {
        const { size } = await file.stat();
        if (range.offset < 0 || range.offset > size || (range.length ?? 0) < 0) {
          throw new ContentError('OUT_OF_RANGE', `${action} at ${range.offset}: it has ${size} bytes`);
        }
        const end = range.length === undefined ? size : Math.min(size, range.offset + range.length);
        if (end <= range.offset) {
          await file.close();
          return Readable.from([]);
        }
        return file.createReadStream({
          start: range.offset,
          end: end - 1,
          highWaterMark: options.chunkBytes ?? READ_CHUNK,
        });
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      throw contentError(error, action);
    }
  }

  async openAt(digest: Digest): Promise<OpenContent> {
    try {
      const file = await open(this.pathOf(digest), 'r');
      return {
        read: async (buffer, position) => (await file.read(buffer, 0, buffer.length, position)).bytesRead,
        close: () => file.close(),
      };
    } catch (error) {
      throw contentError(error, `Cannot open content "${digest}"`);
    }
  }

  async *walk(): AsyncIterable<ContentInfo> {
    for (const algorithm of await readdir(join(this.directory, 'blobs'))) {
      for (const hex of await readdir(join(this.directory, 'blobs', algorithm))) {
        const digest = `${algorithm}:${hex}`;
        if (!isDigest(digest)) continue;
        try {
          yield await this.stat(digest);
        } catch (error) {
          // Removed while we walked.
          if (!(error instanceof ContentError && error.code === 'NOT_FOUND')) throw error;
        }
      }
    }
  }

  async remove(digest: Digest): Promise<void> {
    try {
      await unlink(this.pathOf(digest));
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw contentError(error, `Cannot remove content "${digest}"`);
    }
  }

  async openIngest(ref: string, options: OpenIngestOptions = {}): Promise<Ingest> {
    const algorithm = options.algorithm ?? 'sha256';
    const { directory, release } = await this.#hold(ref, options);
    try {
      const path = join(directory, INGEST_DATA);
      const file = options.shared === true ? await openOwnData(path) : await open(path, 'a+', 0o600);
      return await FileIngest.resume({
        ref,
        directory,
        file,
        algorithm,
        release,
        publish: async (digest, size, inode) => {
          if (options.shared !== true) return this.#publish(directory, INGEST_DATA, digest, size);
          const own = await linkOwnData(ref, path, { inode, size });
          return this.#publish(directory, own, digest, size);
        },
      });
    } catch (error) {
      release();
      throw contentError(error, `Cannot open ingest "${ref}"`);
    }
  }

  async openExternalIngest(ref: string, options: OpenIngestOptions = {}): Promise<ExternalIngest> {
    const { directory, release } = await this.#hold(ref, options);
    const path = join(directory, INGEST_DATA);
    try {
      const file = await open(path, 'a', 0o600);
      const offset = (await file.stat()).size;
      await file.close();
      return {
        ref,
        path,
        offset,
        publish: async (digest, size) => {
          try {
            await flush(path);
            return await this.#publish(directory, INGEST_DATA, digest, size);
          } catch (error) {
            throw contentError(error, `Cannot commit ingest "${ref}"`);
          } finally {
            release();
          }
        },
        close: async () => {
          await Promise.resolve();
          release();
        },
        abort: async () => {
          await rm(directory, { recursive: true, force: true });
          release();
        },
      };
    } catch (error) {
      release();
      throw contentError(error, `Cannot open ingest "${ref}"`);
    }
  }

  async ingests(): Promise<IngestStatus[]> {
    const found: IngestStatus[] = [];
    for (const name of await readdir(join(this.directory, 'ingest'))) {
      const directory = join(this.directory, 'ingest', name);
      const status = await this.#statusOf(directory);
      if (status !== undefined) found.push(status);
      else await this.#dropUnlessBeingMade(directory);
    }
    return found;
  }

  async abortIngest(ref: string): Promise<void> {
    if (this.#locks.has(ref)) throw lockedError(ref);
    await rm(this.#directoryOf(ref), { recursive: true, force: true });
  }

  /** Removes an ingest whose record was lost in a crash: nobody can ask for it by ref again. */
  async #dropUnlessBeingMade(directory: string): Promise<void> {
    if ((await ageOf(directory)) > BEING_MADE_MS) await rm(directory, { recursive: true, force: true });
  }

  #directoryOf(ref: string): string {
    return join(this.directory, 'ingest', createHash('sha256').update(ref).digest('hex'));
  }

  async #statusOf(directory: string): Promise<IngestStatus | undefined> {
    try {
      const record = JSON.parse(await readFile(join(directory, INGEST_RECORD), 'utf8')) as IngestRecord;
      const facts = await stat(join(directory, INGEST_DATA));
      return {
        ref: record.ref,
        offset: facts.size,
        startedAt: record.startedAt,
        updatedAt: facts.mtimeMs,
      };
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
      throw contentError(error, `Cannot read ingest "${directory}"`);
    }
  }

  async #hold(ref: string, options: OpenIngestOptions): Promise<{ directory: string; release: () => void }> {
    const release = await this.#locks.take(ref, options.wait);
    try {
      const directory = this.#directoryOf(ref);
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const record: IngestRecord = { ref, startedAt: this.#now() };
      await writeIfMissing(join(directory, INGEST_RECORD), JSON.stringify(record));
      return { directory, release };
    } catch (error) {
      release();
      throw contentError(error, `Cannot open ingest "${ref}"`);
    }
  }

  /** Moves the flushed data file of an ingest to its place and removes the rest of the ingest. */
  async #publish(ingest: string, data: string, digest: Digest, size: number): Promise<ContentInfo> {
    const target = this.pathOf(digest);
    const parent = join(this.directory, 'blobs', algorithmOf(digest));
    const existing = await sizeOf(target);
    // A file of another size cannot be this content: a damaged disk left it, and the good bytes replace it.
    if (existing !== size) {
      if ((await mkdir(parent, { recursive: true })) !== undefined)
        await syncDirectory(join(this.directory, 'blobs'));
      await rename(join(ingest, data), target);
      await syncDirectory(parent);
    }
    // Another process that just takes a shared ingest up may put a file there; it will find that the upload has ended.
    await rm(ingest, { recursive: true, force: true, maxRetries: 2, retryDelay: 10 });
    return this.stat(digest);
  }
}

/** Returns how many milliseconds ago a directory was last changed; 0 when it is gone. */
async function ageOf(directory: string): Promise<number> {
  try {
    return Date.now() - (await stat(directory)).mtimeMs;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
    await file.chmod(COMMITTED_MODE);
  } finally {
    await file.close();
  }
}
