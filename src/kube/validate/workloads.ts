import { isDeepStrictEqual } from 'node:util';

import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { labelSelectorOf } from '../selector/label-selector.ts';
import { validateImmutable, validateLabels, validateLabelSelector, validateNonNegative } from './metadata.ts';
import { validatePodSpec } from './pod-spec.ts';

const specOf = (object: JsonObject): JsonObject => objectAt(object, 'spec') ?? {};

/** Checks a Deployment, less its metadata. */
export function validateDeployment(deployment: JsonObject): FieldError[] {
  const spec = specOf(deployment);
  const errors = validateNonNegative(spec, 'replicas', 'spec');
  errors.push(...validateSelector(spec, 'empty selector is invalid for deployment'));
  errors.push(...validateTemplate(spec));
  const strategy = objectAt(spec, 'strategy') ?? {};
  const type = stringAt(strategy, 'type');
  if (type === 'Recreate') {
    if (strategy['rollingUpdate'] !== undefined) {
      errors.push(
        forbiddenField(
          'spec.strategy.rollingUpdate',
          "may not be specified when strategy `type` is 'Recreate'",
        ),
      );
    }
  } else if (type === 'RollingUpdate') {
    errors.push(...validateRolling(objectAt(strategy, 'rollingUpdate') ?? {}, 'spec.strategy.rollingUpdate'));
  } else errors.push(notSupported('spec.strategy', strategy, ['Recreate', 'RollingUpdate']));
  errors.push(...validateNonNegative(spec, 'minReadySeconds', 'spec'));
  errors.push(...validateNonNegative(spec, 'revisionHistoryLimit', 'spec'));
  const deadline = spec['progressDeadlineSeconds'];
  if (typeof deadline === 'number') {
    errors.push(...validateNonNegative(spec, 'progressDeadlineSeconds', 'spec'));
    if (deadline <= Number(spec['minReadySeconds'] ?? 0)) {
      errors.push(
        invalidValue('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'),
      );
    }
  }
  return errors;
}

/** Checks a ReplicaSet, less its metadata. */
export function validateReplicaSet(set: JsonObject): FieldError[] {
  const spec = specOf(set);
  return [
    ...validateNonNegative(spec, 'replicas', 'spec'),
    ...validateNonNegative(spec, 'minReadySeconds', 'spec'),
    ...validateSelector(spec, 'empty selector is invalid for deployment'),
    ...validateTemplate(spec),
  ];
}

/** Checks a DaemonSet, less its metadata. */
export function validateDaemonSet(set: JsonObject): FieldError[] {
  const spec = specOf(set);
  const errors = [
    ...validateSelector(spec, 'empty selector is invalid for daemonset'),
    ...validateTemplate(spec),
    ...validateNonNegative(spec, 'minReadySeconds', 'spec'),
  ];
  const strategy = objectAt(spec, 'updateStrategy') ?? {};
  const type = stringAt(strategy, 'type');
  if (type === 'RollingUpdate') {
    errors.push(
      ...validateRolling(objectAt(strategy, 'rollingUpdate') ?? {}, 'spec.updateStrategy.rollingUpdate'),
    );
  } else if (type !== 'OnDelete') {
    errors.push(notSupported('spec.updateStrategy', strategy, ['RollingUpdate', 'OnDelete']));
  }
  errors.push(...validateNonNegative(spec, 'revisionHistoryLimit', 'spec'));
  return errors;
}

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
  } else if (type === 'OnDelete') {
    if (rolling !== undefined) {
      errors.push(
        invalidValue(
          'spec.updateStrategy.rollingUpdate',
          rolling,
          "only allowed for updateStrategy 'RollingUpdate'",
        ),
      );
    }
  } else {
    errors.push(invalidValue('spec.updateStrategy', strategy, "must be 'RollingUpdate' or 'OnDelete'"));
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
    ...validateSelector(spec, 'empty selector is invalid for statefulset'),
    ...validateTemplate({ ...spec, template: withClaimVolumes(spec) }),
  );
  return errors;
}

/** Checks a ReplicationController, less its metadata. */
export function validateReplicationController(controller: JsonObject): FieldError[] {
  const spec = specOf(controller);
  const selector = stringMapAt(spec, 'selector');
  const errors = [
    ...validateNonNegative(spec, 'minReadySeconds', 'spec'),
    ...(Object.keys(selector).length === 0 ? [required('spec.selector')] : []),
    ...validateNonNegative(spec, 'replicas', 'spec'),
  ];
  if (objectAt(spec, 'template') === undefined) return [...errors, required('spec.template')];
  return [
    ...errors,
    ...validateTemplate({
      ...spec,
      selector: Object.keys(selector).length === 0 ? {} : { matchLabels: selector },
    }),
  ];
}

/** Checks a changed Deployment, ReplicaSet or DaemonSet: the selector stays. */
export function validateSelectorKept(object: JsonObject, old: JsonObject): FieldError[] {
  return validateImmutable(specOf(object)['selector'], specOf(old)['selector'], 'spec.selector');
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

function validateSelector(spec: JsonObject, whenEmpty: string): FieldError[] {
  const selector = objectAt(spec, 'selector');
  if (selector === undefined) return [required('spec.selector')];
  const errors = validateLabelSelector(selector, 'spec.selector');
  if (isEmptySelector(selector)) errors.push(invalidValue('spec.selector', selector, whenEmpty));
  return errors;
}

function isEmptySelector(selector: JsonObject): boolean {
  return (
    Object.keys(stringMapAt(selector, 'matchLabels')).length === 0 &&
    objectsAt(selector, 'matchExpressions').length === 0
  );
}

/** Checks a template: its labels must be those that the selector finds, its Pods must restart. */
function validateTemplate(spec: JsonObject): FieldError[] {
  const template = objectAt(spec, 'template') ?? {};
  const path = 'spec.template';
  const labels = stringMapAt(objectAt(template, 'metadata'), 'labels');
  const selector = objectAt(spec, 'selector');
  const errors: FieldError[] = [];
  if (validateLabelSelector(selector, '').length > 0) {
    return [invalidValue('spec.selector', selector, 'invalid label selector')];
  }
  const empty = selector !== undefined && isEmptySelector(selector);
  if (!empty && !labelSelectorOf(selector).matches(labels)) {
    errors.push(
      invalidValue(`${path}.metadata.labels`, labels, '`selector` does not match template `labels`'),
    );
  }
  errors.push(...validatePodTemplate(template, path));
  const podSpec = objectAt(template, 'spec');
  const restartPolicy = stringAt(podSpec, 'restartPolicy');
  if (restartPolicy !== 'Always') {
    errors.push(notSupported(`${path}.spec.restartPolicy`, restartPolicy, ['Always']));
  }
  if (podSpec?.['activeDeadlineSeconds'] !== undefined) {
    errors.push(
      forbiddenField(
        `${path}.spec.activeDeadlineSeconds`,
        'activeDeadlineSeconds in ReplicaSet is not Supported',
      ),
    );
  }
  return errors;
}

/** Checks a template by itself: labels, and a Pod description that is less strict than a Pod's. */
export function validatePodTemplate(template: JsonObject, path: string): FieldError[] {
  const errors = validateLabels(stringMapAt(objectAt(template, 'metadata'), 'labels'), `${path}.labels`);
  const spec = objectAt(template, 'spec') ?? {};
  errors.push(...validatePodSpec(spec, { path: `${path}.spec`, inPod: false }));
  if (objectsAt(spec, 'ephemeralContainers').length > 0) {
    errors.push(
      forbiddenField(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'),
    );
  }
  return errors;
}

function validateRolling(rolling: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of ['maxUnavailable', 'maxSurge']) {
    const value = rolling[key];
    if (typeof value === 'number' && value < 0) {
      errors.push(invalidValue(`${path}.${key}`, value, 'must be greater than or equal to 0'));
    } else if (typeof value === 'string' && !/^\d+%$/.test(value)) {
      errors.push(
        invalidValue(
          `${path}.${key}`,
          value,
          "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', " +
            "regex used for validation is '[0-9]+%')",
        ),
      );
    }
  }
  if (isNothing(rolling['maxUnavailable']) && isNothing(rolling['maxSurge'])) {
    errors.push(
      invalidValue(`${path}.maxUnavailable`, rolling['maxUnavailable'], 'may not be 0 when `maxSurge` is 0'),
    );
  }
  if (typeof rolling['maxUnavailable'] === 'string' && Number.parseInt(rolling['maxUnavailable'], 10) > 100) {
    errors.push(
      invalidValue(`${path}.maxUnavailable`, rolling['maxUnavailable'], 'must not be greater than 100%'),
    );
  }
  return errors;
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === 0 || value === '0%';
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
