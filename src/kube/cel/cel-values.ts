import { Optional } from '@marcbachmann/cel-js';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { isObject, setOwn } from '../json/own-property.ts';
import { formatTime } from '../time.ts';

export { Duration };

/** Makes an optional value; absent when there is none. */
export function optionalOf(value: unknown): unknown {
  return value === undefined ? Optional.none() : Optional.of(value);
}

/** Turns JSON into what expressions see: whole numbers are integers, the rest keeps its kind. */
export function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (!isObject(value)) return value;
  // Without a prototype, so that no key of a request names something that an expression could call.
  const map = Object.create(null) as Record<string, unknown>;
  for (const [key, child] of Object.entries(value)) if (child !== undefined) setOwn(map, key, toCel(child));
  return map;
}

/** Turns the outcome of an expression back into JSON; an absent optional is `undefined`. */
export function fromCel(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof UnsignedInt) return Number(value.value);
  if (value instanceof Date) return formatTime(value.getTime());
  if (value instanceof Duration) return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Optional) return value.hasValue() ? fromCel(value.value()) : undefined;
  if (Array.isArray(value)) return value.map(fromCel);
  const entries =
    value instanceof Map ? value.entries() : isObject(value) ? Object.entries(value) : undefined;
  if (entries === undefined) return value;
  const object: Record<string, unknown> = {};
  for (const [key, child] of entries) {
    const converted = fromCel(child);
    if (converted !== undefined) setOwn(object, String(key), converted);
  }
  return object;
}
