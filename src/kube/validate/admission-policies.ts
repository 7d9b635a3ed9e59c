import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { validateLabelSelector } from './metadata.ts';
import { qualifiedNameFaults, subdomainFaults } from './name-rules.ts';
import { validateConditions, validateExpression, validateRule } from './webhooks.ts';

const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];
const ACTIONS = ['Audit', 'Deny', 'Warn'];
const IDENTIFIER = /^[_a-zA-Z][_a-zA-Z0-9]*$/;

/** What expressions of a policy may name besides its parameters. */
export const POLICY_VARIABLES: readonly string[] = [
  'object',
  'oldObject',
  'request',
  'authorizer',
  'namespaceObject',
  'variables',
];

/** Returns the names that a policy's expressions may use. */
function namesFor(spec: JsonObject): readonly string[] {
  return objectAt(spec, 'paramKind') === undefined ? POLICY_VARIABLES : [...POLICY_VARIABLES, 'params'];
}

/** Checks a ValidatingAdmissionPolicy, less its metadata. */
export function validateValidatingPolicy(policy: JsonObject): FieldError[] {
  const spec = objectAt(policy, 'spec') ?? {};
  const errors = validatePolicyHead(spec);
  const names = namesFor(spec);
  const validations = objectsAt(spec, 'validations');
  const annotations = objectsAt(spec, 'auditAnnotations');
  if (validations.length === 0 && annotations.length === 0) {
    const why = 'validations or auditAnnotations must contain at least one item';
    errors.push(required('spec.validations', why), required('spec.auditAnnotations', why));
  }
  validations.forEach((validation, index) => {
    errors.push(...validateValidation(validation, `spec.validations[${index}]`, names));
  });
  const keys = new Set<string>();
  annotations.forEach((annotation, index) => {
    const at = `spec.auditAnnotations[${index}]`;
    const key = stringAt(annotation, 'key');
    if (key === '') errors.push(required(`${at}.key`));
    else {
      for (const fault of qualifiedNameFaults(key)) errors.push(invalidValue(`${at}.key`, key, fault));
    }
    if (keys.has(key)) errors.push(duplicateValue(`${at}.key`, key));
    keys.add(key);
    const value = stringAt(annotation, 'valueExpression').trim();
    if (value === '') errors.push(required(`${at}.valueExpression`));
    else errors.push(...validateExpression(value, `${at}.valueExpression`, names, ['string', 'null']));
  });
  return errors;
}

function validateValidation(validation: JsonObject, at: string, names: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const expression = stringAt(validation, 'expression').trim();
  if (expression === '') errors.push(required(`${at}.expression`, 'expression is not specified'));
  else errors.push(...validateExpression(expression, `${at}.expression`, names, ['bool']));
  const given = stringAt(validation, 'message');
  const message = given.trim();
  if (given !== '' && message === '') {
    errors.push(invalidValue(`${at}.message`, given, 'message must be non-empty if specified'));
  } else if (message.includes('\n')) {
    errors.push(invalidValue(`${at}.message`, given, 'message must not contain line breaks'));
  } else if (message === '' && expression.includes('\n')) {
    errors.push(required(`${at}.message`, 'message must be specified if expression contains line breaks'));
  }
  const dynamic = stringAt(validation, 'messageExpression');
  if (dynamic !== '' && dynamic.trim() === '') {
    errors.push(invalidValue(`${at}.messageExpression`, dynamic, 'must be non-empty if specified'));
  } else if (dynamic !== '') {
    // A message may not ask what the sender is allowed to do.
    const allowed = names.filter((name) => name !== 'authorizer');
    errors.push(...validateExpression(dynamic, `${at}.messageExpression`, allowed, ['string']));
  }
  const reason = validation['reason'];
  if (typeof reason === 'string' && !REASONS.includes(reason)) {
    errors.push(notSupported(`${at}.reason`, reason, REASONS));
  }
  return errors;
}

/** Checks a MutatingAdmissionPolicy, less its metadata. */
export function validateMutatingPolicy(policy: JsonObject): FieldError[] {
  const spec = objectAt(policy, 'spec') ?? {};
  const errors = validatePolicyHead(spec);
  const names = namesFor(spec);
  const mutations = objectsAt(spec, 'mutations');
  if (mutations.length === 0)
    errors.push(required('spec.mutations', 'mutations must contain at least one item'));
  mutations.forEach((mutation, index) => {
    const at = `spec.mutations[${index}]`;
    const type = stringAt(mutation, 'patchType');
    const kinds: Readonly<Record<string, string>> = {
      ApplyConfiguration: 'applyConfiguration',
      JSONPatch: 'jsonPatch',
    };
    const key = Object.hasOwn(kinds, type) ? kinds[type] : undefined;
    if (type === '') errors.push(required(`${at}.patchType`));
    else if (key === undefined) errors.push(notSupported(`${at}.patchType`, type, Object.keys(kinds)));
    else {
      const expression = stringAt(objectAt(mutation, key), 'expression');
      if (expression.trim() === '') errors.push(required(`${at}.${key}.expression`));
      else errors.push(...validateExpression(expression, `${at}.${key}.expression`, names, []));
    }
    for (const other of Object.values(kinds)) {
      if (other !== key && mutation[other] !== undefined) {
        errors.push(
          invalidValue(
            `${at}.${other}`,
            mutation[other],
            `${other} must not be specified for patchType ${type}`,
          ),
        );
      }
    }
  });
  const again = stringAt(spec, 'reinvocationPolicy');
  if (again === '') errors.push(required('spec.reinvocationPolicy'));
  else if (again !== 'Never' && again !== 'IfNeeded') {
    errors.push(notSupported('spec.reinvocationPolicy', again, ['IfNeeded', 'Never']));
  }
  return errors;
}

function validatePolicyHead(spec: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const policy = stringAt(spec, 'failurePolicy');
  if (policy === '') errors.push(required('spec.failurePolicy'));
  else if (policy !== 'Fail' && policy !== 'Ignore') {
    errors.push(notSupported('spec.failurePolicy', policy, ['Fail', 'Ignore']));
  }
  const kind = objectAt(spec, 'paramKind');
  if (kind !== undefined) {
    for (const key of ['apiVersion', 'kind']) {
      if (stringAt(kind, key) === '') errors.push(required(`spec.paramKind.${key}`));
    }
  }
  const constraints = objectAt(spec, 'matchConstraints');
  if (constraints === undefined) errors.push(required('spec.matchConstraints'));
  else {
    errors.push(...validateMatch(constraints, 'spec.matchConstraints'));
    if (objectsAt(constraints, 'resourceRules').length === 0) {
      errors.push(required('spec.matchConstraints.resourceRules'));
    }
  }
  const names = namesFor(spec);
  const declared = new Set<string>();
  objectsAt(spec, 'variables').forEach((variable, index) => {
    const at = `spec.variables[${index}]`;
    const name = stringAt(variable, 'name');
    if (name === '') errors.push(required(`${at}.name`, 'name is not specified'));
    else if (!IDENTIFIER.test(name)) {
      errors.push(invalidValue(`${at}.name`, name, 'name is not a valid CEL identifier'));
    }
    if (declared.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    declared.add(name);
    const expression = stringAt(variable, 'expression').trim();
    if (expression === '') errors.push(required(`${at}.expression`, 'expression is not specified'));
    else errors.push(...validateExpression(expression, `${at}.expression`, names, []));
  });
  errors.push(
    ...validateConditions(
      objectsAt(spec, 'matchConditions'),
      'spec.matchConditions',
      names.filter((name) => name !== 'variables' && name !== 'namespaceObject'),
    ),
  );
  return errors;
}

function validateMatch(match: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const policy = match['matchPolicy'];
  if (policy === undefined) errors.push(required(`${at}.matchPolicy`));
  else if (policy !== 'Equivalent' && policy !== 'Exact') {
    errors.push(notSupported(`${at}.matchPolicy`, policy, ['Equivalent', 'Exact']));
  }
  for (const key of ['namespaceSelector', 'objectSelector']) {
    if (objectAt(match, key) === undefined) errors.push(required(`${at}.${key}`));
    else errors.push(...validateLabelSelector(objectAt(match, key), `${at}.${key}`));
  }
  for (const key of ['resourceRules', 'excludeResourceRules']) {
    objectsAt(match, key).forEach((rule, index) => {
      errors.push(...validateRule(rule, `${at}.${key}[${index}]`));
    });
  }
  return errors;
}

/** Checks the binding of an admission policy, less its metadata. */
export function validatePolicyBinding(binding: JsonObject): FieldError[] {
  const spec = objectAt(binding, 'spec') ?? {};
  const errors: FieldError[] = [];
  const name = stringAt(spec, 'policyName');
  if (name === '') errors.push(required('spec.policyName'));
  else for (const fault of subdomainFaults(name)) errors.push(invalidValue('spec.policyName', name, fault));
  errors.push(...validateParamRef(objectAt(spec, 'paramRef')));
  const match = objectAt(spec, 'matchResources');
  if (match !== undefined) errors.push(...validateMatch(match, 'spec.matchResources'));
  if (binding['kind'] === 'MutatingAdmissionPolicyBinding') return errors;
  const actions = stringsAt(spec, 'validationActions');
  const at = 'spec.validationActions';
  if (actions.length === 0) errors.push(required(at, 'at least one validation action is required'));
  const seen = new Set<string>();
  actions.forEach((action, index) => {
    if (!ACTIONS.includes(action)) errors.push(notSupported(`${at}[${index}]`, action, ACTIONS));
    if (seen.has(action)) errors.push(duplicateValue(`${at}[${index}]`, action));
    seen.add(action);
  });
  if (seen.has('Deny') && seen.has('Warn')) {
    errors.push(
      invalidValue(
        at,
        actions,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API ' +
          'response and headers serves no purpose)',
      ),
    );
  }
  return errors;
}

function validateParamRef(ref: JsonObject | undefined): FieldError[] {
  if (ref === undefined) return [];
  const errors: FieldError[] = [];
  const name = stringAt(ref, 'name');
  const selector = objectAt(ref, 'selector');
  if (name !== '') {
    for (const fault of subdomainFaults(name)) errors.push(invalidValue('spec.paramRef.name', name, fault));
    if (selector !== undefined) {
      errors.push(forbiddenField('spec.paramRef.name', 'name and selector are mutually exclusive'));
    }
  }
  if (selector !== undefined) {
    errors.push(...validateLabelSelector(selector, 'spec.paramRef.selector'));
    if (name !== '') {
      errors.push(forbiddenField('spec.paramRef.selector', 'name and selector are mutually exclusive'));
    }
  }
  if (name === '' && selector === undefined) {
    errors.push(required('spec.paramRef', 'one of name or selector must be specified'));
  }
  const action = ref['parameterNotFoundAction'];
  const at = 'spec.paramRef.parameterNotFoundAction';
  if (action === undefined || action === '') errors.push(required(at, 'parameterNotFoundAction is required'));
  else if (action !== 'Allow' && action !== 'Deny') errors.push(notSupported(at, action, ['Deny', 'Allow']));
  return errors;
}
