import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../base/atomic-file.ts';
import { ContentError } from '../../content/content-error.ts';
import { openFileStore } from '../../content/file-store.ts';
import type { ContentStore } from '../../content/store.ts';
import { writeContent } from '../../content/write-content.ts';
import type { Digest } from '../../oci/digest.ts';
import type { CollectionIndex } from '../metadata/collection-index.ts';

/** Digests asked for at a time. */
const BATCH = 500;

export interface BackupReport {
  readonly blobs: number;
  readonly bytes: number;
  /** Of those, blobs that an earlier backup in the same directory had already. */
  readonly reused: number;
  /** Blobs that are missing or damaged and so not in the copy; a scrub says in which repositories they were. */
  readonly lost: readonly Digest[];
}

export interface BackupParts {
  readonly store: ContentStore;
  /** Writes a consistent copy of the metadata to a file that is not there, and opens it. */
  readonly snapshot: (
    path: string,
  ) => Promise<{ index: Pick<CollectionIndex, 'expectedBlobs'>; close(): void }>;
  /** Keeps collection away while `task` runs. */
  readonly withoutCollection: <T>(task: () => Promise<T>) => Promise<T>;
}

/**
 * Copies a registry to a directory while it serves. The copy is a registry directory itself: to restore it, serve it, or
 * copy it back. Metadata is copied first and bytes afterwards, with collection held off, so that every byte that the copied
 * metadata names is still there. Each blob is verified on the way; later backups to the same directory copy new blobs only.
 * A blob that cannot be copied keeps no other from being.
 */
export async function backupRegistry(
  parts: BackupParts,
  directory: string,
  signal: AbortSignal,
): Promise<BackupReport> {
  return parts.withoutCollection(async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const target = await openFileStore(join(directory, 'content'));
    const fresh = join(directory, 'registry.db.new');
    await rm(fresh, { force: true });
    const snapshot = await parts.snapshot(fresh);
    const report = await copyBlobs(snapshot.index, parts.store, target, signal).finally(() =>
      snapshot.close(),
    );
    // Metadata is in place only when all that it names is.
    for (const rest of ['registry.db-wal', 'registry.db-shm'])
      await rm(join(directory, rest), { force: true });
    await rename(fresh, join(directory, 'registry.db'));
    await syncDirectory(directory);
    return report;
  });
}

async function copyBlobs(
  index: Pick<CollectionIndex, 'expectedBlobs'>,
  source: ContentStore,
  target: ContentStore,
  signal: AbortSignal,
): Promise<BackupReport> {
  const lost: Digest[] = [];
  let blobs = 0;
  let bytes = 0;
  let reused = 0;
  for (let after = ''; ;) {
    const digests = await index.expectedBlobs(after, BATCH);
    for (const digest of digests) {
      signal.throwIfAborted();
      const copied = await copyBlob(digest, source, target, signal);
      if (copied === undefined) {
        lost.push(digest);
        continue;
      }
      if (copied.reused) reused++;
      blobs++;
      bytes += copied.size;
    }
    const last = digests.at(-1);
    if (last === undefined || digests.length < BATCH) break;
    after = last;
  }
  return { blobs, bytes, reused, lost };
}

/** Returns undefined when there is no such blob, or only what a bad disk made of it. */
async function copyBlob(
  digest: Digest,
  source: ContentStore,
  target: ContentStore,
  signal: AbortSignal,
): Promise<{ size: number; reused: boolean } | undefined> {
  try {
    const { size } = await source.stat(digest);
    const before = await target.stat(digest).catch(() => undefined);
    const descriptor = { mediaType: 'application/octet-stream', digest, size };
    await writeContent(target, descriptor, bytesOf(source, digest), signal);
    return { size, reused: before?.size === size };
  } catch (error) {
    if (error instanceof ContentError && LOST.has(error.code)) return undefined;
    throw error;
  }
}

const LOST: ReadonlySet<string> = new Set(['NOT_FOUND', 'DIGEST_MISMATCH', 'SIZE_MISMATCH']);

async function* bytesOf(store: ContentStore, digest: Digest): AsyncIterable<Uint8Array> {
  yield* (await store.open(digest)) as AsyncIterable<Uint8Array>;
}
