import type { LayerSink } from '../images/layer-sink.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/** Turns layers into trees, once for each diff ID: what a pull needs of the layer store, which is one. */
export interface LayerUnpacker {
  isUnpacked(diffId: Digest): Promise<boolean>;
  /**
   * Unpacks a layer whose content is held, and checks that it is `diffId` when uncompressed.
   *
   * @throws whatever is wrong with the layer or the disk
   */
  unpack(layer: Descriptor, diffId: Digest, signal: AbortSignal): Promise<unknown>;
  /** Unpacks a layer while it arrives, and commits its content; absent where that cannot be done. */
  openSink?(layer: Descriptor, diffId: Digest): Promise<LayerSink>;
  /**
   * Fits unpacked layers, base first, to each other; absent where they need not be.
   *
   * @throws when a layer needs a file below it that is not there
   */
  stack?(diffIds: readonly Digest[], signal: AbortSignal): Promise<unknown>;
}
