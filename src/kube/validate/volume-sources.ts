import { invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { compareQuantities } from '../quantity.ts';
import { validateClaimSpec } from './claims.ts';
import { subdomainFaults } from './name-rules.ts';
import { validateDownwardFile, validateItems, validateMode, validateProjected } from './projected-volumes.ts';
import { validatePullPolicy } from './pull-policy-field.ts';
import { validateDescendingPath, validateNoBacksteps } from './volume-paths.ts';

/** Ways to fill a volume, in the order in which the API looks for them. */
export const SOURCES = [
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
  'configMap',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'projected',
  'scaleIO',
  'csi',
  'ephemeral',
  'image',
] as const;

/** Texts that must be given, for the kinds of volumes that need no more than that. */
const REQUIRED: Readonly<Record<string, readonly string[] | undefined>> = {
  persistentVolumeClaim: ['claimName'],
  glusterfs: ['endpoints', 'path'],
  cinder: ['volumeID'],
  azureFile: ['secretName', 'shareName'],
  vsphereVolume: ['volumePath'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  flexVolume: ['driver'],
  quobyte: ['registry', 'volume'],
};

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

/** Checks what a volume is filled from, at `path`. */
export function validateSource(name: string, source: JsonObject, path: string, inPod: boolean): FieldError[] {
  const needed = REQUIRED[name];
  if (needed !== undefined) return requireTexts(source, needed, path);
  switch (name) {
    case 'emptyDir':
      return validateEmptyDir(source, path);
    case 'hostPath':
      return validateHostPath(source, path);
    case 'gitRepo':
      return [
        ...requireTexts(source, ['repository'], path),
        ...validateDescendingPath(stringAt(source, 'directory'), `${path}.directory`),
      ];
    case 'secret':
      return [
        ...requireTexts(source, ['secretName'], path),
        ...validateMode(source, 'defaultMode', path),
        ...validateItems(source, path),
      ];
    case 'configMap':
      return [
        ...requireTexts(source, ['name'], path),
        ...validateMode(source, 'defaultMode', path),
        ...validateItems(source, path),
      ];
    case 'downwardAPI':
      // Each file's errors name the volume, not the file.
      return [
        ...validateMode(source, 'defaultMode', path),
        ...objectsAt(source, 'items').flatMap((file) => validateDownwardFile(file, path)),
      ];
    case 'projected':
      return validateProjected(source, path);
    case 'csi':
      return validateCsi(source, path);
    case 'ephemeral':
      return validateEphemeral(source, path);
    case 'image':
      return [
        ...(inPod ? requireTexts(source, ['reference'], path) : []),
        ...validatePullPolicy(stringAt(source, 'pullPolicy'), `${path}.pullPolicy`),
      ];
    default:
      return validateNetworkSource(name, source, path);
  }
}

/** Checks the kinds of volumes that come over a network, as far as more than a text must be given. */
export function validateNetworkSource(name: string, source: JsonObject, path: string): FieldError[] {
  switch (name) {
    case 'nfs':
      return validateNfs(source, path);
    case 'gcePersistentDisk':
      return [...requireTexts(source, ['pdName'], path), ...validatePartition(source, path)];
    case 'awsElasticBlockStore':
      return [...requireTexts(source, ['volumeID'], path), ...validatePartition(source, path)];
    case 'rbd':
      return [...requireList(source, 'monitors', path), ...requireTexts(source, ['image'], path)];
    case 'cephfs':
      return requireList(source, 'monitors', path);
    case 'iscsi':
      return [
        ...requireTexts(source, ['targetPortal', 'iqn'], path),
        ...validateLun(numberAt(source, 'lun') ?? 0, path),
      ];
    case 'fc':
      return validateFibreChannel(source, path);
    case 'flocker':
      return validateFlocker(source, path);
    default:
      return [];
  }
}

/** Checks that texts are given. */
export function requireTexts(source: JsonObject, keys: readonly string[], path: string): FieldError[] {
  return keys.filter((key) => stringAt(source, key) === '').map((key) => required(`${path}.${key}`));
}

function requireList(source: JsonObject, key: string, path: string): FieldError[] {
  return stringsAt(source, key).length === 0 ? [required(`${path}.${key}`)] : [];
}

function validateEmptyDir(source: JsonObject, path: string): FieldError[] {
  const limit = source['sizeLimit'];
  if (typeof limit !== 'string' && typeof limit !== 'number') return [];
  if (compareQuantities(limit, 0) >= 0) return [];
  const message = 'Forbidden: SizeLimit field must be a valid resource quantity';
  return [{ type: 'FieldValueForbidden', field: `${path}.sizeLimit`, message }];
}

/** Checks a directory of the machine. */
export function validateHostPath(source: JsonObject, path: string): FieldError[] {
  const text = stringAt(source, 'path');
  if (text === '') return [required(`${path}.path`)];
  const errors = validateNoBacksteps(text, `${path}.path`);
  const type = stringAt(source, 'type');
  if (!HOST_PATH_TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, HOST_PATH_TYPES));
  return errors;
}

function validateNfs(source: JsonObject, path: string): FieldError[] {
  const errors = requireTexts(source, ['server', 'path'], path);
  const text = stringAt(source, 'path');
  if (!text.startsWith('/')) errors.push(invalidValue(`${path}.path`, text, 'must be an absolute path'));
  return errors;
}

function validatePartition(source: JsonObject, path: string): FieldError[] {
  const partition = numberAt(source, 'partition') ?? 0;
  if (partition >= 0 && partition <= 255) return [];
  return [invalidValue(`${path}.partition`, partition, 'must be between 0 and 255, inclusive')];
}

function validateLun(lun: number, path: string): FieldError[] {
  if (lun >= 0 && lun <= 255) return [];
  return [invalidValue(`${path}.lun`, lun, 'must be between 0 and 255, inclusive')];
}

function validateFibreChannel(source: JsonObject, path: string): FieldError[] {
  const targets = stringsAt(source, 'targetWWNs');
  const ids = stringsAt(source, 'wwids');
  const at = `${path}.targetWWNs`;
  const errors: FieldError[] = [];
  if (targets.length === 0 && ids.length === 0) {
    errors.push(required(at, 'must specify either targetWWNs or wwids, but not both'));
  }
  if (targets.length === 0) return errors;
  if (ids.length > 0) {
    errors.push(invalidValue(at, targets, 'targetWWNs and wwids can not be specified simultaneously'));
  }
  const lun = numberAt(source, 'lun');
  if (lun === undefined) {
    return [...errors, required(`${path}.lun`, 'lun is required if targetWWNs is specified')];
  }
  return [...errors, ...validateLun(lun, path)];
}

function validateFlocker(source: JsonObject, path: string): FieldError[] {
  const name = stringAt(source, 'datasetName');
  const uuid = stringAt(source, 'datasetUUID');
  const errors: FieldError[] = [];
  if (name === '' && uuid === '') {
    errors.push(required(path, 'one of datasetName and datasetUUID is required'));
  }
  if (name !== '' && uuid !== '') {
    const why = 'datasetName and datasetUUID can not be specified simultaneously';
    errors.push(invalidValue(path, 'resource', why));
  }
  if (name.includes('/')) errors.push(invalidValue(`${path}.datasetName`, name, "must not contain '/'"));
  return errors;
}

function validateCsi(source: JsonObject, path: string): FieldError[] {
  const errors = validateDriverName(stringAt(source, 'driver'), `${path}.driver`);
  const secret = objectAt(source, 'nodePublishSecretRef');
  if (secret === undefined) return errors;
  const name = stringAt(secret, 'name');
  if (name === '') return [...errors, required(`${path}.nodePublishSecretRef.name`)];
  return [...errors, ...subdomainFaults(name).map((fault) => invalidValue(`${path}.name`, name, fault))];
}

/** Checks the name of a storage driver. */
export function validateDriverName(driver: string, path: string): FieldError[] {
  const errors = driver === '' ? [required(path)] : [];
  if (driver.length > 63) {
    errors.push({
      type: 'FieldValueTooLong',
      field: path,
      message: 'Too long: may not be more than 63 bytes',
    });
  }
  const faults = subdomainFaults(driver.toLowerCase());
  return [...errors, ...faults.map((fault) => invalidValue(path, driver, fault))];
}

function validateEphemeral(source: JsonObject, path: string): FieldError[] {
  const template = objectAt(source, 'volumeClaimTemplate');
  const at = `${path}.volumeClaimTemplate`;
  if (template === undefined) return [required(at)];
  return validateClaimSpec(objectAt(template, 'spec') ?? {}, `${at}.spec`);
}
