import { forbiddenField, invalidValue, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { validateDescendingPath } from './volume-paths.ts';

const MIRROR = 'kubernetes.io/config.mirror';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';
const LOCALHOST = 'localhost/';

/** Checks annotations that mean something for Pods, of a Pod or a template. */
export function validatePodAnnotations(metadata: JsonObject, spec: JsonObject, path: string): FieldError[] {
  const annotations = stringMapAt(metadata, 'annotations');
  const errors: FieldError[] = [];
  if (annotations[MIRROR] !== undefined && stringAt(spec, 'nodeName') === '') {
    const why = 'must set spec.nodeName if mirror pod annotation is set';
    errors.push(invalidValue(`${path}[${MIRROR}]`, annotations[MIRROR], why));
  }
  errors.push(...validateSeccompText(annotations[SECCOMP_POD], `${path}.${SECCOMP_POD}`));
  const names = containerNames(spec);
  for (const key of Object.keys(annotations).toSorted()) {
    const value = annotations[key] ?? '';
    if (key.startsWith(SECCOMP_CONTAINER)) errors.push(...validateSeccompText(value, `${path}.${key}`));
    if (!key.startsWith(APPARMOR)) continue;
    const container = key.slice(APPARMOR.length);
    if (!names.has(container)) {
      errors.push(invalidValue(`${path}[${key}]`, container, 'container not found'));
    }
    if (
      value !== '' &&
      value !== 'runtime/default' &&
      value !== 'unconfined' &&
      !value.startsWith(LOCALHOST)
    ) {
      const why = `invalid AppArmor profile name: ${JSON.stringify(value)}`;
      errors.push(invalidValue(`${path}[${key}]`, value, why));
    }
  }
  const cost = annotations[DELETION_COST];
  if (cost !== undefined && !isInt32(cost)) {
    errors.push(invalidValue(`${path}[${DELETION_COST}]`, cost, 'must be a 32bit integer'));
  }
  return errors;
}

function isInt32(text: string): boolean {
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return false;
  const value = Number(text);
  return value >= -(2 ** 31) && value < 2 ** 31;
}

function containerNames(spec: JsonObject): ReadonlySet<string> {
  return new Set(
    ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
      objectsAt(spec, list).map((container) => stringAt(container, 'name')),
    ),
  );
}

function validateSeccompText(text: string | undefined, path: string): FieldError[] {
  if (text === undefined || ['runtime/default', 'docker/default', 'unconfined'].includes(text)) return [];
  if (text.startsWith(LOCALHOST)) return validateDescendingPath(text.slice(LOCALHOST.length), path);
  return [invalidValue(path, text, 'must be a valid seccomp profile')];
}

/** Checks that seccomp annotations of old say what the fields say. */
export function validateSeccompMatch(metadata: JsonObject, spec: JsonObject, path: string): FieldError[] {
  const annotations = stringMapAt(metadata, 'annotations');
  const compare = (holder: JsonObject, key: string, at: string): FieldError[] => {
    const profile = objectAt(objectAt(holder, 'securityContext'), 'seccompProfile');
    const text = annotations[key];
    if (profile === undefined || text === undefined) return [];
    return matchSeccomp(profile, text, `${at}.securityContext.seccompProfile`);
  };
  return [
    ...compare(spec, SECCOMP_POD, path),
    ...['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
      objectsAt(spec, list).flatMap((container, index) =>
        compare(container, `${SECCOMP_CONTAINER}${stringAt(container, 'name')}`, `${path}.${list}[${index}]`),
      ),
    ),
  ];
}

function matchSeccomp(profile: JsonObject, text: string, path: string): FieldError[] {
  const differs = [forbiddenField(`${path}.type`, 'seccomp type in annotation and field must match')];
  switch (stringAt(profile, 'type')) {
    case 'Unconfined':
      return text === 'unconfined' ? [] : differs;
    case 'RuntimeDefault':
      return text === 'runtime/default' || text === 'docker/default' ? [] : differs;
    case 'Localhost':
      if (!text.startsWith(LOCALHOST)) return differs;
      if (profile['localhostProfile'] === text.slice(LOCALHOST.length)) return [];
      return [
        forbiddenField(`${path}.localhostProfile`, 'seccomp profile in annotation and field must match'),
      ];
    default:
      return [];
  }
}
