import { join } from 'node:path';
import type { Pod } from '../../kube/pod.ts';
import { diskUsage, type ContainerUsage } from '../../runtime/container-usage.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import type { PodPaths } from '../pod-paths.ts';
import { podUid } from '../pod-reference.ts';
import type { EvictionUsage } from './eviction-rank.ts';

export interface PodUsageOptions {
  readonly runtime: RuntimeService;
  readonly paths: PodPaths;
  /** Measures a container; absent where the runtime cannot tell. */
  readonly containerUsage: ((id: string) => Promise<ContainerUsage | undefined>) | undefined;
}

/** Measures what a Pod takes: memory and processes of its containers, what they and their logs and empty directories fill. */
export async function measurePod(
  options: PodUsageOptions,
  pod: Pod,
  signal: AbortSignal,
): Promise<EvictionUsage | undefined> {
  const { runtime, paths, containerUsage } = options;
  if (containerUsage === undefined) return undefined;
  const containers = new Map<string, { memory?: number; disk: number }>();
  let memory = 0;
  let processes = 0;
  let writable = 0;
  let logs = 0;
  for (const { id, name, state } of await runtime.listContainers({ podUid: podUid(pod) }, signal)) {
    const usage = await containerUsage(id);
    if (usage === undefined) continue;
    writable += usage.writableBytes;
    if (state !== 'running') continue;
    const own = await diskUsage(join(paths.logDirectory(pod), name));
    logs += own;
    memory += usage.memoryBytes ?? 0;
    processes += usage.processes;
    containers.set(name, {
      ...(usage.memoryBytes === undefined ? {} : { memory: usage.memoryBytes }),
      disk: usage.writableBytes + own,
    });
  }
  let volumes = 0;
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.emptyDir === undefined || volume.emptyDir.medium === 'Memory') continue;
    volumes += await diskUsage(paths.volume(podUid(pod), 'empty-dir', volume.name));
  }
  return { memory, processes, writable, logs, volumes, containers };
}
