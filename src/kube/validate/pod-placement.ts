import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { validateLabelSelector, validateValueCount } from './metadata.ts';
import { labelNameFaults, labelValueFaults, qualifiedNameFaults, subdomainFaults } from './name-rules.ts';

/** Checks the gates that hold a Pod back from scheduling. */
export function validateSchedulingGates(gates: readonly JsonObject[], path: string): FieldError[] {
  const seen = new Set<string>();
  return gates.flatMap((gate, index) => {
    const at = `${path}[${index}]`;
    const name = stringAt(gate, 'name');
    const errors = qualifiedNameFaults(name).map((fault) => invalidValue(at, name, fault));
    if (seen.has(name)) errors.push(duplicateValue(at, name));
    seen.add(name);
    return errors;
  });
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** Checks which taints a Pod tolerates. */
export function validateTolerations(tolerations: readonly JsonObject[], path: string): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const key = stringAt(toleration, 'key');
    const operator = stringAt(toleration, 'operator');
    const value = stringAt(toleration, 'value');
    const effect = stringAt(toleration, 'effect');
    if (key !== '')
      errors.push(...qualifiedNameFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault)));
    if (key === '' && operator !== 'Exists') {
      const why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalidValue(`${at}.operator`, operator, why));
    }
    if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute') {
      const why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      errors.push(invalidValue(`${at}.effect`, effect, why));
    }
    if (operator === 'Exists') {
      if (value !== '') {
        const why = "value must be empty when `operator` is 'Exists'";
        errors.push(invalidValue(`${at}.operator`, value, why));
      }
    } else if (operator === '' || operator === 'Equal') {
      const faults = labelValueFaults(value);
      if (faults.length > 0) errors.push(invalidValue(`${at}.operator`, value, faults.join(';')));
    } else errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
    if (effect !== '' && !EFFECTS.includes(effect))
      errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    return errors;
  });
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

/** Checks what a Pod wants to be near to, and far from. */
export function validateAffinity(affinity: JsonObject | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const nodes = objectAt(affinity, 'nodeAffinity');
  const needed = objectAt(nodes, REQUIRED);
  const at = `${path}.nodeAffinity`;
  if (needed !== undefined) errors.push(...validateNodeSelector(needed, `${at}.${REQUIRED}`));
  objectsAt(nodes, PREFERRED).forEach((entry, index) => {
    const place = `${at}.${PREFERRED}[${index}]`;
    errors.push(...validateWeight(entry, place));
    errors.push(...validateNodeTerm(objectAt(entry, 'preference') ?? {}, `${place}.preference`, false));
  });
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const terms = objectAt(affinity, kind);
    objectsAt(terms, REQUIRED).forEach((term, index) => {
      errors.push(...validatePodTerm(term, `${path}.${kind}.${REQUIRED}[${index}]`));
    });
    objectsAt(terms, PREFERRED).forEach((entry, index) => {
      const place = `${path}.${kind}.${PREFERRED}[${index}]`;
      errors.push(...validateWeight(entry, place));
      errors.push(...validatePodTerm(objectAt(entry, 'podAffinityTerm') ?? {}, `${place}.podAffinityTerm`));
    });
  }
  return errors;
}

function validateWeight(entry: JsonObject, path: string): FieldError[] {
  const weight = numberAt(entry, 'weight') ?? 0;
  return weight >= 1 && weight <= 100
    ? []
    : [invalidValue(`${path}.weight`, weight, 'must be in the range 1-100')];
}

/** Checks the terms that a node must fit one of. */
export function validateNodeSelector(selector: JsonObject, path: string): FieldError[] {
  const at = `${path}.nodeSelectorTerms`;
  const terms = objectsAt(selector, 'nodeSelectorTerms');
  if (terms.length === 0) return [required(at, 'must have at least one node selector term')];
  return terms.flatMap((term, index) => validateNodeTerm(term, `${at}[${index}]`, true));
}

/** Preferences may name values that no label can have: then they just never hold. */
function validateNodeTerm(term: JsonObject, path: string, checksValues: boolean): FieldError[] {
  return [
    ...objectsAt(term, 'matchExpressions').flatMap((expression, index) =>
      validateNodeExpression(expression, `${path}.matchExpressions[${index}]`, checksValues),
    ),
    ...objectsAt(term, 'matchFields').flatMap((expression, index) =>
      validateNodeField(expression, `${path}.matchFields[${index}]`),
    ),
  ];
}

function validateNodeExpression(expression: JsonObject, at: string, checksValues: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const operator = stringAt(expression, 'operator');
  const values = stringsAt(expression, 'values');
  const counted = validateValueCount(operator, values, at);
  if (counted !== undefined) errors.push(...counted);
  else if (operator !== 'Gt' && operator !== 'Lt') {
    errors.push(invalidValue(`${at}.operator`, operator, 'not a valid selector operator'));
  } else if (values.length !== 1) {
    errors.push(required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  }
  const key = stringAt(expression, 'key');
  errors.push(...qualifiedNameFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault)));
  if (!checksValues) return errors;
  values.forEach((value, index) => {
    const faults = labelValueFaults(value);
    errors.push(...faults.map((fault) => invalidValue(`${at}.values[${index}]`, value, fault)));
  });
  return errors;
}

function validateNodeField(expression: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const operator = stringAt(expression, 'operator');
  const values = stringsAt(expression, 'values');
  if (operator !== 'In' && operator !== 'NotIn') {
    errors.push(invalidValue(`${at}.operator`, operator, 'not a valid selector operator'));
  } else if (values.length !== 1) {
    const why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    errors.push(required(`${at}.values`, why));
  }
  const key = stringAt(expression, 'key');
  if (key !== 'metadata.name') {
    return [...errors, invalidValue(`${at}.key`, key, 'not a valid field selector key')];
  }
  values.forEach((value, index) => {
    const faults = subdomainFaults(value);
    errors.push(...faults.map((fault) => invalidValue(`${at}.values[${index}]`, value, fault)));
  });
  return errors;
}

function validatePodTerm(term: JsonObject, path: string): FieldError[] {
  const selector = objectAt(term, 'labelSelector');
  const errors = [
    ...validateLabelSelector(selector, `${path}.labelSelector`),
    ...validateLabelSelector(objectAt(term, 'namespaceSelector'), `${path}.namespaceSelector`),
  ];
  for (const name of stringsAt(term, 'namespaces')) {
    errors.push(...labelNameFaults(name).map((fault) => invalidValue(`${path}.namespace`, name, fault)));
  }
  const matching = stringsAt(term, 'matchLabelKeys');
  const differing = new Set(stringsAt(term, 'mismatchLabelKeys'));
  errors.push(...validateLabelKeys(matching, selector, `${path}.matchLabelKeys`));
  errors.push(...validateLabelKeys([...differing], selector, `${path}.mismatchLabelKeys`));
  matching.forEach((key, index) => {
    if (!differing.has(key)) return;
    const why = 'exists in both matchLabelKeys and mismatchLabelKeys';
    errors.push(invalidValue(`${path}.matchLabelKeys[${index}]`, key, why));
  });
  const topology = stringAt(term, 'topologyKey');
  const at = `${path}.topologyKey`;
  if (topology === '') errors.push(required(at, 'can not be empty'));
  return [...errors, ...qualifiedNameFaults(topology).map((fault) => invalidValue(at, topology, fault))];
}

function validateLabelKeys(
  keys: readonly string[],
  selector: JsonObject | undefined,
  path: string,
): FieldError[] {
  if (keys.length === 0) return [];
  if (selector === undefined)
    return [forbiddenField(path, 'must not be specified when labelSelector is not set')];
  return keys.flatMap((key, index) =>
    qualifiedNameFaults(key).map((fault) => invalidValue(`${path}[${index}]`, key, fault)),
  );
}

const ACTIONS = ['DoNotSchedule', 'ScheduleAnyway'];
const INCLUSIONS = ['Honor', 'Ignore'];

/** Checks how Pods are to be spread. */
export function validateSpread(constraints: readonly JsonObject[], path: string): FieldError[] {
  return constraints.flatMap((constraint, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const skew = numberAt(constraint, 'maxSkew') ?? 0;
    if (skew <= 0) errors.push(invalidValue(`${at}.maxSkew`, skew, 'must be greater than zero'));
    const topology = stringAt(constraint, 'topologyKey');
    if (topology === '') errors.push(required(`${at}.topologyKey`, 'can not be empty'));
    const action = stringAt(constraint, 'whenUnsatisfiable');
    if (!ACTIONS.includes(action)) errors.push(notSupported(`${at}.whenUnsatisfiable`, action, ACTIONS));
    const isRepeated = constraints
      .slice(index + 1)
      .some((other) => stringAt(other, 'topologyKey') === topology && other['whenUnsatisfiable'] === action);
    if (isRepeated) {
      errors.push(duplicateValue(`${at}.{topologyKey, whenUnsatisfiable}`, `{${topology}, ${action}}`));
    }
    errors.push(...validateMinDomains(constraint, action, `${at}.minDomains`));
    for (const key of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) {
      const policy = constraint[key];
      if (typeof policy === 'string' && !INCLUSIONS.includes(policy)) {
        errors.push(notSupported(`${at}.${key}`, policy, INCLUSIONS));
      }
    }
    errors.push(...validateSpreadKeys(constraint, `${at}.matchLabelKeys`));
    errors.push(...validateLabelSelector(objectAt(constraint, 'labelSelector'), `${at}.labelSelector`));
    return errors;
  });
}

function validateMinDomains(constraint: JsonObject, action: string, path: string): FieldError[] {
  const domains = numberAt(constraint, 'minDomains');
  if (domains === undefined) return [];
  const errors = domains <= 0 ? [invalidValue(path, domains, 'must be greater than zero')] : [];
  if (action !== 'DoNotSchedule') {
    const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
    errors.push(invalidValue(path, domains, why));
  }
  return errors;
}

function validateSpreadKeys(constraint: JsonObject, path: string): FieldError[] {
  const keys = stringsAt(constraint, 'matchLabelKeys');
  if (keys.length === 0) return [];
  const selector = objectAt(constraint, 'labelSelector');
  const selected = new Set([
    ...Object.keys(stringMapAt(selector, 'matchLabels')),
    ...objectsAt(selector, 'matchExpressions').map((expression) => stringAt(expression, 'key')),
  ]);
  const errors =
    selector === undefined
      ? [forbiddenField(path, 'must not be specified when labelSelector is not set')]
      : [];
  keys.forEach((key, index) => {
    const at = `${path}[${index}]`;
    errors.push(...qualifiedNameFaults(key).map((fault) => invalidValue(at, key, fault)));
    if (selected.has(key)) {
      errors.push(invalidValue(at, key, 'exists in both matchLabelKeys and labelSelector'));
    }
  });
  return errors;
}
