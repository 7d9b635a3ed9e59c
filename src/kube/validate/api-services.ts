import { invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { metadataOf } from './metadata.ts';
import { dns1035Faults, pathSegmentFaults, subdomainFaults } from './name-rules.ts';

/** Checks an APIService, less what any metadata must satisfy. */
export function validateApiService(apiService: JsonObject): FieldError[] {
  const spec = objectAt(apiService, 'spec');
  const group = stringAt(spec, 'group');
  const version = stringAt(spec, 'version');
  const errors = validateName(stringAt(metadataOf(apiService), 'name'), `${version}.${group}`);
  if (group === '' && version !== 'v1') {
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  }
  if (group !== '') {
    for (const fault of subdomainFaults(group)) errors.push(invalidValue('spec.group', group, fault));
  }
  for (const fault of dns1035Faults(version)) errors.push(invalidValue('spec.version', version, fault));
  for (const [field, most] of [
    ['groupPriorityMinimum', 20_000],
    ['versionPriority', 1000],
  ] as const) {
    const place = numberAt(spec, field) ?? 0;
    if (place <= 0 || place > most) {
      errors.push(invalidValue(`spec.${field}`, place, `must be positive and less than ${most}`));
    }
  }
  return [...errors, ...validateServer(spec)];
}

function validateName(name: string, wanted: string): FieldError[] {
  if (name === '' || name === wanted || pathSegmentFaults(name).length > 0) return [];
  return [invalidValue('metadata.name', name, `must be \`spec.version+"."+spec.group\`: "${wanted}"`)];
}

function validateServer(spec: JsonObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const service = objectAt(spec, 'service');
  const bundle = Buffer.byteLength(stringAt(spec, 'caBundle'), 'base64');
  const isUnchecked = spec?.['insecureSkipTLSVerify'] === true;
  if (service === undefined) {
    if (bundle > 0) {
      const why = 'local APIServices may not have a caBundle';
      errors.push(invalidValue('spec.caBundle', `${bundle} bytes`, why));
    }
    if (isUnchecked) {
      const why = 'local APIServices may not have insecureSkipTLSVerify';
      errors.push(invalidValue('spec.insecureSkipTLSVerify', true, why));
    }
    return errors;
  }
  for (const field of ['namespace', 'name'] as const) {
    if (stringAt(service, field) === '') errors.push(required(`spec.service.${field}`));
  }
  const port = numberAt(service, 'port') ?? 443;
  if (port < 1 || port > 65_535) {
    const why = 'port is not valid: must be between 1 and 65535, inclusive';
    errors.push(invalidValue('spec.service.port', port, why));
  }
  if (isUnchecked && bundle > 0) {
    errors.push(invalidValue('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  }
  return errors;
}

const STATUSES = ['True', 'False', 'Unknown'];

/** Checks what is said of an APIService. */
export function validateApiServiceStatus(apiService: JsonObject): FieldError[] {
  return objectsAt(objectAt(apiService, 'status'), 'conditions').flatMap((condition, index) => {
    const status = stringAt(condition, 'status');
    if (STATUSES.includes(status)) return [];
    return [notSupported(`status.conditions[${index}].status`, status, STATUSES)];
  });
}
