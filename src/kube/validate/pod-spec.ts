import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  valueNotFound,
  type FieldError,
} from '../field-error.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  type JsonObject,
} from '../json/json-object.ts';
import {
  forbidFields,
  validateContainer,
  validateContainerLife,
  validateContainerRestart,
  validateHostPorts,
  type ContainersContext,
} from './containers.ts';
import { validateLabels } from './metadata.ts';
import { labelNameFaults, qualifiedNameFaults, subdomainFaults } from './name-rules.ts';
import {
  validateDnsConfig,
  validateDnsPolicy,
  validateHostAliases,
  validateHostnameOverride,
  validateHostNetworkPorts,
  validateHostUsers,
} from './pod-network.ts';
import {
  validateAffinity,
  validateSchedulingGates,
  validateSpread,
  validateTolerations,
} from './pod-placement.ts';
import { validatePodClaims, validatePodResources } from './pod-resources.ts';
import { validateOs, validatePodSecurity } from './security-context.ts';
import { validateVolumes } from './volumes.ts';
import { validateHostProcess } from './windows-options.ts';

export interface PodSpecContext {
  /** Field of the spec: `spec`, `spec.template.spec`. */
  readonly path: string;
  /** A Pod itself is checked more strictly than a template (rules 1.18 and 2.7). */
  readonly inPod: boolean;
  readonly podName?: string;
}

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
const PREEMPTION_POLICIES = ['PreemptLowerPriority', 'Never'];
const MAX_INT32 = 2_147_483_647;

/** Checks a Pod description after defaulting. */
export function validatePodSpec(
  spec: JsonObject,
  { path, inPod, podName = '' }: PodSpecContext,
): FieldError[] {
  const found = validateVolumes(objectsAt(spec, 'volumes'), `${path}.volumes`, { inPod, podName });
  const claims = objectsAt(spec, 'resourceClaims');
  const restartPolicy = stringAt(spec, 'restartPolicy');
  const context: ContainersContext = {
    volumes: found.volumes,
    claims: new Set(claims.map((claim) => stringAt(claim, 'name')).filter((name) => name !== '')),
    restartPolicy,
    graceSeconds: numberAt(spec, 'terminationGracePeriodSeconds') ?? 0,
    hostUsers: spec['hostUsers'] !== false,
  };
  const errors = [...found.errors, ...validatePodClaims(claims, `${path}.resourceClaims`)];
  errors.push(...validateContainers(spec, path, context));
  errors.push(...validateInit(spec, path, context));
  errors.push(...validateEphemeral(spec, path, context));
  errors.push(...validatePodResources(spec, `${path}.resources`, context.claims));
  errors.push(...validateHostNetworkPorts(spec, path, inPod));
  if (restartPolicy === '') errors.push(required(`${path}.restartPolicy`));
  else if (!RESTART_POLICIES.includes(restartPolicy)) {
    errors.push(notSupported(`${path}.restartPolicy`, restartPolicy, RESTART_POLICIES));
  }
  errors.push(...validateDnsPolicy(spec, path));
  errors.push(...validateLabels(stringMapAt(spec, 'nodeSelector'), `${path}.nodeSelector`));
  errors.push(...validatePodSecurity(spec, path));
  errors.push(...validateAffinity(objectAt(spec, 'affinity'), `${path}.affinity`));
  errors.push(...validateDnsConfig(spec, path));
  objectsAt(spec, 'readinessGates').forEach((gate, index) => {
    const type = stringAt(gate, 'conditionType');
    const at = `${path}.readinessGates[${index}].conditionType`;
    errors.push(...qualifiedNameFaults(type).map((fault) => invalidValue(at, type, fault)));
  });
  errors.push(...validateSchedulingGates(objectsAt(spec, 'schedulingGates'), `${path}.schedulingGates`));
  const spread = objectsAt(spec, 'topologySpreadConstraints');
  errors.push(...validateSpread(spread, `${path}.topologySpreadConstraints`));
  errors.push(...validateHostProcess(spec, path));
  errors.push(...validateHostUsers(spec, path));
  return [...errors, ...validateIdentity(spec, path), ...validateClasses(spec, path)];
}

function validateIdentity(spec: JsonObject, path: string): FieldError[] {
  const errors = [
    ...validateText(spec, 'serviceAccountName', path, subdomainFaults),
    ...validateText(spec, 'nodeName', path, subdomainFaults),
  ];
  const deadline = numberAt(spec, 'activeDeadlineSeconds');
  if (deadline !== undefined && (deadline < 1 || deadline > MAX_INT32)) {
    const why = `must be between 1 and ${MAX_INT32}, inclusive`;
    errors.push(invalidValue(`${path}.activeDeadlineSeconds`, deadline, why));
  }
  errors.push(...validateText(spec, 'hostname', path, labelNameFaults));
  errors.push(...validateText(spec, 'subdomain', path, labelNameFaults));
  errors.push(...validateHostnameOverride(spec, path));
  errors.push(...validateTolerations(objectsAt(spec, 'tolerations'), `${path}.tolerations`));
  errors.push(...validateHostAliases(objectsAt(spec, 'hostAliases'), `${path}.hostAliases`));
  return errors;
}

function validateClasses(spec: JsonObject, path: string): FieldError[] {
  const errors = [
    ...validateText(spec, 'priorityClassName', path, subdomainFaults),
    ...validateText(spec, 'runtimeClassName', path, subdomainFaults),
  ];
  const preemption = spec['preemptionPolicy'];
  const at = `${path}.preemptionPolicy`;
  if (preemption === '') errors.push(required(at));
  else if (typeof preemption === 'string' && !PREEMPTION_POLICIES.includes(preemption)) {
    errors.push(notSupported(at, preemption, PREEMPTION_POLICIES));
  }
  return [...errors, ...validateOs(spec, path)];
}

/** Checks that images carry no white space at their ends: of Pods only (rule 1.18). */
export function validateImageSpaces(spec: JsonObject, path: string): FieldError[] {
  return ['containers', 'initContainers'].flatMap((list) =>
    objectsAt(spec, list).flatMap((container, index) =>
      validateImageSpace(stringAt(container, 'image'), `${path}.${list}[${index}].image`),
    ),
  );
}

/** Checks one image name for white space at its ends. */
export function validateImageSpace(image: string, path: string): FieldError[] {
  if (image.trim() === image) return [];
  return [invalidValue(path, image, 'must not have leading or trailing whitespace')];
}

function validateContainers(spec: JsonObject, path: string, context: ContainersContext): FieldError[] {
  const containers = objectsAt(spec, 'containers');
  if (containers.length === 0) return [required(`${path}.containers`)];
  const names = new Set<string>();
  const errors = containers.flatMap((container, index) => {
    const at = `${path}.containers[${index}]`;
    return [
      ...validateContainer(container, at, context),
      ...claimName(container, at, names),
      ...validateContainerLife(container, at, context.graceSeconds),
      ...validateContainerRestart(container, at),
    ];
  });
  return [...errors, ...validateHostPorts(containers, `${path}.containers`)];
}

const LIFE = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'];

function validateInit(spec: JsonObject, path: string, context: ContainersContext): FieldError[] {
  const names = namesOf(spec, ['containers']);
  return objectsAt(spec, 'initContainers').flatMap((container, index) => {
    const at = `${path}.initContainers[${index}]`;
    const errors = validateContainer(container, at, context);
    errors.push(...validateContainerRestart(container, at));
    errors.push(...claimName(container, at, names));
    errors.push(...validateHostPorts([container], `${path}.initContainers`));
    // A sidecar runs beside the others and may be watched like them.
    if (container['restartPolicy'] === 'Always') {
      return [...errors, ...validateContainerLife(container, at, context.graceSeconds)];
    }
    const why = 'may not be set for init containers without restartPolicy=Always';
    return [...errors, ...forbidFields(container, LIFE, at, why)];
  });
}

const NOT_EPHEMERAL = [
  'ports',
  'resources',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
];

function validateEphemeral(spec: JsonObject, path: string, context: ContainersContext): FieldError[] {
  const why = 'cannot be set for an Ephemeral Container';
  const targets = namesOf(spec, ['containers', 'initContainers']);
  const names = new Set(targets);
  return objectsAt(spec, 'ephemeralContainers').flatMap((container, index) => {
    const at = `${path}.ephemeralContainers[${index}]`;
    const errors = validateContainer(container, at, context);
    errors.push(...validateImageSpace(stringAt(container, 'image'), `${at}.image`));
    errors.push(...claimName(container, at, names));
    const target = stringAt(container, 'targetContainerName');
    if (target !== '' && !targets.has(target))
      errors.push(valueNotFound(`${at}.targetContainerName`, target));
    errors.push(...forbidFields(container, NOT_EPHEMERAL, at, why));
    objectsAt(container, 'volumeMounts').forEach((mount, place) => {
      for (const key of ['subPath', 'subPathExpr']) {
        if (stringAt(mount, key) === '') continue;
        errors.push(forbiddenField(`${at}.volumeMounts[${place}].${key}`, why));
      }
    });
    return errors;
  });
}

function namesOf(spec: JsonObject, lists: readonly string[]): Set<string> {
  return new Set(lists.flatMap((list) => objectsAt(spec, list).map((entry) => stringAt(entry, 'name'))));
}

function claimName(container: JsonObject, path: string, names: Set<string>): FieldError[] {
  const name = stringAt(container, 'name');
  if (name === '') return [];
  if (names.has(name)) return [duplicateValue(`${path}.name`, name)];
  names.add(name);
  return [];
}

function validateText(
  spec: JsonObject,
  key: string,
  path: string,
  faultsOf: (text: string) => string[],
): FieldError[] {
  const text = stringAt(spec, key);
  if (text === '') return [];
  return faultsOf(text).map((fault) => invalidValue(`${path}.${key}`, text, fault));
}
