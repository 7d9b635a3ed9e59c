import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { RootfsProvider } from '../images/rootfs.ts';
import { silentLogger, type Logger } from '../observe/logger.ts';
import { SHIM_SCRIPT } from './_shim-script.ts';
import type { LauncherChoice, LauncherName } from './choose-launcher.ts';
import { ContainerDescriber } from './container-describer.ts';
import type { ImageLookup } from './container-image.ts';
import { attachTo, commandInside } from './container-access.ts';
import { killContainer, stopContainer } from './container-ending.ts';
import { endInput } from './container-input.ts';
import { resolveMounts } from './container-mounts.ts';
import { ContainerProcess } from './container-process.ts';
import {
  listNames,
  readRecord,
  writeRecord,
  type ContainerRecord,
  type SandboxRecord,
} from './container-record.ts';
import type { ContainerSession, SessionRuntime } from './container-session.ts';
import { etcMounts, writeEtcFiles } from './etc-files.ts';
import { EventHub } from './event-hub.ts';
import { execCommand } from './exec-command.ts';
import { execSession } from './exec-session.ts';
import { launchContainer } from './launch-container.ts';
import type { Command, Launcher } from './launcher.ts';
import { Launchers } from './launchers.ts';
import { processSpec } from './process-spec.ts';
import { RootedTree } from './rooted-path.ts';
import { RuntimeError } from './runtime-error.ts';
import type {
  ContainerConfig,
  ContainerResources,
  ContainerStatus,
  ExecResult,
  PodSandbox,
  PodSandboxConfig,
  RuntimeEvent,
  RuntimeService,
} from './runtime-service.ts';
import { rootLayers } from './unshare-script.ts';
import { resolveUser } from './user.ts';

/** How often running containers are looked at although nothing was reported: a killed shim reports nothing. */
const LIVENESS_MS = 10_000;

export interface LocalRuntimeOptions {
  /** Directory of all state; only one runtime may use it at a time. */
  readonly root: string;
  readonly rootfs: RootfsProvider;
  readonly images: ImageLookup;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Uses this way of running only, instead of the best that works. */
  readonly launcher?: LauncherName;
  /** Version in `containerRuntimeVersion`. */
  readonly version?: string;
}

/** A runtime of this machine. `close` stops following containers; they go on and are found again by the next one. */
export interface LocalRuntime extends RuntimeService, SessionRuntime {
  /** Tells which launcher was chosen and why better ones were not. */
  launcher(signal: AbortSignal): Promise<LauncherChoice>;
  /** Waits until the log of a container has everything that it wrote so far. */
  syncContainerLog(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens the runtime at `root` and takes up the containers that an earlier one left. */
export async function createLocalRuntime(
  options: LocalRuntimeOptions,
  signal: AbortSignal,
): Promise<LocalRuntime> {
  await mkdir(join(options.root, 'containers'), { recursive: true, mode: 0o711 });
  await mkdir(join(options.root, 'sandboxes'), { recursive: true, mode: 0o711 });
  await writeFileAtomic(join(options.root, 'shim.sh'), SHIM_SCRIPT, { mode: 0o600 });
  const runtime = new DirectoryRuntime(options);
  await runtime.adopt(signal);
  return runtime;
}

class DirectoryRuntime implements LocalRuntime {
  readonly #options: LocalRuntimeOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #hub = new EventHub();
  readonly #sandboxes = new Map<string, SandboxRecord>();
  readonly #containers = new Map<string, ContainerProcess>();
  readonly #describer: ContainerDescriber;
  readonly #closing = new AbortController();
  readonly #launchers: Launchers;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LocalRuntimeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#launchers = new Launchers(options, this.#logger, this.#closing.signal);
    this.#describer = new ContainerDescriber(options.images, this.#clock);
  }

  async adopt(signal: AbortSignal): Promise<void> {
    for (const id of await listNames(this.#sandboxPath())) {
      const record = await readRecord<SandboxRecord>(this.#sandboxPath(id), 'sandbox.json');
      if (record === undefined) await rm(this.#sandboxPath(id), { recursive: true, force: true });
      else this.#sandboxes.set(id, record);
    }
    for (const id of await listNames(this.#containerPath())) {
      const record = await readRecord<ContainerRecord>(this.#containerPath(id), 'record.json');
      if (record === undefined || !this.#sandboxes.has(record.sandboxId)) {
        await this.#forget(id, record?.views ?? []);
        continue;
      }
      const container = this.#track(record, await this.#launchers.named(record.launcher, signal));
      await container.adopt();
    }
    this.#timer = setInterval(() => this.#checkRunning(), LIVENESS_MS);
    this.#timer.unref();
  }

  launcher(signal: AbortSignal): Promise<LauncherChoice> {
    return this.#launchers.best(signal);
  }

  async version(): Promise<{ runtimeName: string; runtimeVersion: string }> {
    return { runtimeName: 'drayage', runtimeVersion: this.#options.version ?? '0.1.0' };
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<string> {
    const id = randomBytes(32).toString('hex');
    const record: SandboxRecord = { id, config, createdAt: this.#clock.now(), stopped: false };
    await mkdir(this.#sandboxPath(id), { recursive: true, mode: 0o711 });
    await writeEtcFiles(this.#sandboxPath(id), config.hostname);
    await mkdir(config.logDirectory, { recursive: true, mode: 0o755 });
    await writeRecord(this.#sandboxPath(id), 'sandbox.json', record);
    this.#sandboxes.set(id, record);
    this.#publish('started', '', record);
    return id;
  }

  async stopPodSandbox(id: string, signal: AbortSignal): Promise<void> {
    const record = this.#sandboxes.get(id);
    if (record === undefined) return;
    const inside = this.#inside(id);
    await Promise.all(inside.map((container) => killContainer(container, signal)));
    if (record.stopped) return;
    const stopped = { ...record, stopped: true };
    await writeRecord(this.#sandboxPath(id), 'sandbox.json', stopped);
    this.#sandboxes.set(id, stopped);
    this.#publish('stopped', '', stopped);
  }

  async removePodSandbox(id: string, signal: AbortSignal): Promise<void> {
    const record = this.#sandboxes.get(id);
    if (record === undefined) return;
    await this.stopPodSandbox(id, signal);
    for (const container of this.#inside(id)) await this.removeContainer(container.record.id, signal);
    await rm(this.#sandboxPath(id), { recursive: true, force: true });
    this.#sandboxes.delete(id);
    this.#publish('deleted', '', record);
  }

  async listPodSandboxes(): Promise<PodSandbox[]> {
    return [...this.#sandboxes.values()].map(({ id, config, createdAt, stopped }) => ({
      id,
      config,
      createdAt,
      state: stopped ? 'notReady' : 'ready',
    }));
  }

  async createContainer(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string> {
    const sandbox = this.#sandboxes.get(sandboxId);
    if (sandbox === undefined || sandbox.stopped) {
      throw new RuntimeError('NOT_FOUND', `Cannot create container "${config.name}": no such sandbox`);
    }
    const image = await this.#options.images(config.imageRef, signal);
    if (image === undefined) {
      throw new RuntimeError('NOT_FOUND', `failed to resolve image "${config.imageRef}": not found`);
    }
    const { launcher } = await this.launcher(signal);
    const id = randomBytes(32).toString('hex');
    const views: string[] = [];
    try {
      const rootfs = await this.#options.rootfs.prepare(id, image.diffIds, signal);
      const user = await resolveUser(
        new RootedTree(rootLayers({ rootfs })),
        config.user,
        image.config.User ?? '',
      );
      const mounts = await resolveMounts({ ...this.#options, views }, id, config.mounts, signal);
      const hostname = sandbox.config.hostname;
      // Found out now rather than at start, as a CRI runtime does: an image without a command cannot become a container.
      processSpec(config, image.config, user, hostname);
      const taken = new Set(config.mounts.map((mount) => mount.containerPath));
      const record: ContainerRecord = {
        id,
        sandboxId,
        config,
        createdAt: this.#clock.now(),
        imageId: image.id,
        image: image.config,
        launcher: launcher.name,
        rootfs,
        views,
        mounts: [...etcMounts(this.#sandboxPath(sandboxId), taken), ...mounts],
        cgroup: `/drayage/pod${sandbox.config.uid}/${id}`,
        logPath: join(sandbox.config.logDirectory, config.logPath),
        hostname,
        user,
      };
      await writeRecord(this.#containerPath(id), 'record.json', record);
      const container = this.#track(record, launcher);
      this.#publish('created', container.record.id, sandbox);
      return id;
    } catch (error) {
      await this.#forget(id, views);
      throw error;
    }
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    const container = this.#get(id);
    const launcher = await this.#launchers.named(container.record.launcher, signal);
    await launchContainer(container, launcher, join(this.#options.root, 'shim.sh'), signal);
  }

  async stopContainer(id: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await stopContainer(container, timeoutMs, signal);
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await killContainer(container, signal);
    await container.close();
    await endInput(container.directory);
    await this.#forget(id, container.record.views);
    this.#containers.delete(id);
    const sandbox = this.#sandboxes.get(container.record.sandboxId);
    if (sandbox !== undefined) this.#publish('deleted', id, sandbox);
  }

  async listContainers(
    filter: { podUid?: string; sandboxId?: string },
    signal: AbortSignal,
  ): Promise<ContainerStatus[]> {
    const statuses = [];
    for (const container of this.#containers.values()) {
      const { sandboxId } = container.record;
      if (filter.sandboxId !== undefined && sandboxId !== filter.sandboxId) continue;
      const sandbox = this.#sandboxes.get(sandboxId);
      if (filter.podUid !== undefined && sandbox?.config.uid !== filter.podUid) continue;
      statuses.push(await this.#describer.describe(container, signal));
    }
    return statuses;
  }

  async containerStatus(id: string, signal: AbortSignal): Promise<ContainerStatus | undefined> {
    const container = this.#containers.get(id);
    return container === undefined ? undefined : await this.#describer.describe(container, signal);
  }

  async updateContainerResources(
    id: string,
    resources: ContainerResources,
    signal: AbortSignal,
  ): Promise<void> {
    const { record, state } = this.#get(id);
    if (state !== 'running') throw new RuntimeError('NOT_RUNNING', `container is in ${state} state`);
    const launcher = await this.#launchers.named(record.launcher, signal);
    if (launcher.update === undefined) {
      throw new RuntimeError('UNAVAILABLE', 'resources of containers are not limited on this node');
    }
    await launcher.update(id, resources);
  }

  async execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ExecResult> {
    return await execCommand(await this.#execIn(id, command, false, signal), timeoutMs, signal);
  }

  async exec(
    id: string,
    options: { command: readonly string[]; tty: boolean; stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession> {
    const command = await this.#execIn(id, options.command, options.tty, signal);
    return await execSession(command, { ...options, directory: this.#get(id).directory }, signal);
  }

  attach(
    id: string,
    options: { tty: boolean; stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession> {
    return attachTo(this.#get(id), options, signal);
  }

  async #execIn(
    id: string,
    command: readonly string[],
    terminal: boolean,
    signal: AbortSignal,
  ): Promise<Command> {
    const container = this.#get(id);
    const launcher = await this.#launchers.named(container.record.launcher, signal);
    return await commandInside(container, launcher, command, terminal);
  }

  async reopenContainerLog(id: string): Promise<void> {
    await this.#get(id).reopenLog();
  }

  async syncContainerLog(id: string): Promise<void> {
    await this.#containers.get(id)?.syncLog();
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#hub.events(AbortSignal.any([signal, this.#closing.signal]));
  }

  async close(): Promise<void> {
    this.#closing.abort(new RuntimeError('UNAVAILABLE', 'the runtime was closed'));
    clearInterval(this.#timer);
    for (const container of this.#containers.values()) await container.close();
  }

  #track(record: ContainerRecord, launcher: Launcher): ContainerProcess {
    const container = new ContainerProcess({
      record,
      directory: this.#containerPath(record.id),
      launcher,
      clock: this.#clock,
      changed: (kind) => {
        const sandbox = this.#sandboxes.get(record.sandboxId);
        if (sandbox !== undefined) this.#publish(kind, record.id, sandbox);
      },
      failed: (error) =>
        this.#logger.error({ container: record.id, error: messageOf(error) }, 'cannot follow container'),
    });
    this.#containers.set(record.id, container);
    return container;
  }

  async #forget(id: string, views: readonly string[]): Promise<void> {
    for (const view of views) await this.#options.rootfs.remove(view);
    await this.#options.rootfs.remove(id);
    await rm(this.#containerPath(id), { recursive: true, force: true });
  }

  #checkRunning(): void {
    for (const container of this.#containers.values()) {
      if (container.state !== 'running') continue;
      container.check().catch((error: unknown) => {
        this.#logger.error(
          { container: container.record.id, error: messageOf(error) },
          'cannot check container',
        );
      });
    }
  }

  #publish(kind: RuntimeEvent['kind'], containerId: string, sandbox: SandboxRecord): void {
    this.#hub.publish({ kind, containerId, sandboxId: sandbox.id, podUid: sandbox.config.uid });
  }

  #inside(sandboxId: string): ContainerProcess[] {
    return [...this.#containers.values()].filter((container) => container.record.sandboxId === sandboxId);
  }

  #get(id: string): ContainerProcess {
    const container = this.#containers.get(id);
    if (container === undefined) throw new RuntimeError('NOT_FOUND', `container "${id}" not found`);
    return container;
  }

  #sandboxPath(id = ''): string {
    return join(this.#options.root, 'sandboxes', id);
  }

  #containerPath(id = ''): string {
    return join(this.#options.root, 'containers', id);
  }
}
