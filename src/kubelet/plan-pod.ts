import type { Container, Pod } from '../kube/pod.ts';
import type { ContainerStatus } from '../runtime/runtime-service.ts';
import { isSidecar } from './pod-reference.ts';
import { shouldRun } from './restart-policy.ts';
import { containerHash, recordedHash } from './runtime-labels.ts';
import { latest, type RuntimePod } from './runtime-pod.ts';

/** What probes have found out about a container. */
export interface ProbeVerdicts {
  /** The startup probe has succeeded, or there is none. */
  started(containerId: string): boolean;
  /** The liveness or startup probe has failed for good. */
  unhealthy(containerId: string): 'liveness' | 'startup' | undefined;
}

/** No container must be started anew for new resources. */
const NONE: ReadonlySet<string> = new Set();

export interface ContainerToKill {
  readonly container: ContainerStatus;
  /** Text of the `Killing` event after the container's name; undefined: `Stopping container NAME`. */
  readonly because: string | undefined;
}

/** What must happen to bring a Pod closer to its specification. */
export interface PodPlan {
  /** The sandbox is missing or dead: everything is stopped and begun anew. */
  readonly createSandbox: boolean;
  /** The Pod can do nothing more: stop the rest. */
  readonly killPod: boolean;
  readonly kill: readonly ContainerToKill[];
  /** Init containers (sidecars among them) to start now. */
  readonly startInit: readonly Container[];
  readonly start: readonly Container[];
  /** Containers for looking into the Pod: each is started once, whatever the others do. */
  readonly startEphemeral: readonly Container[];
}

const NOTHING: PodPlan = {
  createSandbox: false,
  killPod: false,
  kill: [],
  startInit: [],
  start: [],
  startEphemeral: [],
};

/**
 * Decides what to do next. Pure: the same specification, runtime state and verdicts give the same plan.
 *
 * @param resized containers that must be started anew to get what they were promised
 */
export function planPod(
  pod: Pod,
  running: RuntimePod,
  probes: ProbeVerdicts,
  resized: ReadonlySet<string> = NONE,
): PodPlan {
  const sandbox = running.sandboxes[0];
  if (sandbox?.state !== 'ready') return planNewSandbox(pod, running);
  const hasStartedMain = pod.spec.containers.some(
    (container) => latest(running, container.name) !== undefined,
  );
  const init = planInit(pod, running, probes, hasStartedMain, resized);
  if (init.failed) return { ...NOTHING, killPod: true };
  const startEphemeral = (pod.spec.ephemeralContainers ?? []).filter(
    ({ name }) => latest(running, name) === undefined,
  );
  if (!init.done) return { ...NOTHING, kill: init.kill, startInit: init.start, startEphemeral };

  const start: Container[] = [];
  const kill: ContainerToKill[] = [...init.kill];
  let alive = 0;
  for (const container of pod.spec.containers) {
    const status = latest(running, container.name);
    if (status?.state !== 'running') {
      if (!shouldRun(pod, container, false, status)) continue;
      alive++;
      start.push(container);
      continue;
    }
    alive++;
    const because = reasonToKill(container, status, probes, resized);
    if (because === undefined) continue;
    kill.push({ container: status, because });
    if (pod.spec.restartPolicy !== 'Never') start.push(container);
    else if (because.includes('definition changed')) start.push(container);
  }
  // Sidecars do not keep a Pod alive whose containers are all done.
  if (alive === 0) return { ...NOTHING, killPod: true };
  return { ...NOTHING, kill, startInit: init.start, start, startEphemeral };
}

function planNewSandbox(pod: Pod, running: RuntimePod): PodPlan {
  const statuses = pod.spec.containers.map((container) => latest(running, container.name));
  const begun = statuses.some((status) => status !== undefined);
  const wanted = pod.spec.containers.some((container, index) =>
    shouldRun(pod, container, false, statuses[index]),
  );
  // A Pod that is done, or that may not run again, needs no new sandbox.
  if (begun && (pod.spec.restartPolicy === 'Never' || !wanted)) return { ...NOTHING, killPod: true };
  const failedInit = (pod.spec.initContainers ?? []).some((container) => {
    const status = latest(running, container.name);
    return status?.state === 'exited' && status.exitCode !== 0 && !shouldRun(pod, container, true, status);
  });
  if (failedInit) return { ...NOTHING, killPod: true };
  const inits = pod.spec.initContainers ?? [];
  const first = inits[0];
  if (first !== undefined) return { ...NOTHING, createSandbox: true, startInit: [first] };
  const start = pod.spec.containers.filter((container, index) =>
    shouldRun(pod, container, false, statuses[index]),
  );
  return { ...NOTHING, createSandbox: true, start };
}

interface InitPlan {
  readonly done: boolean;
  readonly failed: boolean;
  readonly start: Container[];
  readonly kill: ContainerToKill[];
}

function planInit(
  pod: Pod,
  running: RuntimePod,
  probes: ProbeVerdicts,
  hasStartedMain: boolean,
  resized: ReadonlySet<string>,
): InitPlan {
  const plan: InitPlan = { done: true, failed: false, start: [], kill: [] };
  const sandboxId = running.sandboxes[0]?.id;
  for (const container of pod.spec.initContainers ?? []) {
    const newest = latest(running, container.name);
    // One of an earlier sandbox counts for nothing: a new sandbox runs them all again.
    const status = newest?.sandboxId === sandboxId ? newest : undefined;
    if (isSidecar(container)) {
      if (status?.state !== 'running') {
        plan.start.push(container);
        if (!hasStartedMain) return { ...plan, done: false };
        continue;
      }
      const because = reasonToKill(container, status, probes, resized);
      if (because !== undefined) {
        plan.kill.push({ container: status, because });
        plan.start.push(container);
      }
      if (!hasStartedMain && !probes.started(status.id)) return { ...plan, done: false };
      continue;
    }
    if (hasStartedMain) continue;
    if (status === undefined) {
      plan.start.push(container);
      return { ...plan, done: false };
    }
    if (status.state === 'exited' && status.exitCode === 0) continue;
    if (status.state === 'running') return { ...plan, done: false };
    if (!shouldRun(pod, container, true, status)) return { ...plan, done: false, failed: true };
    plan.start.push(container);
    return { ...plan, done: false };
  }
  return plan;
}

function reasonToKill(
  container: Container,
  status: ContainerStatus,
  probes: ProbeVerdicts,
  resized: ReadonlySet<string>,
): string | undefined {
  const recorded = recordedHash(status.annotations);
  if (recorded !== undefined && recorded !== containerHash(container)) {
    return `Container ${container.name} definition changed, will be restarted`;
  }
  if (resized.has(container.name)) return `Container ${container.name} resize requires restart`;
  const verdict = probes.unhealthy(status.id);
  return verdict === undefined
    ? undefined
    : `Container ${container.name} failed ${verdict} probe, will be restarted`;
}
