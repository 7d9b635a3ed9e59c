import type { StructSchema } from '../schema/schema.ts';
import type { StructuralSchema } from './structural-schema.ts';

/** A column of a table, as a definition declares it. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
}

/** Where a custom object keeps what the scale subresource speaks of: paths such as `.spec.replicas`. */
export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

/** What a resource that is not built in brings along. */
export interface CustomKind {
  readonly schema: StructuralSchema;
  /** The same schema in the form that field ownership works with. */
  readonly struct: StructSchema;
  readonly columns: readonly PrinterColumn[];
  readonly scale?: ScalePaths;
  /** apiVersion in which objects are stored. */
  readonly storedVersion: string;
  readonly selectableFields: readonly string[];
}
