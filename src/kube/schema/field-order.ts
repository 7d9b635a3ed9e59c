import { readFileSync } from 'node:fs';
import { isObject, setOwn } from '../json/own-property.ts';
import { findStruct, structIn, type StructSchema, type TypeSchema } from './schema.ts';

/*
 * Clients that print what they got, and error texts that quote a value, show fields in the order in which the API's
 * structs declare them. `field-order.json` has that order for each struct where it is not the alphabet's. The keys of
 * maps, and everything in an object of a kind without structs, come in the alphabet's order.
 */
let orders: Readonly<Record<string, string>> | undefined;
const ranks = new Map<string, ReadonlyMap<string, Rank>>();

/** Where a field stands among those of its struct, and what is in it when it is a field indeed. */
interface Rank {
  readonly place: number;
  readonly type: TypeSchema | undefined;
}

function rankOf(struct: StructSchema): ReadonlyMap<string, Rank> {
  const known = ranks.get(struct.name);
  if (known !== undefined) return known;
  orders ??= JSON.parse(readFileSync(new URL('./field-order.json', import.meta.url), 'utf8')) as Record<
    string,
    string
  >;
  const declared = orders[struct.name]?.split(' ') ?? [];
  // Only what stands alone begins with its kind; in other structs a kind is a field like any other.
  const first = struct.fields.has('metadata') ? ['kind', 'apiVersion'] : [];
  const names = new Set([...first, ...declared, ...[...struct.fields.keys()].sort()]);
  const rank = new Map(
    [...names].map((name, place) => [name, { place, type: struct.fields.get(name)?.type }]),
  );
  ranks.set(struct.name, rank);
  return rank;
}

/** Lists the fields of a struct in their declared order. */
export function fieldOrderOf(struct: StructSchema): readonly string[] {
  return [...rankOf(struct).keys()].filter((name) => struct.fields.has(name));
}

/** Returns `value` with the fields of all its structs in their declared order; itself when they are. */
export function inFieldOrder<T extends object>(value: T, struct: StructSchema): T {
  return orderStruct(value as Record<string, unknown>, struct) as T;
}

/** Returns a value with the keys of all its objects sorted: how an object of a kind without structs is printed. */
export function inKeyOrder<T extends object>(value: T): T {
  return sortKeys(value) as T;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  return sortedEntries(value, sortKeys);
}

/** Returns an object's metadata in the order of its struct, for where a custom object is shown by it alone. */
export function withOrderedMetadata<T extends { metadata: object }>(object: T): T {
  const struct = findStruct('meta.v1.ObjectMeta');
  if (struct === undefined) return object;
  const metadata = inFieldOrder(object.metadata, struct);
  return metadata === object.metadata ? object : { ...object, metadata };
}

function orderStruct(value: Record<string, unknown>, struct: StructSchema): Record<string, unknown> {
  const rank = rankOf(struct);
  const keys = Object.keys(value);
  const places: number[] = [];
  const ordered: unknown[] = [];
  let last = -1;
  let isInOrder = true;
  let isSame = true;
  for (const key of keys) {
    const { place, type } = rank.get(key) ?? { place: rank.size, type: undefined };
    const before = value[key];
    const after = type === undefined ? before : orderValue(before, type);
    if (after !== before) isSame = false;
    if (place < last) isInOrder = false;
    last = place;
    places.push(place);
    ordered.push(after);
  }
  if (isSame && isInOrder) return value;
  const indices = [...keys.keys()];
  if (!isInOrder) indices.sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const result: Record<string, unknown> = {};
  for (const index of indices) setOwn(result, keys[index] ?? '', ordered[index]);
  return result;
}

function orderValue(value: unknown, type: TypeSchema): unknown {
  switch (type.is) {
    case 'scalar':
      return value;
    case 'struct':
      return isObject(value) ? orderStruct(value, structIn(type)) : value;
    case 'list':
      return Array.isArray(value) ? orderItems(value, type.items) : value;
    case 'map':
      return isObject(value) ? orderEntries(value, type.values) : value;
    default:
      return type satisfies never;
  }
}

function orderItems(items: readonly unknown[], type: TypeSchema): readonly unknown[] {
  if (type.is === 'scalar') return items;
  let changed: unknown[] | undefined;
  for (const [index, item] of items.entries()) {
    const ordered = orderValue(item, type);
    if (ordered === item) continue;
    changed ??= [...items];
    changed[index] = ordered;
  }
  return changed ?? items;
}

function orderEntries(value: Record<string, unknown>, type: TypeSchema): Record<string, unknown> {
  if (type.is === 'scalar' && isSorted(Object.keys(value))) return value;
  return sortedEntries(value, (entry) => orderValue(entry, type));
}

function sortedEntries(
  value: Record<string, unknown>,
  order: (entry: unknown) => unknown,
): Record<string, unknown> {
  const keys = Object.keys(value);
  if (!isSorted(keys)) keys.sort();
  // Made from entries: a key called `__proto__` stays a key.
  return Object.fromEntries(keys.map((key) => [key, order(value[key])]));
}

function isSorted(keys: readonly string[]): boolean {
  return keys.every((key, index) => index === 0 || (keys[index - 1] ?? '') < key);
}
