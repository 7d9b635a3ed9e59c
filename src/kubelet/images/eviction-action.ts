import type { FilesystemLayout, NodePressure, Observation } from './eviction-state.ts';
import { thresholdAmount } from './eviction-state.ts';
import type { EvictionSignal, EvictionThreshold } from './eviction-thresholds.ts';

export type ReclaimStep = 'dead-containers' | 'unused-images';

/** The least that a Pod gets to end, in seconds, and all that it gets from a hard threshold (rule 11.30). */
const LEAST_GRACE_SECONDS = 1;

/**
 * Returns how long an evicted Pod gets to end, in seconds (rule 11.30).
 *
 * @param own what the Pod asks for
 * @param longest bound for soft thresholds; below 0 there is none
 */
export function evictionGraceSeconds(threshold: EvictionThreshold, own: number, longest: number): number {
  if (threshold.gracePeriod === 0) return LEAST_GRACE_SECONDS;
  return Math.max(LEAST_GRACE_SECONDS, longest < 0 ? own : Math.min(own, longest));
}

/** Lists what the node gives back before it evicts Pods, in order (rule 11.29). */
export function reclaimSteps(signal: EvictionSignal, layout: FilesystemLayout): readonly ReclaimStep[] {
  const [filesystem] = signal.split('.');
  if (filesystem !== 'nodefs' && filesystem !== 'imagefs' && filesystem !== 'containerfs') return [];
  if (layout === 'single') return ['dead-containers', 'unused-images'];
  const onImages = layout === 'dedicated' ? ['imagefs', 'containerfs'] : ['imagefs'];
  if (layout === 'dedicated')
    return onImages.includes(filesystem) ? ['dead-containers', 'unused-images'] : [];
  return onImages.includes(filesystem) ? ['unused-images'] : ['dead-containers'];
}

/** Names the resource of a signal as events and messages do. */
export function resourceOf(signal: EvictionSignal): string {
  if (signal === 'memory.available') return 'memory';
  if (signal === 'pid.available') return 'pids';
  return signal.endsWith('.inodesFree') ? 'inodes' : 'ephemeral-storage';
}

/** The Node's event when a threshold is met (rule 11.28). */
export function thresholdMetEvent(signal: EvictionSignal): {
  readonly reason: string;
  readonly message: string;
} {
  return { reason: 'EvictionThresholdMet', message: `Attempting to reclaim ${resourceOf(signal)}` };
}

/** The first part of an evicted Pod's message; texts about its containers follow (rule 11.30). */
export function evictionMessage(threshold: EvictionThreshold, observed: Observation): string {
  const { signal, value } = threshold;
  const quantity =
    'quantity' in value ? value.text : binaryQuantity(thresholdAmount(value, observed.capacity));
  const inodes = resourceOf(signal) === 'inodes' || resourceOf(signal) === 'pids';
  const available = inodes ? String(observed.available) : binaryQuantity(observed.available);
  return `The node was low on resource: ${resourceOf(signal)}. Threshold quantity: ${quantity}, available: ${available}. `;
}

/** Refuses a Pod that comes to a node under pressure; undefined lets it in (rule 11.31). */
export function refusalUnderPressure(
  conditions: readonly NodePressure[],
  pod: { readonly critical: boolean; readonly bestEffort: boolean },
): { readonly reason: 'Evicted'; readonly message: string } | undefined {
  if (conditions.length === 0 || pod.critical) return undefined;
  // Short memory keeps out only those that promise nothing about theirs.
  if (conditions.length === 1 && conditions[0] === 'MemoryPressure' && !pod.bestEffort) return undefined;
  return { reason: 'Evicted', message: `The node had condition: [${conditions.join(' ')}]. ` };
}

const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Prints bytes as a binary quantity without losing any: `1Gi`, `1500`. */
export function binaryQuantity(bytes: number): string {
  let value = Math.trunc(bytes);
  let unit = 0;
  while (value !== 0 && value % 1024 === 0 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value}${UNITS[unit] ?? ''}`;
}
