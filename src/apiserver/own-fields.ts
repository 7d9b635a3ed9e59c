import { ApplyError } from '../kube/apply/apply-error.ts';
import { updateManagedFields } from '../kube/apply/managed-fields.ts';
import type { KubeObject } from '../kube/object.ts';
import { structOfResource } from '../kube/resources.ts';
import { findKindStruct } from '../kube/schema/schema.ts';
import { fieldManager, type ApiCall, type ApiContext } from './api-call.ts';
import type { WriteOptions } from './request-options.ts';

interface OwnOptions {
  /** The object as it was; absent for a new one, and for what is only answered. */
  readonly old?: KubeObject;
  /** What the body is, where a subresource speaks another kind than its resource. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
}

/** Notes in `metadata.managedFields` what a request that was no apply sets. */
export function ownFields(
  context: ApiContext,
  call: ApiCall,
  options: WriteOptions,
  object: KubeObject,
  { old, kind }: OwnOptions = {},
): void {
  const by = fieldManager(context, call, options.fieldManager);
  const struct =
    kind === undefined
      ? structOfResource(call.resource)
      : findKindStruct(kind.group, kind.version, kind.kind);
  const entries = entriesAfter(old, object, by, struct);
  if (entries.length > 0) object.metadata.managedFields = [...entries];
  else delete object.metadata.managedFields;
}

/** An object that cannot be told apart part by part keeps the owners that it had: that alone refuses no write. */
function entriesAfter(
  ...[old, object, by, struct]: Parameters<typeof updateManagedFields>
): readonly unknown[] {
  try {
    return updateManagedFields(old, object, by, struct);
  } catch (error) {
    if (!(error instanceof ApplyError)) throw error;
    return old?.metadata.managedFields ?? [];
  }
}
