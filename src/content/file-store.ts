import { createHash } from 'node:crypto';
import { access, mkdir, open, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { isSystemError } from '../base/coded-error.ts';
import { isDigest, type Digest } from '../oci/digest.ts';
import { FileIngest, INGEST_DATA, INGEST_RECORD, type IngestRecord } from './_file-ingest.ts';
import { openFileAt, streamFile } from './_file-reader.ts';
import { linkOwnData, openOwnData } from './_shared-ingest.ts';
import { openLayoutFiles } from './_layout-files.ts';
import { ageOf, flushFile, PublishedFiles } from './_published-files.ts';
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
  WholeIngester,
} from './store.ts';

/** An ingest without a record that is younger than this is just being made by another process. */
const BEING_MADE_MS = 10 * 60_000;

/**
 * Content in a directory that is an OCI image layout at every moment, so that skopeo, crane and oras read it while it is
 * in use. Unfinished ingests live beside the layout's own files:
 *
 * ```
 * oci-layout  index.json  blobs/<algorithm>/<hex>  ingest/<sha256 of ref>/{record.json,data}  staged/<random>
 * ```
 *
 * Several processes may have a directory open. Refs are locked within one process; an ingest that another process may
 * take up has to be opened as `shared`.
 */
export interface FileStore extends ContentStore, PositionedProvider, WholeIngester {
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
  const files = new PublishedFiles(directory);
  await files.clean();
  const store = new DirectoryStore(directory, files, options.now ?? Date.now);
  await store.ingests();
  return store;
}

class DirectoryStore implements FileStore {
  readonly directory: string;
  readonly #now: () => number;
  readonly #locks = new RefLocks();
  readonly #files: PublishedFiles;

  constructor(directory: string, files: PublishedFiles, now: () => number) {
    this.directory = directory;
    this.#files = files;
    this.#now = now;
  }

  pathOf(digest: Digest): string {
    return this.#files.pathOf(digest);
  }

  async stat(digest: Digest): Promise<ContentInfo> {
    try {
      const facts = await stat(this.pathOf(digest));
      return { digest, size: facts.size, committedAt: facts.mtimeMs };
    } catch (error) {
      throw contentError(error, `Cannot stat content "${digest}"`);
    }
  }

  open(digest: Digest, range: Range = { offset: 0 }, options: OpenOptions = {}): Promise<Readable> {
    return streamFile(this.pathOf(digest), digest, range, options);
  }

  openAt(digest: Digest): Promise<OpenContent> {
    return openFileAt(this.pathOf(digest), digest);
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
            await flushFile(path);
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

  async hasIngest(ref: string): Promise<boolean> {
    try {
      await access(this.#directoryOf(ref));
      return true;
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return false;
      throw contentError(error, `Cannot look for ingest "${ref}"`);
    }
  }

  async putWhole(digest: Digest, bytes: Uint8Array): Promise<ContentInfo> {
    try {
      await this.#files.put(digest, bytes);
    } catch (error) {
      throw contentError(error, `Cannot write content "${digest}"`);
    }
    return { digest, size: bytes.length, committedAt: this.#now() };
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
      await writeRecord(join(directory, INGEST_RECORD), record);
      return { directory, release };
    } catch (error) {
      release();
      throw contentError(error, `Cannot open ingest "${ref}"`);
    }
  }

  /** Moves the flushed data file of an ingest to its place and removes the rest of the ingest. */
  async #publish(ingest: string, data: string, digest: Digest, size: number): Promise<ContentInfo> {
    await this.#files.move(join(ingest, data), digest, size);
    // Another process that just takes a shared ingest up may put a file there; it will find that the upload has ended.
    await rm(ingest, { recursive: true, force: true, maxRetries: 2, retryDelay: 10 });
    return this.stat(digest);
  }
}

/** Writes a record that is not there yet; one that is lost with the machine's power costs a resume, no content. */
async function writeRecord(path: string, record: IngestRecord): Promise<void> {
  try {
    await writeFile(path, JSON.stringify(record), { flag: 'wx' });
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
}
