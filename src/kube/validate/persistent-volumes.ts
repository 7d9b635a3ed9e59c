import { isDeepStrictEqual } from 'node:util';

import { goJson } from '../../base/go-json.ts';
import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { canonicalQuantity, compareQuantities } from '../quantity.ts';
import { validateAccessModes, validateClassName, validatePositive, validateVolumeMode } from './claims.ts';
import { internalForm, internalVolumePlace } from './internal-form.ts';
import { validateImmutable } from './metadata.ts';
import { labelNameFaults, subdomainFaults } from './name-rules.ts';
import { validateNodeSelector } from './pod-placement.ts';
import { unifiedDiff } from './unified-diff.ts';
import { validateNoBacksteps } from './volume-paths.ts';
import {
  requireTexts,
  validateDriverName,
  validateHostPath,
  validateNetworkSource,
} from './volume-sources.ts';

/** Where a volume may be, in the order in which the API looks. */
const SOURCES = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'glusterfs',
  'flocker',
  'nfs',
  'rbd',
  'quobyte',
  'cephfs',
  'iscsi',
  'cinder',
  'fc',
  'flexVolume',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'scaleIO',
  'local',
  'storageos',
  'csi',
] as const;

const POLICIES = ['Delete', 'Recycle', 'Retain'];

/** Checks a PersistentVolume, less its metadata. */
export function validatePersistentVolume(volume: JsonObject): FieldError[] {
  const spec = objectAt(volume, 'spec') ?? {};
  const modes = stringsAt(spec, 'accessModes');
  const errors = modes.length === 0 ? [required('spec.accessModes')] : [];
  errors.push(...validateAccessModes(modes, 'spec.accessModes'));
  errors.push(...validateCapacity(objectAt(spec, 'capacity')));
  const policy = stringAt(spec, 'persistentVolumeReclaimPolicy');
  if (policy !== '' && !POLICIES.includes(policy)) {
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, POLICIES));
  }
  const affinity = objectAt(spec, 'nodeAffinity');
  const nodes = objectAt(affinity, 'required');
  if (nodes !== undefined) errors.push(...validateNodeSelector(nodes, 'spec.nodeAffinity.required'));
  else if (affinity !== undefined) {
    errors.push(required('spec.nodeAffinity.required', 'must specify required node constraints'));
  }
  errors.push(...validateSources(spec));
  if (/^\/+$/.test(stringAt(objectAt(spec, 'hostPath'), 'path')) && policy === 'Recycle') {
    const why = "may not be 'recycle' for a hostPath mount of '/'";
    errors.push(forbiddenField('spec.persistentVolumeReclaimPolicy', why));
  }
  errors.push(...validateClassName(spec, 'storageClassName', 'spec'));
  errors.push(...validateVolumeMode(spec, 'spec'));
  return [...errors, ...validateAttributesClass(spec)];
}

function validateCapacity(given: JsonObject | undefined): FieldError[] {
  const capacity = given ?? {};
  const names = Object.keys(capacity).toSorted();
  const errors = names.length === 0 ? [required('spec.capacity')] : [];
  if (capacity['storage'] === undefined || names.length > 1) {
    errors.push(notSupported('spec.capacity', given, ['storage']));
  }
  for (const name of names) {
    const amount = capacity[name];
    const isAmount = typeof amount === 'string' || typeof amount === 'number';
    if (isAmount && compareQuantities(amount, 0) < 0) {
      const at = `spec.capacity[${name}]`;
      errors.push(invalidValue(at, canonicalQuantity(amount), 'must be a valid resource quantity'));
    }
    errors.push(...validatePositive(amount, `spec.capacity[${name}]`));
  }
  return errors;
}

function validateSources(spec: JsonObject): FieldError[] {
  const [first, ...others] = SOURCES.filter((name) => objectAt(spec, name) !== undefined);
  if (first === undefined) return [required('spec', 'must specify a volume type')];
  const errors = validateSource(first, objectAt(spec, first) ?? {}, spec);
  for (const name of others) {
    errors.push(forbiddenField(`spec.${name}`, 'may not specify more than 1 volume type'));
  }
  return errors;
}

function validateSource(name: string, source: JsonObject, spec: JsonObject): FieldError[] {
  const path = `spec.${name}`;
  switch (name) {
    case 'hostPath':
      return validateHostPath(source, path);
    case 'local': {
      const text = stringAt(source, 'path');
      const errors = text === '' ? [required(`${path}.path`)] : validateNoBacksteps(text, `${path}.path`);
      if (spec['nodeAffinity'] !== undefined) return errors;
      return [...errors, required('spec.nodeAffinity', 'Local volume requires node affinity')];
    }
    case 'csi':
      return validateCsi(source, path);
    case 'glusterfs':
      return requireTexts(source, ['endpoints', 'path'], path);
    case 'gcePersistentDisk':
      // The one path that is not the field's.
      return validateNetworkSource(name, source, 'spec.persistentDisk');
    default:
      return validateNetworkSource(name, source, path);
  }
}

function validateCsi(source: JsonObject, path: string): FieldError[] {
  const errors = validateDriverName(stringAt(source, 'driver'), `${path}.driver`);
  errors.push(...requireTexts(source, ['volumeHandle'], path));
  const secrets = [
    'controllerPublishSecretRef',
    'controllerExpandSecretRef',
    'nodePublishSecretRef',
    'nodeExpandSecretRef',
  ];
  for (const key of secrets) {
    const ref = objectAt(source, key);
    if (ref === undefined) continue;
    errors.push(...requireTexts(ref, ['name', 'namespace'], `${path}.${key}`));
    const name = stringAt(ref, 'name');
    const namespace = stringAt(ref, 'namespace');
    if (name !== '') {
      errors.push(...subdomainFaults(name).map((fault) => invalidValue(`${path}.${key}.name`, name, fault)));
    }
    if (namespace === '') continue;
    const faults = labelNameFaults(namespace);
    errors.push(...faults.map((fault) => invalidValue(`${path}.${key}.namespace`, namespace, fault)));
  }
  return errors;
}

function validateAttributesClass(spec: JsonObject): FieldError[] {
  const name = spec['volumeAttributesClassName'];
  if (name === undefined) return [];
  const at = 'spec.volumeAttributesClassName';
  const errors =
    name === ''
      ? [required(at, 'an empty string is disallowed')]
      : validateClassName(spec, 'volumeAttributesClassName', 'spec');
  if (spec['csi'] !== undefined) return errors;
  return [...errors, required('spec.csi', 'has to be specified when using volumeAttributesClassName')];
}

/** Checks a changed PersistentVolume: where it is stays. */
export function validatePersistentVolumeUpdate(volume: JsonObject, old: JsonObject): FieldError[] {
  const errors = validatePersistentVolume(volume);
  const spec = objectAt(volume, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const place = (side: JsonObject): JsonObject =>
    Object.fromEntries(SOURCES.filter((key) => side[key] !== undefined).map((key) => [key, side[key]]));
  if (!isDeepStrictEqual(place(spec), place(before))) {
    const shown = (side: JsonObject): string => goJson(internalVolumePlace(side), 1);
    const difference = unifiedDiff(shown(before), shown(spec));
    const why = `spec.persistentvolumesource is immutable after creation\n${difference}`;
    errors.push(forbiddenField('spec.persistentvolumesource', why));
  }
  errors.push(...validateImmutable(spec['volumeMode'], before['volumeMode'], 'volumeMode'));
  const affinity = before['nodeAffinity'];
  if (affinity !== undefined && !isDeepStrictEqual(spec['nodeAffinity'], affinity)) {
    const shown =
      spec['nodeAffinity'] === undefined
        ? null
        : internalForm(objectAt(spec, 'nodeAffinity') ?? {}, 'core.v1.VolumeNodeAffinity');
    const why = 'field is immutable, except for updating from beta label to GA';
    errors.push(invalidValue('nodeAffinity', shown, why));
  }
  if (before['volumeAttributesClassName'] !== undefined && spec['volumeAttributesClassName'] === undefined) {
    const why = 'update from non-nil value to nil is forbidden';
    errors.push(forbiddenField('spec.volumeAttributesClassName', why));
  }
  return errors;
}
