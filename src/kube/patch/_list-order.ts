import { isDeepStrictEqual } from 'node:util';

import { isObject } from '../json/own-property.ts';

/** Splits a list into the entries that `chosen` names, by merge key or by value, and the others. */
export function partition(
  list: readonly unknown[],
  chosen: readonly unknown[],
  mergeKey: string | undefined,
): [named: unknown[], others: unknown[]] {
  const named: unknown[] = [];
  const others: unknown[] = [];
  for (const entry of list) (indexOf(chosen, entry, mergeKey) >= 0 ? named : others).push(entry);
  return [named, others];
}

/**
 * Interleaves the entries that a patch names, in the patch's order, with those that only the server has, in the
 * server's order. Two entries that the server had both keep their order; an entry that is new to the server goes first.
 */
export function mergeOrder(
  fromPatch: readonly unknown[],
  fromServer: readonly unknown[],
  patchOrder: readonly unknown[],
  serverOrder: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const right = sortBy(fromPatch, patchOrder, mergeKey);
  const left = sortBy(fromServer, serverOrder, mergeKey);
  const result: unknown[] = [];
  let leftAt = 0;
  let rightAt = 0;
  while (leftAt < left.length || rightAt < right.length) {
    const takeLeft =
      rightAt >= right.length ||
      (leftAt < left.length && isBefore(left[leftAt], right[rightAt], serverOrder, mergeKey));
    result.push(takeLeft ? left[leftAt] : right[rightAt]);
    if (takeLeft) leftAt += 1;
    else rightAt += 1;
  }
  return result;
}

function isBefore(
  left: unknown,
  right: unknown,
  order: readonly unknown[],
  mergeKey: string | undefined,
): boolean {
  const leftIndex = indexOf(order, left, mergeKey);
  const rightIndex = indexOf(order, right, mergeKey);
  return leftIndex >= 0 && rightIndex >= 0 && leftIndex < rightIndex;
}

function sortBy(
  list: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  return list.toSorted((a, b) => indexOf(order, a, mergeKey) - indexOf(order, b, mergeKey));
}

function indexOf(list: readonly unknown[], entry: unknown, mergeKey: string | undefined): number {
  const key = keyed(entry, mergeKey);
  return list.findIndex((other) => isDeepStrictEqual(keyed(other, mergeKey), key));
}

function keyed(entry: unknown, mergeKey: string | undefined): unknown {
  return mergeKey !== undefined && isObject(entry) ? entry[mergeKey] : entry;
}
