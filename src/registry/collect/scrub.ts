import { setImmediate as breathe } from 'node:timers/promises';
import { messageOf } from '../../base/coded-error.ts';
import { ContentError } from '../../content/content-error.ts';
import type { ContentStore } from '../../content/store.ts';
import { algorithmOf, Digester, type Digest } from '../../oci/digest.ts';
import type { CollectionIndex } from '../metadata/collection-index.ts';

/** Digests checked between two looks at the metadata. */
const BATCH = 100;

/** A blob that is not what it should be. */
export interface DamagedBlob {
  readonly digest: Digest;
  readonly fault: 'missing' | 'damaged' | 'unreadable';
  readonly detail: string;
  /** Repositories that had it; their images are pulled whole again once somebody pushed them again. */
  readonly repositories: readonly string[];
}

export interface ScrubReport {
  readonly checkedBlobs: number;
  readonly checkedBytes: number;
  readonly damaged: readonly DamagedBlob[];
  /** Bytes that the metadata knows nothing of, left to the next collection. */
  readonly orphans: number;
}

export interface ScrubParts {
  readonly store: ContentStore;
  readonly index: CollectionIndex;
  /** Puts damaged bytes where nothing is served from. */
  readonly quarantine: (digest: Digest) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Orphans committed before this time are condemned; younger ones may be about to be linked. */
  readonly orphansBefore: number;
}

/** Reads every blob and checks its digest. What is damaged is quarantined and forgotten, so that clients push it again. */
export async function scrub(parts: ScrubParts, signal: AbortSignal): Promise<ScrubReport> {
  const { index, store } = parts;
  const damaged: DamagedBlob[] = [];
  let checkedBlobs = 0;
  let checkedBytes = 0;
  for (let after = ''; ;) {
    const digests = await index.expectedBlobs(after, BATCH);
    for (const digest of digests) {
      signal.throwIfAborted();
      const lookedAt = parts.now();
      const result = await check(store, digest);
      checkedBlobs++;
      checkedBytes += result.bytes;
      if (result.fault === undefined) continue;
      if (result.fault === 'damaged') await parts.quarantine(digest);
      // What cannot be read just now may be readable later: it is told, not forgotten.
      const repositories = result.fault === 'unreadable' ? [] : await index.forgetBlob(digest, lookedAt);
      // A collection took it just now, or a push has brought it back: nobody misses it.
      if (result.fault === 'missing' && repositories.length === 0) continue;
      damaged.push({ digest, fault: result.fault, detail: result.detail, repositories });
      await breathe();
    }
    const last = digests.at(-1);
    if (last === undefined || digests.length < BATCH) break;
    after = last;
  }
  const orphans = await condemnOrphans(parts, signal);
  return { checkedBlobs, checkedBytes, damaged, orphans };
}

interface CheckResult {
  readonly bytes: number;
  readonly fault?: DamagedBlob['fault'];
  readonly detail: string;
}

async function check(store: ContentStore, digest: Digest): Promise<CheckResult> {
  const digester = new Digester(algorithmOf(digest));
  let bytes = 0;
  try {
    for await (const chunk of await store.open(digest)) {
      digester.update(chunk as Uint8Array);
      bytes += (chunk as Uint8Array).length;
    }
  } catch (error) {
    const missing = error instanceof ContentError && error.code === 'NOT_FOUND';
    return { bytes, fault: missing ? 'missing' : 'unreadable', detail: messageOf(error) };
  }
  const actual = digester.digest();
  if (actual === digest) return { bytes, detail: '' };
  return { bytes, fault: 'damaged', detail: `digest is ${actual}` };
}

async function condemnOrphans(parts: ScrubParts, signal: AbortSignal): Promise<number> {
  let orphans = 0;
  for await (const { digest, committedAt } of parts.store.walk()) {
    signal.throwIfAborted();
    if (committedAt < parts.orphansBefore && (await parts.index.condemnOrphan(digest))) orphans++;
  }
  return orphans;
}
