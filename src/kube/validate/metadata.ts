import { isDeepStrictEqual } from 'node:util';

import { goQuote } from '../../base/go-quote.ts';
import { forbiddenField, invalidValue, required, tooLong, type FieldError } from '../field-error.ts';
import {
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { labelNameFaults, labelValueFaults, pathSegmentFaults, qualifiedNameFaults } from './name-rules.ts';

/** All annotations of one object together, in bytes. */
const MAX_ANNOTATION_BYTES = 256 * 1024;

const STANDARD_FINALIZERS: ReadonlySet<string> = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

export type NameRule = (name: string) => string[];

/** Checks the metadata of an object, whose name follows `nameRule`. */
export function validateMetadata(
  metadata: JsonObject,
  namespaced: boolean,
  nameRule: NameRule,
  path = 'metadata',
): FieldError[] {
  const errors: FieldError[] = [];
  const generateName = stringAt(metadata, 'generateName');
  if (generateName !== '') {
    // The part that is still to be made up will end in a letter or digit; upstream puts one for the last two characters.
    for (const fault of nameRule(generateName.replace(/.-$/s, 'a'))) {
      errors.push(invalidValue(`${path}.generateName`, generateName, fault));
    }
  }
  const name = stringAt(metadata, 'name');
  if (name === '') errors.push(required(`${path}.name`, 'name or generateName is required'));
  else for (const fault of nameRule(name)) errors.push(invalidValue(`${path}.name`, name, fault));
  const namespace = stringAt(metadata, 'namespace');
  if (namespaced) {
    if (namespace === '') errors.push(required(`${path}.namespace`));
    else {
      for (const fault of labelNameFaults(namespace)) {
        errors.push(invalidValue(`${path}.namespace`, namespace, fault));
      }
    }
  } else if (namespace !== '') {
    errors.push(forbiddenField(`${path}.namespace`, 'not allowed on this type'));
  }
  errors.push(...validateLabels(stringMapAt(metadata, 'labels'), `${path}.labels`));
  errors.push(...validateAnnotations(stringMapAt(metadata, 'annotations'), `${path}.annotations`));
  errors.push(...validateOwners(objectsAt(metadata, 'ownerReferences'), `${path}.ownerReferences`));
  const finalizers = stringsAt(metadata, 'finalizers');
  for (const finalizer of finalizers) {
    for (const fault of qualifiedNameFaults(finalizer)) {
      errors.push(invalidValue(`${path}.finalizers`, finalizer, fault));
    }
  }
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    const why = 'finalizer orphan and foregroundDeletion cannot be both set';
    errors.push(invalidValue(`${path}.finalizers`, finalizers, why));
  }
  return errors;
}

/** Checks that the finalizers of a built-in kind say whose they are. */
export function validateFinalizerOwners(metadata: JsonObject): FieldError[] {
  return stringsAt(metadata, 'finalizers').flatMap((name, index) =>
    validateFinalizerOwner(name, `metadata.finalizers[${index}]`),
  );
}

/** Checks that a finalizer is one that the server knows or has a domain. */
export function validateFinalizerOwner(name: string, path: string): FieldError[] {
  if (name.includes('/') || STANDARD_FINALIZERS.has(name)) return [];
  const why = 'name is neither a standard finalizer name nor is it fully qualified';
  return [invalidValue(path, name, why)];
}

/** Checks what any kind's metadata must satisfy, whatever its own rule for names. */
export function validateCommonMetadata(metadata: JsonObject, namespaced: boolean): FieldError[] {
  return validateMetadata(metadata, namespaced, pathSegmentFaults);
}

const IMMUTABLE = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

/** Checks that a change leaves the identity of the object alone. */
export function validateMetadataUpdate(metadata: JsonObject, old: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  if (old['deletionTimestamp'] !== undefined) {
    const before = new Set(stringsAt(old, 'finalizers'));
    const added = stringsAt(metadata, 'finalizers').filter((name) => !before.has(name));
    if (added.length > 0) {
      const list = added.map(goQuote).join(', ');
      errors.push(
        forbiddenField(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
        ),
      );
    }
  }
  for (const key of IMMUTABLE) {
    errors.push(...validateImmutable(metadata[key], old[key], `metadata.${key}`));
  }
  return errors;
}

/** Checks that a value is what it was. */
export function validateImmutable(value: unknown, old: unknown, path: string): FieldError[] {
  return isDeepStrictEqual(value ?? null, old ?? null)
    ? []
    : [invalidValue(path, value, 'field is immutable')];
}

/** Checks the keys and values of labels; also of node selectors and `matchLabels`. */
export function validateLabels(labels: Readonly<Record<string, string>>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of Object.keys(labels).toSorted()) {
    for (const fault of qualifiedNameFaults(key)) errors.push(invalidValue(path, key, fault));
    const value = labels[key] ?? '';
    for (const fault of labelValueFaults(value)) errors.push(invalidValue(path, value, fault));
  }
  return errors;
}

/** Checks the keys of annotations, and that all together are not too large. */
export function validateAnnotations(
  annotations: Readonly<Record<string, string>>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const key of Object.keys(annotations).toSorted()) {
    // Upper case was allowed once and stays allowed.
    for (const fault of qualifiedNameFaults(key.toLowerCase())) errors.push(invalidValue(path, key, fault));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(annotations[key] ?? '');
  }
  if (bytes > MAX_ANNOTATION_BYTES) errors.push(tooLong(path, MAX_ANNOTATION_BYTES));
  return errors;
}

function validateOwners(owners: readonly JsonObject[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  let first = '';
  for (const owner of owners) {
    const apiVersion = stringAt(owner, 'apiVersion');
    const kind = stringAt(owner, 'kind');
    if (apiVersion === '') errors.push(invalidValue(`${path}.apiVersion`, '', 'version must not be empty'));
    for (const key of ['kind', 'name', 'uid']) {
      if (stringAt(owner, key) === '') errors.push(invalidValue(`${path}.${key}`, '', 'must not be empty'));
    }
    if (apiVersion === 'v1' && kind === 'Event') {
      errors.push(invalidValue(path, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
    if (owner['controller'] !== true) continue;
    const controller = `${kind}/${stringAt(owner, 'name')}`;
    if (first === '') {
      first = controller;
      continue;
    }
    const why = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${controller}`;
    errors.push(invalidValue(path, owners, why));
  }
  return errors;
}

/** Checks a label selector inside an object. */
export function validateLabelSelector(selector: JsonObject | undefined, path: string): FieldError[] {
  if (selector === undefined) return [];
  const errors = validateLabels(stringMapAt(selector, 'matchLabels'), `${path}.matchLabels`);
  objectsAt(selector, 'matchExpressions').forEach((expression, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    const operator = stringAt(expression, 'operator');
    const values = stringsAt(expression, 'values');
    errors.push(
      ...(validateValueCount(operator, values, at) ?? [
        invalidValue(`${at}.operator`, operator, 'not a valid selector operator'),
      ]),
    );
    const key = stringAt(expression, 'key');
    for (const fault of qualifiedNameFaults(key)) errors.push(invalidValue(`${at}.key`, key, fault));
    values.forEach((value, valueIndex) => {
      for (const fault of labelValueFaults(value)) {
        errors.push(invalidValue(`${at}.values[${valueIndex}]`, value, fault));
      }
    });
  });
  return errors;
}

/** Checks how many values the operators of all selectors take; undefined for an operator that is not one of them. */
export function validateValueCount(
  operator: string,
  values: readonly string[],
  path: string,
): FieldError[] | undefined {
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length > 0) return [];
    return [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
  }
  if (operator !== 'Exists' && operator !== 'DoesNotExist') return undefined;
  if (values.length === 0) return [];
  const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
  return [forbiddenField(`${path}.values`, why)];
}

/** Returns the metadata of any object; empty when a body had none. */
export function metadataOf(object: JsonObject): JsonObject {
  return objectAt(object, 'metadata') ?? {};
}

/** Checks that a number is zero or more. */
export function validateNonNegative(parent: JsonObject | undefined, key: string, path: string): FieldError[] {
  const value = parent?.[key];
  if (typeof value !== 'number' || value >= 0) return [];
  return [invalidValue(`${path}.${key}`, value, 'must be greater than or equal to 0')];
}
