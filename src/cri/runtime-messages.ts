import type {
  ContainerConfig,
  ContainerResources,
  ContainerState,
  ContainerStatus,
  PodSandbox,
  PodSandboxConfig,
} from '../runtime/runtime-service.ts';

/* Messages of the runtime service, in both directions: 64-bit numbers are texts, enumerations names, absent messages null. */

type Texts = Readonly<Record<string, string>>;

export interface WireSandbox {
  readonly id: string;
  readonly metadata: { name: string; uid: string; namespace: string; attempt: number } | null;
  readonly state: string;
  readonly createdAt: string;
  readonly labels: Texts;
  readonly annotations: Texts;
}

export interface WireContainer {
  readonly id: string;
  readonly podSandboxId: string;
  readonly imageRef: string;
  readonly imageId: string;
  readonly state: string;
  readonly labels: Texts;
}

export interface WireStatus {
  readonly id: string;
  readonly metadata: { name: string; attempt: number } | null;
  readonly state: string;
  readonly createdAt: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exitCode: number;
  readonly image: { image: string } | null;
  readonly imageRef: string;
  readonly imageId: string;
  readonly reason: string;
  readonly message: string;
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly mounts: readonly {
    containerPath: string;
    hostPath: string;
    readonly: boolean;
    image: { image: string } | null;
    imageSubPath: string;
  }[];
  readonly logPath: string;
}

/* CRI tells neither of a sandbox when it lists it, and both are needed again when a container is made in it. */
const LOG_DIRECTORY = 'drayage.io/log-directory';
const HOSTNAME = 'drayage.io/hostname';

/** Paths below /proc and /sys that an ordinary container does not see, and those it cannot write, as a kubelet asks for them. */
const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
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

/** Pods share the machine's network; everything else is their own. */
const NAMESPACES = { network: 'NODE', pid: 'CONTAINER', ipc: 'POD' };

/** Writes a sandbox. It has no host name of its own, as it shares the network and therefore the name of the machine. */
export function sandboxToWire(config: PodSandboxConfig): object {
  const { name, uid, namespace, attempt, logDirectory, labels, annotations, hostname } = config;
  return {
    metadata: { name, uid, namespace, attempt },
    logDirectory,
    labels,
    annotations: { ...annotations, [LOG_DIRECTORY]: logDirectory, [HOSTNAME]: hostname },
    linux: { securityContext: { namespaceOptions: NAMESPACES } },
  };
}

export function sandboxFromWire(wire: WireSandbox): PodSandbox {
  const { [LOG_DIRECTORY]: logDirectory = '', [HOSTNAME]: hostname = '', ...annotations } = wire.annotations;
  const { name = '', uid = '', namespace = '', attempt = 0 } = wire.metadata ?? {};
  return {
    id: wire.id,
    config: { name, uid, namespace, attempt, hostname, logDirectory, labels: wire.labels, annotations },
    state: wire.state === 'SANDBOX_READY' ? 'ready' : 'notReady',
    createdAt: milliseconds(wire.createdAt),
  };
}

export function resourcesToWire(resources: ContainerResources): object {
  return {
    cpuPeriod: resources.cpuPeriodMicros ?? 0,
    cpuQuota: resources.cpuQuotaMicros ?? 0,
    cpuShares: resources.cpuShares ?? 0,
    memoryLimitInBytes: resources.memoryBytes ?? 0,
  };
}

export function containerToWire(config: ContainerConfig): object {
  const { user = {}, resources = {}, privileged = false } = config;
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: config.imageRef, userSpecifiedImage: config.userSpecifiedImage },
    command: config.command,
    args: config.args,
    workingDir: config.workingDir,
    envs: config.env,
    mounts: config.mounts.map(({ hostPath, containerPath, readonly, image, imageSubPath = '' }) => ({
      hostPath,
      containerPath,
      readonly,
      ...(image === undefined ? {} : { image: { image }, imageSubPath }),
    })),
    labels: config.labels,
    annotations: config.annotations,
    logPath: config.logPath,
    stdin: config.stdin,
    ...(config.stdinOnce === undefined ? {} : { stdinOnce: config.stdinOnce }),
    tty: config.tty,
    linux: {
      resources: { ...resourcesToWire(resources), oomScoreAdj: config.oomScoreAdj ?? 0 },
      securityContext: {
        namespaceOptions: NAMESPACES,
        privileged,
        readonlyRootfs: config.readonlyRootfs ?? false,
        noNewPrivs: config.noNewPrivileges ?? false,
        supplementalGroups: user.supplementalGroups ?? [],
        runAsUsername: user.uid === undefined ? (user.username ?? '') : '',
        ...(user.uid === undefined ? {} : { runAsUser: { value: user.uid } }),
        ...(user.gid === undefined ? {} : { runAsGroup: { value: user.gid } }),
        ...(privileged ? {} : { maskedPaths: MASKED_PATHS, readonlyPaths: READONLY_PATHS }),
        ...(config.capabilities === undefined
          ? {}
          : {
              capabilities: {
                addCapabilities: config.capabilities.add,
                dropCapabilities: config.capabilities.drop,
              },
            }),
      },
    },
  };
}

const STATES: Readonly<Record<string, ContainerState>> = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
};

export function stateFromWire(state: string): ContainerState {
  return STATES[state] ?? 'unknown';
}

/** Joins what the list knows of a container, its sandbox and image ID, with its status (rule 11.4). */
export function statusFromWire(wire: WireStatus, listed: WireContainer): ContainerStatus {
  return {
    id: wire.id,
    sandboxId: listed.podSandboxId,
    name: wire.metadata?.name ?? '',
    attempt: wire.metadata?.attempt ?? 0,
    state: stateFromWire(wire.state),
    createdAt: milliseconds(wire.createdAt),
    startedAt: milliseconds(wire.startedAt),
    finishedAt: milliseconds(wire.finishedAt),
    exitCode: wire.exitCode,
    reason: wire.reason,
    message: wire.message,
    // Runtimes before 1.36's CRI name the ID only in the list, and there as the reference.
    imageId: [wire.imageId, listed.imageId, listed.imageRef].find((id) => id !== '') ?? '',
    imageRef: wire.imageRef,
    image: wire.image?.image ?? '',
    labels: wire.labels,
    annotations: wire.annotations,
    logPath: wire.logPath,
    mounts: wire.mounts.map(({ containerPath, hostPath, readonly, image, imageSubPath }) => ({
      containerPath,
      hostPath,
      readonly,
      ...(image === null ? {} : { image: image.image }),
      ...(imageSubPath === '' ? {} : { imageSubPath }),
    })),
  };
}

/** Turns nanoseconds since the epoch into milliseconds; what did not happen stays 0. */
function milliseconds(nanoseconds: string): number {
  const value = BigInt(nanoseconds);
  return value <= 0n ? 0 : Number(value / 1_000_000n);
}
