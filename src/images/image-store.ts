import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/*
 * What is known of images, kept in SQLite (`images.db`): names and the digests they point at, what makes up each image,
 * which layers are unpacked, leases of work under way, last use and pins. Bytes are `content/`'s business; records here
 * decide what of it may be swept.
 */

/** A name on this machine: `docker.io/library/busybox:1.36`, `registry.example/app@sha256:…`. */
export interface NameRecord {
  /** Fully normalised reference with tag or digest. */
  readonly name: string;
  /** What the name points at: an index or a manifest. */
  readonly target: Descriptor;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** One platform's image. */
export interface ImageRecord {
  /** Digest of the config: the image ID. */
  readonly id: Digest;
  /** The platform's manifest. */
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  /** Compressed layers from base to top. */
  readonly layers: readonly Descriptor[];
  /** Uncompressed digests, same order as `layers`. */
  readonly diffIds: readonly Digest[];
  /** `os/architecture[/variant]` of the config. */
  readonly platform: string;
  /** Config user, split as rule 12.18 says. */
  readonly user: string;
  readonly createdAt: number;
  readonly lastUsedAt?: number;
  readonly pinned: boolean;
  readonly pinReason?: string;
}

/** An image with all names that lead to it, sorted. */
export interface ImageWithNames extends ImageRecord {
  /** Names ending in a tag, normalised. */
  readonly repoTags: readonly string[];
  /** Names ending in a digest (of the index or the manifest that was pulled), normalised. */
  readonly repoDigests: readonly string[];
  /** Sum of config and layer sizes in bytes (compressed), as rule 12.14. */
  readonly size: number;
}

export interface ImageStore {
  /** Records an image and points names at it in one transaction; names move away from whatever they pointed at. */
  put(
    image: Omit<ImageRecord, 'createdAt' | 'pinned' | 'lastUsedAt'>,
    names: readonly { name: string; target: Descriptor }[],
  ): Promise<void>;
  /** Finds by normalised name, by ID, or by unique ID prefix of at least 4 hex digits (12.15). */
  find(nameOrId: string): Promise<ImageWithNames | undefined>;
  list(): Promise<ImageWithNames[]>;
  /** Points `name` at what `existing` names. */
  tag(existing: string, name: string): Promise<void>;
  /** Removes one name; the image itself goes once no name is left. */
  removeName(name: string): Promise<boolean>;
  /** Removes the image and all its names. */
  removeImage(id: Digest): Promise<boolean>;
  pin(id: Digest, reason: string | undefined): Promise<void>;
  touch(id: Digest): Promise<void>;
  /** Protects content from the sweep while work is under way; gone with the process that took it. */
  lease(reason: string): Promise<Lease>;
  /** Digests of everything that records, names and leases need: the roots of mark-and-sweep. */
  roots(): Promise<ReadonlySet<Digest>>;
}

export interface Lease {
  readonly id: string;
  add(digest: Digest): Promise<void>;
  release(): Promise<void>;
}
