import type { EvictionSignal, EvictionThreshold, ThresholdValue } from './eviction-thresholds.ts';

/** How the node's file systems are laid out: images and containers beside everything else, on a disk of their own, or images alone on one. */
export type FilesystemLayout = 'single' | 'dedicated' | 'split';

/** What was measured of one signal. */
export interface Observation {
  readonly available: number;
  readonly capacity: number;
}

export type Observations = ReadonlyMap<EvictionSignal, Observation>;
export type NodePressure = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

/** Time between two rounds (rule 11.27). */
export const EVICTION_PERIOD = 10_000;
/** How long a condition stays after it was last seen, unless configured (rule 11.27). */
export const DEFAULT_TRANSITION_PERIOD = 300_000;

/**
 * Replaces what anybody set for containerfs by the thresholds of the file system that really holds the containers (rule 11.26).
 *
 * @param log told what is ignored
 */
export function withContainerfs(
  thresholds: readonly EvictionThreshold[],
  layout: FilesystemLayout,
  log: (message: string) => void = () => undefined,
): readonly EvictionThreshold[] {
  const own = thresholds.filter(({ signal }) => signal.startsWith('containerfs.'));
  for (const { signal, gracePeriod } of own) {
    log(`found ${signal} for ${gracePeriod === 0 ? 'hard' : 'soft'} eviction. ignoring`);
  }
  const kept = thresholds.filter((threshold) => !own.includes(threshold));
  const source = layout === 'dedicated' ? 'imagefs.' : 'nodefs.';
  const copies = kept
    .filter(({ signal }) => signal.startsWith(source))
    .map((threshold) => ({
      ...threshold,
      signal: threshold.signal.replace(source, 'containerfs.') as EvictionSignal,
    }));
  return [...kept, ...copies];
}

/** Works out a threshold's amount for a capacity (rule 11.25). */
export function thresholdAmount(value: ThresholdValue, capacity: number): number {
  return 'quantity' in value ? value.quantity : Math.trunc(capacity * value.fraction);
}

/** Finds the thresholds that are met: less is available than they say; with minimum reclaim, less than they and it say. */
export function metThresholds(
  thresholds: readonly EvictionThreshold[],
  observations: Observations,
  withMinimumReclaim: boolean,
): readonly EvictionThreshold[] {
  return thresholds.filter(({ signal, value, minimumReclaim }) => {
    const observed = observations.get(signal);
    if (observed === undefined) return false;
    let needed = thresholdAmount(value, observed.capacity);
    if (withMinimumReclaim && minimumReclaim !== undefined)
      needed += thresholdAmount(minimumReclaim, observed.capacity);
    return observed.available < needed;
  });
}

/** What one round must know of the rounds before. */
export interface EvictionState {
  /** Thresholds met beyond their grace period in the last round. */
  readonly met: readonly EvictionThreshold[];
  readonly firstSeen: ReadonlyMap<EvictionThreshold, number>;
  readonly conditionSeen: ReadonlyMap<NodePressure, number>;
}

export const CALM: EvictionState = { met: [], firstSeen: new Map(), conditionSeen: new Map() };

export interface EvictionRound {
  readonly state: EvictionState;
  readonly conditions: readonly NodePressure[];
  /** The threshold to act on now, if any: memory before everything else. */
  readonly actOn: EvictionThreshold | undefined;
}

/**
 * Judges one round of measurements (rules 11.23, 11.24, 11.27, 11.28).
 *
 * @param thresholds always the same values from round to round: time is kept for each
 */
export function evictionRound(
  state: EvictionState,
  thresholds: readonly EvictionThreshold[],
  observations: Observations,
  now: number,
  transitionPeriod = DEFAULT_TRANSITION_PERIOD,
): EvictionRound {
  // What was met stays met until the minimum reclaim is reached too.
  const unresolved = metThresholds(state.met, observations, true);
  const seen = [...new Set([...metThresholds(thresholds, observations, false), ...unresolved])];
  const firstSeen = new Map(seen.map((threshold) => [threshold, state.firstSeen.get(threshold) ?? now]));
  const conditionSeen = new Map(state.conditionSeen);
  for (const { signal } of seen) conditionSeen.set(conditionOf(signal), now);
  for (const [condition, at] of conditionSeen)
    if (now - at >= transitionPeriod) conditionSeen.delete(condition);
  const met = seen
    .filter((threshold) => now - (firstSeen.get(threshold) ?? now) >= threshold.gracePeriod)
    .sort((a, b) => priority(a.signal) - priority(b.signal));
  return {
    state: { met, firstSeen, conditionSeen },
    conditions: [...conditionSeen.keys()].sort(),
    actOn: met[0],
  };
}

function priority(signal: EvictionSignal): number {
  return signal === 'memory.available' ? 0 : 1;
}

export function conditionOf(signal: EvictionSignal): NodePressure {
  if (signal === 'memory.available') return 'MemoryPressure';
  return signal === 'pid.available' ? 'PIDPressure' : 'DiskPressure';
}
