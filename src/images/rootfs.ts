import type { Digest } from '../oci/digest.ts';

/** How a root file system came to be: an overlay mount, or a private copy of the merged tree. */
export type RootfsKind = 'overlay' | 'copy';

/** A writable root file system for one container. */
export interface Rootfs {
  readonly key: string;
  readonly path: string;
  readonly kind: RootfsKind;
  /**
   * For `overlay` on a machine where this process may not mount: the options with which the runtime mounts it inside
   * its own user and mount namespaces. Absent when `path` is ready as it is.
   */
  readonly overlay?: {
    /** Topmost first, as the option `lowerdir` takes them. */
    readonly lower: readonly string[];
    readonly upper: string;
    readonly work: string;
    /** Further mount options, such as `userxattr`. */
    readonly options?: readonly string[];
  };
}

/** Turns unpacked layers into root file systems. Layers are unpacked once per diff ID and shared read-only. */
export interface RootfsProvider {
  /** Tells whether every layer of the image is unpacked and intact. */
  isUnpacked(diffIds: readonly Digest[]): Promise<boolean>;
  /** Makes (or returns) the writable root of `key`; `key` is a container ID. */
  prepare(key: string, diffIds: readonly Digest[], signal: AbortSignal): Promise<Rootfs>;
  /** Makes a read-only view, for image volumes. */
  view(key: string, diffIds: readonly Digest[], signal: AbortSignal): Promise<Rootfs>;
  /** Unmounts and removes; one that is not there is no error. */
  remove(key: string): Promise<void>;
  /** Keys that exist, for orphan clean-up. */
  keys(): Promise<string[]>;
}
