import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { portNameFaults, portNumberFaults } from './name-rules.ts';
import { validateNonNegative } from './metadata.ts';

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

/** Checks a probe; `once` demands a success threshold of one, as liveness and startup do. */
export function validateProbe(probe: JsonObject | undefined, path: string, once: boolean): FieldError[] {
  if (probe === undefined) return [];
  const errors = validateHandler(probe, path);
  for (const key of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    errors.push(...validateNonNegative(probe, key, path));
  }
  if (once && numberAt(probe, 'successThreshold') !== 1) {
    errors.push(invalidValue(`${path}.successThreshold`, probe['successThreshold'], 'must be 1'));
  }
  return errors;
}

/** Checks the one action of a probe or hook. */
export function validateHandler(handler: JsonObject | undefined, path: string): FieldError[] {
  if (handler === undefined) return [];
  const given = HANDLERS.filter((name) => objectAt(handler, name) !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return [required(path, 'must specify a handler type')];
  const errors = others.map((name) =>
    forbiddenField(`${path}.${name}`, 'may not specify more than 1 handler type'),
  );
  return [...validateAction(first, objectAt(handler, first) ?? {}, `${path}.${first}`), ...errors];
}

function validateAction(name: (typeof HANDLERS)[number], action: JsonObject, path: string): FieldError[] {
  switch (name) {
    case 'exec':
      return stringsAt(action, 'command').length === 0 ? [required(`${path}.command`)] : [];
    case 'httpGet': {
      const errors = stringAt(action, 'path') === '' ? [required(`${path}.path`)] : [];
      errors.push(...validatePort(action['port'], `${path}.port`));
      const scheme = stringAt(action, 'scheme');
      if (scheme !== 'HTTP' && scheme !== 'HTTPS') {
        errors.push(notSupported(`${path}.scheme`, scheme, ['HTTP', 'HTTPS']));
      }
      return errors;
    }
    case 'tcpSocket':
    case 'grpc':
      return validatePort(action['port'], `${path}.port`);
    case 'sleep':
      return [];
  }
}

function validatePort(port: unknown, path: string): FieldError[] {
  if (typeof port === 'string') return portNameFaults(port).map((fault) => invalidValue(path, port, fault));
  const number = typeof port === 'number' ? port : 0;
  return portNumberFaults(number).map((fault) => invalidValue(path, number, fault));
}
