import { isDeepStrictEqual } from 'node:util';
import { ApplyError } from '../kube/apply/apply-error.ts';
import { updateManagedFields, type ManagedFieldsEntry } from '../kube/apply/managed-fields.ts';
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

/** Tells whether a write would change nothing but the times in managedFields; such a write is not made. */
export function isSame(old: KubeObject, object: KubeObject): boolean {
  const before = textWithoutFields(old);
  const after = textWithoutFields(object);
  if (before !== after) {
    // Another order of fields makes another text, but not a longer one.
    if (before.length !== after.length) return false;
    if (!isDeepStrictEqual(JSON.parse(before), JSON.parse(after))) return false;
  }
  return isDeepStrictEqual(withoutTimes(old), withoutTimes(object));
}

function textWithoutFields(object: KubeObject): string {
  const { managedFields: _fields, ...metadata } = object.metadata;
  return JSON.stringify({ ...object, metadata });
}

function withoutTimes(object: KubeObject): unknown {
  const entries = (object.metadata.managedFields ?? []) as ManagedFieldsEntry[];
  return entries.map(({ time: _time, ...entry }) => entry);
}
