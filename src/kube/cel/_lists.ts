import { isDeepStrictEqual } from 'node:util';
import type { Environment } from '@marcbachmann/cel-js';
import { Duration } from '@marcbachmann/cel-js/evaluator';
import { addNamespace, adderTo } from './_add-functions.ts';

/** Adds the functions of lists and of sets. */
export function addLists(env: Environment): void {
  const add = adderTo(env);
  add('list.isSorted(): bool', (list: unknown[]) =>
    list.every((item, index) => index === 0 || compare(list[index - 1], item) <= 0),
  );
  add('list.sum(): dyn', sum);
  add('list.min(): dyn', (list: unknown[]) => extreme(list, 'min', -1));
  add('list.max(): dyn', (list: unknown[]) => extreme(list, 'max', 1));
  add('list.indexOf(dyn): int', (list: unknown[], wanted: unknown) =>
    BigInt(list.findIndex((item) => isDeepStrictEqual(item, wanted))),
  );
  add('list.lastIndexOf(dyn): int', (list: unknown[], wanted: unknown) =>
    BigInt(list.findLastIndex((item) => isDeepStrictEqual(item, wanted))),
  );
  const space = addNamespace(env, 'sets');
  add(`${space}.contains(list, list): bool`, (_: unknown, a: unknown[], b: unknown[]) => containsAll(a, b));
  add(
    `${space}.equivalent(list, list): bool`,
    (_: unknown, a: unknown[], b: unknown[]) => containsAll(a, b) && containsAll(b, a),
  );
  add(`${space}.intersects(list, list): bool`, (_: unknown, a: unknown[], b: unknown[]) =>
    b.some((item) => containsAll(a, [item])),
  );
}

function containsAll(list: readonly unknown[], wanted: readonly unknown[]): boolean {
  return wanted.every((one) => list.some((item) => isDeepStrictEqual(item, one)));
}

function sum(list: readonly unknown[]): unknown {
  const [first] = list;
  if (first === undefined) return 0n;
  if (first instanceof Duration) {
    return list.reduce((total: Duration, item) => total.addDuration(item as Duration), new Duration(0n));
  }
  if (typeof first === 'bigint') return (list as readonly bigint[]).reduce((total, item) => total + item, 0n);
  if (typeof first === 'number') return (list as readonly number[]).reduce((total, item) => total + item, 0);
  throw new TypeError('no such overload');
}

function extreme(list: readonly unknown[], name: string, sign: 1 | -1): unknown {
  if (list.length === 0) throw new RangeError(`${name} called on empty list`);
  return list.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best));
}

function compare(a: unknown, b: unknown): number {
  const [left, right] = [ordered(a), ordered(b)];
  if (typeof left === 'string' && typeof right === 'string')
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  return left < right ? -1 : left > right ? 1 : 0;
}

function ordered(value: unknown): string | number | bigint {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof Date || value instanceof Duration) return value.valueOf();
  throw new TypeError('no such overload');
}
