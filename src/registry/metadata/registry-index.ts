import type { Digest } from '../../oci/digest.ts';
import type { TagProtection } from '../policy.ts';

/*
 * What a registry knows beside bytes, as small interfaces. Each method is one transaction of whatever keeps the data, so
 * that several processes may serve one registry: SQLite in one machine, a shared SQL database for replicas. No caller
 * holds anything between two calls.
 *
 * Content is seen in a repository only through its link there. Links, manifests and tags are removed before bytes are,
 * never the other way round.
 */

/** A blob as seen in one repository. */
export interface BlobLink {
  readonly digest: Digest;
  readonly size: number;
  /** Milliseconds since the epoch of the last push, mount or renewal. */
  readonly renewedAt: number;
}

/** Blobs and the repositories they are visible in. */
export interface BlobIndex {
  findBlob(repository: string, digest: Digest): Promise<BlobLink | undefined>;
  /** Puts off the collection of a blob that a client was just told exists. */
  renewBlob(repository: string, digest: Digest): Promise<void>;
  /**
   * Protects bytes that are about to be committed. Answers `sweeping` while a collector removes bytes of this digest: the
   * caller then tries again a little later.
   */
  reserveBlob(digest: Digest): Promise<'reserved' | 'sweeping'>;
  /**
   * Makes committed bytes visible in a repository, which it creates. False, and nothing is done, when a collector has taken
   * the reservation away meanwhile, as after a leap of the clock: the bytes may be gone.
   */
  linkBlob(repository: string, blob: { digest: Digest; size: number }): Promise<boolean>;
  /** Links a blob of one repository into another; undefined when the source has none, or the target's project has no room. */
  mountBlob(
    from: string,
    to: string,
    digest: Digest,
    limit?: { project: string; quotaBytes: number },
  ): Promise<BlobLink | undefined>;
  /** Removes the link, unless a manifest of the repository needs it. */
  unlinkBlob(repository: string, digest: Digest): Promise<'removed' | 'unknown' | 'needed'>;
  /** Names of repositories that have the blob, in ASCII order. */
  repositoriesWith(digest: Digest, after: string, limit: number): Promise<string[]>;
}

/** A manifest as stored. */
export interface ManifestRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** Milliseconds since the epoch of the last push or renewal. */
  readonly renewedAt: number;
}

export interface NewManifest extends Omit<ManifestRecord, 'renewedAt'> {
  readonly repository: string;
  readonly tags: readonly string[];
  readonly blobs: readonly Digest[];
  readonly manifests: readonly Digest[];
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Who pushed it. */
  readonly account: string;
  /** Whether an index may name manifests that are not here. */
  readonly sparse: boolean;
  /** Whether its blobs may come later: they are fetched from an upstream when they are asked for. */
  readonly lazy?: boolean;
  /** What may be done to a tag of this repository; asked within the transaction. */
  readonly protection: (tag: string) => TagProtection;
}

export type PutManifestResult =
  | {
      readonly kind: 'stored';
      /** Children that an index names and the repository lacks. */ readonly absent: readonly Digest[];
    }
  | { readonly kind: 'missing'; readonly digests: readonly Digest[] }
  /** A collector has taken the reservation of the manifest's own bytes away meanwhile. */
  | { readonly kind: 'unreserved' }
  /** A tag points, or pointed, at other content and may not move. */
  | { readonly kind: 'fixed'; readonly tag: string; readonly digest: Digest };

export type DeleteManifestResult =
  | { readonly kind: 'removed'; readonly tags: readonly string[] }
  | { readonly kind: 'unknown' }
  /** A tag on it may not be deleted. */
  | { readonly kind: 'fixed'; readonly tag: string };

export type ManifestKey = { readonly tag: string } | { readonly digest: Digest };

/** Manifests and tags. */
export interface ManifestIndex {
  findManifest(repository: string, key: ManifestKey): Promise<ManifestRecord | undefined>;
  /** Puts off the retirement of a manifest that a client was just told exists. */
  renewManifest(repository: string, digest: Digest): Promise<void>;
  /**
   * Stores a manifest with its references, subject and tags, after checking in the same transaction that what it needs is
   * in the repository; nothing is stored otherwise. The same manifest again is a success.
   */
  putManifest(manifest: NewManifest): Promise<PutManifestResult>;
  /** Removes a manifest and every tag on it. */
  deleteManifest(
    repository: string,
    digest: Digest,
    protection: (tag: string) => TagProtection,
  ): Promise<DeleteManifestResult>;
  /** Removes one tag. */
  deleteTag(
    repository: string,
    tag: string,
    protection: (tag: string) => TagProtection,
  ): Promise<DeleteManifestResult>;
  /** Removes a repository with all in it; false when it is not there. */
  deleteRepository(repository: string): Promise<boolean>;
}

/** A manifest that names another as its subject. */
export interface Referrer extends ManifestRecord {
  readonly artifactType?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Listings, all in ASCII order and by page. */
export interface RegistryListing {
  hasRepository(repository: string): Promise<boolean>;
  listTags(repository: string, after: string, limit: number): Promise<string[]>;
  /** Repositories that hold a manifest. */
  listRepositories(after: string, limit: number): Promise<string[]>;
  listReferrers(
    repository: string,
    subject: Digest,
    page: { after: string; limit: number; artifactType?: string },
  ): Promise<Referrer[]>;
}

/** An upload that was begun and neither finished nor cancelled. Its bytes are a content ingest named for its ID. */
export interface UploadRecord {
  readonly id: string;
  readonly repository: string;
  readonly algorithm: string;
  readonly account: string;
  readonly startedAt: number;
  /** When it was last written to, as far as anybody said so. */
  readonly touchedAt: number;
}

export interface UploadIndex {
  /** Bytes of the blobs of a project, each counted once. */
  projectBytes(project: string): Promise<number>;
  createUpload(upload: Omit<UploadRecord, 'touchedAt'>): Promise<void>;
  /** Puts off the end of an upload that goes on. */
  touchUpload(id: string, at: number): Promise<void>;
  findUpload(id: string): Promise<UploadRecord | undefined>;
  /** Removes the record; false when it is gone already. */
  removeUpload(id: string): Promise<boolean>;
  /**
   * Reserves `bytes` in all for an upload, in place of what it had; undefined when they fit with what the project stores
   * and has promised to other uploads, else how much that is.
   */
  reserveUpload(
    id: string,
    project: string,
    bytes: number,
    quotaBytes: number,
  ): Promise<{ readonly used: number } | undefined>;
  /** Uploads that were last written to before `before`, oldest first. */
  uploadsBefore(before: number, limit: number): Promise<UploadRecord[]>;
}
