import { convertAutoscaler } from '../autoscaler-conversion.ts';
import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import { canonicalQuantity, compareQuantities } from '../quantity.ts';
import { validateNonNegative } from './metadata.ts';
import { pathSegmentFaults } from './name-rules.ts';

const MAX_PERIOD = 1800;
const MAX_WINDOW = 3600;
const METRIC_TYPES = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];
/** The fields of metrics in the order in which they are looked at; only the first is looked into. */
const SOURCES = ['object', 'external', 'pods', 'resource', 'containerResource'];

/** Checks a HorizontalPodAutoscaler of either version, less its metadata; `least` is the fewest Pods that it may ask for. */
export function validateAutoscaler(autoscaler: JsonObject, least = 1): FieldError[] {
  const newest = convertAutoscaler(autoscaler as unknown as KubeObject, 'autoscaling/v2');
  const spec = objectAt(newest as unknown as JsonObject, 'spec');
  const min = numberAt(spec, 'minReplicas');
  const max = numberAt(spec, 'maxReplicas') ?? 0;
  const errors: FieldError[] = [];
  if (min !== undefined && min < least) {
    errors.push(invalidValue('spec.minReplicas', min, `must be greater than or equal to ${least}`));
  }
  if (max < 1) errors.push(invalidValue('spec.maxReplicas', max, 'must be greater than 0'));
  if (min !== undefined && max < min) {
    errors.push(invalidValue('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
  }
  errors.push(...validateReference(objectAt(spec, 'scaleTargetRef'), 'spec.scaleTargetRef'));
  const metrics = objectsAt(spec, 'metrics');
  metrics.forEach((metric, index) => {
    errors.push(...validateMetric(metric, `spec.metrics[${index}]`));
  });
  const outside = metrics.some(({ type }) => type === 'Object' || type === 'External');
  if (min === 0 && !outside) {
    const why = 'must specify at least one Object or External metric to support scaling to zero replicas';
    errors.push(forbiddenField('spec.metrics', why));
  }
  const behavior = objectAt(spec, 'behavior');
  for (const direction of ['scaleUp', 'scaleDown']) {
    errors.push(...validateRules(objectAt(behavior, direction), `spec.behavior.${direction}`));
  }
  return errors;
}

/** Checks a changed autoscaler: one that went down to no Pods may stay there. */
export function validateAutoscalerUpdate(autoscaler: JsonObject, old: JsonObject): FieldError[] {
  return validateAutoscaler(autoscaler, numberAt(objectAt(old, 'spec'), 'minReplicas') === 0 ? 0 : 1);
}

/** Checks what is said of an autoscaler. */
export function validateAutoscalerStatus(autoscaler: JsonObject): FieldError[] {
  const status = objectAt(autoscaler, 'status');
  return ['currentReplicas', 'desiredReplicas'].flatMap((key) => validateNonNegative(status, key, 'status'));
}

function validateReference(reference: JsonObject | undefined, path: string): FieldError[] {
  return ['kind', 'name'].flatMap((key) => {
    const text = stringAt(reference, key);
    if (text === '') return [required(`${path}.${key}`)];
    return pathSegmentFaults(text).map((fault) => invalidValue(`${path}.${key}`, text, fault));
  });
}

function validateRules(rules: JsonObject | undefined, path: string): FieldError[] {
  if (rules === undefined) return [];
  const errors: FieldError[] = [];
  const window = numberAt(rules, 'stabilizationWindowSeconds') ?? 0;
  const at = `${path}.stabilizationWindowSeconds`;
  if (window < 0) errors.push(invalidValue(at, window, 'must be greater than or equal to zero'));
  if (window > MAX_WINDOW) {
    errors.push(invalidValue(at, window, `must be less than or equal to ${MAX_WINDOW}`));
  }
  const select = rules['selectPolicy'];
  const selections = ['Disabled', 'Max', 'Min'];
  if (typeof select === 'string' && !selections.includes(select)) {
    errors.push(notSupported(`${path}.selectPolicy`, select, selections));
  }
  const policies = objectsAt(rules, 'policies');
  if (policies.length === 0) errors.push(required(`${path}.policies`, 'must specify at least one Policy'));
  policies.forEach((policy, index) => {
    errors.push(...validatePolicy(policy, `${path}.policies[${index}]`));
  });
  return errors;
}

function validatePolicy(policy: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(policy, 'type');
  if (type !== 'Pods' && type !== 'Percent') {
    errors.push(notSupported(`${path}.type`, type, ['Percent', 'Pods']));
  }
  for (const key of ['value', 'periodSeconds']) {
    const value = numberAt(policy, key) ?? 0;
    if (value <= 0) errors.push(invalidValue(`${path}.${key}`, value, 'must be greater than zero'));
    if (key === 'periodSeconds' && value > MAX_PERIOD) {
      errors.push(invalidValue(`${path}.${key}`, value, `must be less than or equal to ${MAX_PERIOD}`));
    }
  }
  return errors;
}

function validateMetric(metric: JsonObject, path: string): FieldError[] {
  const type = stringAt(metric, 'type');
  const errors: FieldError[] = [];
  const at = `${path}.type`;
  if (type === '') errors.push(required(at, 'must specify a metric source type'));
  const isKnown = METRIC_TYPES.includes(type);
  if (!isKnown) errors.push(notSupported(at, type, METRIC_TYPES));
  const given = SOURCES.filter((source) => objectAt(metric, source) !== undefined);
  const [first] = given;
  if (first !== undefined) errors.push(...validateSource(first, objectAt(metric, first), `${path}.${first}`));
  const expected = type.slice(0, 1).toLowerCase() + type.slice(1);
  if (!isKnown) errors.push(notSupported(at, type, METRIC_TYPES));
  else if (!given.includes(expected)) {
    errors.push(required(`${path}.${expected}`, 'must populate information for the given metric source'));
  }
  if (given.length === 1) return errors;
  for (const source of given.filter((other) => other !== expected)) {
    errors.push(forbiddenField(`${path}.${source}`, 'must populate the given metric source only'));
  }
  return errors;
}

function validateSource(kind: string, source: JsonObject | undefined, path: string): FieldError[] {
  const target = objectAt(source, 'target');
  const at = `${path}.target`;
  const has = (key: string): boolean => target?.[key] !== undefined;
  const errors: FieldError[] = [];
  if (kind === 'object') {
    errors.push(...validateReference(objectAt(source, 'describedObject'), `${path}.describedObject`));
  }
  const isResource = kind === 'resource' || kind === 'containerResource';
  if (isResource && stringAt(source, 'name') === '') {
    errors.push(required(`${path}.name`, 'must specify a resource name'));
  }
  if (kind === 'containerResource' && stringAt(source, 'container') === '') {
    errors.push(required(`${path}.container`, 'must specify a container'));
  }
  if (!isResource) errors.push(...validateIdentifier(objectAt(source, 'metric'), `${path}.metric`));
  errors.push(...validateTarget(target, at));
  if (isResource) {
    if (!has('averageUtilization') && !has('averageValue')) {
      const why = 'must set either a target raw value or a target utilization';
      errors.push(required(`${at}.averageUtilization`, why));
    }
    if (has('averageUtilization') && has('averageValue')) {
      const why = 'may not set both a target raw value and a target utilization';
      errors.push(forbiddenField(`${at}.averageValue`, why));
    }
    return errors;
  }
  if (kind === 'pods') {
    if (has('averageValue') && isPositive(target?.['averageValue'])) return errors;
    return [...errors, required(`${at}.averageValue`, 'must specify a positive target averageValue')];
  }
  if (!has('value') && !has('averageValue')) {
    const what = kind === 'object' ? 'value or averageValue' : 'value for metric or a per-pod target';
    errors.push(required(`${at}.averageValue`, `must set either a target ${what}`));
  }
  if (kind === 'external' && has('value') && has('averageValue')) {
    const why = 'may not set both a target value for metric and a per-pod target';
    errors.push(forbiddenField(`${at}.value`, why));
  }
  return errors;
}

function validateIdentifier(metric: JsonObject | undefined, path: string): FieldError[] {
  const name = stringAt(metric, 'name');
  if (name === '') return [required(`${path}.name`, 'must specify a metric name')];
  return pathSegmentFaults(name).map((fault) => invalidValue(`${path}.name`, name, fault));
}

function validateTarget(target: JsonObject | undefined, path: string): FieldError[] {
  const type = stringAt(target, 'type');
  const errors: FieldError[] = [];
  if (type === '') errors.push(required(`${path}.type`, 'must specify a metric target type'));
  if (!['Utilization', 'Value', 'AverageValue'].includes(type)) {
    errors.push(invalidValue(`${path}.type`, type, 'must be either Utilization, Value, or AverageValue'));
  }
  for (const key of ['value', 'averageValue']) {
    const amount = target?.[key];
    if ((typeof amount !== 'string' && typeof amount !== 'number') || isPositive(amount)) continue;
    errors.push(invalidValue(`${path}.${key}`, canonicalQuantity(amount), 'must be positive'));
  }
  const share = numberAt(target, 'averageUtilization');
  if (share !== undefined && share < 1) {
    errors.push(invalidValue(`${path}.averageUtilization`, share, 'must be greater than 0'));
  }
  return errors;
}

function isPositive(amount: unknown): boolean {
  return (typeof amount === 'string' || typeof amount === 'number') && compareQuantities(amount, 0) > 0;
}
