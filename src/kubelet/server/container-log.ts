import { Readable } from 'node:stream';
import type { Pod } from '../../kube/pod.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { findContainer, podUid } from '../pod-reference.ts';
import type { StatusManager } from '../status-manager.ts';
import { plainText, type EndpointAnswer } from './endpoint-answer.ts';
import { parseLogOptions } from './log-options.ts';
import { logTarget } from './log-target.ts';
import { readLog } from './read-log.ts';

/** What logs are found and read with. */
export interface ContainerLogSources {
  readonly workers: { named(namespace: string, name: string): Pod | undefined };
  readonly statuses: Pick<StatusManager, 'get'>;
  readonly runtime: RuntimeService & { syncContainerLog?(id: string): Promise<void> };
  readonly runtimeName: string;
}

/** Which log is wanted, as the path of the request names it. */
export interface ContainerLogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly query: URLSearchParams;
}

/** Answers with a container's log, which goes on for as long as the container runs when the client follows it. */
export async function containerLog(
  sources: ContainerLogSources,
  names: ContainerLogRequest,
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  const pod = sources.workers.named(names.namespace, names.pod);
  if (pod === undefined) return plainText(404, `pod "${names.pod}" does not exist`);
  if (findContainer(pod, names.container) === undefined)
    return plainText(404, `container "${names.container}" not found in pod "${names.pod}"`);
  const options = parseLogOptions(names.query, Date.now());
  if (typeof options === 'string') return plainText(400, options);
  const status = sources.statuses.get(podUid(pod)) ?? pod.status;
  const target = logTarget(names.pod, status, names.container, options.previous);
  if ('message' in target) return plainText(target.status, target.message);

  const { runtime, runtimeName } = sources;
  const id = target.containerId.slice(`${runtimeName}://`.length);
  await runtime.syncContainerLog?.(id);
  const container = await runtime.containerStatus(id, signal);
  if (container === undefined)
    return plainText(400, `unable to retrieve container logs for ${target.containerId}`);
  const isRunning = async (): Promise<boolean> =>
    (await runtime.containerStatus(id, signal))?.state === 'running';
  return plainText(200, Readable.from(readLog(container.logPath, options, isRunning, signal)));
}
