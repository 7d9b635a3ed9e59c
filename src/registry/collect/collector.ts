import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { ContentError } from '../../content/content-error.ts';
import type { ContentStore } from '../../content/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { CollectionIndex, LeaseIndex, Step, StepResult } from '../metadata/collection-index.ts';
import type { UploadIndex } from '../metadata/registry-index.ts';
import type { UploadSessions } from '../upload-sessions.ts';

/** Rows looked at in one transaction: a push waits for a few milliseconds at most. */
const BATCH = 1_000;
/** How long a collector may be silent before another takes over. */
const LEASE_MS = 60_000;
const LEASE = 'collect';

/** What one collection did, or would do. */
export interface CollectionReport {
  /** Blobs taken out of repositories where nothing needs them. */
  readonly expiredLinks: number;
  readonly removedBlobs: number;
  readonly freedBytes: number;
  /** Uploads that nobody finished. */
  readonly sweptUploads: number;
  readonly removedRepositories: number;
  /** True when another process collects just now, and nothing was done. */
  readonly busy: boolean;
}

const NOTHING: CollectionReport = {
  expiredLinks: 0,
  removedBlobs: 0,
  freedBytes: 0,
  sweptUploads: 0,
  removedRepositories: 0,
  busy: false,
};

export interface CollectorParts {
  readonly store: ContentStore;
  readonly index: CollectionIndex;
  readonly leases: LeaseIndex;
  readonly uploadIndex: Pick<UploadIndex, 'findUpload'>;
  readonly uploads: Pick<UploadSessions, 'sweep'>;
  readonly clock: Clock;
}

export interface CollectOptions {
  /** What nothing needs is kept this long after the last push, mount, HEAD or need of it. */
  readonly delayMs: number;
  /** Uploads are thrown away this long after they were last written to. */
  readonly uploadAgeMs: number;
  readonly signal: AbortSignal;
}

/** Frees what nothing needs, while pushes go on; see `metadata/collection-index.ts` for why that is safe. */
export class Collector {
  readonly #parts: CollectorParts;
  readonly #holder = randomUUID();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /** Says what a collection would free now, without doing it. */
  async preview(options: Pick<CollectOptions, 'delayMs' | 'signal'>): Promise<CollectionReport> {
    const { index, store, clock } = this.#parts;
    const before = clock.now() - options.delayMs;
    let freedBytes = 0;
    const removedBlobs = await walk(options.signal, async (step) => {
      const found = await index.collectable(before, step);
      for (const digest of found.digests) freedBytes += await sizeOf(store, digest);
      return found;
    });
    return { ...NOTHING, removedBlobs, freedBytes };
  }

  /** Collects once. Every step is a transaction of its own, so that it can be stopped and taken up at any point. */
  async collect(options: CollectOptions): Promise<CollectionReport> {
    if (!(await this.#stay())) return { ...NOTHING, busy: true };
    try {
      const { index, uploads, clock } = this.#parts;
      const before = clock.now() - options.delayMs;
      const uploadsBefore = clock.now() - options.uploadAgeMs;
      const sweptUploads = (await uploads.sweep(uploadsBefore)) + (await this.#sweepIngests(uploadsBefore));
      const expiredLinks = await this.#walk(options.signal, (step) => index.expireLinks(before, step));
      await this.#walk(options.signal, (step) => index.condemnBlobs(before, step));
      const { removedBlobs, freedBytes } = await this.#sweep(options.signal);
      const removedRepositories = await index.removeEmptyRepositories(before);
      return { expiredLinks, removedBlobs, freedBytes, sweptUploads, removedRepositories, busy: false };
    } finally {
      await this.#parts.leases.releaseLease(LEASE, this.#holder);
    }
  }

  /** Ends sweeps that a crash cut short, so that pushes of those digests need not wait. */
  async recover(): Promise<void> {
    if (!(await this.#stay())) return;
    try {
      await this.#sweep(new AbortController().signal);
    } finally {
      await this.#parts.leases.releaseLease(LEASE, this.#holder);
    }
  }

  #walk(signal: AbortSignal, run: (step: Step) => Promise<StepResult>): Promise<number> {
    return walk(signal, async (step) => {
      await this.#stay();
      return run(step);
    });
  }

  async #sweep(signal: AbortSignal): Promise<{ removedBlobs: number; freedBytes: number }> {
    const { index, store } = this.#parts;
    let removedBlobs = 0;
    let freedBytes = 0;
    for (let batch = await index.condemned(BATCH); batch.length > 0; batch = await index.condemned(BATCH)) {
      await this.#stay();
      for (const digest of batch) {
        signal.throwIfAborted();
        if (!(await index.beginSweep(digest))) continue;
        freedBytes += await sizeOf(store, digest);
        await store.remove(digest);
        await index.endSweep(digest);
        removedBlobs++;
      }
    }
    return { removedBlobs, freedBytes };
  }

  /** Throws away ingests that no upload knows: what was left where a process died between two steps. */
  async #sweepIngests(before: number): Promise<number> {
    const { store, uploadIndex } = this.#parts;
    let swept = 0;
    for (const ingest of await store.ingests()) {
      if (ingest.updatedAt >= before) continue;
      const id = /^upload\/(.+)$/.exec(ingest.ref)?.[1];
      if (id !== undefined && (await uploadIndex.findUpload(id)) !== undefined) continue;
      try {
        await store.abortIngest(ingest.ref);
        swept++;
      } catch (error) {
        // In use after all.
        if (!(error instanceof ContentError && error.code === 'LOCKED')) throw error;
      }
    }
    return swept;
  }

  #stay(): Promise<boolean> {
    return this.#parts.leases.acquireLease(LEASE, this.#holder, LEASE_MS);
  }
}

async function sizeOf(store: ContentStore, digest: Digest): Promise<number> {
  try {
    return (await store.stat(digest)).size;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'NOT_FOUND') return 0;
    throw error;
  }
}

/** Walks over all rows, a transaction a step, and returns how many counted. */
async function walk(signal: AbortSignal, run: (step: Step) => Promise<StepResult>): Promise<number> {
  let total = 0;
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    signal.throwIfAborted();
    const result = await run({ cursor, rows: BATCH });
    total += result.count;
    ({ cursor } = result);
  }
  return total;
}
