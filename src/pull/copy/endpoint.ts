import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { PushOutcome } from '../../remote/push-blob.ts';
import type { DownloadContext } from '../download.ts';

/** Something images can be copied from: a registry, a node's store, an OCI layout. */
export interface CopySource {
  /** Finds what the source's name stands for. @throws when there is nothing of that name */
  resolve(signal: AbortSignal): Promise<Descriptor>;
  /** Reads a manifest, index or config whole, checked. @throws when it is not there or wrong */
  document(descriptor: Descriptor, limit: number, signal: AbortSignal): Promise<Buffer>;
  /** How blobs are opened; their bytes are not checked. */
  readonly blobs: DownloadContext;
  /** Lists what refers to a manifest: signatures, attestations, SBOMs. Absent where nothing can be asked. */
  referrers?(subject: Digest, signal: AbortSignal): Promise<readonly Descriptor[]>;
  /** Where a registry has it, so that the same registry can share blobs instead of moving them. */
  readonly repository?: { readonly registry: string; readonly path: string };
}

/** Something images can be copied to. Blobs come first, then manifests from the leaves up, the root last. */
export interface CopyTarget {
  /** Takes a blob, unless it is there; checks size and digest. */
  putBlob(
    descriptor: Descriptor,
    source: CopySource,
    onBytes: (held: number) => void,
    signal: AbortSignal,
  ): Promise<PushOutcome>;
  /** Takes a manifest or index, whose bytes were checked. */
  putManifest(descriptor: Descriptor, bytes: Buffer, signal: AbortSignal): Promise<void>;
  /** Whether manifests that refer to others are found again by their subject. */
  readonly takesReferrers: boolean;
  /** Makes the image visible under the target's name, in one step. */
  publish(root: Descriptor, bytes: Buffer, signal: AbortSignal): Promise<void>;
  /** Gives back what was held for the copy; called whatever happened. */
  close(): Promise<void>;
}
