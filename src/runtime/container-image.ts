import type { Digest } from '../oci/digest.ts';

/** The part of an OCI image config that says how to run it. @see OCI image-spec v1.1.1, config.md, "Properties" */
export interface ImageRunConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly StopSignal?: string;
}

/** An image as the runtime needs it. */
export interface ContainerImage {
  /** Digest of the config: the image ID. */
  readonly id: string;
  /** First tag of the image, else its ID: Pod status `image` (4.16). */
  readonly image: string;
  /** First repository digest, else its ID: Pod status `imageID` (4.16). */
  readonly imageRef: string;
  readonly diffIds: readonly Digest[];
  readonly config: ImageRunConfig;
}

/** Finds an image by the reference that `ImageService` returned; undefined when it is not on the node. */
export interface ImageLookup {
  (reference: string, signal: AbortSignal): Promise<ContainerImage | undefined>;
}
