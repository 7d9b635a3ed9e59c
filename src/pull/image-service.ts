/*
 * The image half of CRI v1 as TypeScript: what a kubelet asks of a runtime. Implemented by this program's own pull path
 * and, over gRPC, by containerd or CRI-O. Field meanings are those of the CRI definition (behaviour section 12).
 */

export interface ImageSpec {
  readonly image: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly userSpecifiedImage?: string;
  readonly runtimeHandler?: string;
  readonly imageRef?: string;
}

/** An image as the runtime knows it. */
export interface Image {
  /** Digest of the platform's image config (12.13). */
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** Compressed size in bytes of one platform's config and layers (12.14), never 0. */
  readonly size: number;
  /** Numeric user of the image config; absent when it names a user or none (12.18). */
  readonly uid?: number;
  readonly username?: string;
  readonly pinned: boolean;
}

/** A credential for one pull. Its secrets are never printed. */
export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serverAddress?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
  /** Where the credential comes from, `Secret team-a/regcred`: the only part that is printed. No part of CRI. */
  readonly source?: string;
}

export interface FilesystemUsage {
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
  readonly mountpoint: string;
  readonly usedBytes: number;
  readonly inodesUsed: number;
}

export interface ImageFsInfo {
  readonly imageFilesystems: readonly FilesystemUsage[];
  readonly containerFilesystems: readonly FilesystemUsage[];
}

export interface ImageService {
  listImages(filter: { image?: string } | undefined, signal: AbortSignal): Promise<Image[]>;
  /** Returns undefined for an image that is not there (12.3). */
  imageStatus(spec: ImageSpec, signal: AbortSignal): Promise<Image | undefined>;
  /**
   * Pulls and returns the image reference (12.5). Never starts a second transfer of what is already on its way.
   *
   * @throws PullError
   */
  pullImage(spec: ImageSpec, auth: AuthConfig | undefined, signal: AbortSignal): Promise<string>;
  /** Removes the image with all its names; one that is not there is no error (12.4). */
  removeImage(spec: ImageSpec, signal: AbortSignal): Promise<void>;
  imageFsInfo(signal: AbortSignal): Promise<ImageFsInfo>;
}
