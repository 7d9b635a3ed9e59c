import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { isDeepStrictEqual } from 'node:util';
import { validateImmutable } from './metadata.ts';
import { labelNameFaults, qualifiedNameFaults } from './name-rules.ts';

/** Checks a RuntimeClass, less its metadata. */
export function validateRuntimeClass(runtimeClass: JsonObject): FieldError[] {
  const handler = stringAt(runtimeClass, 'handler');
  return labelNameFaults(handler).map((fault) => invalidValue('handler', handler, fault));
}

/** Checks a changed RuntimeClass. */
export function validateRuntimeClassUpdate(runtimeClass: JsonObject, old: JsonObject): FieldError[] {
  return validateImmutable(runtimeClass['handler'], old['handler'], 'handler');
}

/** Checks a StorageClass, less its metadata. */
export function validateStorageClass(storageClass: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const provisioner = stringAt(storageClass, 'provisioner');
  if (provisioner === '') errors.push(required('provisioner', provisioner));
  else {
    for (const fault of qualifiedNameFaults(provisioner.toLowerCase())) {
      errors.push(invalidValue('provisioner', provisioner, fault));
    }
  }
  const reclaim = stringAt(storageClass, 'reclaimPolicy');
  if (reclaim !== 'Delete' && reclaim !== 'Retain') {
    errors.push(notSupported('reclaimPolicy', reclaim, ['Delete', 'Retain']));
  }
  const mode = stringAt(storageClass, 'volumeBindingMode');
  if (mode !== 'Immediate' && mode !== 'WaitForFirstConsumer') {
    errors.push(notSupported('volumeBindingMode', mode, ['Immediate', 'WaitForFirstConsumer']));
  }
  return errors;
}

/** Checks a changed StorageClass: what volumes were made by cannot change. */
export function validateStorageClassUpdate(storageClass: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateStorageClass(storageClass);
  if (!isDeepStrictEqual(objectAt(storageClass, 'parameters') ?? {}, objectAt(old, 'parameters') ?? {})) {
    errors.push(forbiddenField('parameters', 'updates to parameters are forbidden.'));
  }
  for (const key of ['provisioner', 'reclaimPolicy'] as const) {
    if (storageClass[key] !== old[key]) {
      errors.push(forbiddenField(key, `updates to ${key} are forbidden.`));
    }
  }
  errors.push(
    ...validateImmutable(storageClass['volumeBindingMode'], old['volumeBindingMode'], 'volumeBindingMode'),
  );
  return errors;
}
