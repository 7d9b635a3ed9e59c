import { isDeepStrictEqual } from 'node:util';

import { forbiddenField, invalidValue, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { goJson, internalPodSpec } from './internal-form.ts';
import { unifiedDiff } from './unified-diff.ts';
import { validateImageSpace, validateImageSpaces, validatePodSpec } from './pod-spec.ts';

const POD: { path: string; inPod: true } = { path: 'spec', inPod: true };

/** Checks a new Pod, less its metadata. */
export function validatePod(pod: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const errors = validatePodSpec(spec, POD);
  if (objectsAt(spec, 'ephemeralContainers').length > 0) {
    errors.push(forbiddenField('spec.ephemeralContainers', 'cannot be set on create'));
  }
  return [...errors, ...validateImageSpaces(spec, 'spec')];
}

/** The one text that names everything a Pod's update may change. */
const ALLOWED_CHANGES =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** Checks a changed Pod, less its metadata. */
export function validatePodUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const errors = validatePodSpec(spec, POD);
  if (!isDeepStrictEqual(imagesOf(spec), imagesOf(before))) errors.push(...validateImageSpaces(spec, 'spec'));
  for (const list of ['containers', 'initContainers'] as const) {
    if (objectsAt(spec, list).length !== objectsAt(before, list).length) {
      const what = list === 'containers' ? 'containers' : 'initContainers';
      return [...errors, forbiddenField(`spec.${list}`, `pod updates may not add or remove ${what}`)];
    }
  }
  for (const list of ['containers', 'initContainers'] as const) {
    errors.push(...validateImagesAgain(objectsAt(spec, list), `spec.${list}`));
  }
  errors.push(...validateDeadline(spec, before));
  errors.push(...validateAddedTolerations(spec, before));
  if (errors.length > 0) return errors;
  const munged = withoutMutable(spec, before);
  if (isDeepStrictEqual(munged, before)) return [];
  const difference = unifiedDiff(goJson(internalPodSpec(before), 1), goJson(internalPodSpec(munged), 1));
  return [forbiddenField('spec', `${ALLOWED_CHANGES}\n${difference}`)];
}

/** Checks containers added through the `ephemeralcontainers` path: only additions are allowed. */
export function validateEphemeralUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(pod, 'spec') ?? {};
  const errors = validatePodSpec(spec, POD);
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

function imagesOf(spec: JsonObject): string[] {
  return ['containers', 'initContainers'].flatMap((list) =>
    objectsAt(spec, list).map((container) => stringAt(container, 'image')),
  );
}

/** Images are checked a second time on update, so their causes appear twice, as on a real server. */
function validateImagesAgain(containers: readonly JsonObject[], path: string): FieldError[] {
  return containers.flatMap((container, index) => {
    const image = stringAt(container, 'image');
    const at = `${path}[${index}].image`;
    return image === '' ? [required(at)] : validateImageSpace(image, at);
  });
}

function validateDeadline(spec: JsonObject, before: JsonObject): FieldError[] {
  const path = 'spec.activeDeadlineSeconds';
  const now = numberAt(spec, 'activeDeadlineSeconds');
  const was = numberAt(before, 'activeDeadlineSeconds');
  if (was === undefined || now === was) return [];
  if (now === undefined) {
    return [invalidValue(path, undefined, 'must not update from a positive integer to nil value')];
  }
  return now < was ? [] : [invalidValue(path, now, 'must be less than or equal to previous value')];
}

function validateAddedTolerations(spec: JsonObject, before: JsonObject): FieldError[] {
  const now = objectsAt(spec, 'tolerations');
  const kept = objectsAt(before, 'tolerations').every((old) =>
    now.some((toleration) => isDeepStrictEqual(lasting(toleration), lasting(old))),
  );
  if (kept) return [];
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
  // Gates may be lifted, never added.
  const gates = new Set(objectsAt(before, 'schedulingGates').map((gate) => stringAt(gate, 'name')));
  if (objectsAt(spec, 'schedulingGates').every((gate) => gates.has(stringAt(gate, 'name')))) {
    takeOver(result, before, 'schedulingGates');
  }
  return result;
}
