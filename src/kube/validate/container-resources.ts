import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { canonicalQuantity, compareQuantities, quantityValue } from '../quantity.ts';
import { labelNameFaults, qualifiedNameFaults } from './name-rules.ts';

/** Resources that a container may ask for without a domain in front. */
const CONTAINER_RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];
/** Names without a domain that mean something elsewhere, such as in quotas. */
const OTHER_RESOURCES = [
  'storage',
  'requests.storage',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
];

const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
const mayOvercommit = (name: string): boolean => isNative(name) && !isHugePages(name);

function isExtended(name: string): boolean {
  if (isNative(name) || name.startsWith('requests.')) return false;
  // A quota for it is named with a prefix, which must fit too.
  return qualifiedNameFaults(`requests.${name}`).length === 0;
}

export type ResourceNameRule = (name: string, path: string) => FieldError[];

/** Checks requests and limits of a container; `claims` are the names of the Pod's resource claims. */
export function validateResources(
  resources: JsonObject | undefined,
  path: string,
  claims: ReadonlySet<string>,
  nameRule: ResourceNameRule = containerResourceName,
): FieldError[] {
  const limits = objectAt(resources, 'limits') ?? {};
  const requests = objectAt(resources, 'requests') ?? {};
  const errors = Object.keys(limits)
    .toSorted()
    .flatMap((name) => validateAmount(name, limits[name], `${path}.limits[${name}]`, nameRule));
  for (const name of Object.keys(requests).toSorted()) {
    errors.push(...validateAmount(name, requests[name], `${path}.requests[${name}]`, nameRule));
    errors.push(...validateAgainstLimit(name, requests[name], limits[name], path));
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')) {
    errors.push(forbiddenField(path, 'HugePages require cpu or memory'));
  }
  return [...errors, ...validateClaims(objectsAt(resources, 'claims'), `${path}.claims`, claims)];
}

function validateAgainstLimit(name: string, request: unknown, limit: unknown, path: string): FieldError[] {
  if (!isAmount(request)) return [];
  if (!isAmount(limit)) {
    return mayOvercommit(name)
      ? []
      : [required(`${path}.limits`, 'Limit must be set for non overcommitable resources')];
  }
  const order = compareQuantities(request, limit);
  const must = order !== 0 && !mayOvercommit(name) ? 'equal to' : 'less than or equal to';
  if (order === 0 || (order < 0 && mayOvercommit(name))) return [];
  return [
    invalidValue(
      `${path}.requests`,
      canonicalQuantity(request),
      `must be ${must} ${name} limit of ${canonicalQuantity(limit)}`,
    ),
  ];
}

function plainResourceName(name: string, path: string): FieldError[] {
  const errors = qualifiedNameFaults(name).map((fault) => invalidValue(path, name, fault));
  if (errors.length > 0 || name.includes('/')) return errors;
  if (CONTAINER_RESOURCES.includes(name) || OTHER_RESOURCES.includes(name) || isHugePages(name)) return [];
  return [invalidValue(path, name, 'must be a standard resource type or fully qualified')];
}

function containerResourceName(name: string, path: string): FieldError[] {
  const errors = plainResourceName(name, path);
  if (!name.includes('/')) {
    if (!CONTAINER_RESOURCES.includes(name) && !isHugePages(name)) {
      errors.push(invalidValue(path, name, 'must be a standard resource for containers'));
    }
  } else if (!isNative(name) && !isExtended(name)) {
    errors.push(invalidValue(path, name, "doesn't follow extended resource name standard"));
  }
  return errors;
}

/** Checks the name of a resource that a whole Pod asks for. */
export function podResourceName(name: string, path: string): FieldError[] {
  const errors = plainResourceName(name, path);
  if (errors.length > 0 || name === 'cpu' || name === 'memory' || isHugePages(name)) return errors;
  return [notSupported(path, name, ['cpu', 'hugepages-*', 'memory'])];
}

function validateAmount(
  name: string,
  amount: unknown,
  path: string,
  nameRule: ResourceNameRule,
): FieldError[] {
  const errors = nameRule(name, path);
  if (!isAmount(amount)) return errors;
  errors.push(...validateQuantity(name, amount, path));
  if (isHugePages(name) && !isMultiple(name, amount)) {
    const text = canonicalQuantity(amount);
    errors.push(invalidValue(path, text, `${text} is not positive integer multiple of ${name}`));
  }
  return errors;
}

function isMultiple(name: string, amount: string | number): boolean {
  const unit = name.slice('hugepages-'.length);
  if (!/^\d+([KMGTPE]i?|k)?$/.test(unit)) return false;
  const size = quantityValue(unit);
  return size > 0 && quantityValue(amount) % size === 0;
}

/** Checks that an amount is not negative, and whole where parts make no sense. */
export function validateQuantity(
  name: string,
  amount: string | number,
  path: string,
  isWhole = false,
): FieldError[] {
  const text = canonicalQuantity(amount);
  const errors: FieldError[] = [];
  if (compareQuantities(amount, 0) < 0) {
    errors.push(invalidValue(path, text, 'must be greater than or equal to 0'));
  }
  if ((isWhole || isExtended(name)) && /[mun]$/.test(text))
    errors.push(invalidValue(path, text, 'must be an integer'));
  return errors;
}

function validateClaims(
  claims: readonly JsonObject[],
  path: string,
  known: ReadonlySet<string>,
): FieldError[] {
  const seen = new Set<string>();
  return claims.flatMap((claim, index) => {
    const at = `${path}[${index}]`;
    const name = stringAt(claim, 'name');
    if (name === '') return [required(at)];
    const errors: FieldError[] = [];
    const request = stringAt(claim, 'request');
    const key = request === '' ? name : `${name}/${request}`;
    const overlaps = request === '' && [...seen].some((other) => other.startsWith(`${name}/`));
    if (seen.has(name) || seen.has(key) || overlaps) {
      errors.push(duplicateValue(at, seen.has(name) || overlaps ? name : key));
    } else if (request !== '') {
      errors.push(...labelNameFaults(request).map((fault) => invalidValue(`${at}.request`, request, fault)));
    }
    seen.add(key);
    if (!known.has(name)) {
      const rest = known.size === 0 ? ' which is empty' : `: ${[...known].toSorted().join(', ')}`;
      errors.push({
        type: 'FieldValueNotFound',
        field: at,
        message: `Not found: ${JSON.stringify(name)}: must be one of the names in pod.spec.resourceClaims${rest}`,
      });
    }
    return errors;
  });
}

const RESIZE_RESOURCES = ['cpu', 'memory'];
const RESIZE_POLICIES = ['NotRequired', 'RestartContainer'];

/** Checks how a container takes a change of its resources. */
export function validateResizePolicy(
  policies: readonly JsonObject[],
  path: string,
  podRestartPolicy: string,
): FieldError[] {
  const seen = new Set<string>();
  return policies.flatMap((policy, index) => {
    const errors: FieldError[] = [];
    const resource = stringAt(policy, 'resourceName');
    const restart = stringAt(policy, 'restartPolicy');
    if (seen.has(resource)) errors.push(duplicateValue(`${path}[${index}]`, resource));
    seen.add(resource);
    if (resource === '') errors.push(required(path));
    else if (!RESIZE_RESOURCES.includes(resource))
      errors.push(notSupported(path, resource, RESIZE_RESOURCES));
    if (restart === '') errors.push(required(path));
    else if (!RESIZE_POLICIES.includes(restart)) errors.push(notSupported(path, restart, RESIZE_POLICIES));
    if (podRestartPolicy === 'Never' && restart !== 'NotRequired') {
      errors.push(invalidValue(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
    }
    return errors;
  });
}

function isAmount(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}
