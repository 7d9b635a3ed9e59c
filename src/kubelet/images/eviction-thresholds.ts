import { CodedError, messageOf } from '../../base/coded-error.ts';
import { formatGoDuration, parseGoDuration } from '../../base/go-duration.ts';
import { canonicalQuantity, quantityValue } from '../../kube/quantity.ts';

export class EvictionConfigError extends CodedError<'BAD_THRESHOLD'> {}

/** What can run short (rule 11.19). */
export const EVICTION_SIGNALS = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'containerfs.available',
  'containerfs.inodesFree',
  'pid.available',
] as const;

export type EvictionSignal = (typeof EVICTION_SIGNALS)[number];

/** An amount, or a fraction of the capacity (single precision, as the kubelet computes). */
export type ThresholdValue =
  | { readonly quantity: number; readonly text: string }
  | { readonly fraction: number; readonly text: string };

/** Says below which available amount something is done. */
export interface EvictionThreshold {
  readonly signal: EvictionSignal;
  readonly value: ThresholdValue;
  /** Milliseconds for which it must be met; 0 for hard thresholds. */
  readonly gracePeriod: number;
  /** How much beyond the threshold is reclaimed once it was met. */
  readonly minimumReclaim?: ThresholdValue;
}

/** Hard thresholds when nobody set any (rule 11.20). */
export const DEFAULT_EVICTION_HARD: Readonly<Record<'linux' | 'windows', Readonly<Record<string, string>>>> =
  {
    linux: {
      'memory.available': '100Mi',
      'nodefs.available': '10%',
      'nodefs.inodesFree': '5%',
      'imagefs.available': '15%',
      'imagefs.inodesFree': '5%',
    },
    windows: { 'memory.available': '500Mi', 'nodefs.available': '10%', 'imagefs.available': '15%' },
  };

/** The eviction fields of a KubeletConfiguration; maps from signal to text. */
export interface EvictionFields {
  readonly evictionHard?: Readonly<Record<string, string>> | undefined;
  readonly evictionSoft?: Readonly<Record<string, string>> | undefined;
  readonly evictionSoftGracePeriod?: Readonly<Record<string, string>> | undefined;
  readonly evictionMinimumReclaim?: Readonly<Record<string, string>> | undefined;
  readonly mergeDefaultEvictionSettings?: boolean | undefined;
}

/**
 * Reads thresholds, hard ones first (rules 11.20 to 11.24).
 *
 * @throws EvictionConfigError with the kubelet's text
 */
export function parseEvictionThresholds(
  fields: EvictionFields,
  os: 'linux' | 'windows' = 'linux',
): readonly EvictionThreshold[] {
  const defaults = DEFAULT_EVICTION_HARD[os];
  const {
    evictionHard,
    evictionSoft = {},
    evictionSoftGracePeriod = {},
    evictionMinimumReclaim = {},
  } = fields;
  const hard =
    fields.mergeDefaultEvictionSettings === true
      ? { ...defaults, ...evictionHard }
      : (evictionHard ?? defaults);
  const grace = new Map(
    Object.entries(evictionSoftGracePeriod).map(([signal, text]) => [knownSignal(signal), gracePeriod(text)]),
  );
  const reclaim = new Map(
    Object.entries(evictionMinimumReclaim).map(([signal, text]) => [
      knownSignal(signal),
      minimumReclaim(knownSignal(signal), text),
    ]),
  );
  const thresholds: EvictionThreshold[] = [];
  const add = (signal: EvictionSignal, text: string, gracePeriod: number): void => {
    const value = thresholdValue(signal, text);
    const minimum = reclaim.get(signal);
    if (value !== undefined)
      thresholds.push({
        signal,
        value,
        gracePeriod,
        ...(minimum === undefined ? {} : { minimumReclaim: minimum }),
      });
  };
  for (const [signal, text] of inOrder(hard)) add(signal, text, 0);
  for (const [signal, text] of inOrder(evictionSoft)) {
    const period = grace.get(signal);
    if (period === undefined)
      throw bad(`grace period must be specified for the soft eviction threshold ${signal}`);
    add(signal, text, period);
  }
  return thresholds;
}

/**
 * Reads the form of command lines, `signal<value,signal<value` (rule 11.22).
 *
 * @throws EvictionConfigError
 */
export function parseThresholdFlag(
  text: string,
  separator: '<' | '=' = '<',
): Readonly<Record<string, string>> {
  const pairs = text.split(',').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair): [string, string] => {
      const at = pair.indexOf(separator);
      if (at < 0) throw bad(`malformed pair, expect string${separator}string`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}

function bad(message: string, cause?: unknown): EvictionConfigError {
  return new EvictionConfigError('BAD_THRESHOLD', message, { cause });
}

function knownSignal(signal: string): EvictionSignal {
  const known = EVICTION_SIGNALS.find((name) => name === signal);
  if (known === undefined) throw bad(`unsupported eviction signal ${signal}`);
  return known;
}

function inOrder(texts: Readonly<Record<string, string>>): readonly (readonly [EvictionSignal, string])[] {
  return Object.entries(texts)
    .map(([signal, text]) => [knownSignal(signal), text] as const)
    .sort(([a], [b]) => EVICTION_SIGNALS.indexOf(a) - EVICTION_SIGNALS.indexOf(b));
}

/** Returns undefined for 0% and 100%, which turn a signal off. */
function thresholdValue(signal: EvictionSignal, text: string): ThresholdValue | undefined {
  if (text === '0%' || text === '100%') return undefined;
  if (text.endsWith('%')) {
    const fraction = percentage(text);
    if (fraction < 0) throw bad(`eviction percentage threshold ${signal} must be >= 0%: ${text}`);
    if (fraction > 1) throw bad(`eviction percentage threshold ${signal} must be <= 100%: ${text}`);
    return { fraction, text };
  }
  const quantity = amount(text);
  if (quantity <= 0) throw bad(`eviction threshold ${signal} must be positive: ${canonicalQuantity(text)}`);
  return { quantity, text: canonicalQuantity(text) };
}

function minimumReclaim(signal: EvictionSignal, text: string): ThresholdValue {
  if (text.endsWith('%')) {
    const fraction = percentage(text);
    if (fraction <= 0) throw bad(`eviction percentage minimum reclaim ${signal} must be positive: ${text}`);
    return { fraction, text };
  }
  const quantity = amount(text);
  if (quantity < 0) throw bad(`negative eviction minimum reclaim specified for ${signal}`);
  return { quantity, text: canonicalQuantity(text) };
}

/** Single precision, as in the kubelet. */
function percentage(text: string): number {
  const number = text.replace(/%+$/, '');
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(number))
    throw bad(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  return Math.fround(Math.fround(Number(number)) / 100);
}

function amount(text: string): number {
  try {
    return quantityValue(text);
  } catch (error) {
    throw bad(messageOf(error), error);
  }
}

function gracePeriod(text: string): number {
  let period: number;
  try {
    period = parseGoDuration(text);
  } catch (error) {
    throw bad(messageOf(error), error);
  }
  if (period < 0) {
    throw bad(
      `invalid eviction grace period specified: ${formatGoDuration(period)}, must be a positive value`,
    );
  }
  return period;
}
