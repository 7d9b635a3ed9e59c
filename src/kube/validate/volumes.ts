import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { configKeyFaults, labelNameFaults } from './name-rules.ts';
import { validatePullPolicy } from './pull-policy-field.ts';

/** Ways to fill a volume, in the order in which the API looks for them. */
const SOURCES = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'flocker',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'quobyte',
  'downwardAPI',
  'fc',
  'flexVolume',
  'azureFile',
  'configMap',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'scaleIO',
  'projected',
  'csi',
  'ephemeral',
  'image',
] as const;

const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** Checks volumes and returns the names of the good ones, which mounts may use. */
export function validateVolumes(
  volumes: readonly JsonObject[],
  path: string,
  inPod: boolean,
): { errors: FieldError[]; names: ReadonlySet<string> } {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  volumes.forEach((volume, index) => {
    const at = `${path}[${index}]`;
    const found = validateSource(volume, at, inPod);
    const name = stringAt(volume, 'name');
    if (name === '') found.push(required(`${at}.name`));
    else found.push(...labelNameFaults(name).map((fault) => invalidValue(`${at}.name`, name, fault)));
    if (names.has(name)) found.push(duplicateValue(`${at}.name`, name));
    if (found.length === 0) names.add(name);
    errors.push(...found);
  });
  return { errors, names };
}

function validateSource(volume: JsonObject, path: string, inPod: boolean): FieldError[] {
  const given = SOURCES.filter((name) => objectAt(volume, name) !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return [required(path, 'must specify a volume type')];
  const errors = others.map((name) =>
    forbiddenField(`${path}.${name}`, 'may not specify more than 1 volume type'),
  );
  return [...validateOne(first, objectAt(volume, first) ?? {}, `${path}.${first}`, inPod), ...errors];
}

function validateOne(name: string, source: JsonObject, path: string, inPod: boolean): FieldError[] {
  switch (name) {
    case 'hostPath':
      return validateHostPath(source, path);
    case 'secret':
      return [
        ...requireText(source, 'secretName', path),
        ...validateMode(source, 'defaultMode', path),
        ...validateItems(source, path),
      ];
    case 'configMap':
      return [
        ...requireText(source, 'name', path),
        ...validateMode(source, 'defaultMode', path),
        ...validateItems(source, path),
      ];
    case 'downwardAPI':
      return validateMode(source, 'defaultMode', path);
    case 'projected':
      return validateProjected(source, path);
    case 'persistentVolumeClaim':
      return requireText(source, 'claimName', path);
    case 'image':
      return [
        ...(inPod ? requireText(source, 'reference', path) : []),
        ...validatePullPolicy(stringAt(source, 'pullPolicy'), `${path}.pullPolicy`),
      ];
    default:
      return [];
  }
}

function requireText(source: JsonObject, key: string, path: string): FieldError[] {
  return stringAt(source, key) === '' ? [required(`${path}.${key}`)] : [];
}

function validateHostPath(source: JsonObject, path: string): FieldError[] {
  const text = stringAt(source, 'path');
  if (text === '') return [required(`${path}.path`)];
  const errors: FieldError[] = [];
  if (text.split('/').includes('..'))
    errors.push(invalidValue(`${path}.path`, text, "must not contain '..'"));
  const type = stringAt(source, 'type');
  if (!HOST_PATH_TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, HOST_PATH_TYPES));
  return errors;
}

function validateMode(source: JsonObject, key: string, path: string): FieldError[] {
  const mode = source[key];
  if (typeof mode !== 'number' || (mode >= 0 && mode <= 0o777)) return [];
  return [
    invalidValue(`${path}.${key}`, mode, 'must be a number between 0 and 0777 (octal), both inclusive'),
  ];
}

function validateItems(source: JsonObject, path: string): FieldError[] {
  return objectsAt(source, 'items').flatMap((item, index) => {
    const at = `${path}.items[${index}]`;
    const key = stringAt(item, 'key');
    const errors = key === '' ? [required(`${at}.key`)] : [];
    errors.push(
      ...(key === '' ? [] : configKeyFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault))),
    );
    errors.push(...validateRelativePath(stringAt(item, 'path'), `${at}.path`, true));
    errors.push(...validateMode(item, 'mode', at));
    return errors;
  });
}

/** Checks a path that must stay below where it is used. */
export function validateRelativePath(text: string, path: string, isRequired: boolean): FieldError[] {
  if (text === '') return isRequired ? [required(path)] : [];
  const errors: FieldError[] = [];
  if (text.startsWith('/')) errors.push(invalidValue(path, text, 'must be a relative path'));
  if (text.split('/').includes('..')) errors.push(invalidValue(path, text, "must not contain '..'"));
  if (isRequired && text.startsWith('..') && !text.startsWith('../')) {
    errors.push(invalidValue(path, text, "must not start with '..'"));
  }
  return errors;
}

function validateProjected(source: JsonObject, path: string): FieldError[] {
  const errors = validateMode(source, 'defaultMode', path);
  objectsAt(source, 'sources').forEach((entry, index) => {
    const at = `${path}.sources[${index}]`;
    const given = Object.keys(entry);
    if (given.length === 0) errors.push(required(at, 'must specify exactly one of the projection types'));
    for (const name of given.slice(1)) {
      errors.push(forbiddenField(`${at}.${name}`, 'may not specify more than 1 volume type'));
    }
    for (const name of ['secret', 'configMap']) {
      const part = objectAt(entry, name);
      if (part === undefined) continue;
      errors.push(...requireText(part, 'name', `${at}.${name}`), ...validateItems(part, `${at}.${name}`));
    }
    const token = objectAt(entry, 'serviceAccountToken');
    if (token !== undefined) errors.push(...validateToken(token, `${at}.serviceAccountToken`));
  });
  return errors;
}

function validateToken(token: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seconds = token['expirationSeconds'];
  if (typeof seconds === 'number' && seconds < 10 * 60) {
    errors.push(
      invalidValue(`${path}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'),
    );
  }
  if (stringAt(token, 'path') === '') errors.push(required(`${path}.path`));
  return errors;
}
