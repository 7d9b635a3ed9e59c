import { rm } from 'node:fs/promises';
import type { Allocations } from './allocations.ts';
import { activeDeadline, DEADLINE_MESSAGE, DEADLINE_REASON } from './active-deadline.ts';
import type { Clock } from '../base/clock.ts';
import type { Container, Pod, PodStatus } from '../kube/pod.ts';
import { formatTime } from '../kube/time.ts';
import type { ContainerStatus, RuntimeService } from '../runtime/runtime-service.ts';
import type { ContainerStarter, PodContext, StartFailure } from './container-starter.ts';
import type { EventRecorder, ImageManager } from './ensure-image.ts';
import { makeSandbox } from './pod-sandbox.ts';
import { graceOf, MIN_GRACE_MS, type PodKiller } from './pod-killer.ts';
import { lookedAtBy, outcomeOf, type SyncOutcome } from './sync-outcome.ts';
import { MountBackoff } from './mount-backoff.ts';
import { planPod, type PodPlan } from './plan-pod.ts';
import type { PodPaths } from './pod-paths.ts';
import { isSidecar, podEventObject, podUid, type ContainerKind } from './pod-reference.ts';
import { disruptionCondition } from './pod-conditions.ts';
import type { PodResizer } from './pod-resizer.ts';
import { podStatus } from './pod-status.ts';
import type { ProbeManager } from './probes/probe-manager.ts';
import type { PodPullSecrets } from './pull-secrets-of-pod.ts';
import type { ReasonCache } from './reason-cache.ts';
import { latest, readRuntimePod, runningContainers, type RuntimePod } from './runtime-pod.ts';
import type { StatusManager } from './status-manager.ts';
import type { TerminationMessages } from './termination-message.ts';
import type { MountedVolume, VolumeManager } from './volumes/volume-manager.ts';
import { VolumeError } from './volumes/volume-error.ts';

/** Why a Pod must go, or may not come. */
export interface Eviction {
  readonly reason: string;
  readonly message: string;
  readonly graceSeconds: number;
  /** Says that the Pod is ended for the node's sake and through no fault of its own. */
  readonly disruption?: string;
}

export interface PodSyncerOptions {
  readonly runtime: RuntimeService;
  readonly runtimeName: string;
  readonly imageManager: ImageManager;
  readonly recorder: EventRecorder;
  readonly starter: ContainerStarter;
  readonly killer: PodKiller;
  readonly probes: ProbeManager;
  readonly reasons: ReasonCache;
  readonly statuses: StatusManager;
  readonly messages: TerminationMessages;
  readonly volumes: VolumeManager;
  readonly pullSecrets: PodPullSecrets;
  readonly allocations: Allocations;
  readonly resizer: PodResizer;
  readonly paths: PodPaths;
  readonly address: string;
  readonly clock: Clock;
}

/** Brings one Pod from what runs to what is specified, one step further each time. Calls for one Pod never overlap. */
export class PodSyncer {
  readonly #options: PodSyncerOptions;
  readonly #mounts: MountBackoff;

  constructor(options: PodSyncerOptions) {
    this.#options = options;
    this.#mounts = new MountBackoff(options.clock);
  }

  /** Looks at a Pod, reports its status and does what its plan says. */
  async sync(given: Pod, signal: AbortSignal): Promise<SyncOutcome> {
    const uid = podUid(given);
    const pod = this.#withKnownStatus(await this.#options.resizer.admit(given));
    const running = await readRuntimePod(this.#options.runtime, uid, signal);
    const status = await this.#report(pod, running, {});
    if (status.phase === 'Succeeded' || status.phase === 'Failed') return { kind: 'ended' };
    const deadline = activeDeadline({ ...pod, status });
    if (deadline !== undefined && deadline <= this.#options.clock.now()) {
      this.#options.recorder.event(podEventObject(pod), 'Normal', DEADLINE_REASON, DEADLINE_MESSAGE);
      const graceSeconds = graceOf(pod);
      await this.evict(given, { reason: DEADLINE_REASON, message: DEADLINE_MESSAGE, graceSeconds }, signal);
      return { kind: 'ended' };
    }
    return lookedAtBy(await this.#advance(pod, running, signal), deadline);
  }

  async #advance(pod: Pod, running: RuntimePod, signal: AbortSignal): Promise<SyncOutcome> {
    let volumes;
    try {
      volumes = await this.#options.volumes.prepare(pod, signal);
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      this.#options.recorder.event(podEventObject(pod), 'Warning', 'FailedMount', error.message);
      return { kind: 'failed', error: error.message, retryAt: this.#mounts.fail(podUid(pod)) };
    }
    this.#mounts.forget(podUid(pod));
    await this.#options.pullSecrets.refresh(pod, signal);

    const { resizer } = this.#options;
    const before = resizer.state(podUid(pod));
    const resized = await resizer.actuate(pod, running, signal);
    if (resizer.state(podUid(pod)) !== before) await this.#report(this.#withKnownStatus(pod), running, {});
    const plan = planPod(pod, running, this.#options.probes, resized);
    if (plan.killPod) return { kind: 'ended' };
    await this.#killSome(pod, plan, signal);
    const sandboxId = await this.#sandbox(pod, running, plan, signal);
    if (typeof sandboxId !== 'string') return sandboxId;
    return await this.#start(pod, running, plan, sandboxId, volumes, signal);
  }

  /** Ends whatever runs of a Pod and reports how it ended. */
  async terminate(given: Pod, graceSeconds: number | undefined, signal: AbortSignal): Promise<void> {
    const uid = podUid(given);
    const pod = given.status?.phase === 'Failed' ? given : this.#withKnownStatus(given);
    let running = await readRuntimePod(this.#options.runtime, uid, signal);
    await this.#report(pod, running, {});
    this.#options.probes.keepOnly(uid, new Set());
    await this.#options.killer.killPod(pod, running, graceSeconds ?? graceOf(pod), signal);
    running = await readRuntimePod(this.#options.runtime, uid, signal);
    await this.#report(this.#withKnownStatus(pod), running, { ended: true });
  }

  /** Ends a Pod for good: it has failed, for a reason that is not its own. */
  async evict(given: Pod, eviction: Eviction, signal: AbortSignal): Promise<void> {
    const { reason, message, graceSeconds } = eviction;
    this.#options.statuses.track(given);
    const pod = this.#withKnownStatus(given);
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'DisruptionTarget');
    const now = formatTime(this.#options.clock.now());
    const { disruption } = eviction;
    const conditions =
      disruption === undefined ? {} : { conditions: [disruptionCondition(pod, disruption, now), ...others] };
    const status: PodStatus = { ...pod.status, ...conditions, phase: 'Failed', reason, message };
    await this.terminate({ ...pod, status }, graceSeconds, signal);
  }

  /** Forgets a Pod that is gone from the API: containers, volumes, logs. */
  async remove(pod: Pod, signal: AbortSignal): Promise<void> {
    const uid = podUid(pod);
    const { runtime, volumes, statuses, pullSecrets, paths, probes } = this.#options;
    probes.keepOnly(uid, new Set());
    const running = await readRuntimePod(runtime, uid, signal);
    for (const sandbox of running.sandboxes) await runtime.removePodSandbox(sandbox.id, signal);
    await volumes.remove(uid);
    await rm(paths.logDirectory(pod), { recursive: true, force: true });
    statuses.forget(uid);
    pullSecrets.forget(uid);
    this.#options.allocations.forget(uid);
    this.#options.resizer.forget(uid);
    this.#mounts.forget(uid);
  }

  /** The status that we set last may be newer than what the watch has delivered. */
  #withKnownStatus(pod: Pod): Pod {
    const known = this.#options.statuses.get(podUid(pod));
    if (known === undefined) return pod;
    const foreign = pod.status?.conditions?.filter(
      ({ type }) => known.conditions?.every((condition) => condition.type !== type) ?? true,
    );
    const conditions = [...(known.conditions ?? []), ...(foreign ?? [])];
    return { ...pod, status: { ...pod.status, ...known, conditions } };
  }

  async #report(
    pod: Pod,
    running: RuntimePod,
    more: { sandboxReady?: boolean; ended?: boolean },
  ): Promise<PodStatus> {
    const { messages, reasons, probes, runtimeName, address, clock, statuses, resizer } = this.#options;
    const uid = podUid(pod);
    await messages.read([...running.containers.values()].flat());
    this.#watchProbes(pod, running);
    const status = podStatus(pod, running, {
      reasons,
      idPrefix: `${runtimeName}://`,
      terminationMessage: (container) => messages.get(container),
      ready: (container) => probes.ready(container.id),
      started: (container) => probes.started(container.id),
      resources: (container) => this.#options.allocations.actuated(uid, container),
      resize: resizer.state(uid),
      hostIP: address,
      now: clock.now(),
      ...more,
    });
    // Until its end is complete something of the Pod may run, whatever its containers say.
    statuses.set(pod, status, more.ended !== true);
    return status;
  }

  #watchProbes(pod: Pod, running: RuntimePod): void {
    const { probes } = this.#options;
    probes.keepOnly(podUid(pod), new Set(runningContainers(running).map(({ id }) => id)));
    if (pod.metadata.deletionTimestamp !== undefined) return;
    const watch = (container: Container, kind: ContainerKind): void => {
      const status = latest(running, container.name);
      if (status?.state === 'running') probes.watch(pod, container, kind, status.id, status.startedAt);
    };
    for (const container of pod.spec.containers) watch(container, 'app');
    for (const container of pod.spec.initContainers ?? []) if (isSidecar(container)) watch(container, 'init');
  }

  async #killSome(pod: Pod, plan: PodPlan, signal: AbortSignal): Promise<void> {
    // One container of a Pod that goes on is given a little more than none.
    const grace = Math.max(graceOf(pod), MIN_GRACE_MS / 1000);
    for (const { container, because } of plan.kill) {
      await this.#options.killer.killContainer(pod, container, because, grace, signal);
    }
  }

  async #sandbox(
    pod: Pod,
    running: RuntimePod,
    plan: PodPlan,
    signal: AbortSignal,
  ): Promise<string | SyncOutcome> {
    const current = running.sandboxes[0];
    if (!plan.createSandbox && current !== undefined) return current.id;
    const made = await makeSandbox({ ...this.#options, pod, running }, signal);
    if ('error' in made) return { kind: 'failed', error: made.error };
    // The condition tells at once, not only when the images have come.
    await this.#report(this.#withKnownStatus(pod), running, { sandboxReady: true });
    return made.id;
  }

  async #start(
    pod: Pod,
    running: RuntimePod,
    plan: PodPlan,
    sandboxId: string,
    volumes: ReadonlyMap<string, MountedVolume>,
    signal: AbortSignal,
  ): Promise<SyncOutcome> {
    const { start, startInit, startEphemeral } = plan;
    if (start.length + startInit.length + startEphemeral.length === 0) return { kind: 'fine' };
    const imageVolumes = await this.#imageVolumes(pod, signal);
    const context: PodContext = { pod, sandboxId, volumes, imageVolumes };
    const failures: StartFailure[] = [];
    const startOne = async (container: Container, kind: ContainerKind): Promise<boolean> => {
      const uid = podUid(pod);
      // As it was when the step began: what the step itself has ended starts again without a pause.
      const previous = running.containers.get(container.name) ?? [];
      const failure = await this.#options.starter.start(context, container, kind, previous, signal);
      if (failure === undefined) {
        this.#options.reasons.remove(uid, container.name);
        await this.#removeOld(running, container.name, signal);
        return true;
      }
      this.#options.reasons.set(uid, container.name, failure);
      failures.push(failure);
      return false;
    };
    for (const container of startEphemeral) await startOne(container, 'ephemeral');
    let initialized = true;
    for (const container of startInit) {
      // A sidecar that does not start holds up nobody who may start already; nothing may start after another.
      initialized = (await startOne(container, 'init')) || isSidecar(container);
      if (!initialized) break;
    }
    if (initialized) for (const container of start) await startOne(container, 'app');
    if (failures.some(({ retryAt }) => retryAt !== undefined)) {
      // Nothing happens until the pause is over: without this the status would not say so until then.
      const now = await readRuntimePod(this.#options.runtime, podUid(pod), signal);
      await this.#report(this.#withKnownStatus(pod), now, {});
    }
    return outcomeOf(pod, failures);
  }

  /** Ensures all image volumes before any container starts (rule 3.37). */
  async #imageVolumes(pod: Pod, signal: AbortSignal): Promise<PodContext['imageVolumes']> {
    const result = new Map<string, { imageRef: string } | { failure: StartFailure }>();
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.image === undefined) continue;
      const ensured = await this.#options.imageManager.ensureImage(
        {
          pod,
          fieldPath: undefined,
          image: volume.image.reference ?? '',
          pullPolicy: volume.image.pullPolicy ?? 'IfNotPresent',
        },
        signal,
      );
      result.set(
        volume.name,
        ensured.ok
          ? { imageRef: ensured.imageRef }
          : { failure: { reason: ensured.reason, message: ensured.message } },
      );
    }
    return result;
  }

  /** Keeps the newest ended container of each name, for `lastState` and `logs --previous`, and removes the older ones. */
  async #removeOld(running: RuntimePod, name: string, signal: AbortSignal): Promise<void> {
    const old = (running.containers.get(name) ?? []).slice(1);
    for (const status of old) await this.#removeContainer(status, signal);
  }

  async #removeContainer(status: ContainerStatus, signal: AbortSignal): Promise<void> {
    await this.#options.runtime.removeContainer(status.id, signal);
    await rm(status.logPath, { force: true });
  }
}
