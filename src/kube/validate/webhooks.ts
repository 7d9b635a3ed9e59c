import { goQuote } from '../../base/go-quote.ts';
import { messageOf } from '../../base/coded-error.ts';
import { CelError } from '../cel/cel-error.ts';
import { compileCel } from '../cel/cel-program.ts';
import {
  duplicateValue,
  invalidValue,
  notSupported,
  required,
  tooMany,
  type FieldError,
} from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { validateLabelSelector } from './metadata.ts';
import { dns1035Faults, portNumberFaults, qualifiedNameFaults, subdomainFaults } from './name-rules.ts';

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const SCOPES = ['*', 'Cluster', 'Namespaced'];
/** kube-apiserver's own bound on conditions of one webhook or policy. */
const MAX_CONDITIONS = 64;
const REVIEW_VERSIONS = ['v1', 'v1beta1'];
const MATCH_VARIABLES = ['object', 'oldObject', 'request', 'authorizer'];

/** Checks a MutatingWebhookConfiguration or ValidatingWebhookConfiguration, less its metadata. */
export function validateWebhookConfiguration(configuration: JsonObject): FieldError[] {
  const names = new Set<string>();
  return objectsAt(configuration, 'webhooks').flatMap((webhook, index) => {
    const at = `webhooks[${index}]`;
    const errors = validateWebhook(webhook, at, configuration['kind'] === 'MutatingWebhookConfiguration');
    errors.push(...validateReviewVersions(webhook, at));
    const name = stringAt(webhook, 'name');
    if (names.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    names.add(name);
    return errors;
  });
}

function validateReviewVersions(webhook: JsonObject, at: string): FieldError[] {
  const field = `${at}.admissionReviewVersions`;
  const versions = stringsAt(webhook, 'admissionReviewVersions');
  if (versions.length === 0) return [required(field, `must specify one of ${REVIEW_VERSIONS.join(', ')}`)];
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  versions.forEach((version, index) => {
    if (seen.has(version)) errors.push(invalidValue(`${field}[${index}]`, version, 'duplicate version'));
    seen.add(version);
    for (const fault of dns1035Faults(version))
      errors.push(invalidValue(`${field}[${index}]`, version, fault));
  });
  // Only v1 is spoken here; a webhook that knows nothing else could never be asked.
  if (!versions.includes('v1')) {
    const why = versions.includes('v1beta1')
      ? 'must include v1: v1beta1 is not served'
      : `must include at least one of ${REVIEW_VERSIONS.join(', ')}`;
    errors.push(invalidValue(field, versions, why));
  }
  return errors;
}

function validateWebhook(webhook: JsonObject, at: string, mutating: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(webhook, 'name');
  errors.push(...validateFullName(name, `${at}.name`));
  objectsAt(webhook, 'rules').forEach((rule, index) => {
    errors.push(...validateRule(rule, `${at}.rules[${index}]`));
  });
  errors.push(...oneOf(webhook, 'failurePolicy', ['Fail', 'Ignore'], at));
  errors.push(...oneOf(webhook, 'matchPolicy', ['Equivalent', 'Exact'], at));
  const effects = webhook['sideEffects'];
  if (effects === undefined)
    errors.push(required(`${at}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
  else errors.push(...oneOf(webhook, 'sideEffects', ['None', 'NoneOnDryRun'], at));
  const seconds = numberAt(webhook, 'timeoutSeconds');
  if (seconds !== undefined && (seconds < 1 || seconds > 30)) {
    errors.push(
      invalidValue(`${at}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'),
    );
  }
  for (const key of ['namespaceSelector', 'objectSelector']) {
    errors.push(...validateLabelSelector(objectAt(webhook, key), `${at}.${key}`));
  }
  errors.push(...validateClientConfig(objectAt(webhook, 'clientConfig') ?? {}, `${at}.clientConfig`));
  errors.push(
    ...validateConditions(objectsAt(webhook, 'matchConditions'), `${at}.matchConditions`, MATCH_VARIABLES),
  );
  if (mutating) errors.push(...oneOf(webhook, 'reinvocationPolicy', ['IfNeeded', 'Never'], at));
  return errors;
}

/** Checks that a name could be a domain of the webhook's owner: `what.who.tld`. */
function validateFullName(name: string, field: string): FieldError[] {
  if (name === '') return [required(field)];
  const faults = subdomainFaults(name).map((fault) => invalidValue(field, name, fault));
  if (faults.length > 0) return faults;
  return name.split('.').length < 3
    ? [invalidValue(field, name, 'should be a domain with at least three segments separated by dots')]
    : [];
}

/** Checks which operations on which resources a webhook or policy is about. */
export function validateRule(rule: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const list = (key: string, what: string): string[] => {
    const values = stringsAt(rule, key);
    if (values.length === 0) errors.push(required(`${at}.${key}`));
    if (values.length > 1 && values.includes('*')) {
      errors.push(invalidValue(`${at}.${key}`, values, `if '*' is present, must not specify other ${what}`));
    }
    return values;
  };
  list('operations', 'operations').forEach((operation, index) => {
    if (!OPERATIONS.includes(operation)) {
      errors.push(notSupported(`${at}.operations[${index}]`, operation, OPERATIONS));
    }
  });
  list('apiGroups', 'API groups');
  list('apiVersions', 'API versions').forEach((version, index) => {
    if (version === '') errors.push(required(`${at}.apiVersions[${index}]`));
  });
  const resources = stringsAt(rule, 'resources');
  if (resources.length === 0) errors.push(required(`${at}.resources`));
  resources.forEach((resource, index) => {
    if (resource === '') errors.push(required(`${at}.resources[${index}]`));
    if (resource.split('/').length > 2) {
      errors.push(
        invalidValue(`${at}.resources[${index}]`, resource, 'must be resource or resource/subresource'),
      );
    }
  });
  if (resources.length > 1 && resources.includes('*/*')) {
    errors.push(
      invalidValue(`${at}.resources`, resources, "if '*/*' is present, must not specify other resources"),
    );
  } else if (resources.includes('*') && resources.some((each) => each !== '*' && !each.includes('/'))) {
    errors.push(
      invalidValue(
        `${at}.resources`,
        resources,
        "if '*' is present, must not specify other resources without subresources",
      ),
    );
  }
  const scope = rule['scope'];
  if (typeof scope === 'string' && !SCOPES.includes(scope)) {
    errors.push(notSupported(`${at}.scope`, scope, SCOPES));
  }
  return errors;
}

function validateClientConfig(config: JsonObject, at: string): FieldError[] {
  const { url, service } = config;
  if ((url === undefined) === (service === undefined)) {
    return [required(at, 'exactly one of url or service is required')];
  }
  if (typeof url === 'string') return validateUrl(url, `${at}.url`);
  const place = objectAt(config, 'service') ?? {};
  const errors: FieldError[] = [];
  if (stringAt(place, 'name') === '') errors.push(required(`${at}.service.name`, 'service name is required'));
  if (stringAt(place, 'namespace') === '') {
    errors.push(required(`${at}.service.namespace`, 'service namespace is required'));
  }
  errors.push(...validateServicePath(place['path'], `${at}.service.path`));
  const port = numberAt(place, 'port') ?? 443;
  for (const fault of portNumberFaults(port)) {
    errors.push(invalidValue(`${at}.service.port`, port, `port is not valid: ${fault}`));
  }
  return errors;
}

function validateServicePath(path: unknown, field: string): FieldError[] {
  if (typeof path !== 'string' || path === '/') return [];
  if (!path.startsWith('/')) {
    return [invalidValue(field, path, "must start with a '/'")];
  }
  const steps = path.replace(/^\//, '').replace(/\/$/, '').split('/');
  return steps.flatMap((step, index) => {
    if (step === '') return [invalidValue(field, path, `segment[${index}] may not be empty`)];
    return subdomainFaults(step).map((fault) => invalidValue(field, path, `segment[${index}]: ${fault}`));
  });
}

function validateUrl(url: string, field: string): FieldError[] {
  const form = '; desired format: https://host[:port]/path';
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/i.exec(url);
  const errors: FieldError[] = [];
  const scheme = match?.[1] ?? '';
  if (scheme !== 'https') {
    errors.push(invalidValue(field, scheme, `'https' is the only allowed URL scheme${form}`));
  }
  const [user, host] = splitAuthority(match?.[2] ?? '');
  if (host === '') errors.push(invalidValue(field, '', `host must be specified${form}`));
  else if (!URL.canParse(url)) {
    errors.push(
      invalidValue(field, url, `url must be a valid URL: parse ${goQuote(url)}: invalid host${form}`),
    );
  }
  // Whatever stands there may be a password: it is not repeated.
  if (user !== undefined)
    errors.push(invalidValue(field, '', 'user information is not permitted in the URL'));
  const fragment = (match?.[5] ?? '').slice(1);
  if (fragment !== '') errors.push(invalidValue(field, fragment, 'fragments are not permitted in the URL'));
  const query = (match?.[4] ?? '').slice(1);
  if (query !== '') errors.push(invalidValue(field, query, 'query parameters are not permitted in the URL'));
  return errors;
}

function splitAuthority(authority: string): [user: string | undefined, host: string] {
  const at = authority.lastIndexOf('@');
  return at < 0 ? [undefined, authority] : [authority.slice(0, at), authority.slice(at + 1)];
}

/** Checks conditions under which a webhook or policy is asked at all. */
export function validateConditions(
  conditions: readonly JsonObject[],
  at: string,
  variables: readonly string[],
): FieldError[] {
  const errors: FieldError[] = [];
  if (conditions.length > MAX_CONDITIONS) errors.push(tooMany(at, conditions.length, MAX_CONDITIONS));
  const names = new Set<string>();
  conditions.forEach((condition, index) => {
    const name = stringAt(condition, 'name');
    const expression = stringAt(condition, 'expression');
    if (expression.trim() === '') errors.push(required(`${at}[${index}].expression`));
    else errors.push(...validateExpression(expression, `${at}[${index}].expression`, variables, ['bool']));
    if (name === '') errors.push(required(`${at}[${index}].name`));
    else {
      for (const fault of qualifiedNameFaults(name))
        errors.push(invalidValue(`${at}[${index}].name`, name, fault));
    }
    if (names.has(name)) errors.push(duplicateValue(`${at}[${index}].name`, name));
    names.add(name);
  });
  return errors;
}

/** Checks that an expression compiles and gives one of the types; any when none is named. */
export function validateExpression(
  expression: string,
  field: string,
  variables: readonly string[],
  types: readonly string[],
): FieldError[] {
  try {
    const { type } = compileCel(expression, variables);
    if (types.length === 0 || types.includes(type) || type === 'dyn') return [];
    const why =
      types.length === 1
        ? `must evaluate to ${types[0]}`
        : `must evaluate to one of the types ${types.join(', ')}`;
    return [invalidValue(field, expression, why)];
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return [invalidValue(field, expression, messageOf(error))];
  }
}

function oneOf(parent: JsonObject, key: string, allowed: readonly string[], at: string): FieldError[] {
  const value = parent[key];
  if (typeof value !== 'string' || allowed.includes(value)) return [];
  return [notSupported(`${at}.${key}`, value, allowed)];
}
