import {
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  valueNotFound,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { hasBacksteps, validateDescendingPath } from './volume-paths.ts';

/** The volumes of a Pod whose description is good, by name. */
export type VolumesByName = ReadonlyMap<string, JsonObject>;

const PROPAGATIONS = ['Bidirectional', 'HostToContainer', 'None'];
const RECURSIVE = ['Disabled', 'Enabled', 'IfPossible'];

/** Checks where a container mounts volumes. */
export function validateMounts(container: JsonObject, volumes: VolumesByName, path: string): FieldError[] {
  const places = new Set<string>();
  const devices = objectsAt(container, 'volumeDevices');
  return objectsAt(container, 'volumeMounts').flatMap((mount, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const name = stringAt(mount, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    if (!volumes.has(name)) errors.push(valueNotFound(`${at}.name`, name));
    const place = stringAt(mount, 'mountPath');
    if (place === '') errors.push(required(`${at}.mountPath`));
    if (places.has(place)) errors.push(invalidValue(`${at}.mountPath`, place, 'must be unique'));
    places.add(place);
    if (devices.some((device) => stringAt(device, 'name') === name)) {
      errors.push(invalidValue(`${at}.name`, name, 'must not already exist in volumeDevices'));
    }
    if (devices.some((device) => stringAt(device, 'devicePath') === place)) {
      errors.push(
        invalidValue(`${at}.mountPath`, place, 'must not already exist as a path in volumeDevices'),
      );
    }
    // From here on errors name the list, not the entry.
    return [...errors, ...validateSubPaths(mount, at, path), ...validateModes(mount, container, path)];
  });
}

function validateSubPaths(mount: JsonObject, at: string, path: string): FieldError[] {
  const plain = stringAt(mount, 'subPath');
  const expression = stringAt(mount, 'subPathExpr');
  const errors = validateDescendingPath(plain, `${path}.subPath`);
  if (expression === '') return errors;
  if (plain !== '') {
    errors.push(
      invalidValue(`${at}.subPathExpr`, expression, 'subPathExpr and subPath are mutually exclusive'),
    );
  }
  return [...errors, ...validateDescendingPath(expression, `${path}.subPathExpr`)];
}

function validateModes(mount: JsonObject, container: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const propagation = mount['mountPropagation'];
  if (typeof propagation === 'string') {
    const at = `${path}.mountPropagation`;
    if (!PROPAGATIONS.includes(propagation)) errors.push(notSupported(at, propagation, PROPAGATIONS));
    const isPrivileged = objectAt(container, 'securityContext')?.['privileged'] === true;
    if (propagation === 'Bidirectional' && !isPrivileged) {
      errors.push(
        forbiddenField(at, 'Bidirectional mount propagation is available only to privileged containers'),
      );
    }
  }
  const recursive = mount['recursiveReadOnly'];
  if (typeof recursive !== 'string' || recursive === 'Disabled') return errors;
  const at = `${path}.recursiveReadOnly`;
  if (!RECURSIVE.includes(recursive)) return [...errors, notSupported(at, recursive, RECURSIVE)];
  if (mount['readOnly'] !== true) {
    errors.push(forbiddenField(at, 'may only be specified when readOnly is true'));
  }
  if (propagation !== undefined && propagation !== 'None') {
    errors.push(forbiddenField(at, 'may only be specified when mountPropagation is None or not specified'));
  }
  return errors;
}

/** Checks what a container uses as raw devices: claims only. */
export function validateDevices(container: JsonObject, volumes: VolumesByName, path: string): FieldError[] {
  const names = new Set<string>();
  const places = new Set<string>();
  const mounts = objectsAt(container, 'volumeMounts');
  return objectsAt(container, 'volumeDevices').flatMap((device, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const name = stringAt(device, 'name');
    const place = stringAt(device, 'devicePath');
    const volume = volumes.get(name);
    const isClaim = volume?.['persistentVolumeClaim'] !== undefined || volume?.['ephemeral'] !== undefined;
    if (name === '') errors.push(required(`${at}.name`));
    if (names.has(name)) errors.push(invalidValue(`${at}.name`, name, 'must be unique'));
    if (volume === undefined) errors.push(valueNotFound(`${at}.name`, name));
    else if (!isClaim) {
      const why = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      errors.push(invalidValue(`${at}.name`, name, why));
    }
    if (place === '') errors.push(required(`${at}.devicePath`));
    if (places.has(place)) errors.push(invalidValue(`${at}.devicePath`, place, 'must be unique'));
    if (hasBacksteps(place)) {
      errors.push(invalidValue(`${at}.devicePath`, place, "can not contain backsteps ('..')"));
    } else places.add(place);
    if (mounts.some((mount) => stringAt(mount, 'name') === name)) {
      errors.push(invalidValue(`${at}.name`, name, 'must not already exist in volumeMounts'));
    }
    if (mounts.some((mount) => stringAt(mount, 'mountPath') === place)) {
      errors.push(
        invalidValue(`${at}.devicePath`, place, 'must not already exist as a path in volumeMounts'),
      );
    }
    if (name !== '') names.add(name);
    return errors;
  });
}
