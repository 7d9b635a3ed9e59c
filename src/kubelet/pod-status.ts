import { formatTime } from '../kube/time.ts';
import type { Pod, PodStatus } from '../kube/pod.ts';
import { containerStatus, type ContainerFacts } from './container-status.ts';
import { podConditions, podPhase } from './pod-conditions.ts';
import type { ResizeState } from './pod-resizer.ts';
import type { RuntimePod } from './runtime-pod.ts';

export interface PodFacts extends ContainerFacts {
  readonly hostIP: string;
  readonly now: number;
  /** A sandbox is ready although `running` may not show it yet. */
  readonly sandboxReady?: boolean;
  /** Nothing of the Pod will be started any more. */
  readonly ended?: boolean;
  readonly resize?: ResizeState;
}

/** Derives a Pod's status from its specification and what runs. Pure. */
export function podStatus(pod: Pod, running: RuntimePod, facts: PodFacts): PodStatus {
  const before = pod.status;
  const init = (pod.spec.initContainers ?? []).map((container) =>
    containerStatus(
      pod,
      container,
      true,
      running,
      facts,
      before?.initContainerStatuses?.find((status) => status.name === container.name),
    ),
  );
  const containers = pod.spec.containers.map((container) =>
    containerStatus(
      pod,
      container,
      false,
      running,
      facts,
      before?.containerStatuses?.find((status) => status.name === container.name),
    ),
  );
  const ephemeral = (pod.spec.ephemeralContainers ?? []).map((container) => {
    const known = before?.ephemeralContainerStatuses?.find((status) => status.name === container.name);
    const status = containerStatus(pod, container, false, running, facts, known);
    // Nothing probes them: they are never ready, and whether they have started is not told.
    const { started: _, ...rest } = status;
    return { ...rest, ready: false };
  });
  const ended = before?.phase === 'Succeeded' || before?.phase === 'Failed' ? before.phase : undefined;
  // A Pod that has ended never comes back.
  const phase = ended ?? podPhase(pod, init, containers, facts.ended ?? false);
  const now = formatTime(facts.now);
  const sandboxReady = facts.sandboxReady ?? running.sandboxes[0]?.state === 'ready';
  const hasAddress = running.sandboxes.length > 0 || sandboxReady || before?.podIP !== undefined;
  const conditions = podConditions(
    pod,
    {
      phase,
      sandboxReady,
      init,
      containers,
      ...(facts.resize === undefined ? {} : { resize: facts.resize }),
    },
    now,
  );
  return {
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    conditions,
    ...(before?.reason === undefined ? {} : { reason: before.reason }),
    ...(before?.message === undefined ? {} : { message: before.message }),
    hostIP: facts.hostIP,
    hostIPs: [{ ip: facts.hostIP }],
    ...(hasAddress ? { podIP: facts.hostIP, podIPs: [{ ip: facts.hostIP }] } : {}),
    startTime: before?.startTime ?? now,
    ...(init.length === 0 ? {} : { initContainerStatuses: init }),
    containerStatuses: containers,
    ...(ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: ephemeral }),
    ...(before?.qosClass === undefined ? {} : { qosClass: before.qosClass }),
    // What the Pod as a whole was given: nothing is limited at that level here.
    resources: {},
  };
}
