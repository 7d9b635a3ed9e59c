import type { Digest } from '../../oci/digest.ts';
import type { TagProtection } from '../policy.ts';
import type { ManifestRecord } from './registry-index.ts';

/** A part of a walk over all rows: few enough that a push waiting for the transaction does not notice. */
export interface Step {
  /** What the step before returned; undefined for the first. */
  readonly cursor: string | undefined;
  /** Rows looked at. */
  readonly rows: number;
}

export interface StepResult {
  /** Rows changed, or found. */
  readonly count: number;
  /** Undefined at the end of the walk. */
  readonly cursor: string | undefined;
}

/*
 * What collection works with, in small transactions between which pushes go on. The order is what makes it safe:
 *
 *   link expires ──► digest is condemned ──► sweep begins ──► bytes removed ──► sweep ends
 *        ▲                   │                    │
 *        └── push, mount, HEAD renew the link     └── a reservation waits until the sweep ends
 *                            └── a reservation takes the digest out of the condemned
 *
 * A manifest PUT checks links in its own transaction, so it never refers to what has expired.
 */
export interface CollectionIndex {
  /** Removes links that no manifest of their repository needs and that were not renewed since `before`. */
  expireLinks(before: number, step: Step): Promise<StepResult>;
  /** Condemns digests that no link and no manifest names and that were not renewed since `before`. */
  condemnBlobs(before: number, step: Step): Promise<StepResult>;
  /** Digests to be swept, those first whose sweep was begun and not ended. */
  condemned(limit: number): Promise<Digest[]>;
  /** Begins the removal of bytes; false when a push has rescued them. */
  beginSweep(digest: Digest): Promise<boolean>;
  endSweep(digest: Digest): Promise<void>;
  /** Condemns bytes that the metadata knows nothing of; false when it does. */
  condemnOrphan(digest: Digest): Promise<boolean>;
  /** Finds what a collection would free now. */
  collectable(before: number, step: Step): Promise<StepResult & { readonly digests: readonly Digest[] }>;
  /** Removes repositories without manifests and links that were made before `before`. */
  removeEmptyRepositories(before: number): Promise<number>;
  /**
   * Takes a blob whose bytes are lost or damaged out of all repositories, so that it is pushed again; returns which. What was
   * pushed or mounted after `until` stays: it is not what was found damaged.
   */
  forgetBlob(digest: Digest, until: number): Promise<string[]>;
  /** All digests that have to have bytes, after `after` in ASCII order. */
  expectedBlobs(after: string, limit: number): Promise<Digest[]>;
}

/** A tag with what retention asks of it. */
export interface TagRecord {
  readonly name: string;
  readonly digest: Digest;
  readonly updatedAt: number;
}

/** A manifest with what retention asks of it. */
export interface RetainedManifest extends ManifestRecord {
  readonly subject?: Digest;
  readonly children: readonly Digest[];
}

/** What retention works with. Removals happen only if nothing has changed since it was looked at. */
export interface RetentionIndex {
  repositoriesOf(project: string): Promise<string[]>;
  tagsOf(repository: string): Promise<TagRecord[]>;
  manifestsOf(repository: string): Promise<RetainedManifest[]>;
  /** Removes a tag that still is as it was, remembering it where it may not come back otherwise; false otherwise. */
  retireTag(repository: string, tag: TagRecord, protection: TagProtection): Promise<boolean>;
  /** Removes a manifest that still has no tag and no index above it, and was not renewed since; false otherwise. */
  retireManifest(repository: string, manifest: ManifestRecord): Promise<boolean>;
}

/** Longest lease that anybody takes. One that ends later was written before the clock was set back, and counts for nothing. */
export const LONGEST_LEASE_MS = 6 * 3_600_000;

/** Sees to it that of several processes one does a piece of work. */
export interface LeaseIndex {
  /** Takes or prolongs a lease, {@link LONGEST_LEASE_MS} at most; false while another holder has it. */
  acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean>;
  releaseLease(name: string, holder: string): Promise<void>;
}
