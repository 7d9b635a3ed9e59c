import type { Pod, PodCondition, PodContainerStatus, PodStatus } from '../kube/pod.ts';
import { isSidecar } from './pod-reference.ts';
import type { ResizeCondition, ResizeState } from './pod-resizer.ts';

type Answer = Pick<PodCondition, 'status'> & ResizeCondition;

const DISRUPTION = 'DisruptionTarget';
const TRUE: Answer = { status: 'True' };

/** What the node knows of a Pod beside its specification. */
interface Known {
  readonly phase: string;
  readonly sandboxReady: boolean;
  readonly init: readonly PodContainerStatus[];
  readonly containers: readonly PodContainerStatus[];
  readonly resize?: ResizeState;
}

/** Derives the conditions that a kubelet owns, in the order in which it writes them. */
export function podConditions(pod: Pod, known: Known, now: string): PodCondition[] {
  const containersReady = containersReadyAnswer(pod, known);
  const answers: [string, Answer][] = [
    ['PodReadyToStartContainers', { status: known.sandboxReady ? 'True' : 'False' }],
    ['Initialized', initializedAnswer(pod, known)],
    ['Ready', readyAnswer(pod, containersReady)],
    ['ContainersReady', containersReady],
    ['PodScheduled', TRUE],
  ];
  const { pending, inProgress } = known.resize ?? {};
  if (inProgress !== undefined) answers.unshift(['PodResizeInProgress', { ...TRUE, ...inProgress }]);
  if (pending !== undefined) answers.unshift(['PodResizePending', { ...TRUE, ...pending }]);
  const disruption = pod.status?.conditions?.find(({ type }) => type === DISRUPTION);
  const own = answers.map(([type, answer]) => condition(pod, type, answer, now));
  return disruption === undefined ? own : [disruption, ...own];
}

/** Says that the kubelet ends a Pod for the node's sake, so that a Job need not count it as its own failure. */
export function disruptionCondition(pod: Pod, message: string, now: string): PodCondition {
  return condition(pod, DISRUPTION, { status: 'True', reason: 'TerminationByKubelet', message }, now);
}

function condition(pod: Pod, type: string, answer: Answer, now: string): PodCondition {
  const before = pod.status?.conditions?.find((candidate) => candidate.type === type);
  const since = before?.status === answer.status ? before.lastTransitionTime : undefined;
  const observedGeneration = answer.observedGeneration ?? pod.metadata.generation;
  return {
    type,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    status: answer.status,
    lastProbeTime: null,
    lastTransitionTime: since ?? now,
    ...(answer.reason === undefined ? {} : { reason: answer.reason }),
    ...(answer.message === undefined ? {} : { message: answer.message }),
  };
}

function initializedAnswer(pod: Pod, known: Known): Answer {
  if (known.phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' };
  const incomplete: string[] = [];
  for (const container of pod.spec.initContainers ?? []) {
    const status = known.init.find((candidate) => candidate.name === container.name);
    const done = isSidecar(container) ? status?.started === true : status?.ready === true;
    if (!done) incomplete.push(container.name);
  }
  // Once a container has begun, its init containers were done, even when their traces are gone.
  const begun = known.containers.some(
    (status) => status.containerID !== undefined && status.containerID !== '',
  );
  if (incomplete.length === 0 || begun) return TRUE;
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: ${goList(incomplete)}`,
  };
}

function containersReadyAnswer(pod: Pod, known: Known): Answer {
  if (known.phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (known.phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const unready: string[] = [];
  for (const container of pod.spec.initContainers ?? []) {
    if (!isSidecar(container)) continue;
    const status = known.init.find((candidate) => candidate.name === container.name);
    if (status?.ready !== true) unready.push(container.name);
  }
  for (const container of pod.spec.containers) {
    const status = known.containers.find((candidate) => candidate.name === container.name);
    if (status?.ready !== true) unready.push(container.name);
  }
  if (unready.length === 0) return TRUE;
  return {
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: ${goList(unready)}`,
  };
}

function readyAnswer(pod: Pod, containersReady: Answer): Answer {
  if (containersReady.status !== 'True') return containersReady;
  const problems: string[] = [];
  for (const gate of readinessGates(pod)) {
    const found = pod.status?.conditions?.find((candidate) => candidate.type === gate);
    if (found === undefined) {
      problems.push(`corresponding condition of pod readiness gate "${gate}" does not exist.`);
    } else if (found.status !== 'True') {
      problems.push(`the status of pod readiness gate "${gate}" is not "True", but ${found.status}`);
    }
  }
  if (problems.length === 0) return TRUE;
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: problems.join(', ') };
}

function readinessGates(pod: Pod): string[] {
  const gates = pod.spec['readinessGates'];
  if (!Array.isArray(gates)) return [];
  return gates.flatMap((gate: unknown) =>
    typeof gate === 'object' && gate !== null && 'conditionType' in gate ? [String(gate.conditionType)] : [],
  );
}

/** Prints a list as Go's `%s` does. */
function goList(names: readonly string[]): string {
  return `[${names.join(' ')}]`;
}

/** Sums up the containers' states in one word. `final`: nothing will be started any more. */
export function podPhase(
  pod: Pod,
  init: readonly PodContainerStatus[],
  containers: readonly PodContainerStatus[],
  final = false,
): NonNullable<PodStatus['phase']> {
  let pendingInit = 0;
  for (const container of pod.spec.initContainers ?? []) {
    const status = init.find((candidate) => candidate.name === container.name);
    if (isSidecar(container)) {
      if (status?.started !== true) pendingInit++;
      continue;
    }
    const ended = status?.state?.terminated ?? status?.lastState?.terminated;
    if (status?.state?.terminated?.exitCode === 0) continue;
    if (ended !== undefined && ended.exitCode !== 0 && pod.spec.restartPolicy === 'Never') return 'Failed';
    pendingInit++;
  }
  const count = { waiting: 0, running: 0, stopped: 0, succeeded: 0, unknown: 0 };
  for (const container of pod.spec.containers) {
    const status = containers.find((candidate) => candidate.name === container.name);
    if (status?.state?.running !== undefined) count.running++;
    else if (status?.state?.terminated !== undefined) {
      count.stopped++;
      if (status.state.terminated.exitCode === 0) count.succeeded++;
    } else if (status?.state?.waiting !== undefined) {
      if (status.lastState?.terminated === undefined) count.waiting++;
      else count.stopped++;
    } else count.unknown++;
  }
  if (pendingInit > 0 && count.running === 0 && count.stopped === 0) return 'Pending';
  if (count.waiting > 0 || count.unknown > 0) return 'Pending';
  if (count.running > 0) return 'Running';
  if (count.stopped === 0) return 'Pending';
  if (final) return count.stopped === count.succeeded ? 'Succeeded' : 'Failed';
  if (pod.spec.restartPolicy === undefined || pod.spec.restartPolicy === 'Always') return 'Running';
  if (count.stopped === count.succeeded) return 'Succeeded';
  return pod.spec.restartPolicy === 'Never' ? 'Failed' : 'Running';
}
