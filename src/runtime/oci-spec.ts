import type { LaunchPlan, ResolvedMount } from './launcher.ts';
import { capabilitySet } from './capabilities.ts';
import type { ProcessSpec } from './process-spec.ts';

/*
 * Writes an OCI runtime configuration. @see OCI runtime-spec v1.0.2, config.md and config-linux.md
 */

const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Device numbers of the standard devices, which every container may use. @see runtime-spec, config-linux.md, "Default Devices" */
const DEVICE_RULES = [
  [1, 3],
  [1, 5],
  [1, 7],
  [1, 8],
  [1, 9],
  [5, 0],
  [5, 2],
] as const;

/** Limit of `/dev/shm` in KiB: what container engines give by default. */
const SHM_KIB = 65536;

/** Builds `config.json` for a container run by root. */
export function ociSpec(plan: LaunchPlan): object {
  const privileged = plan.config.privileged ?? false;
  return {
    ociVersion: '1.0.2',
    process: ociProcess(plan.process, plan),
    root: { path: plan.rootfs.path, readonly: plan.config.readonlyRootfs ?? false },
    hostname: plan.hostname,
    mounts: [...systemMounts(privileged), ...plan.mounts.map(ociMount)],
    annotations: {},
    linux: {
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
      cgroupsPath: plan.cgroup,
      resources: resources(plan, privileged),
      rootfsPropagation: 'rslave',
      ...(privileged ? {} : { maskedPaths: MASKED_PATHS, readonlyPaths: READONLY_PATHS }),
    },
  };
}

/** Builds the `process` part, which `exec` takes alone. */
export function ociProcess(process: ProcessSpec, plan: Pick<LaunchPlan, 'config'>): object {
  const capabilities = capabilitySet(plan.config);
  return {
    terminal: plan.config.tty,
    user: {
      uid: process.user.uid,
      gid: process.user.gid,
      additionalGids: process.user.supplementalGroups,
    },
    args: process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: {
      bounding: capabilities,
      // A process of another user starts without any, as the kernel would have it after set-user-ID.
      ...(process.user.uid === 0 ? { effective: capabilities, permitted: capabilities } : {}),
    },
    noNewPrivileges: plan.config.noNewPrivileges ?? false,
    ...(plan.config.oomScoreAdj === undefined ? {} : { oomScoreAdj: plan.config.oomScoreAdj }),
  };
}

function systemMounts(privileged: boolean): object[] {
  const access = privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${SHM_KIB}k`],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', access] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', access],
    },
  ];
}

function ociMount(mount: ResolvedMount): object {
  return {
    destination: mount.destination,
    type: 'bind',
    source: mount.source,
    options: ['rbind', 'rprivate', mount.readonly ? 'ro' : 'rw'],
  };
}

function resources(plan: LaunchPlan, privileged: boolean): object {
  const wanted = plan.config.resources;
  const devices = privileged
    ? [{ allow: true, access: 'rwm' }]
    : [
        { allow: false, access: 'rwm' },
        { allow: true, type: 'c', access: 'm' },
        { allow: true, type: 'b', access: 'm' },
        ...DEVICE_RULES.map(([major, minor]) => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
        { allow: true, type: 'c', major: 136, access: 'rwm' },
      ];
  return {
    devices,
    ...(wanted?.memoryBytes === undefined ? {} : { memory: { limit: wanted.memoryBytes } }),
    cpu: {
      ...(wanted?.cpuShares === undefined ? {} : { shares: wanted.cpuShares }),
      ...(wanted?.cpuQuotaMicros === undefined ? {} : { quota: wanted.cpuQuotaMicros }),
      ...(wanted?.cpuPeriodMicros === undefined ? {} : { period: wanted.cpuPeriodMicros }),
    },
  };
}
