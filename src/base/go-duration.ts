import { CodedError } from './coded-error.ts';

export class DurationError extends CodedError<'BAD_DURATION'> {}

const UNIT_NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Reads a Go duration such as `1h30m`, `250ms` or `-1.5s` and returns milliseconds (fractions kept).
 *
 * @throws DurationError `BAD_DURATION`, worded as Go's `time.ParseDuration` does
 */
export function parseGoDuration(text: string): number {
  const invalid = (why: string): DurationError =>
    new DurationError('BAD_DURATION', `time: ${why} ${JSON.stringify(text)}`);
  let rest = text;
  let sign = 1;
  if (rest.startsWith('-') || rest.startsWith('+')) {
    if (rest.startsWith('-')) sign = -1;
    rest = rest.slice(1);
  }
  if (rest === '0') return 0;
  if (rest === '') throw invalid('invalid duration');
  let nanoseconds = 0;
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw invalid('invalid duration');
    rest = rest.slice(number.length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) throw invalid('missing unit in duration');
    const scale = Object.hasOwn(UNIT_NANOSECONDS, unit) ? UNIT_NANOSECONDS[unit] : undefined;
    if (scale === undefined) {
      throw new DurationError(
        'BAD_DURATION',
        `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`,
      );
    }
    rest = rest.slice(unit.length);
    nanoseconds += Number(number) * scale;
  }
  if (nanoseconds > 9.223372036854776e18) throw invalid('invalid duration');
  return (sign * nanoseconds) / 1e6;
}

/** Prints milliseconds as Go's `time.Duration` does: `0s`, `350ms`, `1.234s`, `2m3.5s`, `1h0m0s`. */
export function formatGoDuration(milliseconds: number): string {
  const sign = milliseconds < 0 ? '-' : '';
  const nanoseconds = Math.round(Math.abs(milliseconds) * 1e6);
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1e3) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${sign}${decimal(nanoseconds, 1e3)}µs`;
  if (nanoseconds < 1e9) return `${sign}${decimal(nanoseconds, 1e6)}ms`;
  const minutes = Math.floor(nanoseconds / 60e9);
  const seconds = decimal(nanoseconds - minutes * 60e9, 1e9);
  if (minutes === 0) return `${sign}${seconds}s`;
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${hours}h${minutes % 60}m${seconds}s`;
}

function decimal(nanoseconds: number, unit: number): string {
  const whole = Math.floor(nanoseconds / unit);
  const digits = String(unit).length - 1;
  const fraction = String(nanoseconds - whole * unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
}
