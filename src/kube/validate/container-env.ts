import { invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { canonicalQuantity, compareQuantities } from '../quantity.ts';
import {
  configKeyFaults,
  envNameFaults,
  labelNameFaults,
  qualifiedNameFaults,
  subdomainFaults,
} from './name-rules.ts';
import { validateFilePath } from './volume-paths.ts';

const ENV_SOURCES = [
  'fieldRef',
  'resourceFieldRef',
  'configMapKeyRef',
  'secretKeyRef',
  'fileKeyRef',
] as const;

/** Fields of a Pod that an environment variable may show; labels and annotations by key besides. */
const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

const RESOURCE_FIELDS = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

/** Checks the environment variables of a container. */
export function validateEnv(env: readonly JsonObject[], path: string): FieldError[] {
  return env.flatMap((entry, index) => {
    const at = `${path}[${index}]`;
    const name = stringAt(entry, 'name');
    const errors: FieldError[] =
      name === ''
        ? [required(`${at}.name`)]
        : envNameFaults(name).map((fault) => invalidValue(`${at}.name`, name, fault));
    const source = objectAt(entry, 'valueFrom');
    if (source !== undefined) errors.push(...validateValueFrom(entry, source, `${at}.valueFrom`));
    return errors;
  });
}

function validateValueFrom(entry: JsonObject, source: JsonObject, path: string): FieldError[] {
  const given = ENV_SOURCES.filter((name) => objectAt(source, name) !== undefined);
  const errors: FieldError[] = [];
  const fieldRef = objectAt(source, 'fieldRef');
  if (fieldRef !== undefined) errors.push(...validateFieldRef(fieldRef, `${path}.fieldRef`, ENV_FIELDS));
  const resourceRef = objectAt(source, 'resourceFieldRef');
  if (resourceRef !== undefined)
    errors.push(...validateResourceRef(resourceRef, `${path}.resourceFieldRef`, false));
  for (const name of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = objectAt(source, name);
    if (ref !== undefined) errors.push(...validateKeyRef(ref, `${path}.${name}`));
  }
  const fileRef = objectAt(source, 'fileKeyRef');
  if (fileRef !== undefined) errors.push(...validateFileRef(fileRef, `${path}.fileKeyRef`));
  if (given.length === 0) {
    errors.push(
      invalidValue(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  } else if (stringAt(entry, 'value') !== '') {
    errors.push(invalidValue(path, '', 'may not be specified when `value` is not empty'));
  } else if (given.length > 1) {
    errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'));
  }
  return errors;
}

/** Checks a reference to a field of the Pod; `allowed` are those without a key in brackets. */
export function validateFieldRef(ref: JsonObject, path: string, allowed: readonly string[]): FieldError[] {
  const version = stringAt(ref, 'apiVersion');
  if (version === '') return [required(`${path}.apiVersion`)];
  const field = stringAt(ref, 'fieldPath');
  if (field === '') return [required(`${path}.fieldPath`)];
  const unknown = (what: string): FieldError[] => [
    invalidValue(`${path}.fieldPath`, field, `error converting fieldPath: ${what}`),
  ];
  if (version !== 'v1') return unknown(`unsupported pod version: ${version}`);
  const subscript = /^([^[]+)\['(.*)'\]$/.exec(field);
  if (subscript !== null) {
    const [, owner = '', key = ''] = subscript;
    if (owner !== 'metadata.annotations' && owner !== 'metadata.labels') {
      return unknown(`field label does not support subscript: ${field}`);
    }
    const text = owner === 'metadata.annotations' ? key.toLowerCase() : key;
    return qualifiedNameFaults(text).map((fault) => invalidValue(path, text, fault));
  }
  if (allowed.includes(field)) return [];
  if (!KNOWN_FIELDS.has(field)) return unknown(`field label not supported: ${field}`);
  return [notSupported(`${path}.fieldPath`, field, allowed)];
}

/** Fields that exist for references at all; which of them may be used depends on the place. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  ...ENV_FIELDS,
  'metadata.annotations',
  'metadata.labels',
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
]);

const SIZE_DIVISORS = [
  '1',
  ...['k', 'M', 'G', 'T', 'P', 'E', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((unit) => `1${unit}`),
];

/** Checks a reference to a container's requests or limits. */
export function validateResourceRef(ref: JsonObject, path: string, inVolume: boolean): FieldError[] {
  const resource = stringAt(ref, 'resource');
  const errors: FieldError[] = [];
  const isHugePages = /^(requests|limits)\.hugepages-/.test(resource);
  if (inVolume && stringAt(ref, 'containerName') === '') errors.push(required(`${path}.containerName`));
  else if (resource === '') errors.push(required(`${path}.resource`));
  else if (!RESOURCE_FIELDS.includes(resource) && !isHugePages) {
    errors.push(notSupported(`${path}.resource`, resource, RESOURCE_FIELDS));
  }
  const divisor = ref['divisor'];
  if (typeof divisor !== 'string' && typeof divisor !== 'number') return errors;
  if (compareQuantities(divisor, 0) === 0) return errors;
  const [known, list, what] = divisorsOf(resource, isHugePages);
  if (what !== '' && !known.includes(canonicalQuantity(divisor))) {
    errors.push(
      invalidValue(
        `${path}.divisor`,
        resource,
        `only divisor's values ${list} are supported with the ${what} resource`,
      ),
    );
  }
  return errors;
}

function divisorsOf(resource: string, isHugePages: boolean): readonly [readonly string[], string, string] {
  const sizes = SIZE_DIVISORS.join(', ');
  if (resource.endsWith('.cpu')) return [['1m', '1'], '1m and 1', 'cpu'];
  if (resource.endsWith('.memory')) return [SIZE_DIVISORS, sizes, 'memory'];
  if (resource.endsWith('.ephemeral-storage')) return [SIZE_DIVISORS, sizes, 'local ephemeral storage'];
  return isHugePages ? [SIZE_DIVISORS, sizes, 'hugepages'] : [[], '', ''];
}

function validateKeyRef(ref: JsonObject, path: string): FieldError[] {
  const name = stringAt(ref, 'name');
  const errors = subdomainFaults(name).map((fault) => invalidValue(`${path}.name`, name, fault));
  const key = stringAt(ref, 'key');
  if (key === '') errors.push(required(`${path}.key`));
  else errors.push(...configKeyFaults(key).map((fault) => invalidValue(`${path}.key`, key, fault)));
  return errors;
}

/** Checks a reference to a line of a file in a volume; whether the volume is there, the node says. */
function validateFileRef(ref: JsonObject, path: string): FieldError[] {
  const key = stringAt(ref, 'key');
  const volume = stringAt(ref, 'volumeName');
  const file = stringAt(ref, 'path');
  const errors: FieldError[] = [];
  if (key === '') errors.push(required(`${path}.key`));
  else errors.push(...envNameFaults(key).map((fault) => invalidValue(`${path}.key`, key, fault)));
  if (volume === '') errors.push(required(`${path}.volumeName`));
  else {
    const faults = labelNameFaults(volume);
    errors.push(...faults.map((fault) => invalidValue(`${path}.volumeName`, volume, fault)));
  }
  if (file === '') return [...errors, required(`${path}.path`)];
  return [...errors, ...validateFilePath(file, `${path}.path`)];
}

/** Checks where a container takes whole sets
 of variables from. */
export function validateEnvFrom(sources: readonly JsonObject[], path: string): FieldError[] {
  return sources.flatMap((source, index) => {
    const at = `${path}[${index}]`;
    const prefix = stringAt(source, 'prefix');
    const errors =
      prefix === '' ? [] : envNameFaults(prefix).map((fault) => invalidValue(`${at}.prefix`, prefix, fault));
    const given = ['configMapRef', 'secretRef'].filter((name) => objectAt(source, name) !== undefined);
    for (const kind of given) {
      const name = stringAt(objectAt(source, kind), 'name');
      if (name === '') errors.push(required(`${at}.${kind}.name`));
      // What a name may be is asked as of the start of one: it may end as no whole name does.
      else {
        const faults = subdomainFaults(name.replace(/[-.]$/, 'a'));
        errors.push(...faults.map((fault) => invalidValue(`${at}.${kind}.name`, name, fault)));
      }
    }
    // Unlike the errors above, these two name the whole list.
    if (given.length === 0) {
      errors.push(invalidValue(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    } else if (given.length > 1) {
      errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}
