/*
 * The runtime half of CRI v1 as TypeScript, as far as a node needs it. Implemented by `runtime/` itself (runc, crun or
 * util-linux unshare) and, over gRPC, by containerd or CRI-O, so that the pod worker has one code path.
 */

export interface PodSandboxConfig {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
  readonly hostname: string;
  /** Directory of the Pod's logs: `<logs>/NAMESPACE_NAME_UID`. */
  readonly logDirectory: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export type SandboxState = 'ready' | 'notReady';

export interface PodSandbox {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly state: SandboxState;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface Mount {
  /** Path on the node; empty when `image` is set. */
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readonly: boolean;
  /** Image reference (as `ImageService` returned it) whose content is mounted read-only: an image volume (3.37). */
  readonly image?: string;
  /** Path inside the image; the whole image when absent. */
  readonly imageSubPath?: string;
}

export interface LinuxUser {
  readonly uid?: number;
  readonly gid?: number;
  readonly username?: string;
  readonly supplementalGroups?: readonly number[];
}

/** What a container may take. */
export interface ContainerResources {
  readonly memoryBytes?: number;
  readonly cpuShares?: number;
  readonly cpuQuotaMicros?: number;
  readonly cpuPeriodMicros?: number;
}

export interface ContainerConfig {
  readonly name: string;
  readonly attempt: number;
  /** The name as the Pod wrote it, for status. */
  readonly userSpecifiedImage: string;
  /** Image reference as `ImageService` returned it. */
  readonly imageRef: string;
  /** Entrypoint override; empty means the image's. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Path of the CRI log file below the sandbox's log directory: `NAME/ATTEMPT.log`. */
  readonly logPath: string;
  readonly stdin: boolean;
  /** The first that attaches and goes away again ends the container's input. */
  readonly stdinOnce?: boolean;
  readonly tty: boolean;
  readonly user?: LinuxUser;
  readonly privileged?: boolean;
  readonly readonlyRootfs?: boolean;
  readonly resources?: ContainerResources;
  readonly capabilities?: { readonly add: readonly string[]; readonly drop: readonly string[] };
  /** True forbids gaining privileges by set-user-ID files (`allowPrivilegeEscalation: false`). */
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
  /** Signal name or number to stop with; the image's STOPSIGNAL, else SIGTERM, when absent. */
  readonly stopSignal?: string;
}

export type ContainerState = 'created' | 'running' | 'exited' | 'unknown';

export interface ContainerStatus {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly state: ContainerState;
  /** Milliseconds since the epoch; 0 when it did not happen. */
  readonly createdAt: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly exitCode: number;
  /** `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`, `StartError`. */
  readonly reason: string;
  readonly message: string;
  /** Image ID (config digest). */
  readonly imageId: string;
  /** Repo digest or ID, for Pod status `imageID` (4.16). */
  readonly imageRef: string;
  /** Name for Pod status `image` (4.16). */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absolute path of the log file. */
  readonly logPath: string;
  readonly mounts: readonly Mount[];
  /** Numeric identity the process started with, for Pod status `user.linux`; absent until it is known. */
  readonly user?: {
    readonly uid: number;
    readonly gid: number;
    readonly supplementalGroups: readonly number[];
  };
}

export interface ExecResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

/** Reported whenever a container or sandbox changes state; the pod worker then looks. */
export interface RuntimeEvent {
  readonly kind: 'created' | 'started' | 'stopped' | 'deleted';
  /** Empty when the sandbox itself changed. */
  readonly containerId: string;
  readonly sandboxId: string;
  readonly podUid: string;
}

export interface RuntimeService {
  /** Name and version for `node.status.nodeInfo.containerRuntimeVersion`: `drayage://0.1.0`, `containerd://1.6.20`. */
  version(signal: AbortSignal): Promise<{ runtimeName: string; runtimeVersion: string }>;
  runPodSandbox(config: PodSandboxConfig, signal: AbortSignal): Promise<string>;
  /** Stops everything in it; harmless when it is stopped or gone. */
  stopPodSandbox(id: string, signal: AbortSignal): Promise<void>;
  removePodSandbox(id: string, signal: AbortSignal): Promise<void>;
  listPodSandboxes(signal: AbortSignal): Promise<PodSandbox[]>;
  /** @throws RuntimeError */
  createContainer(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string>;
  startContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Sends the stop signal, waits up to `timeoutMs`, then kills. Harmless when it is stopped or gone. */
  stopContainer(id: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  removeContainer(id: string, signal: AbortSignal): Promise<void>;
  listContainers(
    filter: { podUid?: string; sandboxId?: string },
    signal: AbortSignal,
  ): Promise<ContainerStatus[]>;
  /** Returns undefined for one that is not there. */
  containerStatus(id: string, signal: AbortSignal): Promise<ContainerStatus | undefined>;
  /**
   * Gives a running container more or less than before.
   *
   * @throws RuntimeError `UNAVAILABLE` where containers are not limited at all
   */
  updateContainerResources(id: string, resources: ContainerResources, signal: AbortSignal): Promise<void>;
  execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ExecResult>;
  /** Closes and re-opens the log file after rotation. */
  reopenContainerLog(id: string, signal: AbortSignal): Promise<void>;
  /** Delivers events until the signal aborts. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
}
