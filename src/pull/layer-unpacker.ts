import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/** Turns held layers into trees, once for each diff ID; what a pull needs of the layer store. */
export interface LayerUnpacker {
  isUnpacked(diffId: Digest): Promise<boolean>;
  /**
   * Unpacks a layer whose content is held, and checks that it is `diffId` when uncompressed.
   *
   * @throws whatever is wrong with the layer or the disk
   */
  unpack(layer: Descriptor, diffId: Digest, signal: AbortSignal): Promise<void>;
}
