import type { Rootfs } from '../images/rootfs.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { ProcessSpec } from './process-spec.ts';
import type { ContainerConfig, ContainerResources } from './runtime-service.ts';

/** A mount whose source is known. */
export interface ResolvedMount {
  readonly source: string;
  /** Path inside the container as asked for; links in it are followed inside the root only. */
  readonly destination: string;
  readonly readonly: boolean;
  /** Source is a directory (else a file or device). */
  readonly directory: boolean;
  /** Set when the source must first be mounted from layers, inside the container's namespaces. */
  readonly overlayLower?: readonly string[];
}

/** Everything a launcher must know to run one container. */
export interface LaunchPlan {
  readonly id: string;
  /** The container's own directory; the launcher may write there, and its process writes `pid` once it runs. */
  readonly directory: string;
  readonly rootfs: Rootfs;
  readonly process: ProcessSpec;
  readonly hostname: string;
  /** In the order they are mounted. */
  readonly mounts: readonly ResolvedMount[];
  readonly config: ContainerConfig;
  /** Control group below the controllers' roots, `/drayage/POD/CONTAINER`. */
  readonly cgroup: string;
}

/** A program with arguments and its complete environment. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** File in which the program writes the number of the process that it runs; absent: that one is in the program's own group. */
  readonly pidFile?: string;
  /** File in which the program writes why it could not run the process, as JSON lines; absent: its output says it. */
  readonly failureLog?: string;
  /** The process has a terminal that the program itself makes; the one that the program is run in only passes bytes on. */
  readonly bringsTerminal?: true;
}

/** A container whose process runs. */
export interface LaunchedContainer {
  readonly id: string;
  readonly directory: string;
  readonly rootfs: Rootfs;
  readonly mounts: readonly ResolvedMount[];
  readonly init: ProcessIdentity;
}

/** One way of running containers on this machine. */
export interface Launcher {
  readonly name: 'runc' | 'crun' | 'unshare';
  readonly version: string;
  /**
   * Writes the configuration and returns the command that runs the container in the foreground: it writes the first process's number
   * to `pid` in the container's directory when that process runs, and ends with its exit code (128 + signal).
   *
   * @throws RuntimeError `START_FAILED` when it is clear already that the process cannot be started
   */
  prepare(plan: LaunchPlan): Promise<Command>;
  /** Returns why no process came to be, as the launcher reported it, without its own name in front. */
  startFailure(plan: Pick<LaunchPlan, 'id' | 'directory'>): Promise<string>;
  /**
   * Tells whether a process has left the machine's file system for the container's. Without this method it has by the time that
   * `pid` is written.
   */
  hasEntered?(pid: number): Promise<boolean>;
  /**
   * Returns the command that runs one more process inside.
   *
   * @param terminal the command's own terminal is to become the process's
   * @throws RuntimeError `START_FAILED` when it is clear already that the process cannot be started
   */
  exec(container: LaunchedContainer, process: ProcessSpec, terminal: boolean): Promise<Command>;
  /** Changes what a running container may take; absent where nothing is limited. */
  readonly update?: (id: string, resources: ContainerResources) => Promise<void>;
  /** Reports what is known of the end and frees what the launcher kept. Harmless when repeated. */
  afterExit(plan: Pick<LaunchPlan, 'id' | 'directory'> & { cgroup: string }): Promise<{ oomKilled: boolean }>;
}
