import { isDeepStrictEqual } from 'node:util';

import { goJson } from '../../base/go-json.ts';
import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { canonicalQuantity, compareQuantities } from '../quantity.ts';
import { internalClaimSpec } from './internal-form.ts';
import { validateImmutable, validateLabelSelector } from './metadata.ts';
import { labelNameFaults, subdomainFaults } from './name-rules.ts';
import { unifiedDiff } from './unified-diff.ts';

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** Checks how a volume or claim may be used. */
export function validateAccessModes(modes: readonly string[], path: string): FieldError[] {
  const errors = modes
    .filter((mode) => !ACCESS_MODES.includes(mode))
    .map((mode) => notSupported(path, mode, ACCESS_MODES));
  const known = new Set(modes.filter((mode) => ACCESS_MODES.includes(mode)));
  if (known.has('ReadWriteOncePod') && known.size > 1) {
    errors.push(forbiddenField(path, 'may not use ReadWriteOncePod with other access modes'));
  }
  return errors;
}

/** Checks the mode of a volume or claim. */
export function validateVolumeMode(spec: JsonObject, path: string): FieldError[] {
  const mode = spec['volumeMode'];
  if (mode === undefined || mode === 'Filesystem' || mode === 'Block') return [];
  return [notSupported(`${path}.volumeMode`, mode, ['Block', 'Filesystem'])];
}

/** Checks the name of a class. */
export function validateClassName(spec: JsonObject, key: string, path: string): FieldError[] {
  const name = stringAt(spec, key);
  if (name === '') return [];
  return subdomainFaults(name).map((fault) => invalidValue(`${path}.${key}`, name, fault));
}

/** Checks that an amount is more than nothing. */
export function validatePositive(amount: unknown, path: string): FieldError[] {
  if (typeof amount !== 'string' && typeof amount !== 'number') return [];
  if (compareQuantities(amount, 0) > 0) return [];
  return [invalidValue(path, canonicalQuantity(amount), 'must be greater than zero')];
}

/** Checks what a claim asks for, at `path`. */
export function validateClaimSpec(spec: JsonObject, path: string): FieldError[] {
  const modes = stringsAt(spec, 'accessModes');
  const errors =
    modes.length === 0 ? [required(`${path}.accessModes`, 'at least 1 access mode is required')] : [];
  errors.push(...validateLabelSelector(objectAt(spec, 'selector'), `${path}.selector`));
  errors.push(...validateAccessModes(modes, `${path}.accessModes`));
  const storage = objectAt(objectAt(spec, 'resources'), 'requests')?.['storage'];
  if (storage === undefined) errors.push(required(`${path}.resources[storage]`));
  else errors.push(...validatePositive(storage, `${path}.resources[storage]`));
  errors.push(...validateClassName(spec, 'storageClassName', path));
  errors.push(...validateVolumeMode(spec, path));
  const source = objectAt(spec, 'dataSource');
  const ref = objectAt(spec, 'dataSourceRef');
  if (source !== undefined) errors.push(...validateDataSource(source, `${path}.dataSource`));
  if (ref !== undefined) errors.push(...validateDataSource(ref, `${path}.dataSourceRef`));
  if (source !== undefined && ref !== undefined) {
    const { namespace, ...rest } = ref;
    if (typeof namespace === 'string' && namespace !== '') {
      const why = 'may not be specified when dataSourceRef.namespace is specified';
      errors.push(invalidValue(path, `${path}.dataSource`, why));
    } else if (!isDeepStrictEqual({ ...source }, { ...rest })) {
      errors.push(invalidValue(path, `${path}.dataSource`, 'must match dataSourceRef'));
    }
  }
  return [...errors, ...validateClassName(spec, 'volumeAttributesClassName', path)];
}

function validateDataSource(source: JsonObject, path: string): FieldError[] {
  const kind = stringAt(source, 'kind');
  const group = stringAt(source, 'apiGroup');
  const errors = stringAt(source, 'name') === '' ? [required(`${path}.name`)] : [];
  if (kind === '') errors.push(required(`${path}.kind`));
  if (group === '' && kind !== 'PersistentVolumeClaim') {
    const why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
    errors.push(invalidValue(path, kind, why));
  }
  if (group !== '') {
    errors.push(...subdomainFaults(group).map((fault) => invalidValue(`${path}.apiGroup`, group, fault)));
  }
  const namespace = stringAt(source, 'namespace');
  if (namespace === '') return errors;
  const faults = labelNameFaults(namespace);
  return [...errors, ...faults.map((fault) => invalidValue(`${path}.namespace`, namespace, fault))];
}

/** Checks a PersistentVolumeClaim, less its metadata. */
export function validateClaim(claim: JsonObject): FieldError[] {
  return validateClaimSpec(objectAt(claim, 'spec') ?? {}, 'spec');
}

const FROZEN =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

/** Checks a changed PersistentVolumeClaim: a bound one may only ask for more, and for another class of attributes. */
export function validateClaimUpdate(claim: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateClaim(claim);
  const spec = objectAt(claim, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const now = structuredClone(spec);
  const then = structuredClone(before);
  // Its volume is named once, and so may its class be.
  if (stringAt(before, 'volumeName') === '') take(then, spec, 'volumeName');
  if (before['storageClassName'] === undefined) take(now, before, 'storageClassName');
  if (stringAt(objectAt(claim, 'status'), 'phase') === 'Bound') {
    const requests = objectAt(objectAt(now, 'resources'), 'requests');
    if (requests !== undefined) take(requests, requestsOf(before), 'storage');
    if (now['volumeAttributesClassName'] !== undefined) take(now, before, 'volumeAttributesClassName');
  }
  if (!isDeepStrictEqual(now, then)) {
    const difference = unifiedDiff(goJson(internalClaimSpec(then), 1), goJson(internalClaimSpec(now), 1));
    errors.push(forbiddenField('spec', `${FROZEN}\n${difference}`));
  }
  errors.push(...validateSize(spec, before, objectAt(objectAt(old, 'status'), 'capacity')));
  errors.push(...validateImmutable(spec['volumeMode'], before['volumeMode'], 'volumeMode'));
  const className = 'spec.volumeAttributesClassName';
  if (before['volumeAttributesClassName'] !== undefined) {
    const name = spec['volumeAttributesClassName'];
    if (name === undefined) {
      errors.push(forbiddenField(className, 'update from non-nil value to nil is forbidden'));
    } else if (name === '' && before['volumeAttributesClassName'] !== '') {
      errors.push(forbiddenField(className, 'update from non-nil value to an empty string is forbidden'));
    }
  }
  return errors;
}

function validateSize(spec: JsonObject, before: JsonObject, capacity: JsonObject | undefined): FieldError[] {
  const wanted = amountOf(requestsOf(spec));
  if (compareQuantities(wanted, amountOf(requestsOf(before))) >= 0) return [];
  if (compareQuantities(wanted, amountOf(capacity)) > 0) return [];
  return [forbiddenField('spec.resources.requests.storage', 'field can not be less than status.capacity')];
}

function requestsOf(spec: JsonObject): JsonObject {
  return objectAt(objectAt(spec, 'resources'), 'requests') ?? {};
}

function amountOf(list: JsonObject | undefined): string | number {
  const amount = list?.['storage'];
  return typeof amount === 'string' || typeof amount === 'number' ? amount : 0;
}

function take(target: JsonObject, source: JsonObject, key: string): void {
  if (source[key] === undefined) delete target[key];
  else target[key] = source[key];
}
