import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { validateNonNegative } from './metadata.ts';
import { headerNameFaults, portNameFaults, portNumberFaults } from './name-rules.ts';

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

const TIMES = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
];

/** Checks a probe of one of the three kinds. */
export function validateProbe(
  probe: JsonObject | undefined,
  path: string,
  kind: 'livenessProbe' | 'readinessProbe' | 'startupProbe',
): FieldError[] {
  if (probe === undefined) return [];
  const errors = validateHandler(probe, path, 0);
  for (const key of TIMES) errors.push(...validateNonNegative(probe, key, path));
  const grace = numberAt(probe, 'terminationGracePeriodSeconds');
  const at = `${path}.terminationGracePeriodSeconds`;
  if (grace !== undefined && grace <= 0) errors.push(invalidValue(at, grace, 'must be greater than 0'));
  if (kind === 'readinessProbe') {
    if (grace !== undefined) errors.push(invalidValue(at, grace, 'must not be set for readinessProbes'));
  } else if (numberAt(probe, 'successThreshold') !== 1) {
    errors.push(invalidValue(`${path}.successThreshold`, probe['successThreshold'] ?? 0, 'must be 1'));
  }
  return errors;
}

/** Checks the one action of a probe or hook; hooks may sleep no longer than the Pod has to end. */
export function validateHandler(
  handler: JsonObject | undefined,
  path: string,
  graceSeconds: number,
): FieldError[] {
  if (handler === undefined) return [];
  const given = HANDLERS.filter((name) => objectAt(handler, name) !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return [required(path, 'must specify a handler type')];
  const errors = others.map((name) =>
    forbiddenField(`${path}.${name}`, 'may not specify more than 1 handler type'),
  );
  const action = objectAt(handler, first) ?? {};
  return [...validateAction(first, action, `${path}.${first}`, graceSeconds), ...errors];
}

function validateAction(
  name: (typeof HANDLERS)[number],
  action: JsonObject,
  path: string,
  graceSeconds: number,
): FieldError[] {
  switch (name) {
    case 'exec':
      return stringsAt(action, 'command').length === 0 ? [required(`${path}.command`)] : [];
    case 'httpGet':
      return validateHttpGet(action, path);
    case 'tcpSocket':
    case 'grpc':
      return validatePort(action['port'], `${path}.port`);
    case 'sleep': {
      const seconds = numberAt(action, 'seconds') ?? 0;
      if (seconds >= 0 && seconds <= graceSeconds) return [];
      const why = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
      return [invalidValue(path, seconds, why)];
    }
    default:
      return name satisfies never;
  }
}

function validateHttpGet(action: JsonObject, path: string): FieldError[] {
  const errors = stringAt(action, 'path') === '' ? [required(`${path}.path`)] : [];
  errors.push(...validatePort(action['port'], `${path}.port`));
  const scheme = stringAt(action, 'scheme');
  if (scheme !== 'HTTP' && scheme !== 'HTTPS') {
    errors.push(notSupported(`${path}.scheme`, scheme, ['HTTP', 'HTTPS']));
  }
  for (const header of objectsAt(action, 'httpHeaders')) {
    const name = stringAt(header, 'name');
    const faults = headerNameFaults(name);
    errors.push(...faults.map((fault) => invalidValue(`${path}.httpHeaders`, name, fault)));
  }
  return errors;
}

function validatePort(port: unknown, path: string): FieldError[] {
  if (typeof port === 'string') return portNameFaults(port).map((fault) => invalidValue(path, port, fault));
  const number = typeof port === 'number' ? port : 0;
  return portNumberFaults(number).map((fault) => invalidValue(path, number, fault));
}
