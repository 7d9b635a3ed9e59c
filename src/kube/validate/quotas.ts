import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { compareQuantities, quantityValue } from '../quantity.ts';
import { internalForm } from './internal-form.ts';
import { validateImmutable, validateLabelSelector } from './metadata.ts';
import { qualifiedNameFaults } from './name-rules.ts';

/** Amounts that are numbers of objects. */
const COUNTED: ReadonlySet<string> = new Set([
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);
/** Amounts that a quota may bound without naming a kind. */
const QUOTA_RESOURCES: ReadonlySet<string> = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  ...COUNTED,
]);
const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

/** Checks a ResourceQuota, less its metadata. */
export function validateResourceQuota(quota: JsonObject): FieldError[] {
  const spec = objectAt(quota, 'spec') ?? {};
  const errors: FieldError[] = [];
  for (const [name, amount] of amounts(spec, 'hard')) {
    const at = `spec.hard[${name}]`;
    for (const fault of qualifiedNameFaults(name)) errors.push(invalidValue(at, name, fault));
    if (!name.includes('/') && !QUOTA_RESOURCES.has(name)) {
      errors.push(invalidValue(at, name, 'must be a standard resource for quota'));
    }
    if (quantityValue(amount) < 0) {
      errors.push(invalidValue(at, amount, 'must be greater than or equal to 0'));
    }
    if (COUNTED.has(name) && !Number.isInteger(quantityValue(amount))) {
      errors.push(invalidValue(at, amount, 'must be an integer'));
    }
  }
  const scopes = stringsAt(spec, 'scopes');
  for (const scope of scopes) {
    if (!SCOPES.includes(scope)) errors.push(invalidValue('spec.scopes', scopes, 'unsupported scope'));
  }
  for (const [one, other] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ]) {
    if (scopes.includes(one ?? '') && scopes.includes(other ?? '')) {
      errors.push(invalidValue('spec.scopes', scopes, 'conflicting scopes'));
    }
  }
  return errors;
}

/** Checks a changed ResourceQuota. */
export function validateResourceQuotaUpdate(quota: JsonObject, old: JsonObject): FieldError[] {
  const scopes = (object: JsonObject): string[] => stringsAt(objectAt(object, 'spec'), 'scopes').toSorted();
  const errors = validateResourceQuota(quota);
  if (scopes(quota).join() !== scopes(old).join()) {
    errors.push(invalidValue('spec.scopes', scopes(quota), 'field is immutable'));
  }
  return errors;
}

/** Checks a LimitRange, less its metadata. */
export function validateLimitRange(range: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const types = new Set<string>();
  objectsAt(objectAt(range, 'spec'), 'limits').forEach((item, index) => {
    const at = `spec.limits[${index}]`;
    const type = stringAt(item, 'type');
    errors.push(...validateLimitType(type, `${at}.type`));
    if (types.has(type)) errors.push(duplicateValue(`${at}.type`, type));
    types.add(type);
    if (type === 'Pod') {
      for (const key of ['default', 'defaultRequest']) {
        if (amounts(item, key).length > 0) {
          errors.push(forbiddenField(`${at}.${key}`, "may not be specified when `type` is 'Pod'"));
        }
      }
    }
    if (type === 'PersistentVolumeClaim') {
      const [min, max] = [objectAt(item, 'min')?.['storage'], objectAt(item, 'max')?.['storage']];
      if (min === undefined && max === undefined) {
        errors.push(
          required(at, 'either minimum or maximum storage value is required, but neither was provided'),
        );
      }
    }
    errors.push(...compareLimits(item, at));
  });
  return errors;
}

function compareLimits(item: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const get = (key: string, name: string): string | undefined => {
    const amount = objectAt(item, key)?.[name];
    return typeof amount === 'string' ? amount : undefined;
  };
  const names = new Set(
    ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'].flatMap((key) =>
      amounts(item, key).map(([name]) => name),
    ),
  );
  const refuse = (key: string, name: string, value: string, why: string): void => {
    errors.push(invalidValue(`${at}.${key}[${name}]`, value, why));
  };
  const above = (a: string | undefined, b: string | undefined): boolean =>
    a !== undefined && b !== undefined && compareQuantities(a, b) > 0;
  for (const name of [...names].toSorted()) {
    const [max, min] = [get('max', name), get('min', name)];
    const [limit, request] = [get('default', name), get('defaultRequest', name)];
    const ratio = get('maxLimitRequestRatio', name);
    if (above(min, max)) refuse('min', name, min ?? '', `min value ${min} is greater than max value ${max}`);
    if (above(min, request)) {
      refuse(
        'defaultRequest',
        name,
        request ?? '',
        `min value ${min} is greater than default request value ${request}`,
      );
    }
    if (above(request, max)) {
      refuse(
        'defaultRequest',
        name,
        request ?? '',
        `default request value ${request} is greater than max value ${max}`,
      );
    }
    if (above(request, limit)) {
      refuse(
        'defaultRequest',
        name,
        request ?? '',
        `default request value ${request} is greater than default limit value ${limit}`,
      );
    }
    if (above(min, limit))
      refuse('default', name, min ?? '', `min value ${min} is greater than default value ${limit}`);
    if (above(limit, max))
      refuse('default', name, max ?? '', `default value ${limit} is greater than max value ${max}`);
    if (ratio !== undefined && compareQuantities(ratio, '1') < 0) {
      refuse('maxLimitRequestRatio', name, ratio, `ratio ${ratio} is less than 1`);
    }
  }
  return errors;
}

const LIMIT_TYPES = ['Pod', 'Container', 'PersistentVolumeClaim'];

function validateLimitType(type: string, path: string): FieldError[] {
  const faults = qualifiedNameFaults(type);
  if (faults.length > 0) return faults.map((fault) => invalidValue(path, type, fault));
  if (type.includes('/') || LIMIT_TYPES.includes(type)) return [];
  return [invalidValue(path, type, 'must be a standard limit type or fully qualified')];
}

/** Checks a PodDisruptionBudget, less its metadata. */
export function validateDisruptionBudget(budget: JsonObject): FieldError[] {
  const spec = objectAt(budget, 'spec') ?? {};
  const errors: FieldError[] = [];
  if (spec['minAvailable'] !== undefined && spec['maxUnavailable'] !== undefined) {
    const shown = internalForm(spec, 'policy.v1.PodDisruptionBudgetSpec');
    errors.push(invalidValue('spec', shown, 'minAvailable and maxUnavailable cannot be both set'));
  }
  for (const key of ['minAvailable', 'maxUnavailable'])
    errors.push(...validateShare(spec[key], `spec.${key}`));
  errors.push(...validateLabelSelector(objectAt(spec, 'selector'), 'spec.selector'));
  const policies = ['AlwaysAllow', 'IfHealthyBudget'];
  const policy = spec['unhealthyPodEvictionPolicy'];
  if (typeof policy === 'string' && !policies.includes(policy)) {
    errors.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, policies));
  }
  return errors;
}

function validateShare(value: unknown, at: string): FieldError[] {
  if (typeof value === 'number') {
    return value < 0 ? [invalidValue(at, value, 'must be greater than or equal to 0')] : [];
  }
  if (typeof value !== 'string') return [];
  if (!/^[0-9]+%$/.test(value)) {
    return [
      invalidValue(
        at,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' " +
          "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ),
    ];
  }
  return Number(value.slice(0, -1)) > 100 ? [invalidValue(at, value, 'must not be greater than 100%')] : [];
}

/** Value above which only the system's own classes may go. */
const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['system-node-critical', 2_000_001_000],
  ['system-cluster-critical', 2_000_000_000],
]);

/** Checks a PriorityClass, less what any metadata must satisfy. */
export function validatePriorityClass(priorityClass: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(objectAt(priorityClass, 'metadata'), 'name');
  const value = priorityClass['value'];
  if (name.startsWith('system-')) {
    const known = SYSTEM_PRIORITIES.get(name);
    const reserved = "priority class names with 'system-' prefix are reserved for system use only. error: ";
    if (known === undefined) {
      errors.push(forbiddenField('metadata.name', `${reserved}${name} is not a known system priority class`));
    } else if (known !== value) {
      errors.push(
        forbiddenField('metadata.name', `${reserved}value of ${name} PriorityClass must be ${known}`),
      );
    } else if (priorityClass['globalDefault'] === true) {
      errors.push(
        forbiddenField('metadata.name', `${reserved}globalDefault of ${name} PriorityClass must be false`),
      );
    }
  } else if (typeof value === 'number' && value > HIGHEST_USER_PRIORITY) {
    errors.push(
      forbiddenField('value', `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`),
    );
  }
  const policy = priorityClass['preemptionPolicy'];
  if (policy !== undefined && policy !== 'Never' && policy !== 'PreemptLowerPriority') {
    errors.push(notSupported('preemptionPolicy', policy, ['Never', 'PreemptLowerPriority']));
  }
  return errors;
}

/** Checks a changed PriorityClass: Pods hold its value already. */
export function validatePriorityClassUpdate(priorityClass: JsonObject, old: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  if (priorityClass['value'] !== old['value']) {
    errors.push(forbiddenField('value', 'may not be changed in an update.'));
  }
  errors.push(
    ...validateImmutable(priorityClass['preemptionPolicy'], old['preemptionPolicy'], 'preemptionPolicy'),
  );
  return errors;
}

function amounts(parent: JsonObject, key: string): [string, string][] {
  const list = objectAt(parent, key) ?? {};
  return Object.entries(list)
    .map(([name, amount]): [string, string] => [name, String(amount)])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}
