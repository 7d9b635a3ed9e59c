import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { validateQuantity } from './container-resources.ts';
import { internalForm } from './internal-form.ts';
import { labelValueFaults, qualifiedNameFaults } from './name-rules.ts';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** Checks a Node, less its metadata. Errors of its taints name metadata, as a real server's do. */
export function validateNode(node: JsonObject): FieldError[] {
  return [...validateTaints(node), ...validateAmounts(node), ...validateRanges(node)];
}

/** Checks the ranges of addresses for a Node's Pods. */
function validateRanges(node: JsonObject): FieldError[] {
  const ranges = stringsAt(objectAt(node, 'spec'), 'podCIDRs');
  const errors = ranges.flatMap((range, index) => {
    const [address = '', bits = '', ...rest] = range.split('/');
    const most = isIP(address) === 6 ? 128 : 32;
    const fits = isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0;
    const why = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
    return fits ? [] : [invalidValue(`spec.podCIDRs[${index}]`, range, why)];
  });
  const families = new Set(ranges.map((range) => isIP(range.split('/', 1)[0] ?? '')));
  if (ranges.length < 2 || (ranges.length === 2 && families.size === 2)) return errors;
  const why = 'may specify no more than one CIDR for each IP family';
  return [...errors, invalidValue('spec.podCIDRs', ranges, why)];
}

/** Resources that are counted in whole numbers. */
const WHOLE = new Set([
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]);

/** Checks what a Node says it has, and what of that Pods may have. */
function validateAmounts(node: JsonObject): FieldError[] {
  return (['capacity', 'allocatable'] as const).flatMap((list) =>
    Object.entries(objectAt(objectAt(node, 'status'), list) ?? {})
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, amount]) => {
        if (typeof amount !== 'string' && typeof amount !== 'number') return [];
        return validateQuantity(name, amount, `status.${list}.${name}`, WHOLE.has(name));
      }),
  );
}

function validateAddresses(node: JsonObject): FieldError[] {
  const seen = new Set<string>();
  return objectsAt(objectAt(node, 'status'), 'addresses').flatMap((address, index) => {
    const key = `${stringAt(address, 'type')} ${stringAt(address, 'address')}`;
    const isNew = !seen.has(key);
    seen.add(key);
    if (isNew) return [];
    return [duplicateValue(`status.addresses[${index}]`, internalForm(address, 'core.v1.NodeAddress'))];
  });
}

function validateTaints(node: JsonObject): FieldError[] {
  const seen = new Set<string>();
  return objectsAt(objectAt(node, 'spec'), 'taints').flatMap((taint, index) => {
    const at = `metadata.taints[${index}]`;
    const key = stringAt(taint, 'key');
    const value = stringAt(taint, 'value');
    const effect = stringAt(taint, 'effect');
    const errors = qualifiedNameFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault));
    const faults = labelValueFaults(value);
    if (faults.length > 0) errors.push(invalidValue(`${at}.value`, value, faults.join(';')));
    if (effect === '') errors.push(required(`${at}.effect`));
    else if (!EFFECTS.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    const both = `${key}:${effect}`;
    if (seen.has(both)) {
      const { type, field, message } = duplicateValue(at, internalForm(taint, 'core.v1.Taint'));
      const why = 'taints must be unique by key and effect pair';
      errors.push({ type, field, message: `${message}: ${why}` });
    }
    seen.add(both);
    return errors;
  });
}

/** Checks a changed Node: what the controllers gave it once stays. */
export function validateNodeUpdate(node: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(node, 'spec');
  const before = objectAt(old, 'spec');
  const errors = [...validateAmounts(node), ...validateAddresses(node)];
  const ranges = stringsAt(before, 'podCIDRs');
  if (ranges.length > 0 && !isDeepStrictEqual(stringsAt(spec, 'podCIDRs'), ranges)) {
    const why = 'node updates may not change podCIDR except from "" to valid';
    errors.push(forbiddenField('spec.podCIDRs', why));
  }
  const provider = stringAt(before, 'providerID');
  if (provider !== '' && provider !== stringAt(spec, 'providerID')) {
    const why = 'node updates may not change providerID except from "" to valid';
    errors.push(forbiddenField('spec.providerID', why));
  }
  errors.push(...validateTaints(node));
  if (stringAt(before, 'externalID') === stringAt(spec, 'externalID')) return errors;
  return [...errors, forbiddenField('spec.externalID', 'may not be updated')];
}
