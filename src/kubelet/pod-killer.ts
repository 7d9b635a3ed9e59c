import type { Clock } from '../base/clock.ts';
import type { Pod } from '../kube/pod.ts';
import type { ContainerStatus, RuntimeService } from '../runtime/runtime-service.ts';
import type { EventRecorder } from './ensure-image.ts';
import type { HookRunner } from './lifecycle-hooks.ts';
import { containerFieldPath, findContainer, isSidecar, podEventObject } from './pod-reference.ts';
import { recordedGracePeriod } from './runtime-labels.ts';
import { runningContainers, type RuntimePod } from './runtime-pod.ts';

/** Grace of Pods that say none. */
const DEFAULT_GRACE_SECONDS = 30;

/** The least that a Pod as a whole is given. The kubelet's value. */
const MIN_POD_GRACE_SECONDS = 1;

/** What is left of the grace after a slow preStop hook is never less than this. The kubelet's value. */
export const MIN_GRACE_MS = 2000;

/** Ends containers as their Pods ask: hook, stop signal, grace, kill. */
export class PodKiller {
  readonly #runtime: RuntimeService;
  readonly #recorder: EventRecorder;
  readonly #hooks: HookRunner;
  readonly #clock: Clock;

  constructor(options: {
    runtime: RuntimeService;
    recorder: EventRecorder;
    hooks: HookRunner;
    clock: Clock;
  }) {
    this.#runtime = options.runtime;
    this.#recorder = options.recorder;
    this.#hooks = options.hooks;
    this.#clock = options.clock;
  }

  /** Ends everything that runs in a Pod: containers side by side, then sidecars, last started first. */
  async killPod(
    pod: Pod,
    running: RuntimePod,
    graceSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const begun = this.#clock.now();
    const grace = graceSeconds ?? graceOf(pod);
    const alive = runningContainers(running);
    const sidecarNames = (pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
    const others = alive.filter(({ name }) => !sidecarNames.includes(name));
    await Promise.all(others.map((status) => this.killContainer(pod, status, undefined, grace, signal)));
    for (const name of sidecarNames.toReversed()) {
      const left = grace - Math.floor((this.#clock.now() - begun) / 1000);
      for (const status of alive.filter((candidate) => candidate.name === name)) {
        await this.killContainer(pod, status, undefined, Math.max(left, 0), signal);
      }
    }
    for (const sandbox of running.sandboxes) await this.#runtime.stopPodSandbox(sandbox.id, signal);
  }

  /** Ends one container, with a `Killing` event that says why. */
  async killContainer(
    pod: Pod,
    status: ContainerStatus,
    because: string | undefined,
    graceSeconds: number,
    signal: AbortSignal,
  ): Promise<void> {
    const found = findContainer(pod, status.name);
    const fieldPath = containerFieldPath(found?.kind ?? 'app', status.name);
    const object = podEventObject(pod, fieldPath);
    this.#recorder.event(object, 'Normal', 'Killing', because ?? `Stopping container ${status.name}`);
    let graceMs = graceSeconds * 1000;
    const hook = found?.container.lifecycle?.preStop;
    if (found !== undefined && hook !== undefined && graceMs > 0) {
      const begun = this.#clock.now();
      const failure = await this.#hooks.run(pod, found.container, status.id, hook, graceMs, signal);
      if (failure !== undefined) {
        this.#recorder.event(object, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
      }
      graceMs = Math.max(graceMs - (this.#clock.now() - begun), MIN_GRACE_MS);
    }
    await this.#runtime.stopContainer(status.id, graceMs, signal);
  }
}

/**
 * Returns how long a Pod's containers may take to end, in seconds: what its deletion says, else what its specification says, and always
 * one at least. A deletion that gives no time says nothing, as the kubelet has it.
 */
export function graceOf(pod: Pod): number {
  const asked = pod.metadata.deletionGracePeriodSeconds ?? 0;
  const grace = asked > 0 ? asked : (pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS);
  return Math.max(grace, MIN_POD_GRACE_SECONDS);
}

/** Returns the grace that a container was started with, for Pods that are known no more. */
export function recordedGrace(status: ContainerStatus): number {
  return recordedGracePeriod(status.annotations) ?? DEFAULT_GRACE_SECONDS;
}
