/** One measured fact, beside what it is compared with. */
export interface Row {
  readonly what: string;
  /** The figure with its unit. */
  readonly measured: string;
  /** What was aimed at, when something was. */
  readonly target?: string;
  /** Whether the target was met; undefined where there is none. */
  readonly met?: boolean;
  readonly note?: string;
}

export type Bench = () => Promise<Row[]>;

/** Returns the middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Returns the value below which `share` (0 to 1) of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
