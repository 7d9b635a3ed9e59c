import { isDeepStrictEqual } from 'node:util';

import { goQuote } from '../../base/go-quote.ts';
import type { GroupVersionKind } from '../decode/decode-object.ts';
import { getOwn, isObject, setOwn } from '../json/own-property.ts';
import type { JsonObject } from '../json/json-object.ts';
import {
  findKindStruct,
  structOf,
  type FieldSchema,
  type StructSchema,
  type TypeSchema,
} from '../schema/schema.ts';
import { goPrint } from './_go-print.ts';
import { mergeOrder, partition } from './_list-order.ts';
import { PatchError } from './patch-error.ts';

/*
 * Directives, all inside the patch:
 *
 *   $patch: replace | delete | merge          on a map, or on an entry of a list
 *   $retainKeys: [a, b]                       other keys of the map go
 *   $setElementOrder/<list>: [...]            order of the list after merging
 *   $deleteFromPrimitiveList/<list>: [...]    values taken out of a list of scalars
 */
const PATCH = '$patch';
const RETAIN_KEYS = '$retainKeys';
const SET_ORDER = '$setElementOrder/';
const DELETE_FROM = '$deleteFromPrimitiveList/';

/**
 * Applies a strategic merge patch to a copy, with the merge keys of the kind's schema; lists without one are replaced.
 * A kind without schema is merged as RFC 7386 does, directives still honoured.
 *
 * @throws PatchError `BAD_STRATEGIC_PATCH`
 */
export function applyStrategicMergePatch(target: unknown, patch: unknown, kind: GroupVersionKind): unknown {
  if (!isObject(patch)) throw bad('patch is not an object');
  const struct = findKindStruct(kind.group, kind.version, kind.kind);
  const root: Shape = struct === undefined ? undefined : { is: 'struct', name: struct.name };
  return mergeMap(isObject(target) ? structuredClone(target) : {}, structuredClone(patch), root);
}

/** What is known of a value's type; `undefined` for fields that no schema describes. */
type Shape = TypeSchema | undefined;

function mergeMap(original: JsonObject, patch: JsonObject, shape: Shape): JsonObject {
  if (Object.hasOwn(patch, PATCH)) return applyMapDirective(patch);
  retainKeys(original, patch);
  applyElementOrders(original, patch, shape);
  for (const [key, value] of Object.entries(patch)) mergeKeyInto(original, key, value, shape);
  return original;
}

function applyMapDirective(patch: JsonObject): JsonObject {
  const directive = patch[PATCH];
  if (directive === 'replace') {
    delete patch[PATCH];
    return patch;
  }
  if (directive === 'delete') return {};
  throw bad(`unknown patch type: ${goPrint(directive)} in map: ${goPrint(patch)}`);
}

function mergeKeyInto(original: JsonObject, key: string, value: unknown, shape: Shape): void {
  if (value === null) {
    delete original[key];
    return;
  }
  if (key.startsWith(DELETE_FROM)) {
    deleteFromPrimitives(original, key.slice(DELETE_FROM.length), value);
    return;
  }
  const before = Object.hasOwn(original, key) ? original[key] : undefined;
  if (before === undefined) {
    const added = withoutDirectives(value);
    if (added !== undefined) setOwn(original, key, added);
    return;
  }
  const field = fieldOf(shape, key);
  if (isObject(before) && isObject(value)) {
    const replaces = field?.strategy.includes('replace') === true;
    setOwn(original, key, replaces ? value : mergeMap(before, value, field?.type));
  } else if (Array.isArray(before) && Array.isArray(value)) {
    const merges = field?.strategy.includes('merge') === true;
    setOwn(original, key, merges ? mergeList(before, value, field) : value);
  } else {
    const added = withoutDirectives(value);
    if (added === undefined) delete original[key];
    else setOwn(original, key, added);
  }
}

interface FieldMerge {
  readonly type: TypeSchema;
  readonly strategy: readonly string[];
  readonly mergeKey: string | undefined;
}

function fieldOf(shape: Shape, key: string): FieldMerge | undefined {
  if (shape === undefined) return undefined;
  if (shape.is === 'map') return { type: shape.values, strategy: [], mergeKey: undefined };
  if (shape.is !== 'struct') return undefined;
  const struct: StructSchema = structOf(shape.name);
  const field: FieldSchema | undefined = struct.fields.get(key);
  if (field === undefined) return undefined;
  return { type: field.type, strategy: field.patchStrategy ?? [], mergeKey: field.patchMergeKey };
}

function itemShape(field: FieldMerge | undefined): Shape {
  return field?.type.is === 'list' ? field.type.items : undefined;
}

function mergeList(original: readonly unknown[], patch: readonly unknown[], field: FieldMerge): unknown[] {
  if (original.length === 0 && patch.length === 0) return [...original];
  checkElements(original, patch);
  const first = patch[0] ?? original[0];
  if (!isObject(first)) {
    const merged = unique([...original, ...patch]);
    const [fromPatch, fromServer] = partition(merged, patch, undefined);
    return mergeOrder(fromPatch, fromServer, patch, original, undefined);
  }
  const mergeKey = field.mergeKey;
  if (mergeKey === undefined) return [...patch];
  const { plain, kept, replace } = applyListDirectives(original, patch, mergeKey);
  if (replace) return plain;
  const merged = mergeEntries(kept, plain, mergeKey, itemShape(field));
  const [fromPatch, fromServer] = partition(merged, plain, mergeKey);
  return mergeOrder(fromPatch, fromServer, plain, original, mergeKey);
}

/** Lists are merged when all that is in them is of one type, which is no list. */
function checkElements(original: readonly unknown[], patch: readonly unknown[]): void {
  const types = new Set([...original, ...patch].map(goTypeOf));
  if (types.size > 1) throw bad(`list element types are not identical: ${goPrint([original, patch])}`);
  if (types.has(LIST_TYPE)) throw new PatchError('UNPROCESSABLE', 'lists of lists are not supported');
}

/** Carries out the entries that are directives and returns what remains of both lists. */
function applyListDirectives(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
): { plain: JsonObject[]; kept: readonly unknown[]; replace: boolean } {
  const plain: JsonObject[] = [];
  let kept = original;
  let replace = false;
  for (const entry of patch) {
    if (!isObject(entry)) throw bad(`expected a map in a list merged by ${mergeKey}, got ${goPrint(entry)}`);
    const directive = Object.hasOwn(entry, PATCH) ? entry[PATCH] : undefined;
    if (directive === undefined) plain.push(entry);
    else if (directive === 'replace') replace = true;
    else if (directive === 'merge') throw bad('merging lists cannot yet be specified in the patch');
    else if (directive === 'delete') {
      const wanted = keyOf(entry, mergeKey);
      kept = kept.filter((other) => !isObject(other) || !isDeepStrictEqual(other[mergeKey], wanted));
    } else throw bad(`unknown patch type: ${goPrint(directive)} in map: ${goPrint(entry)}`);
  }
  return { plain, kept, replace };
}

function mergeEntries(
  original: readonly unknown[],
  patch: readonly JsonObject[],
  mergeKey: string,
  shape: Shape,
): unknown[] {
  const merged = [...original];
  for (const entry of patch) {
    const wanted = keyOf(entry, mergeKey);
    const index = merged.findIndex((other) => isObject(other) && isDeepStrictEqual(other[mergeKey], wanted));
    const before = merged[index];
    if (isObject(before)) merged[index] = mergeMap(before, structuredClone(entry), shape);
    else {
      const added = withoutDirectives(entry);
      if (added !== undefined) merged.push(added);
    }
  }
  return merged;
}

function keyOf(entry: JsonObject, mergeKey: string): unknown {
  if (!Object.hasOwn(entry, mergeKey)) {
    throw bad(`map: ${goPrint(entry)} does not contain declared merge key: ${mergeKey}`);
  }
  return entry[mergeKey];
}

function retainKeys(original: JsonObject, patch: JsonObject): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const list = patch[RETAIN_KEYS];
  delete patch[RETAIN_KEYS];
  if (!Array.isArray(list)) throw malformed('invalid patch format of retainKeys');
  const retained = new Set<unknown>(list);
  for (const [key, value] of Object.entries(patch)) {
    const isDirective = key.startsWith(SET_ORDER) || key.startsWith(DELETE_FROM);
    if (value === null || isDirective || retained.has(key)) continue;
    throw malformed('invalid patch format of retainKeys');
  }
  for (const key of Object.keys(original)) if (!retained.has(key)) delete original[key];
}

/** Merges each list that has an order directive, then puts it in that order; the patch loses both keys. */
function applyElementOrders(original: JsonObject, patch: JsonObject, shape: Shape): void {
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(SET_ORDER)) continue;
    delete patch[directive];
    const key = directive.slice(SET_ORDER.length);
    for (const list of [order, getOwn(original, key) ?? [], getOwn(patch, key) ?? []]) {
      if (!Array.isArray(list)) throw bad(`expected a ${LIST_TYPE}, but received a ${goTypeOf(list)}`);
    }
    if (!Array.isArray(order)) continue;
    const field = fieldOf(shape, key);
    if (field === undefined && shape?.is === 'struct') {
      const { goName } = structOf(shape.name);
      throw bad(`unable to find api field in struct ${goName} for the json field ${goQuote(key)}`);
    }
    const before = listAt(original, key);
    const change = listAt(patch, key);
    checkOrder(change, order, field?.mergeKey);
    const merged =
      change === undefined
        ? before
        : before === undefined
          ? (withoutDirectives(change) as unknown[] | undefined)
          : field?.strategy.includes('merge') === true
            ? mergeList(before, change, field)
            : change;
    if (merged === undefined) continue;
    const mergeKey = merged.some(isObject) ? field?.mergeKey : undefined;
    const [fromOrder, others] = partition(merged, order, mergeKey);
    setOwn(original, key, mergeOrder(fromOrder, others, order, before ?? [], mergeKey));
    delete patch[key];
  }
}

function listAt(parent: JsonObject, key: string): unknown[] | undefined {
  const value = Object.hasOwn(parent, key) ? parent[key] : undefined;
  return Array.isArray(value) ? value : undefined;
}

/** Every entry of the patch must stand in the order list, in the same sequence. */
function checkOrder(
  change: readonly unknown[] | undefined,
  order: readonly unknown[],
  mergeKey: string | undefined,
): void {
  if (change === undefined) return;
  const keyed = (entry: unknown): unknown =>
    isObject(entry) && mergeKey !== undefined ? entry[mergeKey] : entry;
  const patched = change.filter((entry) => !isObject(entry) || !Object.hasOwn(entry, PATCH));
  let at = 0;
  for (const entry of patched) {
    while (at < order.length && !isDeepStrictEqual(keyed(order[at]), keyed(entry))) at += 1;
    if (at < order.length) continue;
    throw bad(
      `The order in patch list:\n${goPrint(patched)}\n doesn't match $setElementOrder list:\n${goPrint(order)}\n`,
    );
  }
}

function deleteFromPrimitives(original: JsonObject, key: string, values: unknown): void {
  const before = listAt(original, key);
  if (before === undefined || !Array.isArray(values)) return;
  const gone = new Set<unknown>(values);
  setOwn(
    original,
    key,
    before.filter((value) => !gone.has(value)),
  );
}

/** What a patch adds where nothing was: itself, less its directives; nothing when it only deletes. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((entry) => withoutDirectives(entry)).filter((entry) => entry !== undefined);
  }
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, PATCH) && value[PATCH] !== 'replace') return undefined;
  const result: JsonObject = {};
  for (const [key, entry] of Object.entries(value)) {
    if (key === PATCH || key === RETAIN_KEYS || key.startsWith(SET_ORDER) || key.startsWith(DELETE_FROM))
      continue;
    const kept = withoutDirectives(entry);
    if (kept !== undefined && kept !== null) setOwn(result, key, kept);
  }
  if (Object.hasOwn(value, PATCH) && Object.keys(result).length === 0) return undefined;
  return result;
}

function unique(list: readonly unknown[]): unknown[] {
  return [...new Set(list)];
}

function malformed(message: string): PatchError {
  return new PatchError('BAD_PATCH_FORMAT', message);
}

const LIST_TYPE = '[]interface {}';

/** Names what a decoded value is in Go. */
function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return LIST_TYPE;
  if (isObject(value)) return 'map[string]interface {}';
  if (value === null) return '%!s(<nil>)';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function bad(message: string): PatchError {
  return new PatchError('BAD_STRATEGIC_PATCH', message);
}
