import { CodedError } from '../base/coded-error.ts';

/** Text that is not a quantity; the message is the API's. */
export class QuantityError extends CodedError<'BAD_QUANTITY'> {}

type Format = 'decimal' | 'binary' | 'exponent';

/** A quantity as the integer `mantissa` × 10^-9, exact: nine decimal places are all that a quantity keeps. */
interface Quantity {
  readonly nanos: bigint;
  readonly format: Format;
}

const NANOS_PER_UNIT = 1_000_000_000n;

const DECIMAL_SUFFIXES: readonly (readonly [string, number])[] = [
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
];
const BINARY_SUFFIXES: readonly string[] = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Longer numbers are refused: no quantity that means something has them, and bigint powers would cost. */
const MAX_DIGITS = 64;

const WRONG_FORM =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";

/** Compares two quantities such as `1Gi`, `0.5`, `100m`, `1e3`: negative, zero, positive. Throws `QuantityError`. */
export function compareQuantities(a: string | number, b: string | number): number {
  const left = parse(a).nanos;
  const right = parse(b).nanos;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Returns the canonical text that the API stores: `1024Mi` → `1Gi`, `0.1` → `100m`. Throws `QuantityError`. */
export function canonicalQuantity(value: string | number): string {
  return format(parse(value));
}

/** Returns the value as a number; fractions are kept. Throws `QuantityError`. */
export function quantityValue(value: string | number): number {
  const { nanos } = parse(value);
  return Number(nanos / NANOS_PER_UNIT) + Number(nanos % NANOS_PER_UNIT) / Number(NANOS_PER_UNIT);
}

/** Adds quantities; the result has the format of the first that is not nothing, `0` without any. Throws `QuantityError`. */
export function addQuantities(...values: (string | number)[]): string {
  const [first, ...rest] = values.map(parse).filter(({ nanos }) => nanos !== 0n);
  if (first === undefined) return '0';
  return format({ nanos: rest.reduce((sum, next) => sum + next.nanos, first.nanos), format: first.format });
}

/** Tells whether text is a quantity. */
export function isQuantity(value: string | number): boolean {
  try {
    parse(value);
    return true;
  } catch (error) {
    if (error instanceof QuantityError) return false;
    throw error;
  }
}

function parse(value: string | number): Quantity {
  const text = String(value);
  if (text === '') throw new QuantityError('BAD_QUANTITY', WRONG_FORM);
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([a-zA-Z]*[-+]?[0-9]*)$/.exec(text);
  if (match === null) throw new QuantityError('BAD_QUANTITY', WRONG_FORM);
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') throw new QuantityError('BAD_QUANTITY', WRONG_FORM);
  if (whole.length + fraction.length > MAX_DIGITS) throw new QuantityError('BAD_QUANTITY', WRONG_FORM);
  const { numerator, denominator, format: kind } = scaleOf(suffix);
  const digits = BigInt(`${whole}${fraction}`) * NANOS_PER_UNIT * numerator;
  const nanos = divideUp(digits, denominator * 10n ** BigInt(fraction.length));
  return { nanos: sign === '-' ? -nanos : nanos, format: kind };
}

function scaleOf(suffix: string): { numerator: bigint; denominator: bigint; format: Format } {
  const binary = BINARY_SUFFIXES.indexOf(suffix);
  if (binary >= 0) return { numerator: 1024n ** BigInt(binary + 1), denominator: 1n, format: 'binary' };
  const decimal = DECIMAL_SUFFIXES.find(([text]) => text === suffix);
  if (decimal !== undefined) return { ...powerOfTen(decimal[1]), format: 'decimal' };
  const exponent = /^[eE]([-+]?[0-9]+)$/.exec(suffix);
  // Exponents beyond what sixty-three bits hold are capped: the API saturates there.
  if (exponent !== null) {
    const power = Math.max(-MAX_DIGITS, Math.min(MAX_DIGITS, Number(exponent[1])));
    return { ...powerOfTen(power), format: 'exponent' };
  }
  throw new QuantityError('BAD_QUANTITY', WRONG_SUFFIX);
}

function powerOfTen(power: number): { numerator: bigint; denominator: bigint } {
  return power >= 0
    ? { numerator: 10n ** BigInt(power), denominator: 1n }
    : { numerator: 1n, denominator: 10n ** BigInt(-power) };
}

/** What is finer than a billionth is rounded away from zero, so that a request never becomes nothing. */
function divideUp(dividend: bigint, divisor: bigint): bigint {
  return dividend % divisor === 0n ? dividend / divisor : dividend / divisor + 1n;
}

function format({ nanos, format: kind }: Quantity): string {
  if (nanos === 0n) return '0';
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  // Binary suffixes only make sense from one KiB up, in whole units.
  if (kind === 'binary' && size % NANOS_PER_UNIT === 0n && size >= 1024n * NANOS_PER_UNIT) {
    let whole = size / NANOS_PER_UNIT;
    let step = 0;
    while (whole % 1024n === 0n && step < BINARY_SUFFIXES.length) {
      whole /= 1024n;
      step += 1;
    }
    return `${sign}${whole}${step === 0 ? '' : BINARY_SUFFIXES[step - 1]}`;
  }
  let mantissa = size;
  let power = -9;
  while (mantissa % 1000n === 0n && power < 18) {
    mantissa /= 1000n;
    power += 3;
  }
  if (kind === 'exponent') return `${sign}${mantissa}${power === 0 ? '' : `e${power}`}`;
  return `${sign}${mantissa}${DECIMAL_SUFFIXES.find(([, exponent]) => exponent === power)?.[0] ?? ''}`;
}
