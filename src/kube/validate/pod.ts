import { isDeepStrictEqual } from 'node:util';

import { goJson } from '../../base/go-json.ts';
import { forbiddenField, invalidValue, required, type FieldError } from '../field-error.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  type JsonObject,
} from '../json/json-object.ts';
import { internalPodSpec } from './internal-form.ts';
import { metadataOf } from './metadata.ts';
import { validatePodAnnotations, validateSeccompMatch } from './pod-annotations.ts';
import { validateTolerations } from './pod-placement.ts';
import { unifiedDiff } from './unified-diff.ts';
import { validateImageSpace, validateImageSpaces, validatePodSpec } from './pod-spec.ts';

/** Checks what must hold of a Pod at any time, less its metadata. */
export function validateWhole(pod: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const metadata = metadataOf(pod);
  const errors = validatePodAnnotations(metadata, spec, 'metadata.annotations');
  errors.push(...validatePodSpec(spec, { path: 'spec', inPod: true, podName: stringAt(metadata, 'name') }));
  if (stringAt(spec, 'serviceAccountName') !== '') return [...errors, ...validateImageSpaces(spec, 'spec')];
  objectsAt(spec, 'volumes').forEach((volume, index) => {
    objectsAt(objectAt(volume, 'projected'), 'sources').forEach((source, place) => {
      if (source['serviceAccountToken'] === undefined) return;
      const at = `spec.volumes[${index}].projected.sources[${place}].serviceAccountToken`;
      errors.push(forbiddenField(at, 'must not be specified when serviceAccountName is not set'));
    });
  });
  return [...errors, ...validateImageSpaces(spec, 'spec')];
}

/** Checks a new Pod, less its metadata. */
export function validatePod(pod: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const errors = validateWhole(pod);
  if (objectsAt(spec, 'ephemeralContainers').length > 0) {
    errors.push(forbiddenField('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (stringAt(spec, 'nodeName') !== '' && objectsAt(spec, 'schedulingGates').length > 0) {
    const why = 'cannot be set until all schedulingGates have been cleared';
    errors.push(forbiddenField('spec.nodeName', why));
  }
  return [...errors, ...validateSeccompMatch(metadataOf(pod), spec, 'spec')];
}

const MAX_INT32 = 2_147_483_647;

/** The one text that names everything a Pod's update may change. */
const ALLOWED_CHANGES =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** Checks a changed Pod, less its metadata. */
export function validatePodUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const errors = validateWhole(pod);
  for (const list of ['containers', 'initContainers'] as const) {
    if (objectsAt(spec, list).length !== objectsAt(before, list).length) {
      const what = list === 'containers' ? 'containers' : 'initContainers';
      return [...errors, forbiddenField(`spec.${list}`, `pod updates may not add or remove ${what}`)];
    }
  }
  for (const list of ['containers', 'initContainers'] as const) {
    errors.push(...validateImagesAgain(objectsAt(spec, list), `spec.${list}`));
  }
  const deadline = validateDeadline(spec, before);
  errors.push(...deadline.errors);
  if (deadline.stop) return errors;
  errors.push(...validateAddedTolerations(spec, before));
  errors.push(...validateLiftedGates(spec, before));
  const munged = withoutMutable(spec, before);
  if (isDeepStrictEqual(munged, before)) return errors;
  const difference = unifiedDiff(goJson(internalPodSpec(before), 1), goJson(internalPodSpec(munged), 1));
  return [...errors, forbiddenField('spec', `${ALLOWED_CHANGES}\n${difference}`)];
}

/** Checks containers added through the `ephemeralcontainers` path: only additions are allowed. */
export function validateEphemeralUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const errors = validateWhole(pod);
  if (stringMapAt(metadataOf(old), 'annotations')['kubernetes.io/config.mirror'] !== undefined) {
    return [forbiddenField('', 'static pods do not support ephemeral containers')];
  }
  const now = new Map(
    objectsAt(spec, 'ephemeralContainers').map((entry) => [stringAt(entry, 'name'), entry]),
  );
  objectsAt(objectAt(old, 'spec'), 'ephemeralContainers').forEach((entry) => {
    const name = stringAt(entry, 'name');
    const same = now.get(name);
    if (same === undefined) {
      errors.push(
        forbiddenField(
          'spec.ephemeralContainers',
          `existing ephemeral containers "${name}" may not be removed\n`,
        ),
      );
    } else if (!isDeepStrictEqual(same, entry)) {
      errors.push(
        forbiddenField(
          'spec.ephemeralContainers',
          `existing ephemeral containers "${name}" may not be changed\n`,
        ),
      );
    }
  });
  return errors;
}

/** Images are checked a second time on update, so their causes appear twice, as on a real server. */
function validateImagesAgain(containers: readonly JsonObject[], path: string): FieldError[] {
  return containers.flatMap((container, index) => {
    const image = stringAt(container, 'image');
    const at = `${path}[${index}].image`;
    return image === '' ? [required(at)] : validateImageSpace(image, at);
  });
}

function validateDeadline(spec: JsonObject, before: JsonObject): { errors: FieldError[]; stop: boolean } {
  const path = 'spec.activeDeadlineSeconds';
  const now = numberAt(spec, 'activeDeadlineSeconds');
  const was = numberAt(before, 'activeDeadlineSeconds');
  if (now === undefined) {
    if (was === undefined) return { errors: [], stop: false };
    const why = 'must not update from a positive integer to nil value';
    return { errors: [invalidValue(path, undefined, why)], stop: false };
  }
  if (now < 0 || now > MAX_INT32) {
    return { errors: [invalidValue(path, now, `must be between 0 and ${MAX_INT32}, inclusive`)], stop: true };
  }
  if (was === undefined || now <= was) return { errors: [], stop: false };
  return { errors: [invalidValue(path, now, 'must be less than or equal to previous value')], stop: true };
}

function validateLiftedGates(spec: JsonObject, before: JsonObject): FieldError[] {
  const gates = new Set(objectsAt(before, 'schedulingGates').map((gate) => stringAt(gate, 'name')));
  return objectsAt(spec, 'schedulingGates').flatMap((gate, index) => {
    const name = stringAt(gate, 'name');
    if (gates.has(name)) return [];
    const why = `only deletion is allowed, but found new scheduling gate '${name}'`;
    return [forbiddenField(`spec.schedulingGates[${index}].name`, why)];
  });
}

function validateAddedTolerations(spec: JsonObject, before: JsonObject): FieldError[] {
  const now = objectsAt(spec, 'tolerations');
  const kept = objectsAt(before, 'tolerations').every((old) =>
    now.some((toleration) => isDeepStrictEqual(lasting(toleration), lasting(old))),
  );
  // Tolerations are checked again on update, as images are.
  if (kept) return validateTolerations(now, 'spec.tolerations');
  return [
    forbiddenField(
      'spec.tolerations',
      'existing toleration can not be modified except its tolerationSeconds',
    ),
  ];
}

function lasting({ tolerationSeconds: _seconds, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** Takes over from `before` what may change, so that the rest can be compared. */
function withoutMutable(spec: JsonObject, before: JsonObject): JsonObject {
  const result = structuredClone(spec);
  const takeOver = (target: JsonObject, source: JsonObject | undefined, key: string): void => {
    if (source?.[key] === undefined) delete target[key];
    else target[key] = source[key];
  };
  for (const list of ['containers', 'initContainers']) {
    const old = objectsAt(before, list);
    objectsAt(result, list).forEach((container, index) => takeOver(container, old[index], 'image'));
  }
  takeOver(result, before, 'activeDeadlineSeconds');
  takeOver(result, before, 'tolerations');
  const grace = numberAt(before, 'terminationGracePeriodSeconds') ?? 0;
  if (grace < 0 && result['terminationGracePeriodSeconds'] === 1) {
    takeOver(result, before, 'terminationGracePeriodSeconds');
  }
  takeOver(result, before, 'schedulingGates');
  return result;
}
