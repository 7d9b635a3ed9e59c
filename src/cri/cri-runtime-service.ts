import { systemClock, type Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { ContainerSession, SessionRuntime } from '../runtime/container-session.ts';
import { RuntimeError } from '../runtime/runtime-error.ts';
import type {
  ContainerConfig,
  ContainerResources,
  ContainerStatus,
  ExecResult,
  PodSandbox,
  PodSandboxConfig,
  RuntimeEvent,
  RuntimeService,
} from '../runtime/runtime-service.ts';
import { CriCallError, CriConnection, DEFAULT_REQUEST_TIMEOUT_MS } from './cri-connection.ts';
import { CriError } from './cri-error.ts';
import { ignoringAbsence } from './ignoring-absence.ts';
import {
  containerToWire,
  resourcesToWire,
  sandboxFromWire,
  sandboxToWire,
  stateFromWire,
  statusFromWire,
  type WireContainer,
  type WireSandbox,
  type WireStatus,
} from './runtime-messages.ts';
import { refusalOf, startRefusalOf } from './runtime-refusal.ts';
import { streamedSession } from './streamed-session.ts';

/** Label by which containers are found by Pod; the kubelet's own, so that other tools find them too. */
const POD_UID = 'io.kubernetes.pod.uid';
/** Time between two looks for changes, in milliseconds, as a kubelet looks. */
const RELIST_PERIOD_MS = 1000;

/** Runs Pods in another runtime, such as containerd or CRI-O, on the machine's network. */
export class CriRuntimeService implements RuntimeService, SessionRuntime {
  readonly #connection: CriConnection;
  readonly #requestTimeoutMs: number;
  readonly #clock: Clock;

  constructor(connection: CriConnection, requestTimeoutMs: number, clock: Clock) {
    this.#connection = connection;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#clock = clock;
  }

  async version(signal: AbortSignal): Promise<{ runtimeName: string; runtimeVersion: string }> {
    const answer = await this.#connection.call<{ runtimeName: string; runtimeVersion: string }>(
      'Version',
      { version: '0.1.0' },
      signal,
    );
    return { runtimeName: answer.runtimeName, runtimeVersion: answer.runtimeVersion };
  }

  async runPodSandbox(config: PodSandboxConfig, signal: AbortSignal): Promise<string> {
    // The runtime may have to pull its pause image first: twice the time, as a kubelet allows.
    const { podSandboxId } = await this.#connection.call<{ podSandboxId: string }>(
      'RunPodSandbox',
      { config: sandboxToWire(config) },
      signal,
      2 * this.#requestTimeoutMs,
    );
    if (podSandboxId === '')
      throw new CriError('BAD_ANSWER', `PodSandboxId is not set for sandbox "${config.name}"`);
    return podSandboxId;
  }

  async stopPodSandbox(id: string, signal: AbortSignal): Promise<void> {
    await ignoringAbsence(this.#connection.call('StopPodSandbox', { podSandboxId: id }, signal));
  }

  async removePodSandbox(id: string, signal: AbortSignal): Promise<void> {
    await ignoringAbsence(this.#connection.call('RemovePodSandbox', { podSandboxId: id }, signal));
  }

  async listPodSandboxes(signal: AbortSignal): Promise<PodSandbox[]> {
    return (await this.#sandboxes({}, signal)).map(sandboxFromWire);
  }

  async createContainer(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string> {
    const [sandbox] = await this.#sandboxes({ id: sandboxId }, signal);
    if (sandbox === undefined)
      throw new RuntimeError(
        'NOT_FOUND',
        `Cannot create container "${config.name}": no sandbox ${sandboxId}`,
      );
    const request = {
      podSandboxId: sandboxId,
      config: containerToWire(config),
      sandboxConfig: sandboxToWire(sandboxFromWire(sandbox).config),
    };
    const { containerId } = await this.#starting<{ containerId: string }>('CreateContainer', request, signal);
    if (containerId === '')
      throw new CriError('BAD_ANSWER', `ContainerId is not set for container "${config.name}"`);
    return containerId;
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#starting('StartContainer', { containerId: id }, signal);
  }

  async #starting<T>(call: string, request: object, signal: AbortSignal): Promise<T> {
    try {
      return await this.#connection.call<T>(call, request, signal);
    } catch (error) {
      throw startRefusalOf(error);
    }
  }

  async stopContainer(id: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const request = { containerId: id, timeout: Math.ceil(timeoutMs / 1000) };
    const limit = this.#requestTimeoutMs + timeoutMs;
    await ignoringAbsence(this.#connection.call('StopContainer', request, signal, limit));
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    await ignoringAbsence(this.#connection.call('RemoveContainer', { containerId: id }, signal));
  }

  async listContainers(
    filter: { podUid?: string; sandboxId?: string },
    signal: AbortSignal,
  ): Promise<ContainerStatus[]> {
    const listed = await this.#containers(
      {
        ...(filter.sandboxId === undefined ? {} : { podSandboxId: filter.sandboxId }),
        ...(filter.podUid === undefined ? {} : { labelSelector: { [POD_UID]: filter.podUid } }),
      },
      signal,
    );
    const statuses = await Promise.all(listed.map((container) => this.#status(container, signal)));
    return statuses.filter((status) => status !== undefined);
  }

  async containerStatus(id: string, signal: AbortSignal): Promise<ContainerStatus | undefined> {
    const [listed] = await this.#containers({ id }, signal);
    return listed === undefined ? undefined : await this.#status(listed, signal);
  }

  async updateContainerResources(
    id: string,
    resources: ContainerResources,
    signal: AbortSignal,
  ): Promise<void> {
    const request = { containerId: id, linux: resourcesToWire(resources) };
    await this.#connection.call('UpdateContainerResources', request, signal);
  }

  async execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ExecResult> {
    const request = { containerId: id, cmd: command, timeout: Math.ceil(timeoutMs / 1000) };
    try {
      return await this.#connection.call<ExecResult>(
        'ExecSync',
        request,
        signal,
        timeoutMs === 0 ? 0 : this.#requestTimeoutMs + timeoutMs,
      );
    } catch (error) {
      throw refusalOf(error);
    }
  }

  async exec(
    id: string,
    options: { command: readonly string[]; tty: boolean; stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession> {
    return await this.#session('Exec', { containerId: id, cmd: options.command }, options, signal);
  }

  async attach(
    id: string,
    options: { tty: boolean; stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession> {
    return await this.#session('Attach', { containerId: id }, options, signal);
  }

  async #session(
    call: 'Exec' | 'Attach',
    request: object,
    { tty, stdin }: { tty: boolean; stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession> {
    const wanted = { tty, stdin, stdout: true, stderr: !tty };
    try {
      const { url } = await this.#connection.call<{ url: string }>(call, { ...request, ...wanted }, signal);
      return await streamedSession(url, wanted, signal);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  async reopenContainerLog(id: string, signal: AbortSignal): Promise<void> {
    await this.#connection.call('ReopenContainerLog', { containerId: id }, signal);
  }

  /** Looks once a second what changed: not every runtime tells. */
  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    let before = await this.#states(signal).catch(() => new Map<string, Seen>());
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(RELIST_PERIOD_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      // A runtime that is being restarted answers again soon; nothing is concluded from its silence.
      const now = await this.#states(signal).catch(() => before);
      for (const [key, { event, state }] of now) {
        const kind = KIND_OF_STATE[state];
        if (before.get(key)?.state !== state && kind !== undefined) yield { ...event, kind };
      }
      for (const [key, { event }] of before) if (!now.has(key)) yield { ...event, kind: 'deleted' };
      before = now;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #sandboxes(filter: object, signal: AbortSignal): Promise<readonly WireSandbox[]> {
    const answer = await this.#connection.call<{ items: WireSandbox[] }>(
      'ListPodSandbox',
      { filter },
      signal,
    );
    return answer.items;
  }

  async #containers(filter: object, signal: AbortSignal): Promise<readonly WireContainer[]> {
    const answer = await this.#connection.call<{ containers: WireContainer[] }>(
      'ListContainers',
      { filter },
      signal,
    );
    return answer.containers;
  }

  async #status(listed: WireContainer, signal: AbortSignal): Promise<ContainerStatus | undefined> {
    try {
      const { status } = await this.#connection.call<{ status: WireStatus | null }>(
        'ContainerStatus',
        { containerId: listed.id },
        signal,
      );
      return status === null ? undefined : statusFromWire(status, listed);
    } catch (error) {
      if (error instanceof CriCallError && error.status === 'NotFound') return undefined;
      throw error;
    }
  }

  async #states(signal: AbortSignal): Promise<ReadonlyMap<string, Seen>> {
    const seen = new Map<string, Seen>();
    for (const sandbox of await this.listPodSandboxes(signal)) {
      const event = { containerId: '', sandboxId: sandbox.id, podUid: sandbox.config.uid };
      seen.set(sandbox.id, { event, state: sandbox.state === 'ready' ? 'running' : 'exited' });
    }
    for (const { id, podSandboxId, labels, state } of await this.#containers({}, signal)) {
      const event = { containerId: id, sandboxId: podSandboxId, podUid: labels[POD_UID] ?? '' };
      seen.set(id, { event, state: stateFromWire(state) });
    }
    return seen;
  }
}

interface Seen {
  readonly event: Omit<RuntimeEvent, 'kind'>;
  readonly state: ContainerStatus['state'];
}

const KIND_OF_STATE: Readonly<Record<ContainerStatus['state'], RuntimeEvent['kind'] | undefined>> = {
  created: 'created',
  running: 'started',
  exited: 'stopped',
  unknown: undefined,
};

/**
 * Connects to the runtime service of a runtime and makes sure that somebody answers (rule 12.9).
 *
 * @throws CriError `BAD_ENDPOINT`; `UNAVAILABLE` with the kubelet's text
 */
export async function criRuntimeService(
  endpoint: string,
  signal: AbortSignal,
  options: { readonly requestTimeoutMs?: number; readonly clock?: Clock } = {},
): Promise<CriRuntimeService> {
  const { requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS, clock = systemClock } = options;
  const connection = new CriConnection('RuntimeService', endpoint, requestTimeoutMs);
  const service = new CriRuntimeService(connection, requestTimeoutMs, clock);
  try {
    await service.version(signal);
    return service;
  } catch (error) {
    service.close();
    throw new CriError(
      'UNAVAILABLE',
      `validate CRI v1 runtime API for endpoint "${endpoint}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}
