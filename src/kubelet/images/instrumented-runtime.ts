import type { Clock } from '../../base/clock.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { timedOperation, type MetricSink } from './image-metrics.ts';

/** The kubelet's names of a runtime's calls. */
const OPERATIONS: ReadonlyMap<string | symbol, string> = new Map([
  ['version', 'version'],
  ['runPodSandbox', 'run_podsandbox'],
  ['stopPodSandbox', 'stop_podsandbox'],
  ['removePodSandbox', 'remove_podsandbox'],
  ['listPodSandboxes', 'list_podsandbox'],
  ['createContainer', 'create_container'],
  ['startContainer', 'start_container'],
  ['stopContainer', 'stop_container'],
  ['removeContainer', 'remove_container'],
  ['listContainers', 'list_containers'],
  ['containerStatus', 'container_status'],
  ['updateContainerResources', 'update_container'],
  ['execSync', 'exec_sync'],
  ['exec', 'exec'],
  ['attach', 'attach'],
  ['reopenContainerLog', 'reopen_container_log'],
]);

/** Counts and times every call to a runtime, as `kubelet_runtime_operations_*` (section 14). What it offers beside stays as it is. */
export function instrumentedRuntime<T extends RuntimeService>(runtime: T, sink: MetricSink, clock: Clock): T {
  return new Proxy(runtime, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const operation = OPERATIONS.get(name);
      const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args) as unknown;
      if (operation === undefined) return call;
      return (...args: unknown[]) =>
        timedOperation(sink, clock, operation, async () => await (call(...args) as Promise<unknown>));
    },
  });
}
