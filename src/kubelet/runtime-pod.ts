import type { ContainerStatus, PodSandbox, RuntimeService } from '../runtime/runtime-service.ts';

/** What the runtime has of one Pod. */
export interface RuntimePod {
  /** Newest first. */
  readonly sandboxes: readonly PodSandbox[];
  /** Newest attempt first, for each name. */
  readonly containers: ReadonlyMap<string, readonly ContainerStatus[]>;
}

export const NOTHING_RUNS: RuntimePod = { sandboxes: [], containers: new Map() };

/** Asks the runtime for everything that belongs to a Pod. */
export async function readRuntimePod(
  runtime: RuntimeService,
  uid: string,
  signal: AbortSignal,
): Promise<RuntimePod> {
  const sandboxes = (await runtime.listPodSandboxes(signal)).filter((sandbox) => sandbox.config.uid === uid);
  if (sandboxes.length === 0) return NOTHING_RUNS;
  sandboxes.sort((a, b) => b.config.attempt - a.config.attempt || b.createdAt - a.createdAt);
  const containers = new Map<string, ContainerStatus[]>();
  for (const status of await runtime.listContainers({ podUid: uid }, signal)) {
    const list = containers.get(status.name);
    if (list === undefined) containers.set(status.name, [status]);
    else list.push(status);
  }
  for (const list of containers.values()) {
    list.sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
  }
  return { sandboxes, containers };
}

/** Returns the newest container of that name. */
export function latest(pod: RuntimePod, name: string): ContainerStatus | undefined {
  return pod.containers.get(name)?.[0];
}

/** Returns every container that runs. */
export function runningContainers(pod: RuntimePod): ContainerStatus[] {
  return [...pod.containers.values()].flat().filter((status) => status.state === 'running');
}
