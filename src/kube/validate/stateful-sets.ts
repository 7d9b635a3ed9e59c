import { isDeepStrictEqual } from 'node:util';

import { forbiddenField, invalidValue, notSupported, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { internalForm } from './internal-form.ts';
import { validateNonNegative } from './metadata.ts';
import {
  isNothing,
  specOf,
  validateAtMostAll,
  validateSelector,
  validateShare,
  validateTemplate,
} from './workloads.ts';

/** Checks a StatefulSet, less its metadata. */
export function validateStatefulSet(set: JsonObject): FieldError[] {
  const spec = specOf(set);
  const errors: FieldError[] = [];
  const management = stringAt(spec, 'podManagementPolicy');
  if (management !== 'OrderedReady' && management !== 'Parallel') {
    errors.push(invalidValue('spec.podManagementPolicy', management, "must be 'OrderedReady' or 'Parallel'"));
  }
  const strategy = objectAt(spec, 'updateStrategy') ?? {};
  const type = stringAt(strategy, 'type');
  const rolling = objectAt(strategy, 'rollingUpdate');
  if (type === 'RollingUpdate') {
    errors.push(...validateNonNegative(rolling, 'partition', 'spec.updateStrategy.rollingUpdate'));
    errors.push(...validateStatefulShare(rolling ?? {}, 'spec.updateStrategy.rollingUpdate'));
  } else if (type === 'OnDelete') {
    if (rolling !== undefined) {
      errors.push(
        invalidValue(
          'spec.updateStrategy.rollingUpdate',
          internalForm(rolling, 'apps.v1.RollingUpdateStatefulSetStrategy'),
          "only allowed for updateStrategy 'RollingUpdate'",
        ),
      );
    }
  } else {
    const shown = internalForm(strategy, 'apps.v1.StatefulSetUpdateStrategy');
    errors.push(invalidValue('spec.updateStrategy', shown, "must be 'RollingUpdate' or 'OnDelete'"));
  }
  for (const key of ['whenDeleted', 'whenScaled']) {
    const value = stringAt(objectAt(spec, 'persistentVolumeClaimRetentionPolicy'), key);
    if (value !== 'Retain' && value !== 'Delete') {
      const path = `spec.persistentVolumeClaimRetentionPolicy.${key}`;
      errors.push(notSupported(path, value, ['Delete', 'Retain']));
    }
  }
  errors.push(
    ...validateNonNegative(spec, 'replicas', 'spec'),
    ...validateNonNegative(spec, 'minReadySeconds', 'spec'),
    ...validateNonNegative(objectAt(spec, 'ordinals'), 'start', 'spec.ordinals'),
    ...validateSelector(spec, 'empty selector is invalid for statefulset'),
    ...validateTemplate({ ...spec, template: withClaimVolumes(spec) }, 'StatefulSet'),
  );
  return errors;
}

function validateStatefulShare(rolling: JsonObject, path: string): FieldError[] {
  if (rolling['maxUnavailable'] === undefined) return [];
  const errors = validateShare(rolling, 'maxUnavailable', path);
  if (isNothing(rolling['maxUnavailable'])) {
    errors.push(invalidValue(`${path}.maxUnavailable`, rolling['maxUnavailable'], 'cannot be 0'));
  }
  return [...errors, ...validateAtMostAll(rolling, 'maxUnavailable', path)];
}

const STATEFUL_MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

/** Checks a changed StatefulSet: only a named few fields may differ. */
export function validateStatefulSetUpdate(set: JsonObject, old: JsonObject): FieldError[] {
  const rest = (spec: JsonObject): JsonObject =>
    Object.fromEntries(Object.entries(spec).filter(([key]) => !STATEFUL_MUTABLE.includes(key)));
  if (isDeepStrictEqual(rest(specOf(set)), rest(specOf(old)))) return [];
  const names = STATEFUL_MUTABLE.map((name) => `'${name}'`);
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`;
  return [forbiddenField('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)];
}

/** A StatefulSet's Pods get a volume for each claim template, which mounts may name. */
function withClaimVolumes(spec: JsonObject): JsonObject {
  const template = objectAt(spec, 'template') ?? {};
  const podSpec = objectAt(template, 'spec') ?? {};
  const own = new Set(objectsAt(podSpec, 'volumes').map((volume) => stringAt(volume, 'name')));
  const claims = objectsAt(spec, 'volumeClaimTemplates')
    .map((claim) => stringAt(objectAt(claim, 'metadata'), 'name'))
    .filter((name) => name !== '' && !own.has(name))
    .map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...podSpec, volumes: [...objectsAt(podSpec, 'volumes'), ...claims] } };
}
