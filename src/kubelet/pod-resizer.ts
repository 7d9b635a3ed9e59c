import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import { goJson } from '../base/go-json.ts';
import type { Container, Pod } from '../kube/pod.ts';
import { quantityValue } from '../kube/quantity.ts';
import { RuntimeError } from '../runtime/runtime-error.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { withAllocated, type Allocations } from './allocations.ts';
import type { EventRecorder } from './ensure-image.ts';
import { podEventObject, podUid } from './pod-reference.ts';
import { resourceConfig } from './resources.ts';
import { latest, type RuntimePod } from './runtime-pod.ts';
import { isStaticPod } from './static-pods/static-pod-marks.ts';

/** Why a Pod does not get what it asks for: `reason` is the condition's, `event` the word of the event. */
export interface ResizeRefusal {
  readonly reason: 'Infeasible' | 'Deferred';
  readonly event: string;
  readonly message: string;
}

/** A condition of a Pod whose resources are being changed. */
export interface ResizeCondition {
  readonly reason?: string;
  readonly message?: string;
  /** Generation of the Pod that asked for the change: not that of now, when something else was changed since. */
  readonly observedGeneration?: number | undefined;
}

/** What is told of a Pod whose resources are being changed, as conditions. */
export interface ResizeState {
  readonly pending?: ResizeCondition;
  readonly inProgress?: ResizeCondition;
}

/** Nothing is being changed. */
const SETTLED: ResizeState = {};

export interface PodResizerOptions {
  readonly allocations: Allocations;
  readonly runtime: RuntimeService;
  readonly recorder: EventRecorder;
  /** Says whether the node has room for a Pod as it asks now; undefined when it has. */
  readonly refuse: (pod: Pod) => ResizeRefusal | undefined;
  readonly memoryBytes: number;
}

/**
 * Gives Pods that run what they have come to ask for, where there is room, without ending them.
 *
 * @see Kubernetes, "Resize CPU and Memory Resources assigned to Containers"
 */
export class PodResizer {
  readonly #options: PodResizerOptions;
  readonly #states = new Map<string, ResizeState>();

  constructor(options: PodResizerOptions) {
    this.#options = options;
  }

  /** What is told of a Pod now. */
  state(uid: string): ResizeState {
    return this.#states.get(uid) ?? SETTLED;
  }

  /** Pods that wait for room. */
  waiting(): string[] {
    return [...this.#states].filter(([, { pending }]) => pending?.reason === 'Deferred').map(([uid]) => uid);
  }

  /** Decides about what a Pod asks for and returns it as it asks for what it was promised. */
  async admit(pod: Pod): Promise<Pod> {
    const { allocations, refuse } = this.#options;
    const uid = podUid(pod);
    const observedGeneration = pod.metadata.generation;
    const promised = withAllocated(pod, await allocations.of(pod));
    if (isDeepStrictEqual(resourcesIn(promised), resourcesIn(pod))) {
      this.#set(uid, { pending: undefined });
      return promised;
    }
    const refusal = isStaticPod(pod)
      ? infeasible('In-place resize of static-pods is not supported')
      : refuse(pod);
    if (refusal === undefined) {
      await allocations.allocate(pod);
      this.#set(uid, { pending: undefined, inProgress: { observedGeneration } });
      this.#tell(pod, observedGeneration, 'Normal', 'ResizeStarted', 'started');
      return pod;
    }
    const { reason, event, message } = refusal;
    const pending = { reason, message, observedGeneration };
    if (!isDeepStrictEqual(this.state(uid).pending, pending)) {
      this.#set(uid, { pending });
      this.#tell(pod, observedGeneration, 'Warning', `Resize${reason}`, event, message);
    }
    return promised;
  }

  /**
   * Brings containers that run to what the Pod was promised. Returns the names of those that must be started anew for it.
   *
   * @param pod as `admit` has returned it
   */
  async actuate(pod: Pod, running: RuntimePod, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const { allocations, runtime, memoryBytes } = this.#options;
    const uid = podUid(pod);
    const restart = new Set<string>();
    let complete = true;
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      const status = latest(running, container.name);
      const actuated = allocations.actuated(uid, container.name);
      if (status?.state !== 'running' || actuated === undefined) continue;
      const wanted = container.resources ?? {};
      if (isDeepStrictEqual(actuated, wanted)) continue;
      if (needsRestart(container, actuated)) {
        restart.add(container.name);
        complete = false;
        continue;
      }
      try {
        const { resources } = resourceConfig(pod, container, memoryBytes);
        await runtime.updateContainerResources(status.id, resources ?? {}, signal);
        await allocations.actuate(pod, container);
      } catch (error) {
        signal.throwIfAborted();
        complete = false;
        const message = messageOf(error);
        const before = this.state(uid).inProgress;
        const failed = { ...before, reason: 'Error', message };
        if (!isDeepStrictEqual(before, failed)) {
          this.#set(uid, { inProgress: failed });
          this.#tell(pod, before?.observedGeneration, 'Warning', 'ResizeError', 'error', message);
        }
        // Nothing is limited here: there is no use in asking again and again.
        if (error instanceof RuntimeError && error.code === 'UNAVAILABLE') break;
      }
    }
    const { inProgress } = this.state(uid);
    if (complete && inProgress !== undefined) {
      this.#set(uid, { inProgress: undefined });
      this.#tell(pod, inProgress.observedGeneration, 'Normal', 'ResizeCompleted', 'completed');
    }
    return restart;
  }

  forget(uid: string): void {
    this.#states.delete(uid);
  }

  #set(uid: string, change: { [name in keyof ResizeState]: ResizeState[name] | undefined }): void {
    const next = { ...this.state(uid), ...change };
    if (next.pending === undefined) delete next.pending;
    if (next.inProgress === undefined) delete next.inProgress;
    if (Object.keys(next).length === 0) this.#states.delete(uid);
    else this.#states.set(uid, next as ResizeState);
  }

  #tell(
    pod: Pod,
    generation: number | undefined,
    type: 'Normal' | 'Warning',
    reason: string,
    word: string,
    error?: string,
  ): void {
    const { initContainers, containers } = pod.spec;
    const text = goJson({
      ...(initContainers === undefined ? {} : { initContainers: listed(initContainers) }),
      containers: listed(containers),
      ...(generation === undefined ? {} : { generation }),
      ...(error === undefined ? {} : { error }),
    });
    this.#options.recorder.event(podEventObject(pod), type, reason, `Pod resize ${word}: ${text}`);
  }
}

function infeasible(message: string): ResizeRefusal {
  return { reason: 'Infeasible', event: 'Infeasible', message };
}

/** Refuses what the node as a whole has not; undefined when it has. */
export function refusalOfCapacity(
  requests: ReadonlyMap<string, number>,
  allocatable: Readonly<Record<string, string>>,
): ResizeRefusal | undefined {
  for (const [resource, scale] of [
    ['cpu', 1000],
    ['memory', 1],
  ] as const) {
    const requested = Math.round((requests.get(resource) ?? 0) * scale);
    const capacity = Math.round(quantityValue(allocatable[resource] ?? '0') * scale);
    if (requested > capacity) {
      return infeasible(
        `Node didn't have enough capacity: ${resource}, requested: ${requested}, capacity: ${capacity}`,
      );
    }
  }
  return undefined;
}

/** Tells whether a resource has changed for which the container asked to be started anew. */
function needsRestart(container: Container, before: NonNullable<Container['resources']>): boolean {
  return (container.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' &&
      (['requests', 'limits'] as const).some(
        (part) => container.resources?.[part]?.[resourceName] !== before[part]?.[resourceName],
      ),
  );
}

function listed(containers: readonly Container[]): object[] {
  return containers.map(({ name, resources }) => ({ name, resources: resources ?? {} }));
}

function resourcesIn(pod: Pod): object {
  return [listed(pod.spec.initContainers ?? []), listed(pod.spec.containers)];
}
