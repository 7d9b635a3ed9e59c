import { isDeepStrictEqual } from 'node:util';
import { ApplyError } from '../kube/apply/apply-error.ts';
import { updateManagedFields, type ManagedFieldsEntry } from '../kube/apply/managed-fields.ts';
import type { KubeObject } from '../kube/object.ts';
import { structOfResource } from '../kube/resources.ts';
import { fieldManager, type ApiCall, type ApiContext } from './api-call.ts';
import type { WriteOptions } from './request-options.ts';

/** Notes in `metadata.managedFields` what a request that was no apply sets. */
export function ownFields(
  context: ApiContext,
  call: ApiCall,
  options: WriteOptions,
  object: KubeObject,
  old?: KubeObject,
): void {
  const by = fieldManager(context, call, options.fieldManager);
  const entries = entriesAfter(old, object, by, structOfResource(call.resource));
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
  if (!isDeepStrictEqual(withoutFields(old), withoutFields(object))) return false;
  return isDeepStrictEqual(withoutTimes(old), withoutTimes(object));
}

function withoutFields(object: KubeObject): unknown {
  const { managedFields: _fields, ...metadata } = object.metadata;
  return JSON.parse(JSON.stringify({ ...object, metadata }));
}

function withoutTimes(object: KubeObject): unknown {
  const entries = (object.metadata.managedFields ?? []) as ManagedFieldsEntry[];
  return entries.map(({ time: _time, ...entry }) => entry);
}
