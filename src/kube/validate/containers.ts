import { isDeepStrictEqual } from 'node:util';

import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooMany,
  type FieldError,
} from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { validateEnv, validateEnvFrom } from './container-env.ts';
import { validateDevices, validateMounts, type VolumesByName } from './container-mounts.ts';
import { validateResizePolicy, validateResources } from './container-resources.ts';
import { labelNameFaults, portNameFaults, portNumberFaults } from './name-rules.ts';
import { validateHandler, validateProbe } from './probes.ts';
import { validatePullPolicy } from './pull-policy-field.ts';
import { validateContainerSecurity } from './security-context.ts';

/** What containers are checked against. */
export interface ContainersContext {
  readonly volumes: VolumesByName;
  /** Names of the Pod's resource claims. */
  readonly claims: ReadonlySet<string>;
  readonly restartPolicy: string;
  readonly graceSeconds: number;
  readonly hostUsers: boolean;
}

const MESSAGE_POLICIES = ['File', 'FallbackToLogsOnError'];

/** Checks what containers of all three lists share, at `path`. */
export function validateContainer(
  container: JsonObject,
  path: string,
  context: ContainersContext,
): FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(container, 'name');
  if (name === '') errors.push(required(`${path}.name`));
  else errors.push(...labelNameFaults(name).map((fault) => invalidValue(`${path}.name`, name, fault)));
  if (stringAt(container, 'image') === '') errors.push(required(`${path}.image`));
  const messagePolicy = stringAt(container, 'terminationMessagePolicy');
  if (messagePolicy === '') errors.push(required(`${path}.terminationMessagePolicy`));
  else if (!MESSAGE_POLICIES.includes(messagePolicy)) {
    errors.push(notSupported(`${path}.terminationMessagePolicy`, messagePolicy, MESSAGE_POLICIES));
  }
  errors.push(...validatePorts(objectsAt(container, 'ports'), `${path}.ports`));
  errors.push(...validateEnv(objectsAt(container, 'env'), `${path}.env`));
  errors.push(...validateEnvFrom(objectsAt(container, 'envFrom'), `${path}.envFrom`));
  errors.push(...validateMounts(container, context.volumes, `${path}.volumeMounts`));
  errors.push(...validateDevices(container, context.volumes, `${path}.volumeDevices`));
  errors.push(...validatePullPolicy(stringAt(container, 'imagePullPolicy'), `${path}.imagePullPolicy`));
  const resources = objectAt(container, 'resources');
  errors.push(...validateResources(resources, `${path}.resources`, context.claims));
  const resizes = objectsAt(container, 'resizePolicy');
  errors.push(...validateResizePolicy(resizes, `${path}.resizePolicy`, context.restartPolicy));
  const security = objectAt(container, 'securityContext');
  errors.push(...validateContainerSecurity(security, `${path}.securityContext`, context.hostUsers));
  return errors;
}

/** Checks what only runs beside a container: life cycle hooks and probes. */
export function validateContainerLife(
  container: JsonObject,
  path: string,
  graceSeconds: number,
): FieldError[] {
  const lifecycle = objectAt(container, 'lifecycle');
  return [
    ...['postStart', 'preStop'].flatMap((hook) =>
      validateHandler(objectAt(lifecycle, hook), `${path}.lifecycle.${hook}`, graceSeconds),
    ),
    ...(['livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap((kind) =>
      validateProbe(objectAt(container, kind), `${path}.${kind}`, kind),
    ),
  ];
}

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
/** Rules of one container at most. */
const MAX_RESTART_RULES = 20;

/** Checks a container's own restart policy and the rules that go before it. */
export function validateContainerRestart(container: JsonObject, path: string): FieldError[] {
  const policy = stringAt(container, 'restartPolicy');
  const rules = objectsAt(container, 'restartPolicyRules');
  const at = `${path}.restartPolicyRules`;
  const errors: FieldError[] = [];
  if (policy !== '' && !RESTART_POLICIES.includes(policy)) {
    errors.push(notSupported(`${path}.restartPolicy`, policy, RESTART_POLICIES));
  }
  if (rules.length > 0 && policy === '') {
    errors.push(required(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
  }
  if (rules.length > MAX_RESTART_RULES) errors.push(tooMany(at, rules.length, MAX_RESTART_RULES));
  rules.forEach((rule, index) => {
    const action = stringAt(rule, 'action');
    const known = ['Restart', 'RestartAllContainers'];
    if (!known.includes(action)) errors.push(notSupported(`${at}[${index}].action`, action, known));
    if (objectAt(rule, 'exitCodes') === undefined) {
      errors.push(required(`${at}[${index}].exitCodes`, 'must be specified'));
    }
  });
  return errors;
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
    else errors.push(...validatePortNumber(number, `${at}.containerPort`));
    const hostPort = numberAt(port, 'hostPort') ?? 0;
    if (hostPort !== 0) errors.push(...validatePortNumber(hostPort, `${at}.hostPort`));
    const protocol = stringAt(port, 'protocol');
    if (protocol === '') errors.push(required(`${at}.protocol`));
    else if (!PROTOCOLS.includes(protocol)) errors.push(notSupported(`${at}.protocol`, protocol, PROTOCOLS));
    return errors;
  });
}

function validatePortNumber(port: number, path: string): FieldError[] {
  return portNumberFaults(port).map((fault) => invalidValue(path, port, fault));
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

/** Checks fields that an ephemeral or init container may not have; an empty `resources` counts as none. */
export function forbidFields(
  container: JsonObject,
  names: readonly string[],
  path: string,
  why: string,
): FieldError[] {
  return names
    .filter((name) => container[name] !== undefined && !isDeepStrictEqual(container[name], {}))
    .map((name) => forbiddenField(`${path}.${name}`, why));
}
