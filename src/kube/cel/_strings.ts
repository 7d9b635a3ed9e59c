import type { Environment } from '@marcbachmann/cel-js';
import { goQuote } from '../../base/go-quote.ts';
import { fromCel } from './cel-values.ts';
import { addNamespace, adderTo } from './_add-functions.ts';

/** Digits after the point when a format does not say. */
const PRECISION = 6;

/** Adds the string functions that the library does not have, and those about regular expressions. */
export function addStrings(env: Environment): void {
  const add = adderTo(env);
  add('string.charAt(int): string', (text: string, index: bigint) => {
    const letters = Array.from(text);
    if (index < 0n || index > BigInt(letters.length)) throw new RangeError(`index out of range: ${index}`);
    return letters[Number(index)] ?? '';
  });
  add('string.replace(string, string): string', (text: string, old: string, by: string) =>
    text.replaceAll(old, () => by),
  );
  add(
    'string.replace(string, string, int): string',
    (text: string, old: string, by: string, count: bigint) => {
      if (count < 0n) return text.replaceAll(old, () => by);
      let left = Number(count);
      return text.replaceAll(old, (found) => (left-- > 0 ? by : found));
    },
  );
  add('string.reverse(): string', (text: string) => Array.from(text).toReversed().join(''));
  add(
    'string.find(string): string',
    (text: string, pattern: string) => regular(pattern).exec(text)?.[0] ?? '',
  );
  add('string.findAll(string): list<string>', (text: string, pattern: string) => all(text, pattern, -1n));
  add('string.findAll(string, int): list<string>', (text: string, pattern: string, count: bigint) =>
    all(text, pattern, count),
  );
  add('string.format(list): string', (text: string, args: unknown[]) => format(text, args));
  const space = addNamespace(env, 'strings');
  add(`${space}.quote(string): string`, (_: unknown, text: string) => goQuote(text));
  const patch = addNamespace(env, 'jsonpatch');
  add(`${patch}.escapeKey(string): string`, (_: unknown, key: string) =>
    key.replaceAll('~', '~0').replaceAll('/', '~1'),
  );
  add('string(google.protobuf.Timestamp): string', (time: Date) =>
    time.toISOString().replace(/\.?0*Z$/, (end) => (end.startsWith('.') ? 'Z' : end.slice(-1))),
  );
  add('int(google.protobuf.Timestamp): int', (time: Date) => BigInt(Math.floor(time.getTime() / 1000)));
  add('timestamp(google.protobuf.Timestamp): google.protobuf.Timestamp', (time: Date) => time);
  add('string(google.protobuf.Duration): string', String);
  add('duration(google.protobuf.Duration): google.protobuf.Duration', (duration: unknown) => duration);
}

function regular(pattern: string, flags = ''): RegExp {
  try {
    return new RegExp(pattern, flags);
  } catch (error) {
    throw new RangeError(`Illegal regex: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function all(text: string, pattern: string, count: bigint): string[] {
  const found = [...text.matchAll(regular(pattern, 'g'))].map(([match]) => match);
  return count < 0n ? found : found.slice(0, Number(count));
}

/** Fills in `%s`, `%d`, `%f`, `%e`, `%b`, `%x`, `%X` and `%o`. */
function format(text: string, args: readonly unknown[]): string {
  let next = 0;
  return text.replaceAll(
    /%(?:\.([0-9]+))?([a-zA-Z%])/g,
    (_whole, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (next >= args.length) throw new RangeError(`index ${next} out of range`);
      const value = args[next++];
      const digits = precision === undefined ? PRECISION : Number(precision);
      switch (verb) {
        case 's':
          return printed(value);
        case 'd':
          if (typeof value !== 'bigint' && typeof value !== 'number') throw wrongKind(verb, value);
          return String(value);
        case 'f':
          return Number(value).toFixed(digits);
        case 'e':
          return Number(value)
            .toExponential(digits)
            .replace(/e([+-])([0-9])$/, 'e$10$2');
        case 'b':
          return typeof value === 'boolean' ? String(Number(value)) : whole(verb, value).toString(2);
        case 'o':
          return whole(verb, value).toString(8);
        case 'x':
        case 'X': {
          const hex =
            typeof value === 'bigint' ? value.toString(16) : Buffer.from(value as string).toString('hex');
          return verb === 'X' ? hex.toUpperCase() : hex;
        }
        default:
          throw new RangeError(`unrecognized formatting clause "${verb}"`);
      }
    },
  );
}

function whole(verb: string, value: unknown): bigint {
  if (typeof value !== 'bigint') throw wrongKind(verb, value);
  return value;
}

function wrongKind(verb: string, value: unknown): Error {
  return new RangeError(`${verb} clause can only be used on integers, was given ${typeof value}`);
}

/** Prints a value as `%s` does: lists and maps like literals, map keys in order. */
function printed(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return `[${value.map(printed).join(', ')}]`;
  if (value === null) return 'null';
  if (typeof value === 'bigint') return String(value);
  const plain = fromCel(value);
  if (typeof plain === 'object' && plain !== null) {
    const map = value as Record<string, unknown>;
    return `{${Object.keys(plain)
      .toSorted()
      .map((key) => `${key}: ${printed(map[key])}`)
      .join(', ')}}`;
  }
  return String(plain);
}
