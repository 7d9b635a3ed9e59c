import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooLong,
  type FieldError,
} from '../field-error.ts';
import { objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { internalForm } from './internal-form.ts';
import { validateDescendingPath } from './volume-paths.ts';
import { validateWindowsOptions } from './windows-options.ts';

const MAX_ID = 2_147_483_647;
const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];
/** PATH_MAX less the end of the text. */
const MAX_PROFILE_BYTES = 4095;

const SYSCTL_PART = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const SYSCTL = `^(${SYSCTL_PART}[\\./])*${SYSCTL_PART}$`;
const SYSCTL_FORM = new RegExp(SYSCTL);
const MAX_SYSCTL = 253;

function validateId(parent: JsonObject, key: string, path: string): FieldError[] {
  const id = parent[key];
  return typeof id === 'number' ? validateIdValue(id, `${path}.${key}`) : [];
}

function validateIdValue(id: number, path: string): FieldError[] {
  return id >= 0 && id <= MAX_ID
    ? []
    : [invalidValue(path, id, `must be between 0 and ${MAX_ID}, inclusive`)];
}

/** Checks the security context of a Pod description; what the Pod shares with its machine stands in the description. */
export function validatePodSecurity(spec: JsonObject, path: string): FieldError[] {
  const context = objectAt(spec, 'securityContext');
  if (context === undefined) return [];
  const at = `${path}.securityContext`;
  const errors = [
    ...validateId(context, 'fsGroup', at),
    ...validateId(context, 'runAsUser', at),
    ...validateId(context, 'runAsGroup', at),
  ];
  const groups = Array.isArray(context['supplementalGroups']) ? context['supplementalGroups'] : [];
  groups.forEach((group, index) => {
    if (typeof group === 'number')
      errors.push(...validateIdValue(group, `${at}.supplementalGroups[${index}]`));
  });
  if (spec['shareProcessNamespace'] === true && spec['hostPID'] === true) {
    const why = 'ShareProcessNamespace and HostPID cannot both be enabled';
    errors.push(invalidValue(`${at}.shareProcessNamespace`, true, why));
  }
  errors.push(...validateSysctls(objectsAt(context, 'sysctls'), spec, `${at}.sysctls`));
  errors.push(...oneOf(context, 'fsGroupChangePolicy', ['Always', 'OnRootMismatch'], at));
  errors.push(...validateSeccomp(objectAt(context, 'seccompProfile'), `${at}.seccompProfile`));
  errors.push(...validateWindowsOptions(objectAt(context, 'windowsOptions'), `${at}.windowsOptions`));
  errors.push(...validateAppArmor(objectAt(context, 'appArmorProfile'), `${at}.appArmorProfile`));
  errors.push(...oneOf(context, 'supplementalGroupsPolicy', ['Merge', 'Strict'], at));
  errors.push(...oneOf(context, 'seLinuxChangePolicy', ['MountOption', 'Recursive'], at));
  return errors;
}

function oneOf(parent: JsonObject, key: string, supported: readonly string[], path: string): FieldError[] {
  const value = parent[key];
  if (typeof value !== 'string' || supported.includes(value)) return [];
  return [notSupported(`${path}.${key}`, value, supported)];
}

function validateSysctls(sysctls: readonly JsonObject[], spec: JsonObject, path: string): FieldError[] {
  const names = new Set<string>();
  return sysctls.flatMap((sysctl, index) => {
    const at = `${path}[${index}].name`;
    const name = stringAt(sysctl, 'name');
    const errors: FieldError[] = [];
    if (name === '') errors.push(required(at));
    else if (name.length > MAX_SYSCTL || !SYSCTL_FORM.test(name)) {
      const why = `must have at most ${MAX_SYSCTL} characters and match regex ${SYSCTL}`;
      errors.push(invalidValue(at, name, why));
    } else if (names.has(name)) errors.push(duplicateValue(at, name));
    names.add(name);
    const dotted = name.replaceAll('/', '.');
    if (spec['hostNetwork'] === true && dotted.startsWith('net.')) {
      errors.push(invalidValue(at, name, "may not be specified when 'hostNetwork' is true"));
    }
    if (spec['hostIPC'] === true && /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(dotted)) {
      errors.push(invalidValue(at, name, "may not be specified when 'hostIPC' is true"));
    }
    return errors;
  });
}

function validateSeccomp(profile: JsonObject | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const type = stringAt(profile, 'type');
  const errors: FieldError[] = [];
  if (type === '') errors.push(required(`${path}.type`, 'type is required when seccompProfile is set'));
  else if (!PROFILE_TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, PROFILE_TYPES));
  const local = profile['localhostProfile'];
  const at = `${path}.localhostProfile`;
  if (type === 'Localhost') {
    if (typeof local !== 'string') {
      errors.push(required(at, 'must be set when seccomp type is Localhost'));
    } else errors.push(...validateDescendingPath(local, at));
  } else if (local !== undefined) {
    const shown = internalForm(profile, 'core.v1.SeccompProfile');
    errors.push(invalidValue(at, shown, 'can only be set when seccomp type is Localhost'));
  }
  return errors;
}

function validateAppArmor(profile: JsonObject | undefined, path: string): FieldError[] {
  if (profile === undefined) return [];
  const type = stringAt(profile, 'type');
  const at = `${path}.localhostProfile`;
  const local = profile['localhostProfile'];
  const missing = 'must be set when AppArmor type is Localhost';
  switch (type) {
    case 'Localhost': {
      if (typeof local !== 'string') return [required(at, missing)];
      const errors: FieldError[] = [];
      if (local.trim() !== local) errors.push(invalidValue(at, local, 'must not be padded with whitespace'));
      else if (local === '') errors.push(required(at, missing));
      if (Buffer.byteLength(local) > MAX_PROFILE_BYTES) errors.push(tooLong(at, MAX_PROFILE_BYTES));
      return errors;
    }
    case 'RuntimeDefault':
    case 'Unconfined':
      if (local === undefined) return [];
      return [invalidValue(at, local, 'can only be set when AppArmor type is Localhost')];
    case '':
      return [required(`${path}.type`, 'type is required when appArmorProfile is set')];
    default:
      return [notSupported(`${path}.type`, type, PROFILE_TYPES)];
  }
}

/** Checks the security context of one container; `hostUsers` tells whether its users are the machine's. */
export function validateContainerSecurity(
  context: JsonObject | undefined,
  path: string,
  hostUsers: boolean,
): FieldError[] {
  if (context === undefined) return [];
  const errors = [...validateId(context, 'runAsUser', path), ...validateId(context, 'runAsGroup', path)];
  const procMount = context['procMount'];
  if (typeof procMount === 'string') {
    const at = `${path}.procMount`;
    errors.push(...oneOf(context, 'procMount', ['Default', 'Unmasked'], path));
    if (hostUsers && procMount === 'Unmasked') {
      errors.push(invalidValue(at, procMount, '`hostUsers` must be false to use `Unmasked`'));
    }
  }
  errors.push(...validateSeccomp(objectAt(context, 'seccompProfile'), `${path}.seccompProfile`));
  if (context['allowPrivilegeEscalation'] === false) {
    const refuse = (what: string): FieldError =>
      invalidValue(
        path,
        internalForm(context, 'core.v1.SecurityContext'),
        `cannot set \`allowPrivilegeEscalation\` to false and ${what}`,
      );
    if (context['privileged'] === true) errors.push(refuse('`privileged` to true'));
    if (stringsAt(objectAt(context, 'capabilities'), 'add').includes('CAP_SYS_ADMIN')) {
      errors.push(refuse('`capabilities.Add` CAP_SYS_ADMIN'));
    }
  }
  errors.push(...validateWindowsOptions(objectAt(context, 'windowsOptions'), `${path}.windowsOptions`));
  return [...errors, ...validateAppArmor(objectAt(context, 'appArmorProfile'), `${path}.appArmorProfile`)];
}

const NOT_ON_WINDOWS_POD = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'seLinuxChangePolicy',
];
const NOT_ON_WINDOWS_CONTAINER = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
];

/** Checks that a Pod which names its operating system sets nothing that is another's. */
export function validateOs(spec: JsonObject, path: string): FieldError[] {
  const os = objectAt(spec, 'os');
  if (os === undefined) return [];
  const name = stringAt(os, 'name');
  if (name === '') return [required(`${path}.os.name`, 'cannot be empty')];
  if (name !== 'linux' && name !== 'windows') return [notSupported(`${path}.os`, name, ['linux', 'windows'])];
  const forLinux = name === 'linux';
  const why = forLinux ? 'windows options cannot be set for a linux pod' : 'cannot be set for a windows pod';
  const refused = (parent: JsonObject | undefined, keys: readonly string[], at: string): FieldError[] =>
    keys.filter((key) => parent?.[key] !== undefined).map((key) => forbiddenField(`${at}.${key}`, why));
  const errors = refused(
    objectAt(spec, 'securityContext'),
    forLinux ? ['windowsOptions'] : NOT_ON_WINDOWS_POD,
    `${path}.securityContext`,
  );
  if (!forLinux)
    errors.push(...refused(spec, ['hostUsers', 'hostPID', 'hostIPC', 'shareProcessNamespace'], path));
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    objectsAt(spec, list).forEach((container, index) => {
      const keys = forLinux ? ['windowsOptions'] : NOT_ON_WINDOWS_CONTAINER;
      const at = `${path}.${list}[${index}].securityContext`;
      errors.push(...refused(objectAt(container, 'securityContext'), keys, at));
    });
  }
  return errors;
}
