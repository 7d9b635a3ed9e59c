import { formatTime } from '../kube/time.ts';
import type { Container, ContainerStateValue, Pod, PodContainerStatus, VolumeMount } from '../kube/pod.ts';
import type { ContainerStatus } from '../runtime/runtime-service.ts';
import type { ReasonCache } from './reason-cache.ts';
import { podUid } from './pod-reference.ts';
import { shouldRun } from './restart-policy.ts';
import type { RuntimePod } from './runtime-pod.ts';

/** What is known of a container beyond the runtime. */
export interface ContainerFacts {
  readonly reasons: ReasonCache;
  /** Name and separator in front of container IDs: `drayage://`. */
  readonly idPrefix: string;
  /** Text that an ended container left, bounded already; empty when none. */
  terminationMessage(status: ContainerStatus): string;
  /** Readiness as the probes see it. */
  ready(status: ContainerStatus): boolean;
  started(status: ContainerStatus): boolean;
  /** What a container runs with, which is not always what it was promised; undefined when it is not known. */
  resources?(container: string): Container['resources'];
}

/** Describes one container for the Pod's status (rules 4.11 and 4.16). */
export function containerStatus(
  pod: Pod,
  container: Container,
  init: boolean,
  running: RuntimePod,
  facts: ContainerFacts,
  previous: PodContainerStatus | undefined,
): PodContainerStatus {
  const [newest, older] = running.containers.get(container.name) ?? [];
  const volumeMounts = mountStatuses(container);
  const base = {
    name: container.name,
    state: {} as ContainerStateValue,
    lastState: {} as ContainerStateValue,
    ready: false,
    restartCount: 0,
    image: container.image ?? '',
    imageID: '',
    started: false,
    ...(volumeMounts.length === 0 ? {} : { volumeMounts }),
  };
  let status: PodContainerStatus;
  if (newest === undefined) {
    status = lostStatus(pod, base, previous) ?? {
      ...base,
      state: { waiting: { reason: defaultReason(pod) } },
    };
  } else {
    status = {
      ...base,
      state: stateOf(newest, facts),
      lastState: older?.state === 'exited' ? stateOf(older, facts) : {},
      restartCount: newest.attempt,
      image: newest.image,
      imageID: newest.imageRef,
      containerID: `${facts.idPrefix}${newest.id}`,
      resources: facts.resources?.(container.name) ?? container.resources ?? {},
      ...allocated(container),
      ...user(newest),
    };
    status.ready =
      init && container.restartPolicy !== 'Always'
        ? newest.state === 'exited' && newest.exitCode === 0
        : newest.state === 'running' && facts.ready(newest);
    status.started = newest.state === 'running' && facts.started(newest);
  }
  if (!shouldRun(pod, container, init, newest)) return status;
  const reason = facts.reasons.get(podUid(pod), container.name);
  if (reason === undefined) return status;
  const lastState = status.state?.terminated === undefined ? status.lastState : status.state;
  const waiting = {
    reason: reason.reason,
    ...(reason.message === '' ? {} : { message: reason.message }),
  };
  return { ...status, state: { waiting }, lastState: lastState ?? {} };
}

function defaultReason(pod: Pod): string {
  return (pod.spec.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating';
}

/** A container that ran once and is gone keeps what was last known of it. */
function lostStatus(
  pod: Pod,
  base: PodContainerStatus,
  previous: PodContainerStatus | undefined,
): PodContainerStatus | undefined {
  if (previous?.containerID === undefined || previous.containerID === '') return undefined;
  if (previous.state?.terminated !== undefined) {
    return pod.metadata.deletionTimestamp !== undefined || pod.spec.restartPolicy === 'Never'
      ? { ...previous, ready: false, started: false }
      : {
          ...base,
          restartCount: previous.restartCount,
          lastState: previous.state,
          state: { waiting: { reason: defaultReason(pod) } },
        };
  }
  if (previous.state?.running === undefined) return undefined;
  const terminated = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
  };
  return pod.metadata.deletionTimestamp !== undefined || pod.spec.restartPolicy === 'Never'
    ? { ...previous, state: { terminated }, ready: false, started: false }
    : {
        ...base,
        restartCount: previous.restartCount + 1,
        lastState: {
          terminated: {
            ...terminated,
            message:
              'The container could not be located when the pod was deleted.  The container used to be Running',
          },
        },
        state: { waiting: { reason: defaultReason(pod) } },
      };
}

function stateOf(status: ContainerStatus, facts: ContainerFacts): ContainerStateValue {
  switch (status.state) {
    case 'running':
      return { running: { startedAt: formatTime(status.startedAt) } };
    case 'exited': {
      const message = status.message === '' ? facts.terminationMessage(status) : status.message;
      return {
        terminated: {
          exitCode: status.exitCode,
          ...(status.reason === '' ? {} : { reason: status.reason }),
          ...(message === '' ? {} : { message }),
          startedAt: formatTime(status.startedAt),
          finishedAt: formatTime(status.finishedAt),
          containerID: `${facts.idPrefix}${status.id}`,
        },
      };
    }
    case 'created':
    case 'unknown':
      return { waiting: { reason: 'ContainerCreating' } };
  }
}

function mountStatuses(container: Container): VolumeMount[] {
  return (container.volumeMounts ?? []).map((mount) => ({
    name: mount.name,
    mountPath: mount.mountPath,
    ...(mount.readOnly === true ? { readOnly: true, recursiveReadOnly: 'Disabled' } : {}),
  }));
}

function allocated(container: Container): { allocatedResources?: Record<string, string | number> } {
  const requests = container.resources?.requests;
  return requests === undefined || Object.keys(requests).length === 0 ? {} : { allocatedResources: requests };
}

function user(status: ContainerStatus): { user?: unknown } {
  if (status.user === undefined) return {};
  const { uid, gid, supplementalGroups } = status.user;
  return { user: { linux: { uid, gid, supplementalGroups } } };
}
