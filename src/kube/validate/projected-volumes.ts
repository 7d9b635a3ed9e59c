import { forbiddenField, invalidValue, required, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { validateFieldRef, validateResourceRef } from './container-env.ts';
import { validateLabelSelector } from './metadata.ts';
import { validateFilePath } from './volume-paths.ts';

/** Fields of a Pod that a file may show. */
const FILE_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

const MIN_TOKEN_SECONDS = 10 * 60;

/** Checks the permissions of files. */
export function validateMode(source: JsonObject, key: string, path: string): FieldError[] {
  const mode = source[key];
  if (typeof mode !== 'number' || (mode >= 0 && mode <= 0o777)) return [];
  return [
    invalidValue(`${path}.${key}`, mode, 'must be a number between 0 and 0777 (octal), both inclusive'),
  ];
}

/** Checks which keys of a Secret or ConfigMap become which files. */
export function validateItems(source: JsonObject, path: string): FieldError[] {
  return objectsAt(source, 'items').flatMap((item, index) => {
    const at = `${path}.items[${index}]`;
    const text = stringAt(item, 'path');
    return [
      ...(stringAt(item, 'key') === '' ? [required(`${at}.key`)] : []),
      ...(text === '' ? [required(`${at}.path`)] : []),
      ...validateFilePath(text, `${at}.path`),
      ...validateMode(item, 'mode', at),
    ];
  });
}

/** Checks one file of a downward API volume. */
export function validateDownwardFile(file: JsonObject, path: string): FieldError[] {
  const text = stringAt(file, 'path');
  const errors = text === '' ? [required(`${path}.path`)] : [];
  errors.push(...validateFilePath(text, `${path}.path`));
  const field = objectAt(file, 'fieldRef');
  const resource = objectAt(file, 'resourceFieldRef');
  if (field !== undefined) {
    errors.push(...validateFieldRef(field, `${path}.fieldRef`, FILE_FIELDS));
    if (resource !== undefined) {
      const why = 'fieldRef and resourceFieldRef can not be specified simultaneously';
      errors.push(invalidValue(path, 'resource', why));
    }
  } else if (resource !== undefined) {
    errors.push(...validateResourceRef(resource, `${path}.resourceFieldRef`, true));
  } else errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'));
  return [...errors, ...validateMode(file, 'mode', path)];
}

/** Checks a volume that several sources fill. */
export function validateProjected(source: JsonObject, path: string): FieldError[] {
  const errors = validateMode(source, 'defaultMode', path);
  const taken = new Set<string>();
  /** Two sources must not want the same file. */
  const claim = (file: string, shown: string): void => {
    if (file === '') return;
    if (taken.has(file)) errors.push(invalidValue(path, shown, 'conflicting duplicate paths'));
    taken.add(file);
  };
  objectsAt(source, 'sources').forEach((entry, index) => {
    const at = `${path}.sources[${index}]`;
    for (const kind of ['secret', 'configMap'] as const) {
      const part = objectAt(entry, kind);
      if (part === undefined) continue;
      const name = stringAt(part, 'name');
      if (name === '') errors.push(required(`${at}.${kind}.name`));
      errors.push(...validateItems(part, `${at}.${kind}`));
      for (const item of objectsAt(part, 'items')) claim(stringAt(item, 'path'), name);
    }
    for (const file of objectsAt(objectAt(entry, 'downwardAPI'), 'items')) {
      errors.push(...validateDownwardFile(file, `${at}.downwardAPI`));
      claim(stringAt(file, 'path'), stringAt(file, 'path'));
    }
    const token = objectAt(entry, 'serviceAccountToken');
    if (token !== undefined) errors.push(...validateToken(token, `${at}.serviceAccountToken`, path));
    const bundle = objectAt(entry, 'clusterTrustBundle');
    if (bundle !== undefined) {
      errors.push(...validateTrustBundle(bundle, `${at}.clusterTrustBundle`));
      claim(stringAt(bundle, 'path'), stringAt(bundle, 'path'));
    }
    if (Object.keys(entry).length > 1) {
      errors.push(forbiddenField(at, 'may not specify more than 1 volume type per source'));
    }
  });
  return errors;
}

function validateToken(token: JsonObject, path: string, volumePath: string): FieldError[] {
  const errors: FieldError[] = [];
  const seconds = Number(token['expirationSeconds'] ?? 0);
  const at = `${path}.expirationSeconds`;
  if (seconds < MIN_TOKEN_SECONDS) {
    errors.push(invalidValue(at, seconds, 'may not specify a duration less than 10 minutes'));
  }
  if (seconds > 2 ** 32) {
    errors.push(invalidValue(at, seconds, 'may not specify a duration larger than 2^32 seconds'));
  }
  const text = stringAt(token, 'path');
  // Errors of the path name the volume, not the source.
  if (text === '') errors.push(required(`${volumePath}.path`));
  else errors.push(...validateFilePath(text, `${volumePath}.path`));
  return errors;
}

function validateTrustBundle(bundle: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { name, signerName } = bundle;
  const selector = objectAt(bundle, 'labelSelector');
  if (name !== undefined && signerName !== undefined) {
    errors.push(invalidValue(path, bundle, 'only one of name and signerName may be used'));
  } else if (name !== undefined) {
    if (name === '') errors.push(required(`${path}.name`, 'must be a valid object name'));
    if (selector !== undefined) {
      const why = 'labelSelector must be unset if name is specified';
      errors.push(invalidValue(`${path}.labelSelector`, selector, why));
    }
  } else if (signerName !== undefined) {
    if (signerName === '') errors.push(required(`${path}.signerName`, 'must be a valid signer name'));
    errors.push(...validateLabelSelector(selector, `${path}.labelSelector`));
  } else errors.push(required(path, 'either name or signerName must be specified'));
  const text = stringAt(bundle, 'path');
  if (text === '') errors.push(required(`${path}.path`));
  return [...errors, ...validateFilePath(text, `${path}.path`)];
}
