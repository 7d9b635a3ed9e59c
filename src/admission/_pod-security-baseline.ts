import type { JsonObject } from '../kube/json/json-object.ts';
import { objectAt, objectsAt, stringAt, stringsAt } from '../kube/json/json-object.ts';

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
const SELINUX_TYPES: ReadonlySet<string> = new Set([
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
]);

/** What one check found: the rule that is broken, and by whom. */
export type Check = (spec: JsonObject) => readonly [reason: string, detail: string] | undefined;

/** Lists all containers of a Pod, those that start first first. */
export const containersOf = (spec: JsonObject): JsonObject[] =>
  ['initContainers', 'containers', 'ephemeralContainers'].flatMap((key) => objectsAt(spec, key));
/** Returns the security context of a Pod or container. */
export const security = (holder: JsonObject): JsonObject | undefined => objectAt(holder, 'securityContext');
/** Joins texts, each in quotes. */
export const quoted = (texts: readonly string[]): string =>
  texts.map((text) => JSON.stringify(text)).join(', ');
/** Names one thing or several: `container "a"`, `containers "a", "b"`. */
export const named = (word: string, names: readonly string[]): string =>
  `${word}${names.length === 1 ? '' : 's'} ${quoted(names)}`;

/** Names the containers of which something is true. */
export function those(spec: JsonObject, holds: (container: JsonObject) => boolean): string[] {
  return containersOf(spec)
    .filter(holds)
    .map((container) => stringAt(container, 'name'));
}

/** Names the Pod, its containers, or both. */
export function who(isPod: boolean, containers: readonly string[]): string {
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
export function added(spec: JsonObject, allowed: ReadonlySet<string>): string | undefined {
  const adds = (container: JsonObject): string[] =>
    stringsAt(objectAt(security(container), 'capabilities'), 'add').filter((name) => !allowed.has(name));
  const bad = those(spec, (container) => adds(container).length > 0);
  if (bad.length === 0) return undefined;
  const names = [...new Set(containersOf(spec).flatMap(adds))].toSorted();
  return `${named('container', bad)} must not include ${quoted(names)} in securityContext.capabilities.add`;
}

/** Finds capabilities beyond those that runtimes give. */
export const capabilities: Check = (spec) => {
  const detail = added(spec, DEFAULT_CAPABILITIES);
  return detail === undefined ? undefined : ['non-default capabilities', detail];
};

const hostNamespaces: Check = (spec) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((key) => spec[key] === true);
  return used.length === 0 ? undefined : ['host namespaces', used.map((key) => `${key}=true`).join(', ')];
};

/** Finds directories of the node. */
export const hostPathVolumes: Check = (spec) => {
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

/** Returns which seccomp profile a Pod or container asks for. */
export const seccompType = (holder: JsonObject): string =>
  stringAt(objectAt(security(holder), 'seccompProfile'), 'type');

/** Finds those that switch seccomp off. */
export const seccomp: Check = (spec) => {
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

/** The checks of the level baseline in the order of their names. */
export const BASELINE: readonly Check[] = [
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
