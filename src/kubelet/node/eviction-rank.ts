import type { Pod } from '../../kube/pod.ts';
import { quantityValue } from '../../kube/quantity.ts';
import { podRequests } from '../../kube/scheduling/pod-requests.ts';
import { binaryQuantity, resourceOf } from '../images/eviction-action.ts';
import type { FilesystemLayout } from '../images/eviction-state.ts';
import type { EvictionSignal } from '../images/eviction-thresholds.ts';

/** What a Pod takes of its node. Bytes but for processes. */
export interface EvictionUsage {
  readonly memory: number;
  readonly processes: number;
  /** Written into root file systems. */
  readonly writable: number;
  readonly logs: number;
  /** Written into empty directories. */
  readonly volumes: number;
  /** Of each container that runs: memory, and what it and its log fill. */
  readonly containers: ReadonlyMap<string, { readonly memory?: number; readonly disk: number }>;
}

/**
 * Orders Pods by who goes first for a signal: those of which nothing is known, those that take more than they asked for, the
 * least important, those that take most beyond what they asked for (rule 11.30).
 *
 * @see Kubernetes, pkg/kubelet/eviction/helpers.go, rankMemoryPressure, rankDiskPressureFunc, rankPIDPressure
 */
export function rankForEviction(
  pods: readonly Pod[],
  usageOf: (pod: Pod) => EvictionUsage | undefined,
  signal: EvictionSignal,
  layout: FilesystemLayout,
): Pod[] {
  const resource = resourceOf(signal);
  // What is asked for is bytes; nobody asks for inodes or processes.
  const asks = resource === 'memory' || resource === 'ephemeral-storage';
  const judged = pods.map((pod) => {
    const usage = usageOf(pod);
    const taken = usage === undefined ? 0 : takenOf(usage, signal, layout);
    const beyond = taken - (asks ? (podRequests(pod).get(resource) ?? 0) : 0);
    return { pod, known: usage !== undefined, exceeds: asks && beyond > 0, beyond };
  });
  const first = (value: boolean): number => (value ? 0 : 1);
  return judged
    .toSorted(
      (a, b) =>
        first(!a.known) - first(!b.known) ||
        first(a.exceeds) - first(b.exceeds) ||
        (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) ||
        b.beyond - a.beyond ||
        // Nothing tells them apart: the newest has least to lose.
        (b.pod.metadata.creationTimestamp ?? '').localeCompare(a.pod.metadata.creationTimestamp ?? ''),
    )
    .map(({ pod }) => pod);
}

/** Adds up what counts on the file system that a signal is about. */
function takenOf(usage: EvictionUsage, signal: EvictionSignal, layout: FilesystemLayout): number {
  if (signal === 'memory.available') return usage.memory;
  if (signal === 'pid.available') return usage.processes;
  const { writable, logs, volumes } = usage;
  if (layout === 'single') return writable + logs + volumes;
  const onNode = signal.startsWith('nodefs.');
  if (layout === 'dedicated') return onNode ? logs + volumes : writable;
  // Images alone are elsewhere: there is nothing of a Pod's own.
  return signal.startsWith('imagefs.') ? 0 : writable + logs + volumes;
}

/** Says which containers took more than they asked for: the end of an evicted Pod's message (rule 11.30). */
export function containersMessage(
  pod: Pod,
  usage: EvictionUsage | undefined,
  signal: EvictionSignal,
): string {
  const resource = resourceOf(signal);
  let message = '';
  for (const [name, taken] of usage?.containers ?? []) {
    const container = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
      (candidate) => candidate.name === name,
    );
    const amount =
      resource === 'memory' ? taken.memory : resource === 'ephemeral-storage' ? taken.disk : undefined;
    if (container === undefined || amount === undefined) continue;
    const request = container.resources?.requests?.[resource];
    if (amount <= (request === undefined ? 0 : quantityValue(request))) continue;
    message += `Container ${name} was using ${binaryQuantity(amount)}, request is ${request ?? 0}, has larger consumption of ${resource}. `;
  }
  return message;
}
