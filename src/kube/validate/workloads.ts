import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { labelSelectorOf } from '../selector/label-selector.ts';
import { internalForm } from './internal-form.ts';
import {
  validateAnnotations,
  validateImmutable,
  validateLabels,
  validateLabelSelector,
  validateNonNegative,
} from './metadata.ts';
import { validatePodAnnotations, validateSeccompMatch } from './pod-annotations.ts';
import { validatePodSpec } from './pod-spec.ts';

const MISMATCH = '`selector` does not match template `labels`';

/** Returns the spec of an object, empty when it has none. */
export const specOf = (object: JsonObject): JsonObject => objectAt(object, 'spec') ?? {};

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
  } else
    errors.push(
      notSupported('spec.strategy', internalForm(strategy, 'apps.v1.DeploymentStrategy'), [
        'Recreate',
        'RollingUpdate',
      ]),
    );
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
  const selector = objectAt(spec, 'selector');
  const template = objectAt(spec, 'template') ?? {};
  const errors = validateLabelSelector(selector, 'spec.selector');
  const labels = stringMapAt(objectAt(template, 'metadata'), 'labels');
  // Without a selector nothing matches; that alone is the error.
  const fits = selector !== undefined && labelSelectorOf(selector).matches(labels);
  if (errors.length === 0 && !fits) {
    errors.push(invalidValue('spec.template.metadata.labels', givenLabels(template), MISMATCH));
  }
  if (selector !== undefined && isEmptySelector(selector)) {
    errors.push(invalidValue('spec.selector', selector, 'empty selector is invalid for daemonset'));
  }
  errors.push(...validatePodTemplate(template, 'spec.template'));
  errors.push(...validateLasting(template, 'DaemonSet'));
  errors.push(...validateNonNegative(spec, 'minReadySeconds', 'spec'));
  errors.push(...validateDaemonStrategy(objectAt(spec, 'updateStrategy') ?? {}, 'spec.updateStrategy'));
  return [...errors, ...validateNonNegative(spec, 'revisionHistoryLimit', 'spec')];
}

function validateDaemonStrategy(strategy: JsonObject, path: string): FieldError[] {
  const type = stringAt(strategy, 'type');
  if (type === 'OnDelete') return [];
  if (type !== 'RollingUpdate') {
    const shown = internalForm(strategy, 'apps.v1.DaemonSetUpdateStrategy');
    return [notSupported(path, shown, ['RollingUpdate', 'OnDelete'])];
  }
  const rolling = objectAt(strategy, 'rollingUpdate');
  const at = `${path}.rollingUpdate`;
  if (rolling === undefined) return [required(at)];
  const errors = ['maxUnavailable', 'maxSurge'].flatMap((key) => validateShare(rolling, key, at));
  errors.push(...['maxUnavailable', 'maxSurge'].flatMap((key) => validateAtMostAll(rolling, key, at)));
  const down = !isNothing(rolling['maxUnavailable']);
  const up = !isNothing(rolling['maxSurge']);
  if (down && up) {
    const why = 'may not be set when maxUnavailable is non-zero';
    errors.push(invalidValue(`${at}.maxSurge`, rolling['maxSurge'], why));
  }
  if (!down && !up) errors.push(required(`${at}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
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
    ...validateTemplate(
      {
        ...spec,
        selector: Object.keys(selector).length === 0 ? {} : { matchLabels: selector },
      },
      'ReplicationController',
    ),
  ];
}

/** Checks a changed Deployment, ReplicaSet or DaemonSet: the selector stays. */
export function validateSelectorKept(object: JsonObject, old: JsonObject): FieldError[] {
  return validateImmutable(specOf(object)['selector'], specOf(old)['selector'], 'spec.selector');
}

/** Checks a selector that must be there and find something. */
export function validateSelector(spec: JsonObject, whenEmpty: string): FieldError[] {
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
export function validateTemplate(spec: JsonObject, kind = 'ReplicaSet'): FieldError[] {
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
    errors.push(invalidValue(`${path}.metadata.labels`, givenLabels(template), MISMATCH));
  }
  errors.push(...validatePodTemplate(template, path));
  return [...errors, ...validateLasting(template, kind)];
}

/** The labels as texts show them: null where there are none. */
function givenLabels(template: JsonObject): JsonObject | null {
  return objectAt(objectAt(template, 'metadata'), 'labels') ?? null;
}

/** Checks that the Pods of a template are to run on and on. */
function validateLasting(template: JsonObject, kind: string): FieldError[] {
  const spec = objectAt(template, 'spec');
  const restartPolicy = stringAt(spec, 'restartPolicy');
  const errors: FieldError[] = [];
  if (restartPolicy !== 'Always') {
    errors.push(notSupported('spec.template.spec.restartPolicy', restartPolicy, ['Always']));
  }
  if (spec?.['activeDeadlineSeconds'] === undefined) return errors;
  const why = `activeDeadlineSeconds in ${kind} is not Supported`;
  return [...errors, forbiddenField('spec.template.spec.activeDeadlineSeconds', why)];
}

/** Checks a template by itself: labels, and a Pod description that is less strict than a Pod's. */
export function validatePodTemplate(template: JsonObject, path: string): FieldError[] {
  const metadata = objectAt(template, 'metadata') ?? {};
  const errors = validateLabels(stringMapAt(metadata, 'labels'), `${path}.labels`);
  const spec = objectAt(template, 'spec') ?? {};
  errors.push(...validateAnnotations(stringMapAt(metadata, 'annotations'), `${path}.annotations`));
  errors.push(...validatePodAnnotations(metadata, spec, `${path}.annotations`));
  errors.push(...validatePodSpec(spec, { path: `${path}.spec`, inPod: false }));
  errors.push(...validateSeccompMatch(metadata, spec, `${path}.spec`));
  if (objectsAt(spec, 'ephemeralContainers').length > 0) {
    errors.push(
      forbiddenField(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'),
    );
  }
  return errors;
}

function validateRolling(rolling: JsonObject, path: string): FieldError[] {
  const errors = ['maxUnavailable', 'maxSurge'].flatMap((key) => validateShare(rolling, key, path));
  if (isNothing(rolling['maxUnavailable']) && isNothing(rolling['maxSurge'])) {
    const why = 'may not be 0 when `maxSurge` is 0';
    errors.push(invalidValue(`${path}.maxUnavailable`, rolling['maxUnavailable'] ?? 0, why));
  }
  return [...errors, ...validateAtMostAll(rolling, 'maxUnavailable', path)];
}

/** Checks a number of Pods that may be a share of them. */
export function validateShare(rolling: JsonObject, key: string, path: string): FieldError[] {
  const value = rolling[key];
  const at = `${path}.${key}`;
  if (typeof value === 'number' && value < 0) {
    return [invalidValue(at, value, 'must be greater than or equal to 0')];
  }
  if (typeof value !== 'string' || /^\d+%$/.test(value)) return [];
  const why =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', " +
    "regex used for validation is '[0-9]+%')";
  return [invalidValue(at, value, why)];
}

/** Checks that a share is not more than all. */
export function validateAtMostAll(rolling: JsonObject, key: string, path: string): FieldError[] {
  const value = rolling[key];
  if (typeof value !== 'string' || !/^\d+%$/.test(value) || Number.parseInt(value, 10) <= 100) return [];
  return [invalidValue(`${path}.${key}`, value, 'must not be greater than 100%')];
}

/** Tells whether a number or share of Pods is none. */
export function isNothing(value: unknown): boolean {
  return (
    value === undefined || value === 0 || (typeof value === 'string' && Number.parseInt(value, 10) === 0)
  );
}
