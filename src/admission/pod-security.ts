import type { JsonObject } from '../kube/json/json-object.ts';
import { objectAt, objectsAt, stringAt, stringsAt } from '../kube/json/json-object.ts';

/** How much a namespace allows its Pods. */
export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);
const SAFE_SYSCTLS: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);
const RESTRICTED_VOLUMES: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);
const SELINUX_TYPES: ReadonlySet<string> = new Set([
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
]);

/** What one check found: the rule that is broken, and by whom. */
type Check = (spec: JsonObject) => readonly [reason: string, detail: string] | undefined;

/**
 * Says in what a Pod goes beyond a level of the Pod Security Standards: `privileged (container "c" must not …), …`;
 * `''` when in nothing. Checks and texts are those of the latest version.
 *
 * @see Kubernetes, "Pod Security Standards"
 */
export function podSecurityFaults(spec: JsonObject, level: PodSecurityLevel): string {
  if (level === 'privileged') return '';
  return (level === 'baseline' ? BASELINE : RESTRICTED)
    .flatMap((check) => {
      const found = check(spec);
      return found === undefined ? [] : [found[1] === '' ? found[0] : `${found[0]} (${found[1]})`];
    })
    .join(', ');
}

const containersOf = (spec: JsonObject): JsonObject[] =>
  ['initContainers', 'containers', 'ephemeralContainers'].flatMap((key) => objectsAt(spec, key));
const security = (holder: JsonObject): JsonObject | undefined => objectAt(holder, 'securityContext');
const quoted = (texts: readonly string[]): string => texts.map((text) => JSON.stringify(text)).join(', ');
const named = (word: string, names: readonly string[]): string =>
  `${word}${names.length === 1 ? '' : 's'} ${quoted(names)}`;

/** Names the containers of which something is true. */
function those(spec: JsonObject, holds: (container: JsonObject) => boolean): string[] {
  return containersOf(spec)
    .filter(holds)
    .map((container) => stringAt(container, 'name'));
}

/** Names the Pod, its containers, or both. */
function who(isPod: boolean, containers: readonly string[]): string {
  return [...(isPod ? ['pod'] : []), ...(containers.length > 0 ? [named('container', containers)] : [])].join(
    ' and ',
  );
}

const appArmor: Check = (spec) => {
  const isBad = (holder: JsonObject): boolean =>
    stringAt(objectAt(security(holder), 'appArmorProfile'), 'type') === 'Unconfined';
  const bad = those(spec, isBad);
  if (!isBad(spec) && bad.length === 0) return undefined;
  return [
    'forbidden AppArmor profile',
    `${who(isBad(spec), bad)} must not set AppArmor profile type to "Unconfined"`,
  ];
};

/** Lists capabilities that are added and not allowed, with the containers that add them. */
function added(spec: JsonObject, allowed: ReadonlySet<string>): string | undefined {
  const adds = (container: JsonObject): string[] =>
    stringsAt(objectAt(security(container), 'capabilities'), 'add').filter((name) => !allowed.has(name));
  const bad = those(spec, (container) => adds(container).length > 0);
  if (bad.length === 0) return undefined;
  const names = [...new Set(containersOf(spec).flatMap(adds))].toSorted();
  return `${named('container', bad)} must not include ${quoted(names)} in securityContext.capabilities.add`;
}

const capabilities: Check = (spec) => {
  const detail = added(spec, DEFAULT_CAPABILITIES);
  return detail === undefined ? undefined : ['non-default capabilities', detail];
};

const hostNamespaces: Check = (spec) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((key) => spec[key] === true);
  return used.length === 0 ? undefined : ['host namespaces', used.map((key) => `${key}=true`).join(', ')];
};

const hostPathVolumes: Check = (spec) => {
  const bad = objectsAt(spec, 'volumes')
    .filter((volume) => volume['hostPath'] !== undefined)
    .map((volume) => stringAt(volume, 'name'));
  return bad.length === 0 ? undefined : ['hostPath volumes', named('volume', bad)];
};

const hostPorts: Check = (spec) => {
  const ports = (container: JsonObject): number[] =>
    objectsAt(container, 'ports')
      .map((port) => Number(port['hostPort'] ?? 0))
      .filter((port) => port !== 0);
  const bad = those(spec, (container) => ports(container).length > 0);
  if (bad.length === 0) return undefined;
  const all = [...new Set(containersOf(spec).flatMap(ports))].toSorted((a, b) => a - b);
  const use = bad.length === 1 ? 'uses' : 'use';
  return [
    'hostPort',
    `${named('container', bad)} ${use} hostPort${all.length === 1 ? '' : 's'} ${all.join(', ')}`,
  ];
};

const privileged: Check = (spec) => {
  const bad = those(spec, (container) => security(container)?.['privileged'] === true);
  if (bad.length === 0) return undefined;
  return ['privileged', `${named('container', bad)} must not set securityContext.privileged=true`];
};

const procMount: Check = (spec) => {
  const mount = (container: JsonObject): string => stringAt(security(container), 'procMount') || 'Default';
  const bad = those(spec, (container) => mount(container) !== 'Default');
  if (bad.length === 0) return undefined;
  const values = [...new Set(containersOf(spec).map(mount))]
    .filter((value) => value !== 'Default')
    .toSorted();
  return [
    'procMount',
    `${named('container', bad)} must not set securityContext.procMount to ${quoted(values)}`,
  ];
};

const seLinux: Check = (spec) => {
  const faults = (holder: JsonObject): string[] => {
    const options = objectAt(security(holder), 'seLinuxOptions');
    const type = stringAt(options, 'type');
    return [
      ...(SELINUX_TYPES.has(type) ? [] : [`type ${JSON.stringify(type)}`]),
      ...(stringAt(options, 'user') === '' ? [] : ['user may not be set']),
      ...(stringAt(options, 'role') === '' ? [] : ['role may not be set']),
    ];
  };
  const bad = those(spec, (container) => faults(container).length > 0);
  const own = faults(spec);
  if (bad.length === 0 && own.length === 0) return undefined;
  const all = [...new Set([...own, ...containersOf(spec).flatMap(faults)])].join('; ');
  return [
    'seLinuxOptions',
    `${who(own.length > 0, bad)} set forbidden securityContext.seLinuxOptions: ${all}`,
  ];
};

const seccompType = (holder: JsonObject): string =>
  stringAt(objectAt(security(holder), 'seccompProfile'), 'type');

const seccomp: Check = (spec) => {
  const isBad = (holder: JsonObject): boolean => seccompType(holder) === 'Unconfined';
  const bad = those(spec, isBad);
  if (!isBad(spec) && bad.length === 0) return undefined;
  return [
    'seccompProfile',
    `${who(isBad(spec), bad)} must not set securityContext.seccompProfile.type to "Unconfined"`,
  ];
};

const sysctls: Check = (spec) => {
  const bad = objectsAt(security(spec), 'sysctls')
    .map((sysctl) => stringAt(sysctl, 'name'))
    .filter((name) => !SAFE_SYSCTLS.has(name));
  return bad.length === 0 ? undefined : ['forbidden sysctls', bad.join(', ')];
};

const hostProcess: Check = (spec) => {
  const isBad = (holder: JsonObject): boolean =>
    objectAt(security(holder), 'windowsOptions')?.['hostProcess'] === true;
  const bad = those(spec, isBad);
  if (!isBad(spec) && bad.length === 0) return undefined;
  return [
    'hostProcess',
    `${who(isBad(spec), bad)} must not set securityContext.windowsOptions.hostProcess=true`,
  ];
};

const allowEscalation: Check = (spec) => {
  const bad = those(spec, (container) => security(container)?.['allowPrivilegeEscalation'] !== false);
  if (bad.length === 0) return undefined;
  return [
    'allowPrivilegeEscalation != false',
    `${named('container', bad)} must set securityContext.allowPrivilegeEscalation=false`,
  ];
};

const dropAll: Check = (spec) => {
  const keeps = those(
    spec,
    (container) => !stringsAt(objectAt(security(container), 'capabilities'), 'drop').includes('ALL'),
  );
  const details = [
    ...(keeps.length === 0
      ? []
      : [`${named('container', keeps)} must set securityContext.capabilities.drop=["ALL"]`]),
    added(spec, new Set(['NET_BIND_SERVICE'])) ?? '',
  ].filter((detail) => detail !== '');
  return details.length === 0 ? undefined : ['unrestricted capabilities', details.join('; ')];
};

const restrictedVolumes: Check = (spec) => {
  const bad: string[] = [];
  const types = new Set<string>();
  for (const volume of objectsAt(spec, 'volumes')) {
    const type = Object.keys(volume).find((key) => key !== 'name');
    if (type === undefined || RESTRICTED_VOLUMES.has(type)) continue;
    bad.push(stringAt(volume, 'name'));
    types.add(type);
  }
  if (bad.length === 0) return undefined;
  const use = bad.length === 1 ? 'uses' : 'use';
  const list = [...types].toSorted();
  return [
    'restricted volume types',
    `${named('volume', bad)} ${use} restricted volume type${list.length === 1 ? '' : 's'} ${quoted(list)}`,
  ];
};

const runAsNonRoot: Check = (spec) => {
  const reason = 'runAsNonRoot != true';
  const value = (holder: JsonObject): unknown => security(holder)?.['runAsNonRoot'];
  const explicit = those(spec, (container) => value(container) === false);
  const isPodBad = value(spec) === false;
  if (isPodBad || explicit.length > 0) {
    return [reason, `${who(isPodBad, explicit)} must not set securityContext.runAsNonRoot=false`];
  }
  if (value(spec) === true) return undefined;
  const silent = those(spec, (container) => value(container) !== true);
  if (silent.length === 0) return undefined;
  return [reason, `pod or ${named('container', silent)} must set securityContext.runAsNonRoot=true`];
};

const runAsUser: Check = (spec) => {
  const isBad = (holder: JsonObject): boolean => security(holder)?.['runAsUser'] === 0;
  const bad = those(spec, isBad);
  if (!isBad(spec) && bad.length === 0) return undefined;
  return ['runAsUser=0', `${who(isBad(spec), bad)} must not set runAsUser=0`];
};

const seccompRestricted: Check = (spec) => {
  const reason = 'seccompProfile';
  const isGood = (type: string): boolean => type === 'RuntimeDefault' || type === 'Localhost';
  const isBad = (holder: JsonObject): boolean => seccompType(holder) !== '' && !isGood(seccompType(holder));
  const explicit = those(spec, isBad);
  if (isBad(spec) || explicit.length > 0) {
    const types = [...new Set([spec, ...containersOf(spec)].filter(isBad).map(seccompType))].toSorted();
    return [
      reason,
      `${who(isBad(spec), explicit)} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
    ];
  }
  if (isGood(seccompType(spec))) return undefined;
  const silent = those(spec, (container) => seccompType(container) === '');
  if (silent.length === 0) return undefined;
  return [
    reason,
    `pod or ${named('container', silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  ];
};

/** The checks of each level in the order of their names; of the stricter level, those of the other come first. */
const BASELINE: readonly Check[] = [
  appArmor,
  capabilities,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  privileged,
  procMount,
  seLinux,
  seccomp,
  sysctls,
  hostProcess,
];
const RESTRICTED: readonly Check[] = [
  // Stricter checks take the place of these.
  ...BASELINE.filter((check) => check !== capabilities && check !== hostPathVolumes && check !== seccomp),
  allowEscalation,
  dropAll,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
];
