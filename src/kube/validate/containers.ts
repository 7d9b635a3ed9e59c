import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  valueNotFound,
  type FieldError,
} from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { canonicalQuantity, compareQuantities } from '../quantity.ts';
import {
  configKeyFaults,
  envNameFaults,
  labelNameFaults,
  portNameFaults,
  portNumberFaults,
  qualifiedNameFaults,
} from './name-rules.ts';
import { validateHandler, validateProbe } from './probes.ts';
import { validatePullPolicy } from './pull-policy-field.ts';
import { validateRelativePath } from './volumes.ts';

/** Checks what containers of all three lists share, at `path`. */
export function validateContainer(
  container: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(container, 'name');
  if (name === '') errors.push(required(`${path}.name`));
  else errors.push(...labelNameFaults(name).map((fault) => invalidValue(`${path}.name`, name, fault)));
  if (stringAt(container, 'image') === '') errors.push(required(`${path}.image`));
  const messagePolicy = stringAt(container, 'terminationMessagePolicy');
  if (messagePolicy === '') errors.push(required(`${path}.terminationMessagePolicy`));
  else if (messagePolicy !== 'File' && messagePolicy !== 'FallbackToLogsOnError') {
    errors.push(
      notSupported(`${path}.terminationMessagePolicy`, messagePolicy, ['FallbackToLogsOnError', 'File']),
    );
  }
  errors.push(...validatePorts(objectsAt(container, 'ports'), `${path}.ports`));
  errors.push(...validateEnv(objectsAt(container, 'env'), `${path}.env`));
  errors.push(...validateEnvFrom(objectsAt(container, 'envFrom'), `${path}.envFrom`));
  errors.push(...validateMounts(objectsAt(container, 'volumeMounts'), volumes, `${path}.volumeMounts`));
  errors.push(...validatePullPolicy(stringAt(container, 'imagePullPolicy'), `${path}.imagePullPolicy`));
  errors.push(...validateResources(objectAt(container, 'resources'), `${path}.resources`));
  return errors;
}

/** Checks what only runs beside a container: life cycle hooks and probes. */
export function validateContainerLife(container: JsonObject, path: string): FieldError[] {
  const lifecycle = objectAt(container, 'lifecycle');
  return [
    ...validateHandler(objectAt(lifecycle, 'postStart'), `${path}.lifecycle.postStart`),
    ...validateHandler(objectAt(lifecycle, 'preStop'), `${path}.lifecycle.preStop`),
    ...validateProbe(objectAt(container, 'livenessProbe'), `${path}.livenessProbe`, true),
    ...validateProbe(objectAt(container, 'readinessProbe'), `${path}.readinessProbe`, false),
    ...validateProbe(objectAt(container, 'startupProbe'), `${path}.startupProbe`, true),
  ];
}

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

function validatePorts(ports: readonly JsonObject[], path: string): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const name = stringAt(port, 'name');
    if (name !== '') {
      const faults = portNameFaults(name);
      if (faults.length > 0) errors.push(...faults.map((fault) => invalidValue(`${at}.name`, name, fault)));
      else if (names.has(name)) errors.push(duplicateValue(`${at}.name`, name));
      else names.add(name);
    }
    const number = numberAt(port, 'containerPort') ?? 0;
    if (number === 0) errors.push(required(`${at}.containerPort`));
    else
      errors.push(
        ...portNumberFaults(number).map((fault) => invalidValue(`${at}.containerPort`, number, fault)),
      );
    const hostPort = numberAt(port, 'hostPort') ?? 0;
    if (hostPort !== 0) {
      errors.push(
        ...portNumberFaults(hostPort).map((fault) => invalidValue(`${at}.hostPort`, hostPort, fault)),
      );
    }
    const protocol = stringAt(port, 'protocol');
    if (protocol === '') errors.push(required(`${at}.protocol`));
    else if (!PROTOCOLS.includes(protocol)) errors.push(notSupported(`${at}.protocol`, protocol, PROTOCOLS));
    return errors;
  });
}

const ENV_SOURCES = [
  'fieldRef',
  'resourceFieldRef',
  'configMapKeyRef',
  'secretKeyRef',
  'fileKeyRef',
] as const;
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

function validateEnv(env: readonly JsonObject[], path: string): FieldError[] {
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
  if (fieldRef !== undefined) errors.push(...validateFieldRef(fieldRef, `${path}.fieldRef`));
  const resourceRef = objectAt(source, 'resourceFieldRef');
  if (resourceRef !== undefined && stringAt(resourceRef, 'resource') === '') {
    errors.push(required(`${path}.resourceFieldRef.resource`));
  }
  for (const name of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = objectAt(source, name);
    if (ref !== undefined) errors.push(...validateKeyRef(ref, `${path}.${name}`));
  }
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

function validateFieldRef(ref: JsonObject, path: string): FieldError[] {
  if (stringAt(ref, 'apiVersion') === '') return [required(`${path}.apiVersion`)];
  const field = stringAt(ref, 'fieldPath');
  if (field === '') return [required(`${path}.fieldPath`)];
  if (/^metadata\.(labels|annotations)\['.+'\]$/.test(field)) return [];
  return ENV_FIELDS.includes(field) ? [] : [notSupported(`${path}.fieldPath`, field, ENV_FIELDS)];
}

function validateKeyRef(ref: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (stringAt(ref, 'name') === '') errors.push(required(`${path}.name`));
  const key = stringAt(ref, 'key');
  if (key === '') errors.push(required(`${path}.key`));
  else errors.push(...configKeyFaults(key).map((fault) => invalidValue(`${path}.key`, key, fault)));
  return errors;
}

function validateEnvFrom(sources: readonly JsonObject[], path: string): FieldError[] {
  return sources.flatMap((source, index) => {
    const at = `${path}[${index}]`;
    const given = ['configMapRef', 'secretRef'].filter((name) => objectAt(source, name) !== undefined);
    const errors = given.flatMap((name) =>
      stringAt(objectAt(source, name), 'name') === '' ? [required(`${at}.${name}.name`)] : [],
    );
    if (given.length === 0) {
      errors.push(invalidValue(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    } else if (given.length > 1) {
      errors.push(invalidValue(at, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}

function validateMounts(
  mounts: readonly JsonObject[],
  volumes: ReadonlySet<string>,
  path: string,
): FieldError[] {
  const places = new Set<string>();
  return mounts.flatMap((mount, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const name = stringAt(mount, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    if (!volumes.has(name)) errors.push(valueNotFound(`${at}.name`, name));
    const place = stringAt(mount, 'mountPath');
    if (place === '') errors.push(required(`${at}.mountPath`));
    if (places.has(place)) errors.push(invalidValue(`${at}.mountPath`, place, 'must be unique'));
    places.add(place);
    if (stringAt(mount, 'subPath') !== '' && stringAt(mount, 'subPathExpr') !== '') {
      errors.push(
        invalidValue(
          `${at}.subPathExpr`,
          stringAt(mount, 'subPathExpr'),
          'subPathExpr and subPath are mutually exclusive',
        ),
      );
    }
    errors.push(...validateRelativePath(stringAt(mount, 'subPath'), `${at}.subPath`, false));
    errors.push(...validateRelativePath(stringAt(mount, 'subPathExpr'), `${at}.subPathExpr`, false));
    return errors;
  });
}

const PLAIN_RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];

/** Checks requests and limits of a container. */
export function validateResources(resources: JsonObject | undefined, path: string): FieldError[] {
  const limits = objectAt(resources, 'limits') ?? {};
  const requests = objectAt(resources, 'requests') ?? {};
  const errors = Object.keys(limits).flatMap((name) => validateAmount(name, limits[name], `${path}.limits`));
  for (const [name, request] of Object.entries(requests)) {
    errors.push(...validateAmount(name, request, `${path}.requests`));
    const limit = limits[name];
    if (!isAmount(request) || !isAmount(limit)) continue;
    if (compareQuantities(request, limit) > 0) {
      errors.push(
        invalidValue(
          `${path}.requests`,
          canonicalQuantity(request),
          `must be less than or equal to ${name} limit of ${canonicalQuantity(limit)}`,
        ),
      );
    }
  }
  return errors;
}

function validateAmount(name: string, amount: unknown, path: string): FieldError[] {
  const errors = qualifiedNameFaults(name).map((fault) => invalidValue(path, name, fault));
  if (
    errors.length === 0 &&
    !name.includes('/') &&
    !PLAIN_RESOURCES.includes(name) &&
    !name.startsWith('hugepages-')
  ) {
    errors.push(
      invalidValue(path, name, 'must be a standard resource type or fully qualified'),
      invalidValue(path, name, 'must be a standard resource for containers'),
    );
  }
  if (isAmount(amount) && compareQuantities(amount, 0) < 0) {
    errors.push(
      invalidValue(`${path}[${name}]`, canonicalQuantity(amount), 'must be greater than or equal to 0'),
    );
  }
  return errors;
}

function isAmount(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

/** Checks that containers claim each port of the host once. */
export function validateHostPorts(containers: readonly JsonObject[], path: string): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap((container, index) =>
    objectsAt(container, 'ports').flatMap((port, portIndex) => {
      const hostPort = numberAt(port, 'hostPort') ?? 0;
      if (hostPort === 0) return [];
      const key = `${stringAt(port, 'protocol')}/${stringAt(port, 'hostIP')}/${hostPort}`;
      if (taken.has(key)) return [duplicateValue(`${path}[${index}].ports[${portIndex}].hostPort`, key)];
      taken.add(key);
      return [];
    }),
  );
}

/** Checks fields that an ephemeral or init container may not have. */
export function forbidFields(
  container: JsonObject,
  names: readonly string[],
  path: string,
  why: string,
): FieldError[] {
  return names
    .filter((name) => container[name] !== undefined)
    .map((name) => forbiddenField(`${path}.${name}`, why));
}
