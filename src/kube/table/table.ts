import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';

export interface TableOptions {
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
  /** `includeObject` parameter; `Metadata` when absent. */
  readonly includeObject?: 'None' | 'Metadata' | 'Object';
  /** Metadata of the list, or of the single object (only its resourceVersion is used). */
  readonly metadata?: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  /** Leave the columns out: every watch event after the first. */
  readonly noHeaders?: boolean;
}

/** Prints objects as `meta.k8s.io/v1` Table. */
export declare function toTable(
  resource: ResourceInfo,
  objects: readonly KubeObject[],
  options: TableOptions,
): object;
/** Returns `PartialObjectMetadata` of one object, with apiVersion and kind. */
export declare function toPartialMetadata(object: KubeObject): object;
/** Returns `PartialObjectMetadataList`. */
export declare function toPartialMetadataList(objects: readonly KubeObject[], metadata: object): object;
