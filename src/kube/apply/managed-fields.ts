import type { KubeObject } from '../object.ts';

/** One entry of `metadata.managedFields`. */
export interface ManagedFieldsEntry {
  manager?: string;
  operation?: 'Apply' | 'Update';
  apiVersion?: string;
  time?: string;
  fieldsType?: 'FieldsV1';
  fieldsV1?: Record<string, unknown>;
  subresource?: string;
}

export interface FieldManager {
  /** `fieldManager` parameter, else the first part of User-Agent; see `managerOf`. */
  readonly manager: string;
  readonly subresource?: string;
  /** RFC 3339 second. */
  readonly time: string;
}

/** Names the manager of a request that gave no `fieldManager`: the user agent up to `/`, else `unknown`. */
export declare function managerOf(userAgent: string | undefined): string;
/** Returns the managedFields after a create (no `before`), update or patch that was not an apply. */
export declare function updateManagedFields(
  before: KubeObject | undefined,
  after: KubeObject,
  by: FieldManager,
): ManagedFieldsEntry[];
