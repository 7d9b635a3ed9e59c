import type { ContainerConfig } from './runtime-service.ts';

/** What a container's root may do when nothing else is asked for: the set that container engines agree on. */
const DEFAULT_CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

/** Every capability of Linux 5.9 and later, by number. @see capabilities(7) */
const ALL_CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
];

/**
 * Returns the capabilities of a container as `CAP_…` names: the default set with `add` and `drop` applied, `ALL` being every one;
 * a privileged container has them all. Unknown names are ignored, as the kernel could not grant them.
 */
export function capabilitySet(config: Pick<ContainerConfig, 'privileged' | 'capabilities'>): string[] {
  if (config.privileged === true) return ALL_CAPABILITIES.map((name) => `CAP_${name}`);
  const names = (list: readonly string[]): string[] =>
    list.map((name) => name.toUpperCase().replace(/^CAP_/, ''));
  const add = names(config.capabilities?.add ?? []);
  const drop = names(config.capabilities?.drop ?? []);
  const set = new Set(
    drop.includes('ALL') ? [] : add.includes('ALL') ? ALL_CAPABILITIES : DEFAULT_CAPABILITIES,
  );
  for (const name of drop) set.delete(name);
  for (const name of add) if (ALL_CAPABILITIES.includes(name)) set.add(name);
  return [...set].map((name) => `CAP_${name}`);
}
