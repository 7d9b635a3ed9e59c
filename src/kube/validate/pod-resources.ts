import { duplicateValue, forbiddenField, invalidValue, required, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { addQuantities, canonicalQuantity, compareQuantities } from '../quantity.ts';
import { podResourceName, validateResources } from './container-resources.ts';
import { internalForm } from './internal-form.ts';
import { labelNameFaults, subdomainFaults } from './name-rules.ts';

type Amount = string | number;

function amountAt(list: JsonObject | undefined, name: string): Amount | undefined {
  const amount = list?.[name];
  return typeof amount === 'string' || typeof amount === 'number' ? amount : undefined;
}

/** Checks what a Pod asks for as a whole: no less than its containers ask for together. */
export function validatePodResources(
  spec: JsonObject,
  path: string,
  claims: ReadonlySet<string>,
): FieldError[] {
  const resources = objectAt(spec, 'resources');
  if (resources === undefined) return [];
  const errors: FieldError[] = [];
  if (resources['claims'] !== undefined) {
    errors.push(forbiddenField(`${path}.claims`, 'claims cannot be set for Resources at pod-level'));
  }
  errors.push(...validateResources(resources, path, claims, podResourceName));
  const containers = objectsAt(spec, 'containers');
  const requests = objectAt(resources, 'requests');
  for (const [name, sum] of requestsOf(containers)) {
    const asked = amountAt(requests, name) ?? 0;
    if (compareQuantities(sum, asked) <= 0) continue;
    const why = `must be greater than or equal to aggregate container requests of ${sum}`;
    errors.push(invalidValue(`${path}.requests[${name}]`, canonicalQuantity(asked), why));
  }
  containers.forEach((container, index) => {
    const limits = objectAt(objectAt(container, 'resources'), 'limits') ?? {};
    for (const name of Object.keys(limits).toSorted()) {
      const own = amountAt(limits, name);
      const whole = amountAt(objectAt(resources, 'limits'), name);
      if (own === undefined || whole === undefined || compareQuantities(own, whole) <= 0) continue;
      const why = `must be less than or equal to pod limits of ${canonicalQuantity(whole)}`;
      errors.push(invalidValue(`${path}.containers[${index}][${name}].limits`, canonicalQuantity(own), why));
    }
  });
  return errors;
}

function requestsOf(containers: readonly JsonObject[]): ReadonlyMap<string, string> {
  const sums = new Map<string, string>();
  for (const container of containers) {
    const requests = objectAt(objectAt(container, 'resources'), 'requests') ?? {};
    for (const name of Object.keys(requests).toSorted()) {
      const amount = amountAt(requests, name);
      if (amount === undefined || (name !== 'cpu' && name !== 'memory')) continue;
      sums.set(name, addQuantities(sums.get(name) ?? '0', amount));
    }
  }
  return sums;
}

/** Checks the devices that a Pod claims. */
export function validatePodClaims(claims: readonly JsonObject[], path: string): FieldError[] {
  const names = new Set<string>();
  return claims.flatMap((claim, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const name = stringAt(claim, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    else if (names.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    else errors.push(...labelNameFaults(name).map((fault) => invalidValue(`${at}.name`, name, fault)));
    names.add(name);
    const shown = (): JsonObject => internalForm(claim, 'core.v1.PodResourceClaim');
    const given = ['resourceClaimName', 'resourceClaimTemplateName'].filter(
      (key) => claim[key] !== undefined,
    );
    if (given.length > 1) {
      const why = 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified';
      errors.push(invalidValue(at, shown(), why));
    } else if (given.length === 0) {
      const why = 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`';
      errors.push(invalidValue(at, shown(), why));
    }
    for (const key of given) {
      const text = stringAt(claim, key);
      errors.push(...subdomainFaults(text).map((fault) => invalidValue(`${at}.${key}`, text, fault)));
    }
    return errors;
  });
}
