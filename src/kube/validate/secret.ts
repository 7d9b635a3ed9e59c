import { isDeepStrictEqual } from 'node:util';

import { forbiddenField, invalidValue, required, tooLong, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { isObject } from '../json/own-property.ts';
import { JsonError, parseJson } from '../json/parse-json.ts';
import { validateImmutable } from './metadata.ts';
import { configKeyFaults } from './name-rules.ts';

/** All values of one Secret or ConfigMap together, in bytes (rule 7.1). */
export const maxSecretBytes = 1024 * 1024;

/** A secret's content must not reach an error text. */
const REDACTED = '<secret contents redacted>';

/** Types whose data needs certain keys, and how the values must look (rules 7.2 and 7.3). */
const DOCKER_KEYS: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/dockercfg', '.dockercfg'],
  ['kubernetes.io/dockerconfigjson', '.dockerconfigjson'],
]);

/** Checks the data of a Secret, less its metadata. */
export function validateSecret(secret: JsonObject): FieldError[] {
  const data = stringMapAt(secret, 'data');
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const key of Object.keys(data).toSorted()) {
    for (const fault of configKeyFaults(key)) errors.push(invalidValue(`data[${key}]`, key, fault));
    bytes += Buffer.byteLength(data[key] ?? '', 'base64');
  }
  if (bytes > maxSecretBytes) errors.push(tooLong('data', maxSecretBytes));
  errors.push(...validateType(secret, data));
  return errors;
}

/** Checks a changed Secret, less its metadata: the type stays, and `immutable` freezes the data (rule 7.4). */
export function validateSecretUpdate(secret: JsonObject, old: JsonObject): FieldError[] {
  return [
    ...validateImmutable(secret['type'], old['type'], 'type'),
    ...validateFrozen(secret, old, ['data']),
    ...validateSecret(secret),
  ];
}

/** Checks that an immutable Secret or ConfigMap stays immutable and keeps its data. */
export function validateFrozen(object: JsonObject, old: JsonObject, parts: readonly string[]): FieldError[] {
  if (old['immutable'] !== true) return [];
  const frozen = 'field is immutable when `immutable` is set';
  const errors: FieldError[] = [];
  if (object['immutable'] !== true) errors.push(forbiddenField('immutable', frozen));
  for (const part of parts) {
    if (!isDeepStrictEqual(objectAt(object, part) ?? {}, objectAt(old, part) ?? {})) {
      errors.push(forbiddenField(part, frozen));
    }
  }
  return errors;
}

function validateType(secret: JsonObject, data: Readonly<Record<string, string>>): FieldError[] {
  const type = stringAt(secret, 'type');
  const dockerKey = DOCKER_KEYS.get(type);
  if (dockerKey !== undefined) return validateDockerConfig(data, dockerKey);
  switch (type) {
    case 'kubernetes.io/service-account-token': {
      const annotations = stringMapAt(objectAt(secret, 'metadata'), 'annotations');
      if ((annotations['kubernetes.io/service-account.name'] ?? '') !== '') return [];
      return [required('metadata.annotations[kubernetes.io/service-account.name]')];
    }
    case 'kubernetes.io/basic-auth':
      if (has(data, 'username') || has(data, 'password')) return [];
      return [required('data[username]'), required('data[password]')];
    case 'kubernetes.io/ssh-auth':
      return (data['ssh-privatekey'] ?? '') === '' ? [required('data[ssh-privatekey]')] : [];
    case 'kubernetes.io/tls':
      return ['tls.crt', 'tls.key'].filter((key) => !has(data, key)).map((key) => required(`data[${key}]`));
    default:
      return [];
  }
}

function has(data: Readonly<Record<string, string>>, key: string): boolean {
  return Object.hasOwn(data, key);
}

/** The value must be a JSON object or null; what stands in it is for the node to judge. */
function validateDockerConfig(data: Readonly<Record<string, string>>, key: string): FieldError[] {
  if (!has(data, key)) return [required(`data[${key}]`)];
  const fault = dockerConfigFault(Buffer.from(data[key] ?? '', 'base64').toString('utf8'));
  return fault === undefined ? [] : [invalidValue(`data[${key}]`, REDACTED, fault)];
}

function dockerConfigFault(text: string): string | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return error.message;
    throw error;
  }
  if (value === null || isObject(value)) return undefined;
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  return `json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`;
}
