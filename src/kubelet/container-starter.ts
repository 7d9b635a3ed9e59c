import type { Allocations } from './allocations.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { formatGoDuration } from '../base/go-duration.ts';
import type { Container, Pod } from '../kube/pod.ts';
import type { ImageService } from '../pull/image-service.ts';
import type { ContainerStatus, RuntimeService } from '../runtime/runtime-service.ts';
import type { ContainerBackoff } from './container-backoff.ts';
import { containerConfig } from './container-config.ts';
import { ContainerConfigError } from './container-config-error.ts';
import type { EnvSources } from './env/container-env.ts';
import type { EventRecorder, ImageManager } from './ensure-image.ts';
import { graceOf, MIN_GRACE_MS } from './pod-killer.ts';
import type { HookRunner } from './lifecycle-hooks.ts';
import type { PodPaths } from './pod-paths.ts';
import {
  containerFieldPath,
  formatPod,
  podEventObject,
  podUid,
  type ContainerKind,
} from './pod-reference.ts';
import { containerHash } from './runtime-labels.ts';
import type { StartMetrics } from './start-metrics.ts';
import type { MountedVolume } from './volumes/volume-manager.ts';

/** Why a container was not started; `retryAt` (milliseconds since the epoch) when a pause must be waited for. */
export interface StartFailure {
  readonly reason: string;
  readonly message: string;
  readonly retryAt?: number;
}

/** What starting the containers of one Pod has in common. */
export interface PodContext {
  readonly pod: Pod;
  readonly sandboxId: string;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  /** For each image volume the reference to mount, or why it cannot be had (rules 3.37 and 3.38). */
  readonly imageVolumes: ReadonlyMap<string, { imageRef: string } | { failure: StartFailure }>;
}

export interface ContainerStarterOptions {
  readonly runtime: RuntimeService;
  readonly images: ImageService;
  readonly imageManager: ImageManager;
  readonly recorder: EventRecorder;
  readonly backoff: ContainerBackoff;
  readonly hooks: HookRunner;
  readonly paths: PodPaths;
  readonly env: EnvSources;
  readonly allocations: Allocations;
  readonly clock: Clock;
  readonly metrics?: StartMetrics;
}

/** Starts single containers: image, configuration, creation, start, hook, with the kubelet's events and reasons. */
export class ContainerStarter {
  readonly #options: ContainerStarterOptions;

  constructor(options: ContainerStarterOptions) {
    this.#options = options;
  }

  /**
   * Starts a container, unless its pause after earlier failures is not over.
   *
   * @param previous containers of that name that there were, newest first
   * @returns undefined when it runs
   */
  async start(
    context: PodContext,
    container: Container,
    kind: ContainerKind,
    previous: readonly ContainerStatus[],
    signal: AbortSignal,
  ): Promise<StartFailure | undefined> {
    const { pod } = context;
    const lastEnded = previous.find(({ state }) => state === 'exited');
    const pause = this.#pause(pod, container, kind, lastEnded);
    if (pause !== undefined) return pause;
    const unavailable = this.#missingVolume(context, container, kind);
    if (unavailable !== undefined) return unavailable;
    const failure = await this.#startNow(context, container, kind, previous, signal);
    if (failure !== undefined) this.#options.metrics?.containerNotStarted(kind, failure.reason);
    return failure;
  }

  async #startNow(
    context: PodContext,
    container: Container,
    kind: ContainerKind,
    previous: readonly ContainerStatus[],
    signal: AbortSignal,
  ): Promise<StartFailure | undefined> {
    const { pod } = context;
    const fieldPath = containerFieldPath(kind, container.name);
    const warn = (message: string): void =>
      this.#options.recorder.event(podEventObject(pod, fieldPath), 'Warning', 'Failed', message);
    const say = (reason: string, message: string): void =>
      this.#options.recorder.event(podEventObject(pod, fieldPath), 'Normal', reason, message);

    const imageMounts = (container.volumeMounts ?? []).filter(({ name }) => context.imageVolumes.has(name));
    this.#options.metrics?.imageVolumesRequested(new Set(imageMounts.map(({ name }) => name)).size);
    const image = container.image ?? '';
    const pullPolicy = container.imagePullPolicy ?? 'IfNotPresent';
    const ensured = await this.#options.imageManager.ensureImage(
      { pod, fieldPath, image, pullPolicy },
      signal,
    );
    if (!ensured.ok) {
      warn(`Error: ${ensured.reason}`);
      return { reason: ensured.reason, message: ensured.message };
    }

    const attempt = (previous[0]?.attempt ?? -1) + 1;
    let config;
    try {
      const { paths, env, images } = this.#options;
      config = await containerConfig(
        {
          pod,
          container,
          attempt,
          imageRef: ensured.imageRef,
          image: await images.imageStatus({ image: ensured.imageRef }, signal),
          volumes: context.volumes,
          imageVolumes: mountable(context.imageVolumes),
          paths,
          env,
        },
        signal,
      );
    } catch (error) {
      signal.throwIfAborted();
      const message = messageOf(error);
      warn(`Error: ${message}`);
      const isConfig = error instanceof ContainerConfigError;
      return { reason: isConfig ? error.code : 'CreateContainerConfigError', message };
    }

    let id;
    try {
      id = await this.#options.runtime.createContainer(context.sandboxId, config, signal);
    } catch (error) {
      signal.throwIfAborted();
      for (const _ of imageMounts) this.#options.metrics?.imageVolumeMounted(false);
      warn(`Error: ${messageOf(error)}`);
      return { reason: 'CreateContainerError', message: messageOf(error) };
    }
    for (const _ of imageMounts) this.#options.metrics?.imageVolumeMounted(true);
    await this.#options.allocations.actuate(pod, container);
    say('Created', 'Container created');
    try {
      await this.#options.runtime.startContainer(id, signal);
    } catch (error) {
      signal.throwIfAborted();
      // An ID is another each time, and would make each failure an event of its own.
      warn(`Error: ${messageOf(error).replaceAll(id, container.name)}`);
      return { reason: 'RunContainerError', message: messageOf(error) };
    }
    say('Started', 'Container started');
    return await this.#postStart(context, container, fieldPath, id, signal);
  }

  /** Tells each mount of an image volume that cannot be had, before the container's own image is thought of (rule 3.38). */
  #missingVolume(context: PodContext, container: Container, kind: ContainerKind): StartFailure | undefined {
    const object = podEventObject(context.pod, containerFieldPath(kind, container.name));
    let last: StartFailure | undefined;
    for (const { name } of container.volumeMounts ?? []) {
      const volume = context.imageVolumes.get(name);
      if (volume === undefined || !('failure' in volume)) continue;
      last = volume.failure;
      this.#options.recorder.event(object, 'Warning', 'Failed', `Error: ${last.reason}`);
    }
    return last;
  }

  #pause(
    pod: Pod,
    container: Container,
    kind: ContainerKind,
    lastEnded: ContainerStatus | undefined,
  ): StartFailure | undefined {
    if (lastEnded === undefined) return undefined;
    const key = `${podUid(pod)}_${container.name}_${containerHash(container)}`;
    const pause = this.#options.backoff.enter(key, lastEnded.finishedAt);
    if (pause === undefined) return undefined;
    const fieldPath = containerFieldPath(kind, container.name);
    const where = formatPod(pod);
    this.#options.recorder.event(
      podEventObject(pod, fieldPath),
      'Warning',
      'BackOff',
      `Back-off restarting failed container ${container.name} in pod ${where}`,
    );
    return {
      reason: 'CrashLoopBackOff',
      message: `back-off ${formatGoDuration(pause.pauseMs)} restarting failed container=${container.name} pod=${where}`,
      retryAt: pause.until,
    };
  }

  async #postStart(
    context: PodContext,
    container: Container,
    fieldPath: string,
    id: string,
    signal: AbortSignal,
  ): Promise<StartFailure | undefined> {
    const hook = container.lifecycle?.postStart;
    if (hook === undefined) return undefined;
    const failure = await this.#options.hooks.run(context.pod, container, id, hook, undefined, signal);
    if (failure === undefined) return undefined;
    const { recorder, runtime } = this.#options;
    const object = podEventObject(context.pod, fieldPath);
    recorder.event(object, 'Warning', 'FailedPostStartHook', `PostStartHook failed`);
    recorder.event(object, 'Normal', 'Killing', `FailedPostStartHook`);
    await runtime.stopContainer(id, Math.max(graceOf(context.pod) * 1000, MIN_GRACE_MS), signal);
    return { reason: 'PostStartHookError', message: failure };
  }
}

function mountable(
  volumes: ReadonlyMap<string, { imageRef: string } | { failure: StartFailure }>,
): Map<string, string> {
  const references = new Map<string, string>();
  for (const [name, volume] of volumes) if ('imageRef' in volume) references.set(name, volume.imageRef);
  return references;
}
